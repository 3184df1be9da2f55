-- The batch function again. Each statement's rows are looked up one by one: what was planned while the log was small scanned
-- it later, whenever a member had to stay out. Columns are unnested as they are selected instead of being put aside together
-- first; members that must stay out are taken out of the columns; expired requests go by hundreds.

-- Appends a batch. Each argument group is a table given as columns; `*_member` counts the batch's members from 1.
--
--   m_  members: the command's id
--   s_  streams, those that are extended (`own`) and those that must only be unchanged: the sequence they must be at
--   e_  events, in the order of the log; the members are in order too
--   c_, r_  claims to take, claims to release     l_  counted limits
--   t_, k_  tenants' keys, streams' keys          g_  tenants for whom something is sealed
--   x_  tenants whose keys are destroyed
--   i_  idempotency records
--
-- Returns one row for each member that was left out, with the rule that it broke; or with `committed` and the place of
-- its first event when it is in the log already with its own command id, because an earlier answer was lost. The row of
-- member 0 comes last: the position after which the events of all other members stand, in order and without a gap, and
-- their time.
--
-- `p_now` is the writer's clock with its offset. Events get the later of it and the time of the last one; whether a
-- record has expired is judged by `p_now` alone, as readers do.
--
-- Raises TN001 when `p_clock`, the writer's clock without its offset, is more than 2 s off ours; TN002 when the session
-- is fenced. Nothing is written then.
create or replace function append_batch(
    p_session uuid, p_clock timestamptz, p_now timestamptz,
    m_command uuid[],
    s_member integer[], s_own boolean[], s_type text[], s_id text[], s_sequence bigint[],
    e_member integer[], e_type text[], e_id text[], e_sequence bigint[], e_tenant uuid[],
    e_event_type text[], e_event_version text[], e_payload text[], e_metadata text[],
    c_member integer[], c_scope text[], c_key text[], c_owner text[],
    r_member integer[], r_scope text[], r_key text[], r_owner text[],
    l_member integer[], l_scope text[], l_key text[], l_delta bigint[], l_max bigint[],
    t_member integer[], t_tenant uuid[], t_wrapped bytea[],
    k_member integer[], k_type text[], k_id text[], k_tenant uuid[], k_wrapped bytea[],
    g_member integer[], g_tenant uuid[],
    x_member integer[], x_tenant uuid[],
    i_member integer[], i_principal text[], i_key text[], i_hash bytea[], i_type text[], i_id text[],
    i_sequence bigint[], i_status smallint[], i_expires timestamptz[]
) returns table (
    member integer, rule text, name text, detail text, number bigint, at_position bigint, at_time timestamptz
) language plpgsql volatile as $$
#variable_conflict use_column
declare
    skew_ms bigint := extract(epoch from p_clock - clock_timestamp()) * 1000;
    total integer := cardinality(e_member);
    start bigint;
    stamp timestamptz;
    skip integer[] := '{}';
    changed bigint;
    erased uuid;
    offender record;
