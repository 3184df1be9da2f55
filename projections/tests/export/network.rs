//! Brokers that die, don't answer, answer late, and are not there: commands go on, and so does the export when it can.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tenure_event_log::EventLog;
use tenure_projections::Views;
use tenure_projections::export::{Export, ExportSettings, ExportState};
use tenure_test_engines::{KafkaBroker, Proxy, free_port, shared_kafka};
use tokio::sync::watch;

use super::comparison::{assert_exported, shown};
use super::reader::undecided;
use super::{caught_up, customers, says, settings};
use crate::deployment::{Deployment, passed};
use crate::world::World;

/// As long as a command may take, whatever the brokers do, on a slow machine.
const COMMANDS_WITHIN: Duration = Duration::from_secs(2);
/// How long a stop may take while the brokers don't answer.
const STOPS_WITHIN: Duration = Duration::from_millis(3_500);
/// How long a transaction may last here, so that nobody has to wait for as long as in production.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(4);
/// Longer than that.
const TOO_LONG: Duration = Duration::from_secs(5);

/// What goes on behind everything else.
struct Load {
    stop: watch::Sender<bool>,
    appending: tokio::task::JoinHandle<(World, Duration)>,
}

impl Load {
    async fn start(log: &EventLog) -> Self {
        let mut world = World::new(log).await;
        let tenants = customers(&mut world, 8).await;
        let (stop, stopped) = watch::channel(false);
        let appending = tokio::spawn(async move {
            let mut slowest = Duration::ZERO;
            while !*stopped.borrow() {
                for tenant in &tenants {
                    let began = Instant::now();
                    world.toggle(*tenant, 2).await;
                    slowest = slowest.max(began.elapsed());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            (world, slowest)
        });
        Self { stop, appending }
    }

    /// Commands went on as if nothing had been.
    async fn end(self) -> World {
        self.stop.send_replace(true);
        let (world, slowest) = self.appending.await.unwrap();
        println!("{} events appended, the slowest append took {slowest:?}", world.head);
        assert!(slowest < COMMANDS_WITHIN, "{slowest:?}");
        world
    }
}

/// How long it may take until events flow again: the client gives a transaction up after three times its limit that the brokers
/// neither commit nor abort.
const FLOWS_WITHIN: Duration = Duration::from_secs(75);

async fn goes_on(export: &Export) {
    let (before, began) = (export.status().events, Instant::now());
    while export.status().events == before {
        assert!(began.elapsed() < FLOWS_WITHIN, "no event flows: {:?}", export.status());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("events flow after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_the_network_does_events_arrive_once_and_commands_go_on() {
    if shared_kafka().is_none() {
        return;
    }
    let (mut broker, proxy) = KafkaBroker::start_behind_proxy(&[]).await;
    let settings = ExportSettings { transaction_timeout: TRANSACTION_TIMEOUT, ..settings(proxy.url()) };
    let deployment = Deployment::sqlite().await;
    let (log, views) = deployment.open().await;
    let load = Load::start(&log).await;
    let export = Export::start(settings.clone(), &views);
    goes_on(&export).await;
    for _ in 0..2 {
        broker.kill().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        broker.restart().await;
        goes_on(&export).await;
    }
    // In order, as in a rolling restart.
    broker.restart().await;
    goes_on(&export).await;

    proxy.fall_silent();
    tokio::time::sleep(TOO_LONG).await;
    let held_up = export.status();
    assert!(held_up.passed < log.head().await.unwrap(), "the lag grows: {held_up:?}");
    proxy.speak_again();
    goes_on(&export).await;

    proxy.delay(Duration::from_millis(150));
    goes_on(&export).await;
    proxy.go_down();
    says(&export, ExportState::Connecting, "").await;
    proxy.come_back();
    goes_on(&export).await;
    proxy.delay(Duration::ZERO);
    let world = load.end().await;
    caught_up(&export, &world).await;
    passed(&views, world.head).await;
    shown(&views, &settings, &broker.bootstrap()).await;
    assert_exported(&views, &settings, &broker.bootstrap()).await;
    export.shutdown().await;

    stops_with_a_transaction_in_hand(&broker, &proxy, &settings, &views, world).await;
}

/// Where as many events as usual take longer than a transaction may, fewer are sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_narrow_network_events_arrive_in_smaller_transactions() {
    /// Bytes a second: a thousand events, of about 1 kB each, take three times as long as a transaction may.
    const BANDWIDTH: u64 = 80_000;
    if shared_kafka().is_none() {
        return;
    }
    let (broker, proxy) = KafkaBroker::start_behind_proxy(&[]).await;
    let settings = ExportSettings { transaction_timeout: TRANSACTION_TIMEOUT, ..settings(proxy.url()) };
    let deployment = Deployment::sqlite().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let tenant = customers(&mut world, 1).await[0];
    world.toggle(tenant, 2_000).await;
    passed(&views, world.head).await;

    proxy.narrow(BANDWIDTH);
    let export = Export::start(settings.clone(), &views);
    goes_on(&export).await;
    proxy.narrow(0);
    caught_up(&export, &world).await;
    assert_exported(&views, &settings, &broker.bootstrap()).await;
    export.shutdown().await;
}

/// A stop ends the transaction, so that no reader is held up, and does not take long while nobody answers.
async fn stops_with_a_transaction_in_hand(
    broker: &KafkaBroker,
    proxy: &Proxy,
    settings: &ExportSettings,
    views: &Views,
    mut world: World,
) {
    let tenants = customers(&mut world, 3).await;
    // So that records are still on their way when it is told to stop.
    proxy.delay(Duration::from_millis(100));
    for _ in 0..3 {
        let (started, mut starts) = watch::channel(());
        let observer = move |step| {
            if step == tenure_projections::export::Step::BeforeSend {
                started.send_replace(());
            }
        };
        for tenant in &tenants {
            world.toggle(*tenant, 300).await;
        }
        let export = Export::start(ExportSettings { observer: Some(Arc::new(observer)), ..settings.clone() }, views);
        starts.changed().await.unwrap();
        // The records are with the client by now, or soon; the brokers hear of them 100 ms later.
        tokio::time::sleep(Duration::from_millis(120)).await;
        let began = Instant::now();
        export.shutdown().await;
        assert!(began.elapsed() < STOPS_WITHIN, "{:?}", began.elapsed());
        for topic in [&settings.topic, &settings.progress_topic] {
            assert_eq!(undecided(&broker.bootstrap(), topic).await, 0, "a transaction was left open in {topic}");
        }
    }
    proxy.delay(Duration::ZERO);
    let export = Export::start(settings.clone(), views);
    caught_up(&export, &world).await;
    // Idle, and nobody answers any more.
    proxy.fall_silent();
    let began = Instant::now();
    export.shutdown().await;
    assert!(began.elapsed() < STOPS_WITHIN, "idle: {:?}", began.elapsed());
    proxy.speak_again();

    let export = Export::start(settings.clone(), views);
    caught_up(&export, &world).await;
    proxy.fall_silent();
    for tenant in &tenants {
        world.toggle(*tenant, 300).await;
    }
    passed(views, world.head).await;
    // By now it has something in hand; it can't know yet that nobody listens.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    export.shutdown().await;
    assert!(began.elapsed() < STOPS_WITHIN, "in a transaction: {:?}", began.elapsed());
    // From the beginning.
    let export = Export::start(settings.clone(), views);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    export.shutdown().await;
    assert!(began.elapsed() < STOPS_WITHIN, "from the beginning: {:?}", began.elapsed());
    proxy.speak_again();

    let export = Export::start(settings.clone(), views);
    caught_up(&export, &world).await;
    assert_exported(views, settings, &broker.bootstrap()).await;
    export.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_is_the_export_says_so_and_stops_soon() {
    let deployment = Deployment::sqlite().await;
    let (log, views) = deployment.open().await;
    World::new(&log).await.provision().await;
    let export = Export::start(settings(&format!("127.0.0.1:{}", free_port())), &views);
    let reason = says(&export, ExportState::Connecting, "127.0.0.1").await;
    assert!(reason.starts_with("the brokers don't answer: ") && reason.contains("refused"), "{reason}");
    let began = Instant::now();
    export.shutdown().await;
    assert!(began.elapsed() < STOPS_WITHIN, "{:?}", began.elapsed());
}
