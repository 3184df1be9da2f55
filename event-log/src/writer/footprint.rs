//! What an append touches, so that the writer can tell which appends must not share a batch.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::append::Claim;
use crate::engine::{KeyId, Prepared};

/// Longest name that a key column takes, in bytes. Two of them fit into one entry of `PostgreSQL`'s index (2,704 bytes).
const MAX_NAME: usize = 1_000;

/// Hashes of everything that an append changes or only depends on. Two things with one hash merely keep two appends in
/// different batches.
#[derive(Debug)]
pub(super) struct Footprint {
    /// Changed: nobody else in the batch may change or depend on it.
    pub changed: Vec<u64>,
    /// Depended on: nobody else in the batch may change it.
    pub depended: Vec<u64>,
}

/// Kinds of things, so that a claim and a limit of the same name differ.
#[derive(Clone, Copy, Hash)]
enum Kind {
    Stream,
    Claim,
    Limit,
    Key,
    Tenant,
    Request,
}

impl Footprint {
    /// # Errors
    ///
    /// Says what is malformed: something named twice, a name too long for an index, a sequence out of range.
    pub fn of(append: &Prepared) -> Result<Self, &'static str> {
        check_names(append)?;
        let streams: Vec<u64> = append.streams.iter().map(|stream| hash(Kind::Stream, &stream.stream)).collect();
        let guards: Vec<u64> = append.unchanged.iter().map(|guard| hash(Kind::Stream, &guard.stream)).collect();
        let claims: Vec<u64> = append.claims.iter().map(claim).collect();
        let releases: Vec<u64> = append.releases.iter().map(claim).collect();
        let limits: Vec<u64> =
            append.limits.iter().map(|limit| hash(Kind::Limit, &(&limit.scope, &limit.key))).collect();
        let keys: Vec<u64> = append.keys.iter().map(|key| hash(Kind::Key, &key.id)).collect();
        let erased: Vec<u64> = append.erase_tenants.iter().map(|tenant| hash(Kind::Tenant, tenant)).collect();
        for (hashes, mistake) in [
            (&streams, "a stream twice"),
            (&guards, "an unchanged stream twice"),
            (&claims, "a claim twice"),
            (&releases, "a release twice"),
            (&limits, "a limit twice"),
            (&keys, "a key twice"),
            (&erased, "a tenant erased twice"),
        ] {
            if has_duplicates(hashes) {
                return Err(mistake);
            }
        }
        let request = append.idempotency.iter().map(|record| hash(Kind::Request, &(&record.principal, &record.key)));
        let tenants = append.streams.iter().map(|stream| stream.tenant_id);
        let tenants = tenants.chain(append.keys.iter().map(|key| key.tenant_id));
        Ok(Self {
            depended: guards.into_iter().chain(tenants.map(|tenant| hash(Kind::Tenant, &tenant))).collect(),
            changed: [streams, claims, releases, limits, keys, erased].concat().into_iter().chain(request).collect(),
        })
    }
}

fn hash(kind: Kind, thing: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    kind.hash(&mut hasher);
    thing.hash(&mut hasher);
    hasher.finish()
}

fn claim(claim: &Claim) -> u64 {
    hash(Kind::Claim, &(&claim.scope, &claim.key))
}

fn has_duplicates(hashes: &[u64]) -> bool {
    let mut sorted = hashes.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

/// What one member gets wrong must not make the engine refuse the statement of the whole batch.
fn check_names(append: &Prepared) -> Result<(), &'static str> {
    let streams = append.streams.iter().map(|stream| (&stream.stream, stream.expected, stream.events.len()));
    let guards = append.unchanged.iter().map(|guard| (&guard.stream, guard.sequence, 1));
    let record = append.idempotency.iter().map(|record| (&record.stream, record.sequence, 1));
    for (stream, sequence, more) in streams.chain(guards).chain(record) {
        if stream.aggregate_type.len() > MAX_NAME || stream.aggregate_id.len() > MAX_NAME {
            return Err("a stream's name is too long");
        }
        if i64::try_from(sequence).ok().and_then(|sequence| sequence.checked_add_unsigned(more as u64)).is_none() {
            return Err("a sequence is out of range");
        }
    }
    let claims = append.claims.iter().chain(&append.releases).map(|claim| (&claim.scope, &claim.key));
    let limits = append.limits.iter().map(|limit| (&limit.scope, &limit.key));
    let requests = append.idempotency.iter().map(|record| (&record.principal, &record.key));
    let keys = append.keys.iter().filter_map(|key| match &key.id {
        KeyId::Stream(stream) => Some((stream.aggregate_type.len(), stream.aggregate_id.len())),
        KeyId::Tenant(_) => None,
    });
    let names = claims.chain(limits).chain(requests).map(|(scope, key)| (scope.len(), key.len()));
    if names.chain(keys).any(|(scope, key)| scope > MAX_NAME || key > MAX_NAME) {
        return Err("a name is too long");
    }
    Ok(())
}
