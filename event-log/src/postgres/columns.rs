//! A batch as the columns that the batch function takes, one array each.

use chrono::{DateTime, Utc};
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use uuid::Uuid;

use crate::append::{Claim, IdempotencyRecord, LimitChange};
use crate::engine::{KeyId, Prepared, PreparedStream, StoredKey};
use crate::event::StreamId;

/// The whole batch, one round trip.
pub(super) const APPEND_BATCH: &str = "
    select member, rule, name, detail, number, at_position, at_time from append_batch(
        $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
        $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43, $44, $45, $46,
        $47, $48, $49, $50, $51, $52)";

/// See the migration for what the groups mean; the names here are its names.
#[derive(Default)]
pub(super) struct Columns<'a> {
    commands: Vec<Uuid>,
    streams: Streams<'a>,
    events: Events<'a>,
    claims: Claims<'a>,
    releases: Claims<'a>,
    limits: Limits<'a>,
    tenant_keys: TenantKeys<'a>,
    stream_keys: StreamKeys<'a>,
    sealed: (Vec<i32>, Vec<Uuid>),
    erasures: (Vec<i32>, Vec<Uuid>),
    requests: Requests<'a>,
}

#[derive(Default)]
struct Streams<'a> {
    member: Vec<i32>,
    own: Vec<bool>,
    aggregate_type: Vec<&'a str>,
    aggregate_id: Vec<&'a str>,
    sequence: Vec<i64>,
}

#[derive(Default)]
struct Events<'a> {
    member: Vec<i32>,
    aggregate_type: Vec<&'a str>,
    aggregate_id: Vec<&'a str>,
    sequence: Vec<i64>,
    tenant_id: Vec<Uuid>,
    event_type: Vec<&'a str>,
    event_version: Vec<&'a str>,
    payload: Vec<&'a str>,
    metadata: Vec<&'a str>,
}

#[derive(Default)]
struct Claims<'a> {
    member: Vec<i32>,
    scope: Vec<&'a str>,
    key: Vec<&'a str>,
    owner: Vec<&'a str>,
}

#[derive(Default)]
struct Limits<'a> {
    member: Vec<i32>,
    scope: Vec<&'a str>,
    key: Vec<&'a str>,
    delta: Vec<i64>,
    max: Vec<Option<i64>>,
}

#[derive(Default)]
struct TenantKeys<'a> {
    member: Vec<i32>,
    tenant_id: Vec<Uuid>,
    wrapped: Vec<Option<&'a [u8]>>,
}

#[derive(Default)]
struct StreamKeys<'a> {
    member: Vec<i32>,
    aggregate_type: Vec<&'a str>,
    aggregate_id: Vec<&'a str>,
    tenant_id: Vec<Uuid>,
    wrapped: Vec<Option<&'a [u8]>>,
}

#[derive(Default)]
struct Requests<'a> {
    member: Vec<i32>,
    principal: Vec<&'a str>,
    key: Vec<&'a str>,
    hash: Vec<&'a [u8]>,
    aggregate_type: Vec<&'a str>,
    aggregate_id: Vec<&'a str>,
    sequence: Vec<i64>,
    status: Vec<i16>,
    expires_at: Vec<DateTime<Utc>>,
}

impl<'a> Columns<'a> {
    /// Members are numbered from 1.
    pub fn of(batch: &'a [Prepared]) -> Self {
        let mut columns = Self::default();
        for (append, member) in batch.iter().zip(1..) {
            columns.commands.push(append.command_id);
            for stream in &append.streams {
                columns.streams.push(member, true, &stream.stream, stream.expected);
                columns.events.push(member, stream);
            }
            for guard in &append.unchanged {
                columns.streams.push(member, false, &guard.stream, guard.sequence);
            }
            append.claims.iter().for_each(|claim| columns.claims.push(member, claim));
            append.releases.iter().for_each(|claim| columns.releases.push(member, claim));
            append.limits.iter().for_each(|change| columns.limits.push(member, change));
            for key in &append.keys {
                match &key.id {
                    KeyId::Tenant(tenant_id) => columns.tenant_keys.push(member, *tenant_id, key),
                    KeyId::Stream(stream) => columns.stream_keys.push(member, stream, key),
                }
            }
            for tenant_id in &append.sealed_tenants {
                columns.sealed.0.push(member);
                columns.sealed.1.push(*tenant_id);
            }
            for tenant_id in &append.erase_tenants {
                columns.erasures.0.push(member);
                columns.erasures.1.push(*tenant_id);
            }
            append.idempotency.iter().for_each(|record| columns.requests.push(member, record));
        }
        columns
    }

