//! A log with so many billing events, through the log's own appends: customers that are suspended and reinstated in turn.

use std::collections::BTreeMap;

use anyhow::Context;
use chrono::{DateTime, Utc};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tenure::config::Config;
use tenure_aggregates::tenant::{Command, NewAccount};
use tenure_aggregates::values::{EmailAddress, Reason};
use tenure_aggregates::{Decider as _, Folded, Personal, Tenant, TenantId, TenantKind};
use tenure_event_log::{
    Append, EventLog, Json, Lane, LogConfig, MasterKey, MetadataValue, NewEvent, StreamAppend, StreamId,
};
use uuid::Uuid;

/// A customer's events: provisioned, then suspended and reinstated.
const EVENTS_EACH: usize = 101;
/// Customers that one append concerns: neighbours in the log are events of different customers.
const TOGETHER: usize = 250;
/// Appends on their way.
const AT_ONCE: usize = 8;

/// What is in the log.
pub struct Filled {
    /// Billing events.
    pub events: usize,
    /// The last position.
    pub head: u64,
    /// The customers, all of them active.
    pub tenants: Vec<Uuid>,
}

/// Fills the log that nobody else writes; at least so many events.
///
/// # Errors
/// The log refuses.
pub fn fill(config: &Config, events: usize) -> anyhow::Result<Filled> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let master_key = MasterKey::load(&config.master_key_path())?;
        let log = EventLog::open(LogConfig::new(config.engine.clone(), master_key, config.clock())).await?;
        let msp = config.default_msp().id;
        let mut tenants: Vec<(TenantId, Folded<Tenant>)> = (0..events.div_ceil(EVENTS_EACH))
            .map(|_| (TenantId::from_uuid(Uuid::now_v7()), Folded::default()))
            .collect();
        for turn in 0..EVENTS_EACH {
            let appends = tenants.chunks_mut(TOGETHER).map(|tenants| append(tenants, turn, msp, log.clock().now()));
            let appends: Vec<Append> = appends.collect::<anyhow::Result<_>>()?;
            let log = &log;
            let written = stream::iter(appends).map(|append| log.append(append, Lane::Foreground));
            written.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
        }
        let head = log.head().await?.get();
        log.shutdown().await;
        let tenants: Vec<Uuid> = tenants.into_iter().map(|(id, _)| id.as_uuid()).collect();
        Ok(Filled { events: tenants.len() * EVENTS_EACH, head, tenants })
    })
}

/// One event of each of these customers.
fn append(
    tenants: &mut [(TenantId, Folded<Tenant>)],
    turn: usize,
    msp: TenantId,
    at: DateTime<Utc>,
) -> anyhow::Result<Append> {
    let streams = tenants.iter_mut().map(|(id, tenant)| {
        let command = match turn {
            0 => Command::Provision { account: account(*id, msp)?, at },
            odd if odd % 2 == 1 => Command::Suspend { reason: Some(Reason::parse("payment overdue")?), at },
            _ => Command::Reinstate { at },
        };
        let decision = tenant.decide(command).ok().context("a refused command")?;
        let events = decision.events.iter().map(|event| {
            let actor = MetadataValue::Plain("bench".to_owned());
            Ok(NewEvent {
                event_type: event.name().into(),
                event_version: "1".into(),
                payload: Json::of(event)?,
                metadata: BTreeMap::from([("actor".to_owned(), actor)]),
            })
        });
        let events = events.collect::<anyhow::Result<Vec<_>>>()?;
        let stream = StreamId::new(Tenant::TYPE, id.to_string());
        let expected = std::mem::replace(tenant, decision.after).sequence;
        Ok(StreamAppend { stream, tenant_id: id.as_uuid(), expected, events })
    });
    Ok(Append::new(Uuid::now_v7(), streams.collect::<anyhow::Result<_>>()?))
}

fn account(tenant_id: TenantId, msp: TenantId) -> anyhow::Result<NewAccount> {
    Ok(NewAccount {
        tenant_id,
        kind: TenantKind::Customer { msp },
        short_code: format!("t{}", &tenant_id.as_uuid().simple().to_string()[14..]).parse()?,
        display_name: "Acme Corporation".parse()?,
        contact_email: Personal::Known(EmailAddress::parse("it@acme.example")?),
        max_users: 500.try_into()?,
        max_resources: 200.try_into()?,
        modules: vec!["ssh".parse()?, "ad".parse()?].try_into()?,
    })
}
