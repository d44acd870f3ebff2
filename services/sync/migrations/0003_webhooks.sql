-- Webhooks: what starts jobs when the system that a source is in says that something changed.

create table sync.webhooks (
    tenant_id        text    not null,
    connection_id    uuid    not null,
    secret_ref       text    not null,
    options          jsonb   not null default '{}',
    is_pending       boolean not null default false,
    last_delivery_at timestamptz,
    last_job_id      uuid,
    created_by       text    not null,
    roles            text[]  not null,
    created_at       timestamptz not null default now(),
    primary key (tenant_id, connection_id),
    foreign key (tenant_id, connection_id) references sync.connections (tenant_id, id)
);
comment on column sync.webhooks.is_pending is 'A delivery came while a job was active, which may have looked before: another one follows it.';
create index webhooks_pending on sync.webhooks (tenant_id, connection_id) where is_pending;

create table sync.deliveries (
    tenant_id     text not null,
    connection_id uuid not null,
    delivery_id   text not null,
    received_at   timestamptz not null default now(),
    primary key (tenant_id, connection_id, delivery_id),
    foreign key (tenant_id, connection_id) references sync.webhooks (tenant_id, connection_id) on delete cascade
);
comment on table sync.deliveries is 'Deliveries that were taken: the same one again does nothing. Old ones are removed as new ones come.';

do $$
declare
    name text;
begin
    foreach name in array array['webhooks', 'deliveries'] loop
        execute format('alter table sync.%I enable row level security', name);
        execute format('alter table sync.%I force row level security', name);
        execute format($policy$
            create policy own_rows on sync.%I to aeterna_app
                using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
                with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
        $policy$, name);
    end loop;
end $$;

-- Across tenants is only seen what waits.
create policy pending on sync.webhooks for select to aeterna_system using (is_pending);

grant select, insert, update, delete on sync.webhooks, sync.deliveries to aeterna_app;
grant select on sync.webhooks to aeterna_system;