    /// Binds everything in the function's order.
    #[expect(clippy::many_single_char_names, reason = "the migration's names of the groups")]
    pub fn bind(
        self,
        session: Uuid,
        clock: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Query<'a, sqlx::Postgres, PgArguments> {
        let Self { commands, streams: s, events: e, claims: c, releases: r, limits: l, .. } = self;
        let Self { tenant_keys: t, stream_keys: k, sealed: g, erasures: x, requests: i, .. } = self;
        let query = sqlx::query(APPEND_BATCH).bind(session).bind(clock).bind(now).bind(commands);
        let query = query.bind(s.member).bind(s.own).bind(s.aggregate_type).bind(s.aggregate_id).bind(s.sequence);
        let query = query.bind(e.member).bind(e.aggregate_type).bind(e.aggregate_id).bind(e.sequence);
        let query = query.bind(e.tenant_id).bind(e.event_type).bind(e.event_version).bind(e.payload).bind(e.metadata);
        let query = query.bind(c.member).bind(c.scope).bind(c.key).bind(c.owner);
        let query = query.bind(r.member).bind(r.scope).bind(r.key).bind(r.owner);
        let query = query.bind(l.member).bind(l.scope).bind(l.key).bind(l.delta).bind(l.max);
        let query = query.bind(t.member).bind(t.tenant_id).bind(t.wrapped);
        let query = query.bind(k.member).bind(k.aggregate_type).bind(k.aggregate_id).bind(k.tenant_id).bind(k.wrapped);
        let query = query.bind(g.0).bind(g.1).bind(x.0).bind(x.1);
        let query = query.bind(i.member).bind(i.principal).bind(i.key).bind(i.hash).bind(i.aggregate_type);
        query.bind(i.aggregate_id).bind(i.sequence).bind(i.status).bind(i.expires_at)
    }
}

impl<'a> Streams<'a> {
    fn push(&mut self, member: i32, own: bool, stream: &'a StreamId, sequence: u64) {
        self.member.push(member);
        self.own.push(own);
        self.aggregate_type.push(&stream.aggregate_type);
        self.aggregate_id.push(&stream.aggregate_id);
        self.sequence.push(signed(sequence));
    }
}

impl<'a> Events<'a> {
    fn push(&mut self, member: i32, stream: &'a PreparedStream) {
        for (event, sequence) in stream.events.iter().zip(stream.expected + 1..) {
            self.member.push(member);
            self.aggregate_type.push(&stream.stream.aggregate_type);
            self.aggregate_id.push(&stream.stream.aggregate_id);
            self.sequence.push(signed(sequence));
            self.tenant_id.push(stream.tenant_id);
            self.event_type.push(&event.event_type);
            self.event_version.push(&event.event_version);
            self.payload.push(event.payload.text());
            self.metadata.push(event.metadata.text());
        }
    }
}

impl<'a> Claims<'a> {
    fn push(&mut self, member: i32, claim: &'a Claim) {
        self.member.push(member);
        self.scope.push(&claim.scope);
        self.key.push(&claim.key);
        self.owner.push(&claim.owner);
    }
}

impl<'a> Limits<'a> {
    fn push(&mut self, member: i32, change: &'a LimitChange) {
        self.member.push(member);
        self.scope.push(&change.scope);
        self.key.push(&change.key);
        self.delta.push(change.delta);
        self.max.push(change.max);
    }
}

impl<'a> TenantKeys<'a> {
    fn push(&mut self, member: i32, tenant_id: Uuid, key: &'a StoredKey) {
        self.member.push(member);
        self.tenant_id.push(tenant_id);
        self.wrapped.push(key.wrapped.as_deref());
    }
}

impl<'a> StreamKeys<'a> {
    fn push(&mut self, member: i32, stream: &'a StreamId, key: &'a StoredKey) {
        self.member.push(member);
        self.aggregate_type.push(&stream.aggregate_type);
        self.aggregate_id.push(&stream.aggregate_id);
        self.tenant_id.push(key.tenant_id);
        self.wrapped.push(key.wrapped.as_deref());
    }
}

impl<'a> Requests<'a> {
    fn push(&mut self, member: i32, record: &'a IdempotencyRecord) {
        self.member.push(member);
        self.principal.push(&record.principal);
        self.key.push(&record.key);
        self.hash.push(&record.request_hash);
        self.aggregate_type.push(&record.stream.aggregate_type);
        self.aggregate_id.push(&record.stream.aggregate_id);
        self.sequence.push(signed(record.sequence));
        self.status.push(i16::try_from(record.status).unwrap_or(i16::MAX));
        self.expires_at.push(record.expires_at);
    }
}

/// The writer has refused sequences beyond this before.
pub(super) fn signed(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
