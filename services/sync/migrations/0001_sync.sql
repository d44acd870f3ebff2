-- Connections, the jobs that run over them, what was delivered, and what was not.
--
-- A job's row is the job: the API shows it, a worker claims it, its cursor is committed together with what the batch did.

create table sync.connections (
    tenant_id   text  not null,
    id          uuid  not null,
    source      jsonb not null,
    target      jsonb not null,
    config_hash bytea not null,
    state       jsonb,
    settled     boolean not null default false,
    created_by  text  not null,
    created_at  timestamptz not null default now(),
    primary key (tenant_id, id),
    unique (tenant_id, config_hash)
);
comment on table sync.connections is 'A source and a target that belong together; the same pair is the same connection.';
comment on column sync.connections.state is 'What the last whole run left for the next one: a commit, entity tags. Opaque to SQL.';
comment on column sync.connections.settled is 'Nothing was delivered since the last whole run: its state tells what the target has.';

create table sync.jobs (
    tenant_id           text    not null,
    id                  uuid    not null,
    connection_id       uuid    not null,
    status              text    not null check (status in
        ('queued', 'running', 'cancelling', 'succeeded', 'partial', 'failed', 'cancelled')),
    mode                text    not null check (mode in ('full', 'incremental')),
    options             jsonb   not null default '{}',
    attempt             integer not null default 0,
    failures            jsonb   not null default '{}',
    lost                integer not null default 0,
    run_after           timestamptz not null default now(),
    lease_until         timestamptz,
    cursor              jsonb,
    progress            jsonb   not null default '{}',
    revision            bigint  not null default 0,
    error               jsonb,
    digest              text,
    idempotency_key     text,
    request_hash        bytea,
    cancel_requested_at timestamptz,
    cancel_reason       text,
    created_by          text    not null,
    roles               text[]  not null,
    created_at          timestamptz not null default now(),
    started_at          timestamptz,
    heartbeat_at        timestamptz,
    finished_at         timestamptz,
    primary key (tenant_id, id),
    foreign key (tenant_id, connection_id) references sync.connections (tenant_id, id)
);
comment on column sync.jobs.roles is 'Of whoever started it, at that moment: what the job''s token carries.';
comment on column sync.jobs.attempt is 'The fencing token: rises with every claim, and every write of a worker names the one it was given.';
comment on column sync.jobs.failures is 'Failures since the last committed batch, by their class; what retries are counted by.';
comment on column sync.jobs.lost is 'Leases that ran out since the last committed batch: workers that died over the job.';
comment on column sync.jobs.revision is 'Rises with every change that a caller can see.';

-- One active job a connection.
create unique index jobs_active on sync.jobs (tenant_id, connection_id) where status in ('queued', 'running', 'cancelling');
create unique index jobs_by_key on sync.jobs (tenant_id, idempotency_key) where idempotency_key is not null;
create index jobs_due on sync.jobs (tenant_id, run_after) where status in ('queued', 'running', 'cancelling');
create index jobs_by_connection on sync.jobs (tenant_id, connection_id, id);
-- What is forgotten when it is old enough.
create index jobs_by_end on sync.jobs (tenant_id, finished_at) where finished_at is not null;

create table sync.turns (
    tenant_id text primary key,
    served_at timestamptz not null default '-infinity'
);
comment on table sync.turns is 'Fairness: whose job was claimed longest ago is served next. A claim holds the row, so a tenant''s jobs are counted exactly.';

create table sync.items (
    tenant_id      text not null,
    connection_id  uuid not null,
    -- In the order of its bytes on every database: pieces and digests go by it.
    external_id    text collate "C" not null,
    content_hash   bytea,
    target_id      text,
    target_version text,
    intended_ids   text[] not null default '{}',
    source_version text,
    seen_by        uuid,
    delivered_at   timestamptz,
    primary key (tenant_id, connection_id, external_id),
    foreign key (tenant_id, connection_id) references sync.connections (tenant_id, id)
);
comment on table sync.items is 'What was delivered: makes a replay idempotent and a deletion known.';
comment on column sync.items.content_hash is 'Of what was delivered; null for an item that the source holds and the target never took.';
comment on column sync.items.target_version is 'Of what was delivered, as the target named it: at another one somebody else was there.';
comment on column sync.items.intended_ids is 'Written before the target is asked: what a crash in between may have left there.';
comment on column sync.items.seen_by is 'The last job that met the item in its source.';
create index items_intended on sync.items (tenant_id, connection_id) where intended_ids <> '{}';

