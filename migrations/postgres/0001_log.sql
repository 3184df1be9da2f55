-- The log of one cell: its tables, and the two functions through which alone it is written.
--
-- Everything here lives in the first schema of the connection's search_path, so that nothing prevents several cells on
-- one server. Names are compared byte by byte (collation C), whatever the server's locale is or becomes. Nothing in these functions may NOTIFY: its lock spans the server and is held through the flush.

-- One row. `schema_level` is raised only by a migration that a running older release can't live with.
create table log_meta (
    id boolean primary key default true check (id),
    log_id uuid not null default gen_random_uuid(),
    schema_level bigint not null,
    master_key_fingerprint text
);
insert into log_meta (schema_level) values (1);

-- One row, locked first by every append: its lock orders the log, and a batch rolled back leaves no gap.
-- The free space keeps each update on the same page (HOT).
create table log_head (
    id boolean primary key default true check (id),
    position bigint not null check (position >= 0),
    recorded_at timestamptz not null
) with (fillfactor = 10);
insert into log_head (position, recorded_at) values (0, '-infinity');

-- A superset of postgres-es 0.5's table, which reads it by column name.
create table events (
    aggregate_type text collate "C" not null,
    aggregate_id text collate "C" not null,
    sequence bigint not null check (sequence >= 0),
    event_type text not null,
    event_version text not null,
    payload json not null,
    metadata json not null,
    position bigint not null,
    tenant_id uuid not null,
    recorded_at timestamptz not null,
    primary key (aggregate_type, aggregate_id, sequence),
    constraint events_position unique (position)
);
create index events_tenant on events (tenant_id, position);
create index events_billing on events (position) where event_type in (
    'tenant.provisioned', 'tenant.suspended', 'tenant.reinstated', 'tenant.deprovisioned', 'tenant.restored',
    'tenant.deleted', 'tenant.usage.monthly'
);

-- Names that only one aggregate may hold. Personal ones stand here as an HMAC.
create table claims (
    scope text collate "C" not null,
    key text collate "C" not null,
    owner text not null,
    primary key (scope, key)
);

create table quotas (
    scope text collate "C" not null,
    key text collate "C" not null,
    used bigint not null,
    max bigint not null,
    primary key (scope, key),
    check (used between 0 and max)
);

-- Wrapped keys. A destroyed key keeps its row without bytes, so that it is never made again.
create table tenant_keys (
    tenant_id uuid primary key,
    wrapped bytea
);
create table stream_keys (
    aggregate_type text collate "C" not null,
    aggregate_id text collate "C" not null,
    tenant_id uuid not null,
    wrapped bytea,
    primary key (aggregate_type, aggregate_id)
);
create index stream_keys_tenant on stream_keys (tenant_id);

-- Requests that were answered. No body: a repeat folds the stream up to `sequence` and renders the answer again.
create table idempotency (
    principal text collate "C" not null,
    key text collate "C" not null,
    request_hash bytea not null,
    aggregate_type text collate "C" not null,
    aggregate_id text collate "C" not null,
    sequence bigint not null,
    status smallint not null,
    expires_at timestamptz not null,
    primary key (principal, key)
);
create index idempotency_expiry on idempotency (expires_at);

