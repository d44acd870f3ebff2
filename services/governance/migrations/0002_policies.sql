-- Policies: a row for what a policy is, and one for each version of what it says.

create table governance.policies (
    tenant_id  text    not null,
    id         uuid    not null,
    name       text    not null,
    kind       text    not null check (kind in ('constraint', 'cedar')),
    layer      text    not null check (layer in ('company', 'org', 'team', 'project')),
    place      text    not null,
    version    integer not null,
    status     text    not null check (status in ('draft', 'active', 'archived')),
    created_by text    not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, id),
    unique (tenant_id, layer, place, name)
);
comment on column governance.policies.place is 'The scope as text, so that a name is taken once in one place.';
comment on column governance.policies.status is 'That of the version in force.';
create index policies_listed on governance.policies (tenant_id, name, id);
create index policies_active on governance.policies (tenant_id) where status = 'active';

create table governance.policy_versions (
    tenant_id    text    not null,
    policy_id    uuid    not null,
    version      integer not null,
    document     jsonb   not null,
    content_hash text    not null,
    created_by   text    not null,
    created_at   timestamptz not null default now(),
    primary key (tenant_id, policy_id, version),
    foreign key (tenant_id, policy_id) references governance.policies (tenant_id, id)
);
comment on table governance.policy_versions is 'Never changed: going back makes a new version.';
create trigger only_added_to before update or delete on governance.policy_versions
    for each row execute function governance.refuse_change();

-- Rises with every change of a tenant's policies; a compiled set is good as long as it has not.
create table governance.policy_sets (
    tenant_id text   not null primary key,
    version   bigint not null
);

alter table governance.policies        enable row level security;
alter table governance.policies        force  row level security;
alter table governance.policy_versions enable row level security;
alter table governance.policy_versions force  row level security;
alter table governance.policy_sets     enable row level security;
alter table governance.policy_sets     force  row level security;
create policy own_rows on governance.policies to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
create policy own_rows on governance.policy_versions to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
create policy own_rows on governance.policy_sets to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
grant select, insert, update on governance.policies to aeterna_app;
grant select, insert on governance.policy_versions to aeterna_app;
grant select, insert, update on governance.policy_sets to aeterna_app;
