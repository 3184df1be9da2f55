//! Finding and making keys, with a bounded memory of those used last.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use uuid::Uuid;

use super::cipher::{DataKey, WrappingKey, random_key};
use crate::engine::{Engine, EngineError, KeyId, StoredKey};
use crate::event::StreamId;
use crate::timed_cache::TimedCache;

const TENANT_KEYS: usize = 20_000;
const STREAM_KEYS: usize = 40_000;

/// How long an instance that did not hear of an erasure may go on reading.
const KEEP: Duration = Duration::from_mins(1);

/// A stream's data key.
#[derive(Clone)]
pub(super) enum Held {
    Live(Arc<DataKey>),
    Destroyed,
}

/// How often keys had been forgotten at some moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forgets(u64);

/// A stream for which an append needs a data key.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub stream: &'a StreamId,
    pub tenant_id: Uuid,
    /// Its first event is being written, so it can have no key yet.
    pub is_new: bool,
}

/// The keys that one append brings along, opened: nobody's until it is committed.
#[derive(Default)]
pub(crate) struct Made {
    tenants: Vec<(Uuid, TenantKey)>,
    streams: Vec<(StreamId, StreamKey)>,
}

#[derive(Clone)]
enum TenantKey {
    Live(Arc<WrappingKey>),
    Destroyed,
}

#[derive(Clone)]
struct StreamKey {
    tenant_id: Uuid,
    held: Held,
}

pub(super) struct Keyring {
    master: WrappingKey,
    tenants: TimedCache<Uuid, TenantKey>,
    streams: TimedCache<StreamId, StreamKey>,
    /// Tenants whose first key was made here without asking whether there is one.
    begun: TimedCache<Uuid, ()>,
    /// Counts calls of `forget`: what was looked up before one must not be cached after it.
    forgets: AtomicU64,
}

impl Keyring {
    pub fn new(master: WrappingKey) -> Self {
        Self {
            master,
            tenants: TimedCache::new(TENANT_KEYS, KEEP),
            streams: TimedCache::new(STREAM_KEYS, KEEP),
            begun: TimedCache::new(TENANT_KEYS, KEEP),
            forgets: AtomicU64::new(0),
        }
    }

    /// The data keys of these streams, each with its tenant if that is known. A stream without a key is left out.
    pub async fn find(
        &self,
        engine: &Engine,
        wanted: HashMap<StreamId, Option<Uuid>>,
    ) -> Result<HashMap<StreamId, Held>, EngineError> {
        let lookup = Lookup::begin(self);
        let mut found = HashMap::with_capacity(wanted.len());
        let mut ask = Vec::new();
        for (stream, tenant_id) in wanted {
            if let Some(key) = self.streams.get(&stream) {
                found.insert(stream, key.held);
            } else {
                ask.extend(tenant_id.filter(|id| !self.tenants.contains(id)).map(KeyId::Tenant));
                ask.push(KeyId::Stream(stream));
            }
        }
        let stored = lookup.ask(engine, ask).await?;
        let (tenants, streams) = lookup.tenants_of(engine, stored).await?;
        for (id, key) in streams {
            found.insert(id.clone(), lookup.unwrap_stream(&tenants, id, &key)?);
        }
        Ok(found)
    }

