//! Twenty kills at any moment, while events keep coming.

use std::time::Duration;

use tenure_test_engines::shared_kafka;
use tokio::sync::watch;

use super::comparison::assert_exported;
use super::crashes::end_lease;
use super::exporting_process::ExportingProcess;
use super::settings;
use crate::deployment::{Deployment, Place, passed};
use crate::world::World;

on_both_engines!(killed_again_and_again_under_load);

const KILLS: u32 = 20;

/// Milliseconds until the next kill, from a seed.
fn draw(seed: &mut u64) -> Duration {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    Duration::from_millis(*seed % 700)
}

async fn killed_again_and_again_under_load(deployment: Deployment) {
    let Some(brokers) = shared_kafka() else { return };
    let settings = settings(&brokers);
    let mut seed = uuid::Uuid::now_v7().as_u64_pair().1 | 1;
    println!("seed {seed}");
    // Where only one process has the log, it appends itself.
    let (stop, load) = match deployment.place {
        Place::Sqlite(_) => (None, None),
        Place::Postgres(_) => {
            let (stop, stopped) = watch::channel(false);
            let log = deployment.log().await;
            (Some(stop), Some(tokio::spawn(async move { append_until(stopped, World::new(&log).await).await })))
        }
    };
    let appends = load.is_none();
    for _ in 0..KILLS {
        let process = ExportingProcess::start(&deployment, &settings, None, appends);
        process.exporting().await;
        // What is drawn is the moment itself.
        tokio::time::sleep(draw(&mut seed)).await;
        process.kill9();
        end_lease(&deployment).await;
    }
    if let (Some(stop), Some(load)) = (stop, load) {
        stop.send_replace(true);
        println!("{} appends meanwhile", load.await.unwrap());
    }
    let last = ExportingProcess::start(&deployment, &settings, None, false);
    last.caught_up(tenure_event_log::Position::START).await;
    last.finish().await;
    let (log, views) = deployment.open().await;
    passed(&views, log.head().await.unwrap()).await;
    assert_exported(&views, &settings, &brokers).await;
}

/// Appends as fast as one writer can.
async fn append_until(stop: watch::Receiver<bool>, mut world: World) -> u32 {
    let tenants = super::customers(&mut world, 8).await;
    let mut appends = 0;
    while !*stop.borrow() {
        for tenant in &tenants {
            world.toggle(*tenant, 3).await;
            appends += 1;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    appends
}