create table sync.rejects (
    tenant_id     text    not null,
    id            uuid    not null,
    connection_id uuid    not null,
    external_id   text    not null,
    code          text    not null,
    message       text    not null,
    job_id        uuid    not null,
    by_target     boolean not null,
    times         integer not null default 1,
    first_at      timestamptz not null default now(),
    last_at       timestamptz not null default now(),
    primary key (tenant_id, id),
    unique (tenant_id, connection_id, external_id),
    foreign key (tenant_id, connection_id) references sync.connections (tenant_id, id)
);
comment on table sync.rejects is 'Items that the source holds and the target has not, and why. Gone when the item passes or leaves its source.';
comment on column sync.rejects.by_target is 'The target refused it, and may take it later although the source says of no change.';

do $$
declare
    name text;
begin
    foreach name in array array['connections', 'jobs', 'turns', 'items', 'rejects'] loop
        execute format('alter table sync.%I enable row level security', name);
        execute format('alter table sync.%I force row level security', name);
        execute format($policy$
            create policy own_rows on sync.%I to aeterna_app
                using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
                with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
        $policy$, name);
    end loop;
end $$;

-- Across tenants a worker sees which jobs are active and whose turn it is: no history, no connection, no item.
create policy active_jobs on sync.jobs to aeterna_system
    using (status in ('queued', 'running', 'cancelling'))
    with check (status in ('running', 'cancelling'));
create policy every_turn on sync.turns to aeterna_system using (true) with check (true);
-- And whether a connection is there at all, for the copies that lie on its disk: its id, and no other column.
create policy every_id on sync.connections for select to aeterna_system using (true);

grant usage on schema sync to aeterna_app, aeterna_system;
grant select, insert, update, delete on sync.connections, sync.jobs to aeterna_app;
grant select, insert on sync.turns to aeterna_app;
grant select, insert, update, delete on sync.items, sync.rejects to aeterna_app;
grant select on sync.jobs to aeterna_system;
grant select (id) on sync.connections to aeterna_system;
grant update (status, attempt, lost, lease_until, started_at, heartbeat_at, revision) on sync.jobs to aeterna_system;
grant select, update on sync.turns to aeterna_system;

-- Claims the next job: of the tenants with a job that is due and a place that is free, the one served longest ago.
-- Due is what waits and what its worker has left: a lease that ran out by the database's clock.
-- Where somebody holds the rows of all jobs of that tenant, to cancel one or to tell of its progress, it is the next tenant's
-- turn. The one that was passed over keeps its place in the order.
create function sync.claim(p_lease interval, p_at_once integer) returns setof sync.jobs language plpgsql volatile as $$
declare
    turn sync.turns;
    found_id uuid;
    passed text[] := '{}';
begin
    perform set_config('role', 'aeterna_system', true);
    -- Sixteen tenants: each one passed over stays locked to the end of the claim, and other workers are to find some too.
    for looked in 1..16 loop
        select t.* into turn from sync.turns t
        where t.tenant_id <> all (passed)
          and exists (select from sync.jobs j where j.tenant_id = t.tenant_id and (
                  (j.status = 'queued' and j.run_after <= clock_timestamp())
                  or (j.status in ('running', 'cancelling') and j.lease_until <= clock_timestamp())))
          and (select count(*) from sync.jobs j where j.tenant_id = t.tenant_id
                  and j.status in ('running', 'cancelling') and j.lease_until > clock_timestamp()) < p_at_once
        order by t.served_at, t.tenant_id
        for update of t skip locked limit 1;
        if not found then return; end if;
        -- Counted again: what was claimed between the look above and its lock is not in what that statement saw.
        select j.id into found_id from sync.jobs j
        where j.tenant_id = turn.tenant_id and (
            (j.status = 'queued' and j.run_after <= clock_timestamp())
            or (j.status in ('running', 'cancelling') and j.lease_until <= clock_timestamp()))
          and (select count(*) from sync.jobs c where c.tenant_id = turn.tenant_id
                  and c.status in ('running', 'cancelling') and c.lease_until > clock_timestamp()) < p_at_once
        order by j.run_after, j.id
        for update of j skip locked limit 1;
        exit when found;
        passed := passed || turn.tenant_id;
    end loop;
    if found_id is null then return; end if;
    update sync.turns t set served_at = clock_timestamp() where t.tenant_id = turn.tenant_id;
    return query
        update sync.jobs j set
            -- A job that is being cancelled stays so: its new worker ends it.
            status = case j.status when 'cancelling' then 'cancelling' else 'running' end,
            attempt = j.attempt + 1,
            lost = j.lost + case j.status when 'queued' then 0 else 1 end,
            lease_until = clock_timestamp() + p_lease,
            started_at = coalesce(j.started_at, clock_timestamp()),
            heartbeat_at = clock_timestamp(),
            revision = j.revision + 1
        where j.tenant_id = turn.tenant_id and j.id = found_id
        returning j.*;
end $$;
