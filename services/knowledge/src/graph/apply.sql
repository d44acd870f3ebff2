-- Takes over what has arrived. A node without a path is gone.
delete from links where item in (select id::uuid from new_nodes);
delete from nodes where id in (select id::uuid from new_nodes);
insert into nodes select nextval('numbers'), * replace (id::uuid as id) from new_nodes where path is not null;
insert into links select item::uuid, kind::relation, target from new_links;
delete from uses where (one, other) in (select one::uuid, other::uuid from new_uses);
insert into uses select one::uuid, other::uuid, times from new_uses;
truncate new_nodes;
truncate new_links;
truncate new_uses;
