//! The billing export against a real Apache Kafka: whatever happens to whom, a reader of what is committed finds each billing
//! event of the log, once and in order.
//!
//! Tests share the run's broker and use topics and a cell of their own; those that harm the broker start one. They return at
//! once with `WITHOUT_KAFKA=1`.

mod comparison;
mod crashes;
mod doubts;
mod exporting_process;
mod fencing;
mod meddling;
mod neighbours;
mod network;
mod order;
mod partitions;
mod random_kills;
mod reader;
mod restored;
mod secured;
mod silence;
mod topics;

use tenure_event_log::Position;
use tenure_projections::export::{Export, ExportSettings, ExportState, ExportStatus};
use uuid::Uuid;

use crate::deployment::eventually;
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
    let mut last = None;
    let reached = eventually("the export catches up", async || {
        last = Some(export.status());
        last.as_ref()
            .is_some_and(|status| status.state == ExportState::Exporting && status.passed >= position)
            .then_some(())
    });
    reached.await;
}

/// Waits until the export stands still and says this; answers everything that it says.
pub async fn stopped(export: &Export, reason: &str) -> String {
    says(export, ExportState::Stopped, reason).await
}

/// Waits until the export is in this state and says this; answers everything that it says.
pub async fn says(export: &Export, state: ExportState, reason: &str) -> String {
    let what = format!("{} with {reason:?}", state.as_str());
    eventually(&what, async || {
        let ExportStatus { state: now, reason: said, .. } = export.status();
        said.filter(|said| now == state && said.contains(reason))
    })
    .await
}

/// So many customers of the world's MSP.
pub async fn customers(world: &mut World, count: usize) -> Vec<tenure_aggregates::TenantId> {
    let mut customers = Vec::new();
    for _ in 0..count {
        customers.push(world.provision().await);
    }
    customers
}
