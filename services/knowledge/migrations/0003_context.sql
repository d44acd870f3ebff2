-- What a context is put together from.

create index items_that_block on knowledge.items (tenant_id, layer, path)
    where kind = 'policy' and severity = 'block' and status = 'accepted' and deleted_at is null;

-- Live items by id and by path, and the accepted policies that must be followed: those of wide layers first; each once.
-- A reader without a name sees all drafts. What they say comes later, of those that are kept: all together
-- may be large.
create function knowledge.context(
    p_tenant text, p_ids uuid[], p_paths text[], p_layers text[], p_policies integer, p_reader text)
returns table (item_id uuid, path text, version bigint, author text, created_at timestamptz, updated_at timestamptz,
    deleted boolean, attributes jsonb, body text, content_hash bytea, superseded_by text, bytes integer)
language plpgsql volatile as $$
begin
    perform knowledge.enter(p_tenant);
    return query
        with wanted as (
            select i.item_id from knowledge.items i where i.tenant_id = p_tenant and i.item_id = any(p_ids)
            union
            select i.item_id from knowledge.items i where i.tenant_id = p_tenant and i.path = any(p_paths)
            union
            (select i.item_id from knowledge.items i
             where i.tenant_id = p_tenant and i.kind = 'policy' and i.severity = 'block' and i.status = 'accepted'
               and i.deleted_at is null and (p_layers = '{}' or i.layer = any(p_layers))
             order by array_position(array['company', 'org', 'team', 'project'], i.layer), i.path limit p_policies)
        )
        select i.item_id, i.path, i.version, i.author, i.created_at, i.updated_at, false, v.attributes, '',
               v.content_hash, null::text, octet_length(v.body)
        from wanted w
        cross join lateral (select * from knowledge.items i where i.tenant_id = p_tenant and i.item_id = w.item_id limit 1) i
        join knowledge.versions v on v.tenant_id = i.tenant_id and v.item_id = i.item_id and v.version = i.version
        where i.deleted_at is null and (i.status <> 'draft' or p_reader is null or i.author = p_reader);
end $$;

-- What items say in versions of them.
create function knowledge.texts(p_tenant text, p_ids uuid[], p_versions bigint[])
returns table (item_id uuid, body text)
language plpgsql volatile as $$
begin
    perform knowledge.enter(p_tenant);
    return query
        select v.item_id, v.body
        from unnest(p_ids, p_versions) w (item_id, version)
        join knowledge.versions v on v.tenant_id = p_tenant and v.item_id = w.item_id and v.version = w.version;
end $$;
