//! After a run: every acknowledged provisioning is in the log, once, and in the view.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use anyhow::bail;
use serde::Deserialize;
use tenure_event_log::{EventLog, LogConfig, MasterKey, Position};
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

/// Looks for the tenants behind a position.
///
/// # Errors
/// One of them is missing in the log or in the view, or stands in the log twice.
pub fn acknowledged(service: &Service, after: Position, tenants: &[Uuid]) -> anyhow::Result<()> {
    let wanted: HashSet<Uuid> = tenants.iter().copied().collect();
    if wanted.len() != tenants.len() {
        bail!("{} acknowledgements name a tenant that another one named", tenants.len() - wanted.len());
    }
    block_on(async {
        in_log(service, after, &wanted).await?;
        in_view(service, wanted).await
    })
}

async fn in_log(service: &Service, mut after: Position, wanted: &HashSet<Uuid>) -> anyhow::Result<()> {
    let log = open(service).await?;
    let mut found: HashMap<Uuid, u32> = HashMap::with_capacity(wanted.len());
    loop {
        let page = log.read(after, 5_000).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for event in page.iter().filter(|event| event.event_type == "tenant.provisioned") {
            *found.entry(event.tenant_id).or_default() += 1;
        }
    }
    log.shutdown().await;
    let missing = wanted.iter().filter(|tenant| !found.contains_key(tenant)).count();
    let twice = found.values().filter(|count| **count > 1).count();
    if missing + twice > 0 {
        bail!("of {} acknowledged tenants {missing} are not in the log; {twice} are there twice", wanted.len());
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    tenant_id: Uuid,
}

/// The list shows the newest first, so what is looked for stands at its beginning.
async fn in_view(service: &Service, mut wanted: HashSet<Uuid>) -> anyhow::Result<()> {
    let token: Rc<str> = service.token("verifier")?.into();
    let mut connection = Connection::open(service.address).await?;
    let mut path = "/api/v1/msp/tenants?pageSize=200".to_owned();
    while !wanted.is_empty() {
        let (method, body) = ("GET", String::new());
        let ask = Ask { method, path, token: Rc::clone(&token), body, key: None, respond_async: false };
        let answer = connection.send(ask).await?;
        if !answer.status.is_success() {
            bail!("the list answered {}", answer.status);
        }
        for tenant in serde_json::from_slice::<Vec<Listed>>(&answer.body)? {
            wanted.remove(&tenant.tenant_id);
        }
        let next = answer.headers.get("link").and_then(|link| crate::link::next(link.to_str().ok()?));
        match next {
            Some(next) => path = next,
            None if wanted.is_empty() => break,
            None => bail!("{} acknowledged tenants are not in the view", wanted.len()),
        }
    }
    Ok(())
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
