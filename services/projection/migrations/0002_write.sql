-- The one door for changes of memory.memories, and the confirmation of what Qdrant has taken.
-- Each function is one round trip and one transaction of its own when called outside of one.

-- Takes the app role and the tenant's scope for the rest of the transaction.
create function memory.enter(p_tenant text) returns void language plpgsql volatile as $$
begin
    perform set_config('role', 'aeterna_app', true), set_config('app.tenant_id', p_tenant, true);
end $$;

-- Writes a batch of one tenant: shared fence, then the route, then rows and outbox.
--
-- p_items: [{kind: create|delete|expire|orphan|renew, id, pointId?, layer, content, identifiers, metadata, tags, importance,
-- expiresAt, dedupe, keyed}], with embeddings and hashes of the same order beside it.
-- Outcomes: created, duplicate (an equal live memory is there), exists (same id, same content), conflict (same id, other
-- content), gone (a keyed id that was deleted), deleted, renewed, absent. Only created, deleted and renewed have an outbox_id.
--
-- SQLSTATE AE001 tenant unknown, AE002 embedded with a model that is not the route's (DETAIL: the route's model),
-- AE003 tenant not writable, AE004 isolation level is not READ COMMITTED, 55P03 the fence is held.
create function memory.write(
    p_tenant text, p_model text, p_items jsonb, p_embeddings bytea[], p_hashes bytea[], p_claim interval)
returns table (
    ord integer, outcome text, memory_id uuid, point uuid, row_version bigint, outbox bigint, created timestamptz,
    updated timestamptz, shard text, identity uuid, write_generation bigint)
language plpgsql volatile as $$
declare
    route routing.tenants;
    item  record;
    old   memory.memories;
    new   memory.memories;