begin
    if abs(skew_ms) > 2000 then
        raise exception using errcode = 'TN001', message = 'clock skew', detail = skew_ms::text;
    end if;

    -- From here on nobody else writes the log; each statement below sees all that was committed before.
    update log_head h set position = h.position + total, recorded_at = greatest(h.recorded_at, p_now)
        returning h.position - total, h.recorded_at into start, stamp;
    if exists (select from fences f where f.session_id = p_session) then
        raise exception using errcode = 'TN002', message = 'this writer session is fenced';
    end if;

    loop
        begin
            -- Every stream's last event is there; nothing follows it where the primary key would not notice. (Looked up row by
            -- row, here and below: a subquery with `limit` is never turned into a scan of what was small when it was planned.)
            if (0 < any (s_sequence) or false = any (s_own)) and exists (
                select from unnest(s_own, s_type, s_id, s_sequence) s(own, type, id, sequence)
                left join lateral (
                    select true from events e where s.sequence > 0 and e.aggregate_type = s.type
                        and e.aggregate_id = s.id and e.sequence = s.sequence limit 1
                ) last(stands) on true
                left join lateral (
                    select true from events e where not s.own and e.aggregate_type = s.type
                        and e.aggregate_id = s.id and e.sequence = s.sequence + 1 limit 1
                ) next(stands) on true
                where (s.sequence > 0 and last.stands is null) or next.stands
            ) then
                raise exception using errcode = 'TN003', message = 'a stream has moved';
            end if;

            if cardinality(r_member) > 0 then
                delete from claims c using unnest(r_scope, r_key, r_owner) r(scope, key, owner)
                    where c.scope = r.scope and c.key = r.key and c.owner = r.owner;
                get diagnostics changed = row_count;
                if changed <> cardinality(r_member) then
                    raise exception using errcode = 'TN003', message = 'a claim is not held';
                end if;
            end if;

            if cardinality(c_member) > 0 then
                insert into claims (scope, key, owner) select unnest(c_scope), unnest(c_key), unnest(c_owner);
            end if;

            if cardinality(l_member) > 0 then
                update quotas q set used = q.used + l.delta, max = coalesce(l.max, q.max)
                    from unnest(l_scope, l_key, l_delta, l_max) l(scope, key, delta, max)
                    where q.scope = l.scope and q.key = l.key;
                insert into quotas (scope, key, used, max)
                    select l.scope, l.key, l.delta, l.max
                    from unnest(l_scope, l_key, l_delta, l_max) l(scope, key, delta, max)
                    where not exists (select from quotas q where q.scope = l.scope and q.key = l.key);
            end if;

            if cardinality(t_member) > 0 then
                insert into tenant_keys (tenant_id, wrapped) select unnest(t_tenant), unnest(t_wrapped);
            end if;
            -- Also where the stream's own key is older than the erasure: the writer may not have heard of that.
            if cardinality(g_member) > 0 and exists (
                select from unnest(g_tenant) g(tenant) cross join lateral (
                    select from tenant_keys t where t.tenant_id = g.tenant and t.wrapped is null limit 1
                ) destroyed
            ) then
                raise exception using errcode = 'TN003', message = 'a key was destroyed';
            end if;
            if cardinality(k_member) > 0 then
                insert into stream_keys (aggregate_type, aggregate_id, tenant_id, wrapped)
                    select unnest(k_type), unnest(k_id), unnest(k_tenant), unnest(k_wrapped);
            end if;
            if cardinality(x_member) > 0 then
                insert into tenant_keys as t (tenant_id, wrapped) select unnest(x_tenant), null
                    on conflict (tenant_id) do update set wrapped = null;
                foreach erased in array x_tenant loop
                    update stream_keys k set wrapped = null where k.tenant_id = erased and k.wrapped is not null;
                end loop;
            end if;

            if cardinality(i_member) > 0 then
                insert into idempotency as o (
                    principal, key, request_hash, aggregate_type, aggregate_id, sequence, status, expires_at
                )
                    select unnest(i_principal), unnest(i_key), unnest(i_hash), unnest(i_type), unnest(i_id),
                        unnest(i_sequence), unnest(i_status), unnest(i_expires)
                    on conflict (principal, key) do update set
                        request_hash = excluded.request_hash, aggregate_type = excluded.aggregate_type,
                        aggregate_id = excluded.aggregate_id, sequence = excluded.sequence,
                        status = excluded.status, expires_at = excluded.expires_at
                    where o.expires_at <= p_now;
                get diagnostics changed = row_count;
                if changed <> cardinality(i_member) then
                    raise exception using errcode = 'TN003', message = 'a request was repeated';
                end if;
            end if;

            insert into events (
                aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                position, tenant_id, recorded_at
            )
                select unnest(e_type), unnest(e_id), unnest(e_sequence), unnest(e_event_type), unnest(e_event_version),
                    unnest(e_payload)::json, unnest(e_metadata)::json,
                    start + generate_series(1, cardinality(e_member)), unnest(e_tenant), stamp;
            get diagnostics changed = row_count;

            exit;
        exception
            when unique_violation or check_violation or not_null_violation or numeric_value_out_of_range
                or sqlstate 'TN003' then
            -- A rule that the query below does not know, or finds twice, is a fault of ours: nothing is written.
            if skip <> '{}' then
                raise;
            end if;
            -- The attempt is rolled back, the head is still locked: find all that must stay out, by the first rule broken.
            for offender in
                with offences(member, rank, rule, name, detail, number, at_position, at_time) as (
                    select o.member, 0, 'committed', null, null, null::bigint, e.position, e.recorded_at
                    from (
                        select distinct on (s.member) s.*
                        from unnest(s_member, s_own, s_type, s_id, s_sequence)
                            with ordinality s(member, own, type, id, sequence, place)
                        where s.own order by s.member, s.place
                    ) o
                    cross join lateral (
                        select * from events e where e.aggregate_type = o.type and e.aggregate_id = o.id
                            and e.sequence = o.sequence + 1 limit 1
                    ) e
                    where e.metadata ->> 'command_id' = m_command[o.member]::text
                    union all
                    select i.member, 1, 'request_repeated', null, null, null, null, null
                    from unnest(i_member, i_principal, i_key) i(member, principal, key)
                    cross join lateral (
                        select from idempotency o where o.principal = i.principal and o.key = i.key
                            and o.expires_at > p_now limit 1
                    ) o
                    union all
                    select s.member, case when s.own then 2 else 3 end,
                        case when s.own then 'stream_moved' else 'guard_moved' end,
                        s.type, s.id, s.sequence, null, null
                    from unnest(s_member, s_own, s_type, s_id, s_sequence) s(member, own, type, id, sequence)
                    left join lateral (
                        select true from events e where s.sequence > 0 and e.aggregate_type = s.type
                            and e.aggregate_id = s.id and e.sequence = s.sequence limit 1
                    ) last(stands) on true
                    left join lateral (
                        select true from events e where e.aggregate_type = s.type
                            and e.aggregate_id = s.id and e.sequence = s.sequence + 1 limit 1
                    ) next(stands) on true
                    where (s.sequence > 0 and last.stands is null) or next.stands
                    union all
                    select k.member, 4, 'key_destroyed', k.tenant::text, null, null, null, null
                    from (
                        select * from unnest(t_member, t_tenant)
                        union all select * from unnest(g_member, g_tenant)
                    ) k(member, tenant)
                    cross join lateral (
                        select from tenant_keys t where t.tenant_id = k.tenant and t.wrapped is null limit 1
                    ) t
                    union all
                    select k.member, 4, 'key_destroyed', k.tenant::text, null, null, null, null
                    from unnest(k_member, k_type, k_id, k_tenant) k(member, type, id, tenant)
                    cross join lateral (
                        select from stream_keys o where o.aggregate_type = k.type and o.aggregate_id = k.id
                            and o.wrapped is null limit 1
                    ) o
                    union all
                    select c.member, 5, 'claim_taken', c.scope, null, null, null, null
                    from unnest(c_member, c_scope, c_key) c(member, scope, key)
                    cross join lateral (
                        select * from claims o where o.scope = c.scope and o.key = c.key limit 1
                    ) o
                    where not exists (
                        select from unnest(r_member, r_scope, r_key, r_owner) r(member, scope, key, owner)
                        where r.member = c.member and r.scope = o.scope and r.key = o.key and r.owner = o.owner
                    )
                    union all
                    select r.member, 6, 'claim_not_held', r.scope, null, null, null, null
                    from unnest(r_member, r_scope, r_key, r_owner) r(member, scope, key, owner)
                    left join lateral (
                        select true from claims o where o.scope = r.scope and o.key = r.key and o.owner = r.owner limit 1
                    ) o(held) on true
                    where o.held is null
                    union all
                    select l.member, 7, 'limit_exceeded', l.scope, null, null, null, null
                    from unnest(l_member, l_scope, l_key, l_delta, l_max) l(member, scope, key, delta, max)
                    left join lateral (
                        select * from quotas q where q.scope = l.scope and q.key = l.key limit 1
                    ) q on true
                    where coalesce(coalesce(q.used, 0)::numeric + l.delta not between 0 and coalesce(l.max, q.max), true)
                    union all
                    select t.member, 8, 'key_exists', null, null, null, null, null
                    from unnest(t_member, t_tenant) t(member, tenant)
                    cross join lateral (select from tenant_keys o where o.tenant_id = t.tenant limit 1) o
                    union all
                    select k.member, 8, 'key_exists', null, null, null, null, null
                    from unnest(k_member, k_type, k_id) k(member, type, id)
                    cross join lateral (
                        select from stream_keys o where o.aggregate_type = k.type and o.aggregate_id = k.id limit 1
                    ) o
                )
                select distinct on (o.member) o.* from offences o
                order by o.member, o.rank, o.name, o.detail
            loop
                skip := skip || offender.member;
                member := offender.member;
                rule := offender.rule;
                name := offender.name;
                detail := offender.detail;
                number := offender.number;
                at_position := offender.at_position;
                at_time := offender.at_time;
                return next;
            end loop;
            if skip = '{}' then
                raise;
            end if;

            -- What is left of each group; null where nothing is.
            select array_agg(s.member), array_agg(s.own), array_agg(s.type), array_agg(s.id), array_agg(s.sequence)
                into s_member, s_own, s_type, s_id, s_sequence
                from unnest(s_member, s_own, s_type, s_id, s_sequence) s(member, own, type, id, sequence)
                where s.member <> all (skip);
            select array_agg(e.member), array_agg(e.type), array_agg(e.id), array_agg(e.sequence),
                    array_agg(e.tenant), array_agg(e.event_type), array_agg(e.event_version), array_agg(e.payload),
                    array_agg(e.metadata)
                into e_member, e_type, e_id, e_sequence, e_tenant, e_event_type, e_event_version, e_payload,
                    e_metadata
                from unnest(e_member, e_type, e_id, e_sequence, e_tenant, e_event_type, e_event_version, e_payload,
                    e_metadata)
                    e(member, type, id, sequence, tenant, event_type, event_version, payload, metadata)
                where e.member <> all (skip);
            select array_agg(c.member), array_agg(c.scope), array_agg(c.key), array_agg(c.owner)
                into c_member, c_scope, c_key, c_owner
                from unnest(c_member, c_scope, c_key, c_owner) c(member, scope, key, owner)
                where c.member <> all (skip);
            select array_agg(r.member), array_agg(r.scope), array_agg(r.key), array_agg(r.owner)
                into r_member, r_scope, r_key, r_owner
                from unnest(r_member, r_scope, r_key, r_owner) r(member, scope, key, owner)
                where r.member <> all (skip);
            select array_agg(l.member), array_agg(l.scope), array_agg(l.key), array_agg(l.delta), array_agg(l.max)
                into l_member, l_scope, l_key, l_delta, l_max
                from unnest(l_member, l_scope, l_key, l_delta, l_max) l(member, scope, key, delta, max)
                where l.member <> all (skip);
            select array_agg(t.member), array_agg(t.tenant), array_agg(t.wrapped)
                into t_member, t_tenant, t_wrapped
                from unnest(t_member, t_tenant, t_wrapped) t(member, tenant, wrapped)
                where t.member <> all (skip);
            select array_agg(k.member), array_agg(k.type), array_agg(k.id), array_agg(k.tenant), array_agg(k.wrapped)
                into k_member, k_type, k_id, k_tenant, k_wrapped
                from unnest(k_member, k_type, k_id, k_tenant, k_wrapped) k(member, type, id, tenant, wrapped)
                where k.member <> all (skip);
            select array_agg(g.member), array_agg(g.tenant)
                into g_member, g_tenant
                from unnest(g_member, g_tenant) g(member, tenant)
                where g.member <> all (skip);
            select array_agg(x.member), array_agg(x.tenant)
                into x_member, x_tenant
                from unnest(x_member, x_tenant) x(member, tenant)
                where x.member <> all (skip);
            select array_agg(i.member), array_agg(i.principal), array_agg(i.key), array_agg(i.hash),
                    array_agg(i.type), array_agg(i.id), array_agg(i.sequence), array_agg(i.status),
                    array_agg(i.expires)
                into i_member, i_principal, i_key, i_hash, i_type, i_id, i_sequence, i_status, i_expires
                from unnest(i_member, i_principal, i_key, i_hash, i_type, i_id, i_sequence, i_status, i_expires)
                    i(member, principal, key, hash, type, id, sequence, status, expires)
                where i.member <> all (skip);
        end;
    end loop;

    -- After every 256 positions twice as many expired records go as may have come, so that the table stays as long as they
    -- are kept.
    if start / 256 < (start + changed) / 256 then
        delete from idempotency where (principal, key) in (
            select o.principal, o.key from idempotency o where o.expires_at <= p_now
            order by o.expires_at limit 2 * (256 + changed)
        );
    end if;

    if changed < total then
        update log_head h set position = start + changed;
    end if;
    member := 0;
    rule := 'written';
    name := null;
    detail := null;
    number := changed;
    at_position := start;
    at_time := stamp;
    return next;
end
$$;
