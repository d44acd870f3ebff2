-- Items: one row a path with what searches and listings need, and one row a version with all that the item said.

create table knowledge.heads (
    tenant_id text primary key,
    changes   bigint not null default 0
);
comment on table knowledge.heads is 'One row a tenant: its lock puts the tenant''s writers in a row, its number names a state of the tenant''s knowledge.';

create table knowledge.items (
    tenant_id  text not null,
    item_id    uuid not null default gen_random_uuid(),
    path       text collate "C" not null,
    folded     text collate "C" not null,
    kind       text not null check (kind in ('adr', 'policy', 'pattern', 'spec', 'hindsight', 'note')),
    layer      text not null check (layer in ('company', 'org', 'team', 'project')),
    status     text not null check (status in ('draft', 'proposed', 'accepted', 'deprecated', 'superseded', 'rejected')),
    severity   text not null check (severity in ('info', 'warn', 'block')),
    title      text not null,
    tags       text[] not null,
    supersedes text collate "C",
    superseded_by text collate "C",
    author     text not null,
    version    bigint not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (tenant_id, item_id),
    unique (tenant_id, path)
);
comment on column knowledge.items.folded is 'The path as a file system without case sees it.';
comment on column knowledge.items.superseded_by is 'The path of what took the place of its present life; another life begins without.';
comment on column knowledge.items.version is 'The version in force; goes on rising when a deleted item is made again.';
create unique index items_by_folded on knowledge.items (tenant_id, folded) where deleted_at is null;
create index items_by_superseded on knowledge.items (tenant_id, supersedes) where supersedes is not null;

create table knowledge.versions (
    tenant_id    text not null,
    item_id      uuid not null,
    version      bigint not null,
    action       text not null check (action in ('created', 'changed', 'moved', 'superseded', 'deleted')),
    status       text not null,
    attributes   jsonb not null,
    body         text not null,
    content_hash bytea not null,
    message      text,
    author       text not null,
    owner        text not null,
    change       bigint not null default 0,
    created_at   timestamptz not null default now(),
    primary key (tenant_id, item_id, version),
    foreign key (tenant_id, item_id) references knowledge.items (tenant_id, item_id)
);
comment on column knowledge.versions.owner is 'Who began the life that the version is of: a path that was deleted may begin another, of somebody else''s.';
comment on column knowledge.versions.change is 'The head''s number when it was made: what was in force at a number can be told for ever.';
comment on table knowledge.versions is 'Never changed and never removed: the app role may only read and add.';

alter table knowledge.heads    enable row level security;
alter table knowledge.heads    force  row level security;
alter table knowledge.items    enable row level security;
alter table knowledge.items    force  row level security;
alter table knowledge.versions enable row level security;
alter table knowledge.versions force  row level security;

create policy own_rows on knowledge.heads to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
create policy own_rows on knowledge.items to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
create policy own_rows on knowledge.versions to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));

grant usage on schema knowledge to aeterna_app;
grant select, insert, update on knowledge.heads, knowledge.items to aeterna_app;
grant select, insert on knowledge.versions to aeterna_app;

-- Takes the app role and the tenant's scope for the rest of the transaction.
create function knowledge.enter(p_tenant text) returns void language plpgsql volatile as $$
begin
    perform set_config('role', 'aeterna_app', true), set_config('app.tenant_id', p_tenant, true);
end $$;

-- The path of the live item that took this one's place, as long as it says so.
create function knowledge.successor(p_tenant text, p_path text, p_by text) returns text language sql stable as $$
    select s.path from knowledge.items s
    where s.tenant_id = p_tenant and s.path = p_by and s.supersedes = p_path and s.deleted_at is null
      and s.status in ('accepted', 'deprecated', 'superseded')
$$;

-- One item in one of its versions, or in the one in force; a deleted item is returned as such.
create function knowledge.fetch(p_tenant text, p_path text, p_version bigint default null)
returns table (item_id uuid, path text, version bigint, author text, created_at timestamptz, updated_at timestamptz,
    deleted boolean, attributes jsonb, body text, content_hash bytea, superseded_by text)
language plpgsql volatile as $$
begin
    perform knowledge.enter(p_tenant);
    return query
        select i.item_id, i.path, v.version, v.owner, i.created_at, v.created_at, i.deleted_at is not null, v.attributes,
               v.body, v.content_hash, knowledge.successor(p_tenant, i.path, i.superseded_by)
        from knowledge.items i
        join knowledge.versions v on v.tenant_id = i.tenant_id and v.item_id = i.item_id
                                 and v.version = coalesce(p_version, i.version)
        where i.tenant_id = p_tenant and i.path = p_path;
end $$;

-- What lies directly below a prefix, by name, from a place on: each item, and each folder once. Walks the index from name to
-- name, so a folder of any size costs one look. A reader without a name sees all drafts. `after` is the place to go on from.
create function knowledge.list(p_tenant text, p_prefix text, p_from text, p_reader text, p_limit integer)
returns table (name text, folder boolean, after text, title text, kind text, layer text, status text, version bigint,
    updated_at timestamptz)
language plpgsql volatile as $$
declare
    place text collate "C" := greatest(p_prefix collate "C", p_from collate "C");
    -- '0' follows '/', so this is behind everything below the prefix.
    bound text collate "C" := case when p_prefix = '' then null else left(p_prefix, -1) || '0' end;
    found_item knowledge.items;
    slash integer;
begin
    perform knowledge.enter(p_tenant);
    for n in 1..p_limit loop
        select * into found_item from knowledge.items i
        where i.tenant_id = p_tenant and i.path >= place and (bound is null or i.path < bound) and i.deleted_at is null
          and (i.status <> 'draft' or p_reader is null or i.author = p_reader)
        order by i.path limit 1;
        exit when not found;
        name := substr(found_item.path, length(p_prefix) + 1);
        slash := position('/' in name);
        folder := slash > 0;
        if folder then
            name := left(name, slash - 1);
            after := p_prefix || name || '0';
            title := null; kind := null; layer := null; status := null; version := null; updated_at := null;
        else
            -- No path has control characters: nothing lies between this path and the next.
            after := found_item.path || chr(1);
            title := found_item.title; kind := found_item.kind; layer := found_item.layer; status := found_item.status;
            version := found_item.version; updated_at := found_item.updated_at;
        end if;
        place := after;
        return next;
    end loop;
end $$;
