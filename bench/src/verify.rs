//! After a run: every acknowledged command is in the log, once, and in the view.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use anyhow::bail;
use serde::Deserialize;
use tenure_event_log::{EventLog, LogConfig, MasterKey, Position, RecordedEvent};
use tokio::task::LocalSet;
use uuid::Uuid;

use crate::http::{Ask, Connection};
use crate::service::Service;

/// Where the log's end is now.
///
/// # Errors
/// The log can't be read.
pub fn head(service: &Service) -> anyhow::Result<Position> {
    block_on(async {
        let log = open(service).await?;
        let head = log.head().await?;
        log.shutdown().await;
        Ok(head)
    })
}

/// Looks for provisioned tenants behind a position of the log.
///
/// # Errors
/// One of them is missing, or stands there twice.
pub fn in_log(service: &Service, after: Position, tenants: &[Uuid]) -> anyhow::Result<()> {
    let wanted: HashSet<Uuid> = tenants.iter().copied().collect();
    if wanted.len() != tenants.len() {
        bail!("{} acknowledgements name a tenant that another one named", tenants.len() - wanted.len());
    }
    let mut found: HashMap<Uuid, u32> = HashMap::with_capacity(wanted.len());
    block_on(each(service, after, |event| {
        if event.event_type == "tenant.provisioned" {
            *found.entry(event.tenant_id).or_default() += 1;
        }
    }))?;
    let missing = wanted.iter().filter(|tenant| !found.contains_key(tenant)).count();
    let twice = found.values().filter(|count| **count > 1).count();
    if missing + twice > 0 {
        bail!("of {} acknowledged tenants {missing} are not in the log; {twice} are there twice", wanted.len());
    }
    Ok(())
}

/// Looks for provisioned tenants in the list, which shows the newest first.
///
/// # Errors
/// One of them is missing.
pub fn in_view(service: &Service, tenants: &[Uuid]) -> anyhow::Result<()> {
    let mut wanted: HashSet<Uuid> = tenants.iter().copied().collect();
    block_on(listed(service, "", |tenant| {
        wanted.remove(&tenant);
        !wanted.is_empty()
    }))?;
    if wanted.is_empty() {
        return Ok(());
    }
    bail!("{} acknowledged tenants are not in the view", wanted.len())
}

/// Counts suspensions and reinstatements behind a position of the log, and compares who is suspended with the list.
///
/// # Errors
/// There are more or fewer than were acknowledged, or the list says otherwise.
pub fn switched(service: &Service, after: Position, acknowledged: u64) -> anyhow::Result<()> {
    let (mut switches, mut suspended) = (0, HashSet::new());
    block_on(each(service, Position::START, |event| {
        let was = match event.event_type.as_ref() {
            "tenant.suspended" => suspended.insert(event.tenant_id),
            "tenant.reinstated" => suspended.remove(&event.tenant_id),
            _ => return,
        };
        switches += u64::from(was && event.position > after);
    }))?;
    if switches != acknowledged {
        bail!("{acknowledged} switches were acknowledged, and {switches} are in the log");
    }
    let mut shown = HashSet::new();
    block_on(listed(service, "&status=suspended", |tenant| {
        shown.insert(tenant);
        true
    }))?;
    if shown != suspended {
        bail!("the list shows {} tenants as suspended, by the log it is {}", shown.len(), suspended.len());
    }
    Ok(())
}

async fn each(service: &Service, mut after: Position, mut look: impl FnMut(&RecordedEvent)) -> anyhow::Result<()> {
    let log = open(service).await?;
    loop {
        let page = log.read(after, 5_000).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for event in &page {
            look(event);
        }
    }
    log.shutdown().await;
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    tenant_id: Uuid,
}

/// Goes through the list until it ends or `go_on` says no.
async fn listed(service: &Service, filter: &str, mut go_on: impl FnMut(Uuid) -> bool) -> anyhow::Result<()> {
    let token: Rc<str> = service.token("verifier")?.into();
    let mut connection = Connection::open(service.address).await?;
    let mut path = format!("/api/v1/msp/tenants?pageSize=200{filter}");
    loop {
        let (method, body) = ("GET", String::new());
        let ask = Ask { method, path, token: Rc::clone(&token), body, key: None, respond_async: false };
        let answer = connection.send(ask).await?;
        if !answer.status.is_success() {
            bail!("the list answered {}", answer.status);
        }
        for tenant in serde_json::from_slice::<Vec<Listed>>(&answer.body)? {
            if !go_on(tenant.tenant_id) {
                return Ok(());
            }
        }
        let next = answer.headers.get("link").and_then(|link| crate::link::next(link.to_str().ok()?));
        let Some(next) = next else { return Ok(()) };
        path = next;
    }
}

async fn open(service: &Service) -> anyhow::Result<EventLog> {
    let config = &service.config;
    let master_key = MasterKey::load(&config.master_key_path())?;
    Ok(EventLog::open_read_only(LogConfig::new(config.engine.clone(), master_key, config.clock())).await?)
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, work)
}
