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

-- What counts of it. What a token said counts for a month after it was last seen: whoever has left shows none any more. What
-- was given or taken here does not age. A sight is noted anew after a day: with each request it would be a write for each.
create view governance.remembered with (security_invoker = true) as
    select tenant_id, principal, role, source, state, changed_by, changed_at,
           source = 'token' and seen_at < now() - interval '1 day' as fading
    from governance.role_assignments
    where source = 'grant' or state = 'revoked' or seen_at > now() - interval '30 days';
grant select on governance.remembered to aeterna_app;

-- What is remembered of principals, each row with the version of the tenant's set of policies; of nobody, a row with that
-- alone. In one round trip: a decision needs no more of the database.
create function governance.standing(p_tenant text, p_principals text[])
returns table (version bigint, principal text, role text, source text, state text, changed_by text, changed_at timestamptz,
    fading boolean)
language plpgsql volatile as $$
begin
    perform set_config('role', 'aeterna_app', true), set_config('app.tenant_id', p_tenant, true);
    return query
        select coalesce(s.version, 0), r.principal, r.role, r.source, r.state, r.changed_by, r.changed_at, r.fading
        from (select p_tenant as tenant_id) one
        left join governance.policy_sets s using (tenant_id)
        left join governance.remembered r on r.tenant_id = one.tenant_id and r.principal = any(p_principals);
end $$;
