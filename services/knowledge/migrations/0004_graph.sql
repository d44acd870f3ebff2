-- What the graph of a tenant is built from: what its items refer to, and which of them are told together.

create table knowledge.links (
    tenant_id text not null,
    item_id   uuid not null,
    kind      text not null check (kind in ('link', 'citation')),
    target    text collate "C" not null,
    primary key (tenant_id, item_id, kind, target),
    foreign key (tenant_id, item_id) references knowledge.items (tenant_id, item_id)
);
comment on table knowledge.links is 'What live items refer to, in their version in force.';
comment on column knowledge.links.target is 'A folded path, with or without its extension, or a name without a slash. Nothing may be there.';
create index links_by_target on knowledge.links (tenant_id, target);

create table knowledge.co_uses (
    tenant_id text not null,
    one       uuid not null,
    other     uuid not null,
    times     bigint not null default 1,
    change    bigint not null,
    primary key (tenant_id, one, other),
    check (one < other),
    foreign key (tenant_id, one) references knowledge.items (tenant_id, item_id),
    foreign key (tenant_id, other) references knowledge.items (tenant_id, item_id)
);
comment on table knowledge.co_uses is 'How many contexts told two items together.';
comment on column knowledge.co_uses.change is 'The head''s number when it was counted last.';
create index co_uses_by_other on knowledge.co_uses (tenant_id, other);
create index co_uses_by_change on knowledge.co_uses (tenant_id, change);
create index versions_by_change on knowledge.versions (tenant_id, change, item_id);

alter table knowledge.links   enable row level security;
alter table knowledge.links   force  row level security;
alter table knowledge.co_uses enable row level security;
alter table knowledge.co_uses force  row level security;
create policy own_rows on knowledge.links to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
create policy own_rows on knowledge.co_uses to aeterna_app
    using (tenant_id = nullif(current_setting('app.tenant_id', true), ''))
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), ''));
grant select, insert, delete on knowledge.links to aeterna_app;
grant select, insert, update on knowledge.co_uses to aeterna_app;
