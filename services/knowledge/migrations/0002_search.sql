-- Search by words. How, and why a role of its own: docs/decisions/0007-words-of-one-tenant.md.

do $$
begin
    begin
        create role aeterna_searcher nologin nosuperuser nobypassrls nocreatedb nocreaterole;
    exception
        -- Roles belong to the server: another database may have made it, even at this moment.
        when duplicate_object or unique_violation then null;
    end;
    if not pg_has_role(current_user, 'aeterna_searcher', 'member') then
        grant aeterna_searcher to current_user;
    end if;
end $$;

alter table knowledge.items add column words tsvector not null default '';
comment on column knowledge.items.words is 'Title (A), tags (B), body (C), and one word that is the tenant: the index finds one tenant''s words by it.';

create function knowledge.tenant_word(p_tenant text) returns text language sql immutable parallel safe as
    $$ select 'tenant:' || md5(p_tenant) $$;

create function knowledge.words(p_tenant text, p_title text, p_tags text[], p_body text) returns tsvector
language sql stable as $$
    select setweight(to_tsvector('english', p_title), 'A')
        || setweight(to_tsvector('english', array_to_string(p_tags, ' ')), 'B')
        || setweight(to_tsvector('english', p_body), 'C')
        || array_to_tsvector(array[knowledge.tenant_word(p_tenant)])
$$;

update knowledge.items i set words = knowledge.words(i.tenant_id, i.title, i.tags, v.body)
from knowledge.versions v where v.tenant_id = i.tenant_id and v.item_id = i.item_id and v.version = i.version;

create index items_by_words on knowledge.items using gin (words) where deleted_at is null;

-- The searcher sees what it searches by, of all tenants, and nothing of what items say. Nobody can act as it: it has one
-- function, and that one takes the tenant from the scope of the transaction, never from its caller.
grant usage on schema knowledge to aeterna_searcher;
grant select (tenant_id, item_id, path, kind, layer, status, severity, tags, author, updated_at, deleted_at, words)
    on knowledge.items to aeterna_searcher;
create policy searched on knowledge.items for select to aeterna_searcher using (true);

-- Parts of a question as a tsquery; null when only stop words were asked for.
-- A prefix is looked for as it is written and by its stem: 'polici' finds what 'policies' was made into.
create function knowledge.question(p_words text[], p_phrases text[], p_prefixes text[], p_without text[], p_any boolean)
returns tsquery language plpgsql stable as $$
declare
    asked tsquery;
    part  tsquery;
    term  text;
begin
    for part in
        select plainto_tsquery('english', w) from unnest(p_words) w
        union all select phraseto_tsquery('english', p) from unnest(p_phrases) p
        union all select to_tsquery('simple', quote_literal(p) || ':*') || to_tsquery('english', quote_literal(p) || ':*')
                  from unnest(p_prefixes) p
    loop
        continue when numnode(part) = 0;
        asked := case when asked is null then part when p_any then asked || part else asked && part end;
    end loop;
    foreach term in array p_without loop
        part := phraseto_tsquery('english', term);
        if numnode(part) > 0 then asked := asked && !! part; end if;
    end loop;
    return asked;
end $$;

-- Matches within the tenant of the transaction's scope: the best hits behind a place, and, if asked for, what all matches are.
-- Ranking reads the words of each match, so at most p_cap are ranked: those changed last.
-- Rows: hit (item_id, score), facet (facet, value, count), total (count).
create function knowledge.match(
    p_question tsquery, p_layers text[], p_kinds text[], p_statuses text[], p_tags text[], p_prefix text,
    p_since timestamptz, p_reader text, p_cap integer, p_after_score real, p_after_id uuid, p_limit integer, p_facets boolean)
returns table (row_kind text, item_id uuid, score real, facet text, value text, count bigint)
language plpgsql stable rows 20 security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
-- Reading the words of every item costs more than the planner thinks: they lie out of line. So it shall neither walk the table
-- nor an index whose order happens to be that of the rows.
set enable_seqscan = off set cpu_operator_cost = 0.1 as $$
declare
    scope text := nullif(current_setting('app.tenant_id', true), '');
    mine  tsquery := quote_literal('tenant:' || md5(scope))::tsquery;
