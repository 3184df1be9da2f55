//! `kill -9` at each step of the export's loop, the first time and later, with a lag and without: the next one goes on as
//! if nothing had been.

use tenure_projections::export::ExportSettings;
use tenure_test_engines::shared_kafka;

use super::comparison::assert_exported;
use super::exporting_process::{Death, ExportingProcess, STEPS};
use super::settings;
use crate::deployment::{Deployment, Place, passed};
use crate::world::World;

on_both_engines!(killed_at_each_step_of_a_long_way, killed_at_each_step_when_caught_up);

/// Half of the events with which each process begins: more than one transaction's first limit together.
const TOGGLES: u32 = 600;

/// Nobody needs to wait until a dead process' lease is over.
pub async fn end_lease(deployment: &Deployment) {
    if let Place::Postgres(_) = deployment.place {
        deployment.meddle("update views.leases set until = clock_timestamp()").await;
    }
}

async fn finished(deployment: &Deployment, settings: &ExportSettings, brokers: &str) {
    let last = ExportingProcess::start(deployment, settings, None, false);
    last.caught_up(tenure_event_log::Position::START).await;
    last.finish().await;
    let (log, views) = deployment.open().await;
    passed(&views, log.head().await.unwrap()).await;
    assert_exported(&views, settings, brokers).await;
}

async fn killed_at_each_step_of_a_long_way(deployment: Deployment) {
    let Some(brokers) = shared_kafka() else { return };
    let settings = settings(&brokers);
    let log = deployment.log().await;
    let mut world = World::new(&log).await;
    let tenants = super::customers(&mut world, 5).await;
    log.shutdown().await;
    drop(log);
    for occurrence in [1, 2] {
        for (step, tenant) in tenants.iter().enumerate() {
            let log = deployment.log().await;
            world.log = log.clone();
            world.toggle(*tenant, TOGGLES).await;
            log.shutdown().await;
            drop(log);
            let death = Death { step, occurrence, once_caught_up: false };
            ExportingProcess::start(&deployment, &settings, Some(death), false).death().await;
            end_lease(&deployment).await;
        }
    }
    finished(&deployment, &settings, &brokers).await;
}

async fn killed_at_each_step_when_caught_up(deployment: Deployment) {
    let Some(brokers) = shared_kafka() else { return };
    let settings = settings(&brokers);
    for occurrence in [1, 3] {
        for step in 0..STEPS.len() {
            let death = Death { step, occurrence, once_caught_up: true };
            ExportingProcess::start(&deployment, &settings, Some(death), false).death().await;
            end_lease(&deployment).await;
        }
    }
    finished(&deployment, &settings, &brokers).await;
}