-- Writer sessions whose answer was lost: what they sent and was not committed yet, never will be.
create table fences (
    session_id uuid primary key,
    fenced_at timestamptz not null default clock_timestamp()
);

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
create function append_batch(
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
            -- Every stream's last event is there; nothing follows it where the primary key would not notice.
            if exists (
                select from unnest(s_member, s_own, s_type, s_id, s_sequence) s(member, own, type, id, sequence)
                where s.member <> all (skip) and (
                    (s.sequence > 0 and not exists (
                        select from events e where e.aggregate_type = s.type and e.aggregate_id = s.id
                            and e.sequence = s.sequence
                    )) or (not s.own and exists (
                        select from events e where e.aggregate_type = s.type and e.aggregate_id = s.id
                            and e.sequence = s.sequence + 1
                    ))
                )
            ) then
                raise exception using errcode = 'TN003', message = 'a stream has moved';
            end if;

            if cardinality(r_member) > 0 then
                delete from claims c using unnest(r_member, r_scope, r_key, r_owner) r(member, scope, key, owner)
                    where c.scope = r.scope and c.key = r.key and c.owner = r.owner and r.member <> all (skip);
                get diagnostics changed = row_count;
                if changed <> (select count(*) from unnest(r_member) r(member) where r.member <> all (skip)) then
                    raise exception using errcode = 'TN003', message = 'a claim is not held';
                end if;
            end if;

            if cardinality(c_member) > 0 then
                insert into claims (scope, key, owner)
                    select c.scope, c.key, c.owner
                    from unnest(c_member, c_scope, c_key, c_owner) c(member, scope, key, owner)
                    where c.member <> all (skip);
            end if;

            if cardinality(l_member) > 0 then
                update quotas q set used = q.used + l.delta, max = coalesce(l.max, q.max)
                    from unnest(l_member, l_scope, l_key, l_delta, l_max) l(member, scope, key, delta, max)
                    where q.scope = l.scope and q.key = l.key and l.member <> all (skip);
                insert into quotas (scope, key, used, max)
                    select l.scope, l.key, l.delta, l.max
                    from unnest(l_member, l_scope, l_key, l_delta, l_max) l(member, scope, key, delta, max)
                    where l.member <> all (skip) and not exists (
                        select from quotas q where q.scope = l.scope and q.key = l.key
                    );
            end if;

            if cardinality(t_member) > 0 then
                insert into tenant_keys (tenant_id, wrapped)
                    select t.tenant, t.wrapped from unnest(t_member, t_tenant, t_wrapped) t(member, tenant, wrapped)
                    where t.member <> all (skip);
            end if;
            -- Also where the stream's own key is older than the erasure: the writer may not have heard of that.
            if cardinality(g_member) > 0 and exists (
                select from unnest(g_member, g_tenant) g(member, tenant)
                where g.member <> all (skip) and exists (
                    select from tenant_keys t where t.tenant_id = g.tenant and t.wrapped is null
                )
            ) then
                raise exception using errcode = 'TN003', message = 'a key was destroyed';
            end if;
            if cardinality(k_member) > 0 then
                insert into stream_keys (aggregate_type, aggregate_id, tenant_id, wrapped)
                    select k.type, k.id, k.tenant, k.wrapped
                    from unnest(k_member, k_type, k_id, k_tenant, k_wrapped) k(member, type, id, tenant, wrapped)
                    where k.member <> all (skip);
            end if;
            if cardinality(x_member) > 0 then
                insert into tenant_keys as t (tenant_id, wrapped)
                    select x.tenant, null from unnest(x_member, x_tenant) x(member, tenant)
                    where x.member <> all (skip)
                    on conflict (tenant_id) do update set wrapped = null;
                update stream_keys k set wrapped = null
                    from unnest(x_member, x_tenant) x(member, tenant)
                    where k.tenant_id = x.tenant and k.wrapped is not null and x.member <> all (skip);
            end if;

            if cardinality(i_member) > 0 then
                insert into idempotency as o (
                    principal, key, request_hash, aggregate_type, aggregate_id, sequence, status, expires_at
                )
                    select i.principal, i.key, i.hash, i.type, i.id, i.sequence, i.status, i.expires
                    from unnest(
                        i_member, i_principal, i_key, i_hash, i_type, i_id, i_sequence, i_status, i_expires
                    ) i(member, principal, key, hash, type, id, sequence, status, expires)
                    where i.member <> all (skip)
                    on conflict (principal, key) do update set
                        request_hash = excluded.request_hash, aggregate_type = excluded.aggregate_type,
                        aggregate_id = excluded.aggregate_id, sequence = excluded.sequence,
                        status = excluded.status, expires_at = excluded.expires_at
                    where o.expires_at <= p_now;
                get diagnostics changed = row_count;
                if changed <> (select count(*) from unnest(i_member) i(member) where i.member <> all (skip)) then
                    raise exception using errcode = 'TN003', message = 'a request was repeated';
                end if;
            end if;

            insert into events (
                aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                position, tenant_id, recorded_at
            )
                select e.type, e.id, e.sequence, e.event_type, e.event_version, e.payload::json, e.metadata::json,
                    start + row_number() over (order by e.place), e.tenant, stamp
                from unnest(
                    e_member, e_type, e_id, e_sequence, e_tenant, e_event_type, e_event_version, e_payload, e_metadata
                ) with ordinality e(
                    member, type, id, sequence, tenant, event_type, event_version, payload, metadata, place
                )
                where e.member <> all (skip);
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
                    join events e on e.aggregate_type = o.type and e.aggregate_id = o.id
                        and e.sequence = o.sequence + 1
                    where e.metadata ->> 'command_id' = m_command[o.member]::text
                    union all
                    select i.member, 1, 'request_repeated', null, null, null, null, null
                    from unnest(i_member, i_principal, i_key) i(member, principal, key)
                    join idempotency o on o.principal = i.principal and o.key = i.key and o.expires_at > p_now
                    union all
                    select s.member, case when s.own then 2 else 3 end,
                        case when s.own then 'stream_moved' else 'guard_moved' end,
                        s.type, s.id, s.sequence, null, null
                    from unnest(s_member, s_own, s_type, s_id, s_sequence) s(member, own, type, id, sequence)
                    where (s.sequence > 0 and not exists (
                        select from events e where e.aggregate_type = s.type and e.aggregate_id = s.id
                            and e.sequence = s.sequence
                    )) or exists (
                        select from events e where e.aggregate_type = s.type and e.aggregate_id = s.id
                            and e.sequence = s.sequence + 1
                    )
                    union all
                    select k.member, 4, 'key_destroyed', k.tenant::text, null, null, null, null
                    from (
                        select * from unnest(t_member, t_tenant)
                        union all select * from unnest(g_member, g_tenant)
                    ) k(member, tenant)
                    join tenant_keys t on t.tenant_id = k.tenant and t.wrapped is null
                    union all
                    select k.member, 4, 'key_destroyed', k.tenant::text, null, null, null, null
                    from unnest(k_member, k_type, k_id, k_tenant) k(member, type, id, tenant)
                    join stream_keys o on o.aggregate_type = k.type and o.aggregate_id = k.id and o.wrapped is null
                    union all
                    select c.member, 5, 'claim_taken', c.scope, null, null, null, null
                    from unnest(c_member, c_scope, c_key) c(member, scope, key)
                    join claims o on o.scope = c.scope and o.key = c.key
                    where not exists (
                        select from unnest(r_member, r_scope, r_key, r_owner) r(member, scope, key, owner)
                        where r.member = c.member and r.scope = o.scope and r.key = o.key and r.owner = o.owner
                    )
                    union all
                    select r.member, 6, 'claim_not_held', r.scope, null, null, null, null
                    from unnest(r_member, r_scope, r_key, r_owner) r(member, scope, key, owner)
                    where not exists (
                        select from claims o where o.scope = r.scope and o.key = r.key and o.owner = r.owner
                    )
                    union all
                    select l.member, 7, 'limit_exceeded', l.scope, null, null, null, null
                    from unnest(l_member, l_scope, l_key, l_delta, l_max) l(member, scope, key, delta, max)
                    left join quotas q on q.scope = l.scope and q.key = l.key
                    where coalesce(coalesce(q.used, 0)::numeric + l.delta not between 0 and coalesce(l.max, q.max), true)
                    union all
                    select t.member, 8, 'key_exists', null, null, null, null, null
                    from unnest(t_member, t_tenant) t(member, tenant)
                    join tenant_keys o on o.tenant_id = t.tenant
                    union all
                    select k.member, 8, 'key_exists', null, null, null, null, null
                    from unnest(k_member, k_type, k_id) k(member, type, id)
                    join stream_keys o on o.aggregate_type = k.type and o.aggregate_id = k.id
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
        end;
    end loop;

    -- Twice as many expired records go as may come, so that the table stays as long as they are kept.
    if cardinality(i_member) > 0 then
        delete from idempotency where (principal, key) in (
            select o.principal, o.key from idempotency o where o.expires_at <= p_now
            order by o.expires_at limit 2 * cardinality(i_member)
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

-- After a lost answer: fences the session that sent the batch, then tells which members are in the log. Each is named by
-- the place of its first event and its command id. Under the head's lock no earlier attempt can still be on its way.
create function find_committed(
    p_session uuid, m_command uuid[], m_type text[], m_id text[], m_sequence bigint[]
) returns table (member integer, at_position bigint, at_time timestamptz) language plpgsql volatile as $$
#variable_conflict use_column
begin
    perform from log_head for update;
    delete from fences f where f.fenced_at < clock_timestamp() - interval '7 days';
    insert into fences (session_id) values (p_session) on conflict do nothing;
    return query
        select m.place::integer, e.position, e.recorded_at
        from unnest(m_command, m_type, m_id, m_sequence) with ordinality m(command, type, id, sequence, place)
        join events e on e.aggregate_type = m.type and e.aggregate_id = m.id and e.sequence = m.sequence
        where e.metadata ->> 'command_id' = m.command::text;
end
$$;
