-- Approvals: requests, votes, and what has been approved and is still to be applied.

create table governance.approval_counters (
    tenant_id text    not null,
    year      integer not null,
    last      integer not null,
    primary key (tenant_id, year)
);

create table governance.approvals (
    tenant_id     text not null,
    id            uuid not null,
    number        text not null,
    request_type  text not null check (request_type in
        ('policy', 'knowledge', 'memory', 'role', 'config', 'tenant_migration', 'sync')),
    target_type   text,
    target_id     text,
    scope         jsonb not null,
    title         text not null,
    description   text,
    payload       text not null,
    payload_hash  text not null,
    revision      integer not null default 1,
    risk          text not null check (risk in ('low', 'medium', 'high', 'critical')),
    justification text,
    requested_by  text not null,
    requester     text not null,
    steps         jsonb not null,
    status        text not null check (status in
        ('pending', 'approved', 'rejected', 'expired', 'withdrawn', 'cancelled', 'applied')),
    broken_glass  text,
    application_id uuid,
    applied_by    text,
    idempotency   text,
    request_hash  text not null,
    created_at    timestamptz not null default now(),
    expires_at    timestamptz not null,
    resolved_at   timestamptz,
    primary key (tenant_id, id),
    unique (tenant_id, number),
    unique (tenant_id, requested_by, idempotency)
);
comment on column governance.approvals.payload is 'In its one spelling, which is what payload_hash is of.';
comment on column governance.approvals.revision is 'Rises with every amendment, also with one that brings an old payload back.';
comment on column governance.approvals.broken_glass is 'It was approved without a quorum: why.';
comment on column governance.approvals.application_id is 'From the outbox: the key by which a second try is told elsewhere.';
comment on column governance.approvals.applied_by is 'The subject that applied it.';
comment on column governance.approvals.requester is 'The human behind requested_by.';
create index approvals_listed on governance.approvals (tenant_id, created_at, id);
create index approvals_expiring on governance.approvals (expires_at) where status = 'pending';

create table governance.approval_votes (
    tenant_id    text not null,
    approval_id  uuid not null,
    id           uuid not null,
    approver     text not null,
    step         integer not null,
    verdict      text not null check (verdict in ('approve', 'reject', 'abstain')),
    comment      text,
    payload_hash text not null,
    revision     integer not null,
    created_at   timestamptz not null default now(),
    primary key (tenant_id, approval_id, id),
    unique (tenant_id, approval_id, approver, revision),
    foreign key (tenant_id, approval_id) references governance.approvals (tenant_id, id)
);
create trigger only_added_to before update or delete on governance.approval_votes
    for each row execute function governance.refuse_change();

create table governance.approval_outbox (
    tenant_id   text not null,
    approval_id uuid not null,
    application_id uuid not null,
    primary key (tenant_id, approval_id),
    foreign key (tenant_id, approval_id) references governance.approvals (tenant_id, id)
);
comment on table governance.approval_outbox is 'Approved and not applied. Applying takes the row away, so it happens once.';

alter table governance.approval_counters enable row level security;
alter table governance.approval_counters force  row level security;
alter table governance.approvals         enable row level security;
alter table governance.approvals         force  row level security;
alter table governance.approval_votes    enable row level security;
alter table governance.approval_votes    force  row level security;
alter table governance.approval_outbox   enable row level security;
alter table governance.approval_outbox   force  row level security;
create policy own_rows on governance.approval_counters to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
create policy own_rows on governance.approvals to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
create policy own_rows on governance.approval_votes to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
create policy own_rows on governance.approval_outbox to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
-- The worker that notices expiry sees which requests are over, and nothing of what they ask for.
create policy expiring on governance.approvals for select to aeterna_system using (status = 'pending');

grant select, insert, update on governance.approval_counters to aeterna_app;
grant select, insert, update on governance.approvals to aeterna_app;
grant select, insert on governance.approval_votes to aeterna_app;
grant select, insert, delete on governance.approval_outbox to aeterna_app;
grant select (tenant_id, id, status, expires_at) on governance.approvals to aeterna_system;
