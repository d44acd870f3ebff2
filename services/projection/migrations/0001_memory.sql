-- The truth of the memory service: one row a memory with its embedding, and the outbox of what Qdrant must still learn.

create sequence memory.versions;
comment on sequence memory.versions is 'Versions rise for ever per row; taken after the row is locked.';

create table memory.memories (
    tenant_id    text  not null,
    id           uuid  not null,
    point_id     uuid  not null default gen_random_uuid(),
    version      bigint not null,
    changed_xid  xid8  not null,
    state        text  not null check (state in ('live', 'deleted')),
    layer        text  not null check (layer in ('agent', 'user', 'session', 'project', 'team', 'org', 'company')),
    content      text  not null,
    content_hash bytea not null,
    embedding    bytea not null,
    model        text  not null,
    identifiers  jsonb not null default '{}',
    metadata     jsonb not null default '{}',
    tags         text[] not null default '{}',
    importance   real,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now(),
    expires_at   timestamptz,
    deleted_at   timestamptz,
    words        tsvector not null generated always as (to_tsvector('english', content)) stored,
    primary key (tenant_id, id)
);
comment on column memory.memories.point_id is 'Made here, globally unique: a client''s own id never becomes a point id.';
comment on column memory.memories.changed_xid is 'pg_current_xact_id() at every insert and update; finds the tail of a move, never guards.';
comment on column memory.memories.embedding is 'f32 little-endian, as many as the model has dimensions; empty in a tombstone.';

-- Copy and Verify walk this; it is Qdrant's order of UUIDs as well.
create unique index memories_by_point on memory.memories (tenant_id, point_id);
-- The tail of a move; point_id breaks the ties of a bulk import, which has one xid.
create index memories_by_change on memory.memories (tenant_id, changed_xid, point_id);
create index memories_by_content on memory.memories (tenant_id, content_hash) where state = 'live';
create index memories_expiring on memory.memories (expires_at) where state = 'live' and expires_at is not null;
-- No index on words: under row-level security the planner may not look into one before it has checked the tenant, for
-- @@ is not leakproof (docs/decisions/0004-words-without-an-index.md).

create table memory.outbox (
    outbox_id     bigint generated always as identity primary key,
    tenant_id     text not null,
    point_id      uuid not null,
    claimed_until timestamptz not null
);
create index outbox_claimable on memory.outbox (claimed_until);
comment on table memory.outbox is 'Points to apply. Whoever applies one reads its row and the route at that moment.';

alter table memory.memories enable row level security;
alter table memory.memories force  row level security;
alter table memory.outbox   enable row level security;
alter table memory.outbox   force  row level security;

-- Also the system role sees one tenant at a time: a relocator cannot copy a foreign row.
create policy own_rows on memory.memories to aeterna_app, aeterna_system
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
create policy own_rows on memory.outbox to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
create policy system_all on memory.outbox to aeterna_system using (true) with check (true);

grant usage on schema memory to aeterna_app, aeterna_system;
grant usage on sequence memory.versions to aeterna_app, aeterna_system;
grant select, insert, update on memory.memories to aeterna_app;
grant select on memory.memories to aeterna_system;
grant select, insert, delete on memory.outbox to aeterna_app;
grant select, update, delete on memory.outbox to aeterna_system;
