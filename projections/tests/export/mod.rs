//! The billing export against a real Apache Kafka: whatever happens to whom, a reader of what is committed finds each billing
//! event of the log, once and in order.
//!
//! Tests share the run's broker and use topics and a cell of their own; those that harm the broker start one. They return at
//! once with `WITHOUT_KAFKA=1`.

mod checked;
mod comparison;
mod crashes;
mod doubts;
mod exporting_process;
mod fencing;
mod hanging;
mod meddling;
mod neighbours;
mod network;
mod order;
mod partitions;
mod random_kills;
mod reader;
mod remade;
mod restored;
mod secured;
mod silence;
mod standby;
mod topics;
mod torn;

use std::time::{Duration, Instant};

use tenure_event_log::Position;
use tenure_projections::export::{Export, ExportSettings, ExportState, ExportStatus};
use uuid::Uuid;

use crate::deployment::PATIENCE;
use crate::world::World;

/// An export of a test's own: no other has its cell or its topics.
pub fn settings(brokers: &str) -> ExportSettings {
    let name = Uuid::now_v7().simple();
    ExportSettings {
        cell: format!("test-{name}"),
        topic: format!("billing.{name}"),
        progress_topic: format!("progress.{name}"),
        public_url: "https://tenure.example".to_owned(),
        ..ExportSettings::new(vec![brokers.to_owned()])
    }
}

/// Resolves when the export has passed everything that the world did.
pub async fn caught_up(export: &Export, world: &World) {
    passed(export, world.head).await;
}

/// Resolves when the export has looked that far and exported what it found.
pub async fn passed(export: &Export, position: Position) {
    let is_there = |status: &ExportStatus| status.state == ExportState::Exporting && status.passed >= position;
    until(export, &format!("at {position}"), is_there).await;
}

/// Waits for a status.
async fn until(export: &Export, what: &str, is_it: impl Fn(&ExportStatus) -> bool) -> ExportStatus {
    let began = Instant::now();
    loop {
        let status = export.status();
        if is_it(&status) {
            return status;
        }
        assert!(began.elapsed() < PATIENCE, "the export is not {what}: {status:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the export stands still and says this; answers everything that it says.
pub async fn stopped(export: &Export, reason: &str) -> String {
    says(export, ExportState::Stopped, reason).await
}

/// Waits until the export is in this state and says this; answers everything that it says.
pub async fn says(export: &Export, state: ExportState, reason: &str) -> String {
    let is_it = |status: &ExportStatus| {
        status.state == state && status.reason.as_ref().is_some_and(|said| said.contains(reason))
    };
    until(export, &format!("{} with {reason:?}", state.as_str()), is_it).await.reason.unwrap()
}

/// Fails unless the export stays in this state for two seconds.
pub async fn stays(export: &Export, state: ExportState) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        let status = export.status();
        assert_eq!(status.state, state, "{status:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// So many customers of the world's MSP.
pub async fn customers(world: &mut World, count: usize) -> Vec<tenure_aggregates::TenantId> {
    let mut customers = Vec::new();
    for _ in 0..count {
        customers.push(world.provision().await);
    }
    customers
}