    /// The data keys of these streams, in their order; those that do not exist are made, and added to `stored_keys` as they
    /// will be stored.
    pub async fn find_or_make(
        &self,
        engine: &Engine,
        wanted: &[Wanted<'_>],
        stored_keys: &mut Vec<StoredKey>,
    ) -> Result<(Vec<Held>, Made), EngineError> {
        let mut made = Made::default();
        let lookup = Lookup::begin(self);
        let mut held: Vec<Option<Held>> = Vec::with_capacity(wanted.len());
        let mut ask = Vec::new();
        for Wanted { stream, tenant_id, is_new } in wanted.iter().copied() {
            held.push(self.streams.get(stream).map(|key| key.held));
            if held.last().is_some_and(Option::is_some) {
                continue;
            }
            if !is_new {
                ask.push(KeyId::Stream(stream.clone()));
            }
            if !self.tenants.contains(&tenant_id) && !self.begins(wanted, tenant_id) {
                ask.push(KeyId::Tenant(tenant_id));
            }
        }
        let stored = lookup.ask(engine, ask).await?;
        let (mut tenants, streams) = lookup.tenants_of(engine, stored).await?;
        for (id, key) in streams {
            let place = wanted.iter().position(|wanted| *wanted.stream == id);
            let key = lookup.unwrap_stream(&tenants, id, &key)?;
            if let Some(place) = place {
                held[place] = Some(key);
            }
        }
        let mut all = Vec::with_capacity(wanted.len());
        for (Wanted { stream, tenant_id, .. }, held) in wanted.iter().copied().zip(held) {
            if let Some(held) = held {
                all.push(held);
                continue;
            }
            let tenant = tenants.entry(tenant_id).or_insert_with(|| {
                self.tenants.get(&tenant_id).unwrap_or_else(|| {
                    let key = self.make_tenant_key(tenant_id, stored_keys);
                    made.tenants.push((tenant_id, key.clone()));
                    key
                })
            });
            let key = match tenant {
                TenantKey::Destroyed => Held::Destroyed,
                TenantKey::Live(tenant) => {
                    let bytes = random_key();
                    let id = KeyId::Stream(stream.clone());
                    stored_keys.push(StoredKey { wrapped: Some(tenant.wrap(&id, tenant_id, &bytes)), id, tenant_id });
                    let held = Held::Live(Arc::new(DataKey::new(&bytes)));
                    made.streams.push((stream.clone(), StreamKey { tenant_id, held: held.clone() }));
                    held
                }
            };
            all.push(key);
        }
        Ok((all, made))
    }

    /// How often keys have been forgotten so far.
    pub fn forgets(&self) -> Forgets {
        Forgets(self.forgets.load(Ordering::SeqCst))
    }

    /// Caches keys that were made here and are committed now. `since`: from before they were made.
    pub fn remember(&self, made: Made, since: Forgets) {
        let lookup = Lookup { ring: self, forgets: since };
        for (id, key) in made.tenants {
            self.tenants.insert(id, key);
            lookup.drop_if_forgotten(id);
        }
        for (id, key) in made.streams {
            let tenant_id = key.tenant_id;
            self.streams.insert(id, key);
            lookup.drop_if_forgotten(tenant_id);
        }
    }

    /// Forgets the tenant's key and those of its streams.
    pub fn forget(&self, tenant_id: Uuid) {
        self.forgets.fetch_add(1, Ordering::SeqCst);
        self.drop_cached(tenant_id);
    }

    fn drop_cached(&self, tenant_id: Uuid) {
        self.tenants.remove(&tenant_id);
        self.streams.retain(|_, key| key.tenant_id != tenant_id);
    }

    /// True if the append creates the tenant's own stream, so that the tenant can have no key yet. Should it have one
    /// all the same, the append is refused and prepared again; the second time the log is asked.
    fn begins(&self, wanted: &[Wanted<'_>], tenant_id: Uuid) -> bool {
        let own = tenant_id.to_string();
        let creates = wanted.iter().any(|wanted| wanted.is_new && wanted.stream.aggregate_id == own);
        creates && !self.begun.contains(&tenant_id)
    }

    fn make_tenant_key(&self, tenant_id: Uuid, stored_keys: &mut Vec<StoredKey>) -> TenantKey {
        self.begun.insert(tenant_id, ());
        let bytes = random_key();
        let id = KeyId::Tenant(tenant_id);
        stored_keys.push(StoredKey { wrapped: Some(self.master.wrap(&id, tenant_id, &bytes)), id, tenant_id });
        TenantKey::Live(Arc::new(WrappingKey::new(&bytes)))
    }
}

type Tenants = HashMap<Uuid, TenantKey>;
type Streams = Vec<(StreamId, StoredKey)>;

/// One look at the stored keys. What it finds is cached, unless keys were forgotten meanwhile.
struct Lookup<'a> {
    ring: &'a Keyring,
    forgets: Forgets,
}

impl<'a> Lookup<'a> {
    fn begin(ring: &'a Keyring) -> Self {
        Self { ring, forgets: ring.forgets() }
    }

