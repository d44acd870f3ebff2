-- Who holds which role. A token says it for one request; this table says it when the token is not there: for approvers,
-- whose right is looked at again when a quorum is counted, and for revocations, which count against tokens at once.

create table governance.role_assignments (
    tenant_id  text not null,
    principal  text not null,
    role       text not null check (role in
        ('Viewer', 'Developer', 'TechLead', 'Architect', 'Admin', 'TenantAdmin', 'PlatformAdmin')),
    source     text not null check (source in ('grant', 'token')),
    state      text not null check (state in ('active', 'revoked')),
    changed_by text not null,
    changed_at timestamptz not null default now(),
    seen_at    timestamptz not null default now(),
    primary key (tenant_id, principal, role)
);
comment on column governance.role_assignments.source is
    'token: seen in the principal''s last token; goes away with it. grant: given here; stays until revoked.';
comment on column governance.role_assignments.seen_at is
    'When a token last said it, to a day. What a token said counts for a month.';
create index role_assignments_by_role on governance.role_assignments (tenant_id, role) where state = 'active';

alter table governance.role_assignments enable row level security;
alter table governance.role_assignments force  row level security;
create policy own_rows on governance.role_assignments to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
grant select, insert, update, delete on governance.role_assignments to aeterna_app;
