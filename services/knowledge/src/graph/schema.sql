-- Items have a number here, which is a quarter of an id, and found four times as fast.
create sequence numbers;
create type relation as enum ('link', 'citation', 'supersedes', 'coUse');
create type direction as enum ('out', 'in', 'both');
create table nodes (
    n integer, id uuid, path varchar, folded varchar, stem varchar, status varchar, author varchar, supersedes varchar
);
create table links (item uuid, kind relation, target varchar);
create table uses (one uuid, other uuid, times bigint);
-- What has changed arrives here.
create table new_nodes (id varchar, path varchar, folded varchar, stem varchar, status varchar, author varchar, supersedes varchar);
create table new_links (item varchar, kind varchar, target varchar);
create table new_uses (one varchar, other varchar, times bigint);
