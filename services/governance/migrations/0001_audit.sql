-- The audit log: one chain of hashes a tenant, written in the transaction of what it tells of.

create table governance.audit_heads (
    tenant_id text   not null primary key,
    seq       bigint not null,
    hash      bytea  not null
);
comment on table governance.audit_heads is 'The end of each chain. Locked by whoever appends, so a chain cannot fork.';

create table governance.audit_events (
    tenant_id   text   not null,
    seq         bigint not null,
    canonical   text   not null,
    prev_hash   bytea  not null,
    hash        bytea  not null,
    -- Read from the text that is hashed: nobody can change one and not the other.
    at          text collate "C" not null generated always as (canonical::jsonb ->> 'at') stored,
    actor       text   not null generated always as (canonical::jsonb #>> '{actor,id}') stored,
    on_behalf_of text  generated always as (canonical::jsonb #>> '{actor,onBehalfOf}') stored,
    action      text   not null generated always as (canonical::jsonb ->> 'action') stored,
    target_type text   generated always as (canonical::jsonb #>> '{target,type}') stored,
    target_id   text   generated always as (canonical::jsonb #>> '{target,id}') stored,
    outcome     text   not null generated always as (canonical::jsonb ->> 'outcome') stored,
    request_id  text   generated always as (canonical::jsonb ->> 'requestId') stored,
    via         text   generated always as (canonical::jsonb ->> 'via') stored,
    primary key (tenant_id, seq),
    unique (tenant_id, prev_hash)
);
comment on column governance.audit_events.canonical is 'The bytes that are hashed, kept as they were; jsonb would spell them anew.';
comment on column governance.audit_events.at is 'RFC 3339 in UTC with six digits: its order as text is that of time.';
create index audit_events_by_target on governance.audit_events (tenant_id, target_type, target_id, seq);
create index audit_events_by_actor on governance.audit_events (tenant_id, actor, seq);
create index audit_events_by_action on governance.audit_events (tenant_id, action, seq);
create index audit_events_by_time on governance.audit_events (tenant_id, at);
create index audit_events_by_request on governance.audit_events (tenant_id, request_id);
create index audit_events_by_human on governance.audit_events (tenant_id, on_behalf_of, seq) where on_behalf_of is not null;

-- Returns the end of the tenant's chain, locked, and the time after the lock was granted. A tenant's first event makes the
-- row first: a row that is not there cannot be locked.
create function governance.lock_audit_head(p_tenant text)
returns table (head_seq bigint, head_hash bytea, locked_at timestamptz) language plpgsql volatile as $$
begin
    insert into governance.audit_heads (tenant_id, seq, hash) values (p_tenant, 0, decode(repeat('00', 32), 'hex'))
    on conflict (tenant_id) do nothing;
    return query select h.seq, h.hash, clock_timestamp() from governance.audit_heads h
        where h.tenant_id = p_tenant for update;
end $$;

create function governance.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is only ever added to', tg_table_name using errcode = '42501';
end $$;
create trigger only_added_to before update or delete on governance.audit_events
    for each row execute function governance.refuse_change();
create trigger never_emptied before truncate on governance.audit_events
    for each statement execute function governance.refuse_change();
create trigger never_removed before delete on governance.audit_heads
    for each row execute function governance.refuse_change();
create trigger never_emptied before truncate on governance.audit_heads
    for each statement execute function governance.refuse_change();

-- A head goes forward by one event, which is there.
create function governance.check_audit_head() returns trigger language plpgsql as $$
begin
    if new.tenant_id <> old.tenant_id or new.seq <> old.seq + 1 or not exists (
        select from governance.audit_events e
        where e.tenant_id = new.tenant_id and e.seq = new.seq and e.hash = new.hash and e.prev_hash = old.hash)
    then
        raise exception 'the head of an audit chain goes forward by one event' using errcode = '42501';
    end if;
    return new;
end $$;
create trigger forward_only before update on governance.audit_heads
    for each row execute function governance.check_audit_head();

alter table governance.audit_heads  enable row level security;
alter table governance.audit_heads  force  row level security;
alter table governance.audit_events enable row level security;
alter table governance.audit_events force  row level security;
create policy own_rows on governance.audit_heads to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
create policy own_rows on governance.audit_events to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
-- The checkpoint writer sees where chains end, and nothing of what they say.
create policy every_head on governance.audit_heads for select to aeterna_system using (true);

grant usage on schema governance to aeterna_app, aeterna_system;
grant select, insert, update on governance.audit_heads to aeterna_app;
grant select, insert on governance.audit_events to aeterna_app;
grant select on governance.audit_heads to aeterna_system;
