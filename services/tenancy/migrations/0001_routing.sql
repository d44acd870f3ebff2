-- Routes, shards and moves: which collection holds which tenant's projection, and how that changes.
-- Two roles use it: aeterna_app sees its own tenant's route, aeterna_system sees all (operator, relocator, relay).

create table routing.cluster (
    singleton         boolean primary key default true check (singleton),
    uid               uuid    not null,
    namespace         text    not null,
    kubernetes        uuid,
    incarnation       integer not null default 1 check (incarnation > 0),
    system_identifier text    not null,
    timeline          integer not null,
    lsn               pg_lsn  not null
);
comment on table routing.cluster is 'The one AeternaCluster that owns this database, and the last seen identity of the server.';
comment on column routing.cluster.kubernetes is 'The Kubernetes of the owner, if that is known: the uid of its namespace kube-system.';

create table routing.leader (
    singleton boolean primary key default true check (singleton),
    term      bigint  not null
);
insert into routing.leader (term) values (0);
comment on table routing.leader is 'Raised by an operator when it takes the Lease; every intent it writes checks its term.';

create table routing.shards (
    shard_id   text primary key check (shard_id <> ''),
    identity   uuid not null unique default gen_random_uuid(),
    kind       text not null check (kind in ('shared', 'dedicated')),
    isolation  text not null check (isolation in ('Collection')),
    endpoint   text not null,
    collection text not null,
    model      text not null,
    dimension  integer not null check (dimension > 0),
    capacity   integer not null check (capacity > 0),
    state      text not null check (state in ('building', 'ready', 'draining', 'retired')),
    tenant_id  text check ((kind = 'dedicated') = (tenant_id is not null)),
    unique (endpoint, collection)
);
comment on column routing.shards.identity is 'Also the payload of the collection''s reserved point: a drop or a move compares the two first.';
comment on column routing.shards.tenant_id is 'Dedicated: the one tenant that may live in it.';

-- A collection's name is used once and never again: a late request of an earlier life finds nothing to harm.
create table routing.collection_names (
    endpoint   text not null,
    collection text not null,
    retired    uuid,
    primary key (endpoint, collection)
);
comment on column routing.collection_names.retired is 'The identity of the life that is over, until its collection is dropped.';

create table routing.tenants (
    tenant_id  text primary key check (octet_length(tenant_id) between 1 and 128),
    shard_id   text   not null references routing.shards,
    floor      bigint not null,
    generation bigint not null check (generation >= floor),
    model      text   not null,
    owner_uid  uuid,
    owner_name text,
    access     text   not null default 'ReadWrite' check (access in ('ReadWrite', 'ReadOnly', 'Suspended'))
);
comment on column routing.tenants.floor is 'Searches read points of this generation and above.';
comment on column routing.tenants.generation is 'Writers stamp this generation.';

create table routing.moves (
    move_id         uuid primary key default gen_random_uuid(),
    tenant_id       text   not null references routing.tenants,
    operation       text   not null unique,
    term            bigint not null,
    source          text   not null references routing.shards,
    source_identity uuid   not null,
    target          text   not null references routing.shards,
    target_identity uuid   not null,
    base            bigint not null,
    generation      bigint not null,
    step            text   not null check (step in
        ('Copy', 'CatchUp', 'Verify', 'Await', 'Cutover', 'Retain', 'Clean', 'Done', 'Cancelled')),
    attempt         integer not null default 0,
    lease_until     timestamptz not null default '-infinity',
    not_before      timestamptz not null default '-infinity',
    retention       interval not null,
    cursor          uuid,
    watermark       pg_snapshot,
    verified_at     timestamptz,
    total           bigint not null default 0,
    copied          bigint not null default 0,
    caught_up       bigint not null default 0,
    lag             bigint not null default 0,
    compared        bigint not null default 0,
    repaired        bigint not null default 0,
    cutover_tries   integer not null default 0,
    pause_us        bigint,
    waiting_for     text,
    error           text,
    failures        integer not null default 0,
    created_at      timestamptz not null default now(),
    step_at         timestamptz not null default now(),
    updated_at      timestamptz not null default now(),
    flipped_at      timestamptz,
    retain_until    timestamptz,
    finished_at     timestamptz,
    check (source <> target),
    check (generation > base),
    unique (tenant_id, generation)
);
create unique index moves_one_before_retain on routing.moves (tenant_id)
    where step in ('Copy', 'CatchUp', 'Verify', 'Await', 'Cutover');
create index moves_claimable on routing.moves (lease_until) where step not in ('Done', 'Cancelled');
comment on column routing.moves.operation is 'Who asked: <TenantShard uid>/<its metadata.generation>; unique, so an intent is recorded once.';
comment on column routing.moves.base is 'The route''s write generation when the move was recorded; the flip requires it unchanged.';
comment on column routing.moves.watermark is 'Every change that this snapshot sees is in the target.';
comment on column routing.moves.failures is 'In a row; the pause after an error grows with them.';
comment on column routing.moves.attempt is 'Fencing token: raised by each claim, checked by every progress write.';

create table routing.cleanups (
    cleanup_id       bigint generated always as identity primary key,
    move_id          uuid   not null references routing.moves,
    shard_id         text   not null references routing.shards,
    shard_identity   uuid   not null,
    tenant_id        text   not null,
    lowest           bigint not null,
    generation_bound bigint not null check (generation_bound >= lowest),
    not_before       timestamptz not null,
    runs             integer not null default 0,
    failures         integer not null default 0,
    error            text,
    done_at          timestamptz,
    unique (move_id)
);
comment on table routing.cleanups is 'The ledger of what may be deleted: points of the tenant with lowest <= generation <= generation_bound.';

create table routing.verifications (
    request_id  text not null,
    tenant_id   text not null references routing.tenants,
    lease_until timestamptz not null default '-infinity',
    requested_at timestamptz not null default now(),
    finished_at timestamptz,
    compared bigint, missing bigint, stale bigint, orphaned bigint, "foreign" bigint, repaired bigint,
    error       text,
    primary key (tenant_id, request_id)
);
comment on table routing.verifications is 'Requests to compare a tenant''s live projection with the truth, and their results.';

alter table routing.tenants       enable row level security;
alter table routing.tenants       force  row level security;
alter table routing.moves         enable row level security;
alter table routing.moves         force  row level security;
alter table routing.cleanups      enable row level security;
alter table routing.cleanups      force  row level security;
alter table routing.verifications enable row level security;
alter table routing.verifications force  row level security;

create policy own_route on routing.tenants for select to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
create policy system_all on routing.tenants       to aeterna_system using (true) with check (true);
create policy system_all on routing.moves         to aeterna_system using (true) with check (true);
create policy system_all on routing.cleanups      to aeterna_system using (true) with check (true);
create policy system_all on routing.verifications to aeterna_system using (true) with check (true);

grant usage on schema routing to aeterna_app, aeterna_system;
grant select on routing.tenants, routing.shards to aeterna_app;
grant select, insert, update on
    routing.cluster, routing.leader, routing.shards, routing.collection_names, routing.tenants, routing.moves,
    routing.cleanups, routing.verifications to aeterna_system;
