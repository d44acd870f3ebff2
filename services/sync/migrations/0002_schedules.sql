-- Schedules: what starts jobs at their times.

create table sync.schedules (
    tenant_id     text    not null,
    connection_id uuid    not null,
    cron          text    not null,
    timezone      text    not null,
    mode          text    not null check (mode in ('full', 'incremental')),
    options       jsonb   not null default '{}',
    next_run_at   timestamptz,
    last_run_at   timestamptz,
    last_job_id   uuid,
    skipped       bigint  not null default 0,
    created_by    text    not null,
    roles         text[]  not null,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    primary key (tenant_id, connection_id),
    foreign key (tenant_id, connection_id) references sync.connections (tenant_id, id)
);
comment on column sync.schedules.next_run_at is 'Null while the schedule is paused. Whoever moves it on starts the job, in one transaction.';
comment on column sync.schedules.skipped is 'Times that passed unserved: nobody was there, or the connection had an active job.';
comment on column sync.schedules.roles is 'Of whoever set it, at that moment: what its jobs carry.';
create index schedules_due on sync.schedules (tenant_id, next_run_at) where next_run_at is not null;

alter table sync.schedules enable row level security;
alter table sync.schedules force row level security;
create policy own_rows on sync.schedules to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
-- Across tenants is only seen what is due.
create policy due on sync.schedules for select to aeterna_system using (next_run_at <= clock_timestamp());

grant select, insert, update, delete on sync.schedules to aeterna_app;
grant select on sync.schedules to aeterna_system;
