//! A real log on the embedded engine, with tenants in it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use chrono::Utc;
use cqrs_es::DomainEvent;
use tenure_aggregates::tenant::{Event, NewAccount, TenantKind};
use tenure_aggregates::values::{DisplayName, EmailAddress, Modules, ResourceLimit, SeatLimit, ShortCode};
use tenure_aggregates::{Personal, TenantId};
use tenure_event_log::{
    Append, Clock, EngineConfig, EventLog, Json, Lane, LogConfig, MasterKey, NewEvent, Position, StreamAppend, StreamId,
};
use uuid::Uuid;

/// A log in a directory of its own.
pub struct Cell {
    pub log: EventLog,
    pub directory: tempfile::TempDir,
    sequences: Mutex<HashMap<StreamId, u64>>,
}

impl Cell {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let engine = EngineConfig::Sqlite { directory: directory.path().to_owned() };
        EventLog::migrate(&engine).await.unwrap();
        let log = EventLog::open(LogConfig::new(engine, MasterKey::generate(), Clock::default())).await.unwrap();
        Self { log, directory, sequences: Mutex::default() }
    }

    pub async fn msp(&self) -> TenantId {
        let id = TenantId::from_uuid(Uuid::now_v7());
        self.provision(id, TenantKind::Msp).await;
        id
    }

    pub async fn customer(&self, msp: TenantId) -> TenantId {
        let id = TenantId::from_uuid(Uuid::now_v7());
        self.provision(id, TenantKind::Customer { msp }).await;
        id
    }

    pub async fn provision(&self, id: TenantId, kind: TenantKind) -> Position {
        let account = NewAccount {
            tenant_id: id,
            kind,
            short_code: ShortCode::parse("acme").unwrap(),
            display_name: DisplayName::parse("Acme").unwrap(),
            contact_email: Personal::Known(EmailAddress::parse("owner@acme.example").unwrap()),
            max_users: SeatLimit::DEFAULT,
            max_resources: ResourceLimit::DEFAULT,
            modules: Modules::default(),
        };
        self.append(id, &Event::Provisioned { account, at: Utc::now() }).await
    }

    pub async fn suspend(&self, id: TenantId) -> Position {
        self.append(id, &Event::Suspended { reason: None, at: Utc::now() }).await
    }

    pub async fn reinstate(&self, id: TenantId) -> Position {
        self.append(id, &Event::Reinstated { at: Utc::now() }).await
    }

    pub async fn append(&self, id: TenantId, event: &Event) -> Position {
        let new = new_event(event.event_type(), event);
        self.append_to(StreamId::new("tenant", id.to_string()), id, new).await
    }

    /// Appends whatever the test wants, to whatever stream.
    pub async fn append_to(&self, stream: StreamId, tenant: TenantId, event: NewEvent) -> Position {
        let expected = {
            let mut sequences = self.sequences.lock().unwrap();
            let sequence = sequences.entry(stream.clone()).or_default();
            *sequence += 1;
            *sequence - 1
        };
        let streams = vec![StreamAppend { stream, tenant_id: tenant.as_uuid(), expected, events: vec![event] }];
        self.log.append(Append::new(Uuid::now_v7(), streams), Lane::Foreground).await.unwrap().last
    }
}

pub fn new_event(event_type: impl Into<Cow<'static, str>>, payload: &impl serde::Serialize) -> NewEvent {
    NewEvent {
        event_type: event_type.into(),
        event_version: "1".into(),
        payload: Json::of(payload).unwrap(),
        metadata: BTreeMap::new(),
    }
}

/// Tries until it is so, but no longer than the limit.
pub async fn within(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let started = std::time::Instant::now();
    while started.elapsed() < limit {
        if is_so() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    is_so()
}
