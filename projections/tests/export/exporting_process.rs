//! The test binary, started once more as a process of its own that exports until it is told to stop, or dies.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use tenure_event_log::{Clock, EngineConfig, EventLog, LogConfig, MasterKey, OpenError, Position};
use tenure_projections::export::{Export, ExportSettings, ExportState, Step};
use tenure_projections::{Views, ViewsConfig};

use crate::deployment::{Deployment, eventually};
use crate::world::World;

const ORDERS: &str = "TENURE_TEST_EXPORT";

/// Where a process kills itself.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Death {
    /// At which step, by its place in [`STEPS`].
    pub step: usize,
    /// The how manieth time that it gets there.
    pub occurrence: u64,
    /// Counted from when it has nothing left to export: from then on it appends events itself, one by one.
    pub once_caught_up: bool,
}

pub const STEPS: [Step; 5] =
    [Step::BeforeSend, Step::AfterSend, Step::BeforeCommit, Step::AfterCommit, Step::BeforeCopy];

/// What the process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Orders {
    place: String,
    master_key: String,
    brokers: String,
    cell: String,
    topic: String,
    progress_topic: String,
    death: Option<Death>,
    /// Appends from the start.
    appends: bool,
}

/// How its export does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    pub state: String,
    pub passed: u64,
    /// The log's last position.
    pub head: u64,
    pub events: u64,
    pub failures: u64,
    pub reason: Option<String>,
}

/// A running process. Killed when dropped.
pub struct ExportingProcess {
    child: Child,
    last: Arc<Mutex<Word>>,
}

impl ExportingProcess {
    pub fn start(deployment: &Deployment, settings: &ExportSettings, death: Option<Death>, appends: bool) -> Self {
        let place = match deployment.engine() {
            EngineConfig::Sqlite { directory } => directory.to_str().unwrap().to_owned(),
            EngineConfig::Postgres { url, .. } => url.expose_secret().to_owned(),
        };
        let orders = Orders {
            place,
            master_key: deployment.master_key_file().to_str().unwrap().to_owned(),
            brokers: settings.brokers.join(","),
            cell: settings.cell.clone(),
            topic: settings.topic.clone(),
            progress_topic: settings.progress_topic.clone(),
            death,
            appends,
        };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "export::exporting_process::this_process_exports", "--nocapture"])
            .env(ORDERS, serde_json::to_string(&orders).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let last = Arc::new(Mutex::new(Word::default()));
        let (heard, output) = (Arc::clone(&last), BufReader::new(child.stdout.take().unwrap()));
        std::thread::spawn(move || {
            // The test runner's own words stand before the first.
            for line in output.lines().map_while(Result::ok) {
                let word = line.split_once('>').and_then(|(_, word)| serde_json::from_str(word).ok());
                if let Some(word) = word {
                    *heard.lock().unwrap() = word;
                }
            }
        });
        Self { child, last }
    }

    /// What it said last.
    pub fn last(&self) -> Word {
        self.last.lock().unwrap().clone()
    }

    /// Resolves when it exports, whatever there is to do.
    pub async fn exporting(&self) {
        eventually("the process exports", async || (self.last().state == "exporting").then_some(())).await;
    }

    /// Resolves when nothing is left for it to export.
    pub async fn caught_up(&self, head: Position) {
        let done = async || {
            let last = self.last();
            (last.state == "exporting" && last.passed >= head.get().max(last.head)).then_some(())
        };
        eventually("the process has exported everything", done).await;
    }

    /// Waits until it has died of SIGKILL.
    pub async fn death(mut self) {
        use std::os::unix::process::ExitStatusExt;
        let ended = eventually("the process dies", async || self.child.try_wait().unwrap()).await;
        assert_eq!(ended.signal(), Some(9), "{ended}");
    }

    pub fn kill9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Lets it shut down; answers what it said last.
    pub async fn finish(mut self) -> Word {
        drop(self.child.stdin.take());
        let ended = eventually("the process ends", async || self.child.try_wait().unwrap()).await;
        assert!(ended.success());
        self.last()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for ExportingProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends this process as `kill -9` does, and returns from nothing.
fn die() {
    let _ = Command::new("kill").args(["-s", "KILL", &std::process::id().to_string()]).status();
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_process_exports() {
    // Started by nobody it has nothing to do.
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let orders: Orders = serde_json::from_str(&orders).unwrap();
    let engine = if orders.place.starts_with("postgres") {
        EngineConfig::Postgres { url: orders.place.clone().into(), max_connections: 2 }
    } else {
        EngineConfig::Sqlite { directory: orders.place.clone().into() }
    };
    let config = LogConfig::new(engine.clone(), MasterKey::load(orders.master_key.as_ref()).unwrap(), Clock::default());
    let log = eventually("the log is free", async || match EventLog::open(config.clone()).await {
        Err(OpenError::Locked { .. }) => None,
        opened => Some(opened.unwrap()),
    })
    .await;
    let views = Views::open(ViewsConfig::new(engine), log.clone()).await.unwrap();
    views.start();

    let (counting, count) = (Arc::new(AtomicBool::new(false)), AtomicU64::new(0));
    let (counts, death) = (Arc::clone(&counting), orders.death);
    let observer = move |step: Step| {
        let Some(death) = death.filter(|death| STEPS[death.step] == step) else { return };
        if (counts.load(Ordering::SeqCst) || !death.once_caught_up)
            && count.fetch_add(1, Ordering::SeqCst) + 1 == death.occurrence
        {
            die();
        }
    };
    let settings = ExportSettings {
        cell: orders.cell,
        topic: orders.topic,
        progress_topic: orders.progress_topic,
        public_url: "https://tenure.example".to_owned(),
        observer: Some(Arc::new(observer)),
        ..ExportSettings::new(vec![orders.brokers])
    };
    let export = Export::start(settings, &views);
    let (told, mut stop) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Nothing is ever said; the end is what matters.
        let _ = std::io::stdin().read(&mut [0]);
        let _ = told.send(());
    });
    let mut own = if orders.appends { Some(world(&log).await) } else { None };
    loop {
        if stop.try_recv().is_ok() {
            break;
        }
        // Thawed after a long time, a process finds its connections gone.
        let Ok(head) = log.head().await else { continue };
        let word = word(&export, head);
        println!(">{}", serde_json::to_string(&word).unwrap());
        if word.state == ExportState::Exporting.as_str()
            && word.passed >= word.head
            && death.is_some_and(|d| d.once_caught_up)
        {
            counting.store(true, Ordering::SeqCst);
            if own.is_none() {
                own = Some(world(&log).await);
            }
        }
        if let Some(world) = &mut own {
            step(world).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    export.shutdown().await;
    views.shutdown().await;
    log.shutdown().await;
}

fn word(export: &Export, head: Position) -> Word {
    let status = export.status();
    Word {
        state: status.state.as_str().to_owned(),
        passed: status.passed.get(),
        head: head.get(),
        events: status.events,
        failures: status.failures,
        reason: status.reason,
    }
}

async fn world(log: &EventLog) -> World {
    let mut world = World::new(log).await;
    super::customers(&mut world, 3).await;
    world
}

/// A billing event of each customer.
async fn step(world: &mut World) {
    let customers: Vec<_> = world.tenants.keys().copied().filter(|tenant| *tenant != world.msp).collect();
    for tenant in customers {
        if world.suspend(tenant).await.is_none() {
            world.reinstate(tenant).await.unwrap();
        }
    }
}