begin
    if current_setting('transaction_isolation') <> 'read committed' then
        -- Under a snapshot older than the fence the route below could be the one of before a flip.
        raise exception 'a write needs READ COMMITTED, the transaction is %', upper(current_setting('transaction_isolation'))
            using errcode = 'AE004';
    end if;
    perform memory.enter(p_tenant);
    -- A cutover holds the fence for at most 250 ms a try; who waits longer than a second tells its client to come back.
    perform set_config('lock_timeout', '1s', true);
    perform pg_advisory_xact_lock_shared(hashtextextended(p_tenant, 0));
    -- A statement of its own: its snapshot is taken after the lock was granted.
    select * into route from routing.tenants t where t.tenant_id = p_tenant;
    if not found then
        raise exception 'tenant % is not registered', p_tenant using errcode = 'AE001';
    end if;
    if route.access <> 'ReadWrite' then
        raise exception 'tenant % is %', p_tenant, route.access using errcode = 'AE003';
    end if;
    -- What deletes carries no vector, and must not wait for one.
    if p_model <> route.model and p_items @? '$[*] ? (@.kind == "create")' then
        raise exception 'embedded with %, the route wants %', p_model, route.model using errcode = 'AE002', detail = route.model;
    end if;

    -- The foreign key keeps the row, and a shard that a route names is not retired: this is the life that is meant.
    select s.identity into identity from routing.shards s where s.shard_id = route.shard_id;

    for item in
        select i.ordinality::integer as n, x.*, p_embeddings[i.ordinality] as embedding, p_hashes[i.ordinality] as hash
        from jsonb_array_elements(p_items) with ordinality i,
             jsonb_to_record(i.value) as x(kind text, id uuid, "pointId" uuid, layer text, content text, identifiers jsonb,
                metadata jsonb, tags text[], importance real, "expiresAt" timestamptz, dedupe boolean, keyed boolean)
        -- Two batches lock their rows in one order.
        order by x.id
    loop
        outcome := null; new := null; outbox := null;
        if item.kind = 'create' then
            if item.dedupe then
                select * into old from memory.memories m
                where m.tenant_id = p_tenant and m.content_hash = item.hash and m.state = 'live'
                  and m.layer = item.layer and m.identifiers = item.identifiers
                  and (m.expires_at is null or m.expires_at > now())
                order by m.created_at limit 1;
                if found then outcome := 'duplicate'; new := old; end if;
            end if;
            if outcome is null then
                insert into memory.memories as m (tenant_id, id, version, changed_xid, state, layer, content, content_hash,
                    embedding, model, identifiers, metadata, tags, importance, expires_at)
                values (p_tenant, item.id, nextval('memory.versions'), pg_current_xact_id(), 'live', item.layer, item.content,
                    item.hash, item.embedding, p_model, item.identifiers, item.metadata, item.tags, item.importance,
                    item."expiresAt")
                on conflict (tenant_id, id) do nothing returning * into new;
                if found then
                    outcome := 'created';
                else
                    select * into old from memory.memories m where m.tenant_id = p_tenant and m.id = item.id for update;
                    if old.state = 'live' then
                        new := old;
                        outcome := case when old.content_hash = item.hash and old.layer = item.layer
                            and old.identifiers = item.identifiers then 'exists' else 'conflict' end;
                    elsif item.keyed then
                        outcome := 'gone';
                    else
                        -- Made again after its deletion: the same point, a higher version.
                        update memory.memories m set version = nextval('memory.versions'), changed_xid = pg_current_xact_id(),
                            state = 'live', layer = item.layer, content = item.content, content_hash = item.hash,
                            embedding = item.embedding, model = p_model, identifiers = item.identifiers,
                            metadata = item.metadata, tags = item.tags, importance = item.importance, created_at = now(),
                            updated_at = now(), expires_at = item."expiresAt", deleted_at = null
                        where m.tenant_id = p_tenant and m.id = item.id returning * into new;
                        outcome := 'created';
                    end if;
                end if;
            end if;
        elsif item.kind in ('delete', 'expire') then
            select * into old from memory.memories m where m.tenant_id = p_tenant and m.id = item.id for update;
            if not found or old.state = 'deleted'
               or (item.kind = 'expire' and (old.expires_at is null or old.expires_at > now())) then
                outcome := 'absent';
            else
                update memory.memories m set version = nextval('memory.versions'), changed_xid = pg_current_xact_id(),
                    state = 'deleted', content = '', embedding = '', metadata = '{}', tags = '{}', updated_at = now(),
                    deleted_at = now()
                where m.tenant_id = p_tenant and m.id = item.id returning * into new;
                outcome := 'deleted';
            end if;
        elsif item.kind = 'orphan' then
            -- A point without a row: its tombstone takes the version that its marker needs. An open insert is waited for.
            insert into memory.memories as m (tenant_id, id, point_id, version, changed_xid, state, layer, content,
                content_hash, embedding, model, deleted_at)
            values (p_tenant, item."pointId", item."pointId", nextval('memory.versions'), pg_current_xact_id(), 'deleted',
                'user', '', '', '', route.model, now())
            on conflict do nothing returning * into new;
            outcome := case when found then 'deleted' else 'absent' end;
        elsif item.kind = 'renew' then
            -- A point of the row's own version that is not as the row is: only a higher version overwrites it.
            perform 1 from memory.memories m where m.tenant_id = p_tenant and m.point_id = item."pointId" for update;
            update memory.memories m set version = nextval('memory.versions'), changed_xid = pg_current_xact_id()
            where m.tenant_id = p_tenant and m.point_id = item."pointId" returning * into new;
            outcome := case when found then 'renewed' else 'absent' end;
        else
            raise exception 'unknown kind of write: %', item.kind using errcode = '22023';
        end if;

        if outcome in ('created', 'deleted', 'renewed') then
            insert into memory.outbox (tenant_id, point_id, claimed_until)
            values (p_tenant, new.point_id, clock_timestamp() + p_claim) returning outbox_id into outbox;
        end if;
        ord := item.n; memory_id := coalesce(new.id, item.id); point := new.point_id; row_version := new.version;
        created := new.created_at; updated := new.updated_at;
        shard := route.shard_id; write_generation := route.generation;
        return next;
    end loop;
end $$;

-- Removes the caller's own outbox rows whose points Qdrant has taken, and returns them.
-- A row that has changed since, or a route that is not the one applied to (shard, life and generation), keeps its outbox
-- row: apply again.
create function memory.confirm(
    p_tenant text, p_identity uuid, p_generation bigint, p_outbox bigint[], p_points uuid[], p_versions bigint[])
returns setof bigint language plpgsql volatile
-- Some ids against a large table, by its indexes, whatever the planner believes of arrays and of a table that has just grown.
set enable_hashjoin = off set enable_mergejoin = off set enable_seqscan = off as $$
begin
    perform memory.enter(p_tenant);
    -- A confirmation that a crash of the server loses is made again by the relay; no writer waits for its disk.
    perform set_config('synchronous_commit', 'off', true);
    perform 1 from routing.tenants t join routing.shards s using (shard_id)
    where t.tenant_id = p_tenant and t.generation = p_generation and s.identity = p_identity;
    if not found then return; end if;
    return query
        delete from memory.outbox o
        using unnest(p_outbox, p_points, p_versions) as applied(outbox_id, point_id, version)
        where o.outbox_id = applied.outbox_id and o.tenant_id = p_tenant and o.point_id = applied.point_id
          and exists (select from memory.memories m where m.tenant_id = p_tenant and m.point_id = applied.point_id
                      and m.version = applied.version)
        returning o.outbox_id;
end $$;