    async fn ask(&self, engine: &Engine, ids: Vec<KeyId>) -> Result<Vec<StoredKey>, EngineError> {
        let ids: HashSet<KeyId> = ids.into_iter().collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        engine.keys(&ids.into_iter().collect::<Vec<_>>()).await
    }

    /// The streams' keys among those stored, and the keys of their tenants, asked for if they are not at hand.
    async fn tenants_of(&self, engine: &Engine, stored: Vec<StoredKey>) -> Result<(Tenants, Streams), EngineError> {
        let (mut tenants, mut streams) = (Tenants::new(), Streams::new());
        for key in stored {
            match key.id.clone() {
                KeyId::Tenant(id) => {
                    tenants.insert(id, self.unwrap_tenant(&key)?);
                }
                KeyId::Stream(id) => streams.push((id, key)),
            }
        }
        let mut missing = Vec::new();
        for (_, key) in &streams {
            if let Entry::Vacant(vacant) = tenants.entry(key.tenant_id) {
                match self.ring.tenants.get(&key.tenant_id) {
                    Some(tenant) => drop(vacant.insert_entry(tenant)),
                    None => missing.push(KeyId::Tenant(key.tenant_id)),
                }
            }
        }
        for key in self.ask(engine, missing).await? {
            tenants.insert(key.tenant_id, self.unwrap_tenant(&key)?);
        }
        Ok((tenants, streams))
    }

    fn unwrap_tenant(&self, key: &StoredKey) -> Result<TenantKey, EngineError> {
        let tenant = match &key.wrapped {
            None => TenantKey::Destroyed,
            Some(wrapped) => {
                let bytes = self.ring.master.unwrap(&key.id, key.tenant_id, wrapped);
                let bytes = bytes.map_err(|_| corrupt(&format!("the key of tenant {}", key.tenant_id)))?;
                TenantKey::Live(Arc::new(WrappingKey::new(&bytes)))
            }
        };
        self.ring.tenants.insert(key.tenant_id, tenant.clone());
        self.drop_if_forgotten(key.tenant_id);
        Ok(tenant)
    }

    fn unwrap_stream(&self, tenants: &Tenants, id: StreamId, key: &StoredKey) -> Result<Held, EngineError> {
        let held = match (tenants.get(&key.tenant_id), &key.wrapped) {
            (Some(TenantKey::Destroyed), _) | (_, None) => Held::Destroyed,
            (Some(TenantKey::Live(tenant)), Some(wrapped)) => {
                let bytes = tenant.unwrap(&key.id, key.tenant_id, wrapped);
                let bytes = bytes.map_err(|_| corrupt(&format!("the key of stream {id}")))?;
                Held::Live(Arc::new(DataKey::new(&bytes)))
            }
            (None, Some(_)) => {
                return Err(corrupt(&format!("the key of stream {id} has no tenant's key above it, so it")));
            }
        };
        self.ring.streams.insert(id, StreamKey { tenant_id: key.tenant_id, held: held.clone() });
        self.drop_if_forgotten(key.tenant_id);
        Ok(held)
    }

    fn drop_if_forgotten(&self, tenant_id: Uuid) {
        if self.ring.forgets() != self.forgets {
            self.ring.drop_cached(tenant_id);
        }
    }
}

fn corrupt(what: &str) -> EngineError {
    EngineError::Corrupt(format!("{what} does not open"))
}
