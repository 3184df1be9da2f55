//! A Kafka broker of a test's own, made to be killed, frozen and cut off, and the one that the whole run shares.

mod programs;
mod secured;
mod settings;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::sleep;
use uuid::Uuid;

use crate::cluster::signal;
use crate::proxy::Proxy;
use settings::{Extras, Ports};

const START_TIMEOUT: Duration = Duration::from_secs(90);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);
const STARTS: u32 = 20;

/// Where the broker that the whole run shares takes connections, for `bootstrap.servers`. None when the run goes without
/// Kafka (`WITHOUT_KAFKA=1`): tests that need a broker then return at once.
///
/// # Panics
///
/// When nothing says which broker it is.
#[must_use]
pub fn shared_kafka() -> Option<String> {
    if std::env::var_os("WITHOUT_KAFKA").is_some_and(|value| value == "1") {
        return None;
    }
    let brokers = std::env::var("KAFKA_BROKERS");
    Some(brokers.expect("KAFKA_BROKERS names no broker: run `make test`, which starts one"))
}

/// A private broker, alone, with its data in a temporary directory. It is killed and removed with the value, by its
/// process id. Topics are not made by mentioning them, unless a setting says so.
#[derive(Debug)]
pub struct KafkaBroker {
    directory: TempDir,
    ports: Ports,
    server: Option<Child>,
}

impl KafkaBroker {
    /// Makes a broker and starts it, which takes two or three seconds.
    ///
    /// # Panics
    ///
    /// When Kafka's programs are not at hand, or fail.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// As [`KafkaBroker::start`], with further lines of `server.properties`, which win over those of every test broker.
    ///
    /// # Panics
    ///
    /// When Kafka's programs are not at hand, or fail.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::make(&Extras { settings, ..Extras::default() }).await.0
    }

    /// As [`KafkaBroker::start_with`], with a second listener that is reached through a network of the test's making.
    /// Clients that begin at [`Proxy::url`] use it for everything; [`KafkaBroker::bootstrap`] goes around it.
    ///
    /// # Panics
    ///
    /// When Kafka's programs are not at hand, or fail.
    pub async fn start_behind_proxy(settings: &[(&str, &str)]) -> (Self, Proxy) {
        let (broker, proxy) = Self::make(&Extras { settings, is_proxied: true, login: None }).await;
        (broker, proxy.expect("a proxy was asked for"))
    }

    async fn make(extras: &Extras<'_>) -> (Self, Option<Proxy>) {
        let directory = tempfile::Builder::new().prefix("broker-").tempdir_in(programs::directory());
        let directory = directory.expect("a temporary directory");
        let mut broker = Self { directory, ports: Ports::free(), server: None };
        broker.configure(extras, None);
        broker.format(extras).await;
        for _ in 0..STARTS {
            broker.ports = Ports::free();
            let proxy = if extras.is_proxied {
                Some(Proxy::before(&format!("127.0.0.1:{}", broker.ports.proxied)).await)
            } else {
                None
            };
            broker.configure(extras, proxy.as_ref());
            if broker.launch().await {
                return (broker, proxy);
            }
        }
        panic!("Kafka finds no free port: {}", broker.log());
    }

    /// Where it takes connections, for `bootstrap.servers`. It stays the same over restarts.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.ports.plain)
    }

    /// What it has logged: warnings and errors.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Kills it at once (SIGKILL), and returns when it is gone.
    ///
    /// # Panics
    ///
    /// When the process can't be killed.
    pub async fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().expect("killing Kafka");
            while server.try_wait().expect("asking for Kafka").is_none() {
                sleep(POLL).await;
            }
        }
    }

    /// Stops it in order, as a rolling restart does.
    ///
    /// # Panics
    ///
    /// When the process can't be asked.
    pub async fn stop(&mut self) {
        let Some(server) = self.server.as_mut() else { return };
        signal("TERM", &[server.id().to_string()]);
        let began = Instant::now();
        while began.elapsed() < STOP_TIMEOUT && server.try_wait().expect("asking for Kafka").is_none() {
            sleep(POLL).await;
        }
        self.kill().await;
    }

    /// Starts it again on the same ports and data, after [`KafkaBroker::kill`] or in order when it runs.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.stop().await;
        for _ in 0..STARTS {
            if self.launch().await {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("Kafka does not start again: {}", self.log());
    }

    /// Freezes it (SIGSTOP): connections stay open, and nothing is answered.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let server = self.server.as_ref().expect("a broker that runs");
        signal(name, &[server.id().to_string()]);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Gives the data directory its identity, and the metadata log its first records.
    async fn format(&self, extras: &Extras<'_>) {
        let cluster = Uuid::new_v4().simple().to_string();
        let mut format = programs::java(self.directory.path());
        format.args(["kafka.tools.StorageTool", "format", "-c", "server.properties", "-t", &cluster[..22]]);
        if let Some(login) = &extras.login {
            format.args(["--add-scram", &login.scram()]);
        }
        let format = Command::from(format).output().await.expect("running Java");
        assert!(format.status.success(), "Kafka can't format its directory: {format:?}");
    }

    /// True once it serves, false when one of its ports is taken.
    async fn launch(&mut self) -> bool {
        let log = File::options().create(true).append(true).open(self.path("log")).expect("the broker's log");
        let earlier = self.log().len();
        let mut java = programs::java(self.directory.path());
        java.args(["kafka.Kafka", "server.properties"]).stdin(Stdio::null());
        java.stdout(log.try_clone().expect("the broker's log")).stderr(log);
        let server = self.server.insert(java.spawn().expect("running Java"));
        // For scripts/with-kafka, which ends what a killed test leaves behind.
        fs::write(self.directory.path().join("pid"), server.id().to_string()).expect("writing the process id");
        let began = Instant::now();
        while began.elapsed() < START_TIMEOUT {
            let has_ended = self.server.as_mut().is_none_or(|server| !matches!(server.try_wait(), Ok(None)));
            let log = self.log().split_off(earlier);
            if log.contains("Kafka Server started") && !has_ended {
                return true;
            }
            if has_ended {
                assert!(log.contains("Address already in use"), "Kafka does not start: {log}");
                self.server = None;
                return false;
            }
            sleep(POLL).await;
        }
        panic!("Kafka does not get ready: {}", self.log());
    }
}

impl Drop for KafkaBroker {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // One that has ended by itself is no failure.
            drop(server.kill());
            drop(server.wait());
        }
    }
}
