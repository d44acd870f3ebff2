-- Reads of one tenant, one round trip each. The scope is set in a statement before the read: set in the same one, a
-- row-level check may run first.

create function memory.fetch(p_tenant text, p_id uuid) returns setof memory.memories language plpgsql volatile as $$
begin
    perform memory.enter(p_tenant);
    return query select * from memory.memories m where m.tenant_id = p_tenant and m.id = p_id;
end $$;

-- The route, always, as the first row; then the live memories among the points (source 'vector') and those that match the
-- words (source 'words', best first), each under all predicates. Empty arrays and objects ask for nothing.
create function memory.find(
    p_tenant text, p_points uuid[], p_words text, p_any_word boolean, p_layers text[], p_identifiers jsonb, p_tags text[],
    p_limit integer)
returns table (source text, rank real, shard text, identity uuid, floor bigint, write_generation bigint, model text, memory memory.memories)
language plpgsql volatile as $$
declare
    query tsquery;
begin
    perform memory.enter(p_tenant);
    return query
        select 'route'::text, 0::real, t.shard_id, s.identity, t.floor, t.generation, t.model, null::memory.memories
        from routing.tenants t join routing.shards s using (shard_id) where t.tenant_id = p_tenant;
    return query
        select 'vector'::text, 0::real, null::text, null::uuid, null::bigint, null::bigint, null::text, m
        from memory.memories m
        where m.tenant_id = p_tenant and m.point_id = any(p_points) and m.state = 'live'
          and (m.expires_at is null or m.expires_at > now())
          and (p_layers = '{}' or m.layer = any(p_layers)) and m.identifiers @> p_identifiers and m.tags @> p_tags;
    if p_words is null then return; end if;
    query := plainto_tsquery('english', p_words);
    if p_any_word then query := replace(query::text, '&', '|')::tsquery; end if;
    if numnode(query) = 0 then return; end if;
    return query
        select 'words'::text, ts_rank_cd(m.words, query, 1) as word_rank,
               null::text, null::uuid, null::bigint, null::bigint, null::text, m
        from memory.memories m
        where m.tenant_id = p_tenant and m.state = 'live' and m.words @@ query
          and (m.expires_at is null or m.expires_at > now())
          and (p_layers = '{}' or m.layer = any(p_layers)) and m.identifiers @> p_identifiers and m.tags @> p_tags
        order by word_rank desc, m.id limit p_limit;
end $$;

-- Memories whose time is over, across tenants: the sweeper sees which they are, and nothing of what they say.
grant usage on schema memory to aeterna_sweeper;
grant select (tenant_id, id, state, expires_at) on memory.memories to aeterna_sweeper;
create policy expiring on memory.memories for select to aeterna_sweeper using (state = 'live' and expires_at is not null);