begin
    if scope is null or p_question is null then return; end if;
    return query
        with matched as materialized (
            select i.item_id, i.kind, i.layer, i.status, i.updated_at
            from knowledge.items i
            where i.tenant_id = scope and i.words @@ (mine && p_question) and i.deleted_at is null
              and (p_layers = '{}' or i.layer = any(p_layers)) and (p_kinds = '{}' or i.kind = any(p_kinds))
              and (p_statuses = '{}' or i.status = any(p_statuses)) and i.tags @> p_tags
              and starts_with(i.path, p_prefix) and (p_since is null or i.updated_at >= p_since)
              and (i.status <> 'draft' or p_reader is null or i.author = p_reader)
        ), ranked as materialized (
            select m.item_id, ts_rank(i.words, p_question, 1) as score
            from (select m.item_id from matched m order by m.updated_at desc, m.item_id limit p_cap) m,
                 -- By the key, one by one: a join would read the whole table.
                 lateral (select i.words from knowledge.items i where i.tenant_id = scope and i.item_id = m.item_id limit 1) i
        )
        (select 'hit'::text, r.item_id, r.score, null::text, null::text, null::bigint from ranked r
         where p_after_score is null or r.score < p_after_score or (r.score = p_after_score and r.item_id > p_after_id)
         order by r.score desc, r.item_id limit p_limit)
        union all
        select 'total', null, null, null, null, count(*) from matched
        union all
        select 'facet', null, null, f.facet, f.value, f.n
        from (select case when grouping(m.kind) = 0 then 'kind' when grouping(m.layer) = 0 then 'layer' else 'status' end as facet,
                     coalesce(m.kind, m.layer, m.status) as value, count(*) as n
              from matched m group by grouping sets ((m.kind), (m.layer), (m.status))) f
        where p_facets;
end $$;
revoke execute on function knowledge.match from public;
grant execute on function knowledge.match to aeterna_app;
grant create on schema knowledge to aeterna_searcher;
alter function knowledge.match owner to aeterna_searcher;
revoke create on schema knowledge from aeterna_searcher;

-- A search in one round trip: matches, then the items themselves under row-level security, with a piece of their text in
-- which the words stand between U+E000 and U+E001.
create function knowledge.search(
    p_tenant text, p_words text[], p_phrases text[], p_prefixes text[], p_without text[], p_any boolean, p_layers text[],
    p_kinds text[], p_statuses text[], p_tags text[], p_prefix text, p_since timestamptz, p_reader text, p_cap integer,
    p_after_score real, p_after_id uuid, p_limit integer, p_facets boolean)
returns table (row_kind text, item_id uuid, score real, facet text, value text, count bigint, path text, title text,
    kind text, layer text, status text, version bigint, updated_at timestamptz, snippet text)
language plpgsql volatile as $$
declare
    asked tsquery;
begin
    perform knowledge.enter(p_tenant);
    asked := knowledge.question(p_words, p_phrases, p_prefixes, p_without, p_any);
    return query
        select m.row_kind, m.item_id, m.score, m.facet, m.value, m.count, i.path, i.title, i.kind, i.layer, i.status,
               i.version, i.updated_at,
               -- A long text is looked at as far as 64 KiB go.
               ts_headline('english', translate(left(v.body, 65536), U&'\E000\E001', ''), asked,
                   U&'StartSel=\E000,StopSel=\E001,MaxFragments=1,MaxWords=40,MinWords=15')
        from knowledge.match(asked, p_layers, p_kinds, p_statuses, p_tags, p_prefix, p_since, p_reader, p_cap, p_after_score,
                p_after_id, p_limit, p_facets) m
        left join lateral (select * from knowledge.items i
                           where i.tenant_id = p_tenant and i.item_id = m.item_id limit 1) i on true
        left join knowledge.versions v on v.tenant_id = i.tenant_id and v.item_id = i.item_id and v.version = i.version
        where m.row_kind <> 'hit' or i.item_id is not null
        order by m.row_kind, m.score desc, m.item_id, m.count desc;
end $$;
