//! The test binary, started once more as a process of its own that appends until it is done or killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use tenure_event_log::{AppendError, Clock, EngineConfig, EventLog, Lane, LogConfig, MasterKey, Violation};
use uuid::Uuid;

use crate::bench::Bench;
use crate::facts::{self, claim, seats};

const PLACE: &str = "TENURE_TEST_APPEND_TO";
const MASTER_KEY: &str = "TENURE_TEST_MASTER_KEY";
const TENANT: &str = "TENURE_TEST_TENANT";
const APPENDS: &str = "TENURE_TEST_APPENDS";

const WRITERS: u64 = 8;
pub const EVENTS_PER_APPEND: usize = 3;

/// What the process says about one append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is committed, its first event at this position.
    Acknowledged(Uuid, u64),
    /// A limit was exceeded.
    Refused(Uuid),
    /// Nothing of it was written, since the log could not be.
    Unavailable(Uuid),
}

/// A running process and what it has said so far. Killed when dropped.
pub struct AppendingProcess {
    child: Child,
    words: Receiver<Word>,
}

impl AppendingProcess {
    /// Starts it on the bench's log. Each of its writers makes so many appends, or does not end.
    pub fn start(bench: &Bench, tenant_id: Uuid, appends_per_writer: Option<u64>) -> Self {
        Self::run(Command::new(std::env::current_exe().unwrap()), bench, tenant_id, appends_per_writer)
    }

    /// Starts it where no file may grow beyond so many KB.
    pub fn start_on_a_small_disk(bench: &Bench, kilobytes: u64) -> Self {
        let mut shell = Command::new("bash");
        shell.args(["-c", r#"trap "" XFSZ; ulimit -f "$0"; exec "$@""#]);
        shell.arg(kilobytes.to_string()).arg(std::env::current_exe().unwrap());
        Self::run(shell, bench, Uuid::now_v7(), None)
    }

    /// Starts it where, after so many, no flush of a file succeeds.
    pub fn start_on_a_disk_that_fails(bench: &Bench, flushes: u32) -> Self {
        let mut strace = Command::new("strace");
        // `-D`: the child is the process itself, and its tracer ends with it.
        strace.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e"]);
        strace.arg(format!("inject=fsync,fdatasync:error=EIO:when={}+", flushes + 1));
        let mut shell = Command::new("bash");
        shell.args(["-c", r#"trap "" XFSZ; exec "$@""#, "bash"]);
        shell.arg(strace.get_program()).args(strace.get_args()).arg(std::env::current_exe().unwrap());
        Self::run(shell, bench, Uuid::now_v7(), None)
    }

    /// From now on it can't write to any file.
    pub fn write_protect(&self) {
        let limited = Command::new("prlimit").args(["--fsize=0", "--pid", &self.child.id().to_string()]).status();
        assert!(limited.unwrap().success());
    }

    fn run(mut command: Command, bench: &Bench, tenant_id: Uuid, appends_per_writer: Option<u64>) -> Self {
        let place = match bench.engine() {
            EngineConfig::Sqlite { directory } => directory.to_str().unwrap().to_owned(),
            EngineConfig::Postgres { url, .. } => url.expose_secret().to_owned(),
        };
        let mut child = command
            .args(["--exact", "appending_process::this_process_appends", "--nocapture"])
            .env(PLACE, place)
            .env(MASTER_KEY, bench.master_key_file())
            .env(TENANT, tenant_id.to_string())
            .env(APPENDS, appends_per_writer.unwrap_or(u64::MAX).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (said, words) = channel();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut line = String::new();
            // A line without its end was cut off by the kill and says nothing.
            while output.read_line(&mut line).is_ok() && line.ends_with('\n') {
                if let Some(word) = parse(&line) {
                    said.send(word).unwrap();
                }
                line.clear();
            }
        });
        Self { child, words }
    }

    /// The next thing that it says.
    pub fn next(&self) -> Word {
        self.words.recv_timeout(Duration::from_secs(30)).expect("the process says something")
    }

    /// What it says until it has said nothing for a second, or `enough` of it is heard.
    pub fn until(&self, enough: impl Fn(&Word) -> bool) -> Vec<Word> {
        let (mut words, until) = (Vec::new(), Instant::now() + Duration::from_mins(1));
        while let Ok(word) = self.words.recv_timeout(Duration::from_secs(1)) {
            assert!(Instant::now() < until, "the process goes on as if nothing was wrong");
            words.push(word);
            if enough(&word) {
                break;
            }
        }
        words
    }

    /// What it says within such a time.
    pub fn during(&self, time: Duration) -> Vec<Word> {
        std::thread::sleep(time);
        self.words.try_iter().collect()
    }

    /// Kills it and answers what it said since it was last asked.
    pub fn kill9(mut self) -> Vec<Word> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.words.iter().collect()
    }

    /// Waits for its end and answers what it said since it was last asked.
    pub fn finish(mut self) -> Vec<Word> {
        let words = self.words.iter().collect();
        assert!(self.child.wait().unwrap().success());
        words
    }
}

impl Drop for AppendingProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parse(line: &str) -> Option<Word> {
    // The test runner's own words may stand before it.
    let (_, word) = line.trim_end().rsplit_once('>')?;
    let (kind, rest) = word.split_once(' ')?;
    let (id, position) = rest.split_once(' ').unwrap_or((rest, "0"));
    let id = id.parse().ok()?;
    match kind {
        "acknowledged" => Some(Word::Acknowledged(id, position.parse().ok()?)),
        "refused" => Some(Word::Refused(id)),
        "unavailable" => Some(Word::Unavailable(id)),
        _ => None,
    }
}

/// Two streams, three events, a claim, a seat, and personal data of the tenant that all processes share.
async fn write(log: EventLog, tenant_id: Uuid, appends: u64) {
    for _ in 0..appends {
        let mut append = facts::of_tenant(tenant_id, &facts::stream(), 0, vec![facts::personal_event(); 2]);
        append.streams.push(facts::extend(tenant_id, &facts::stream(), 0, vec![facts::event()]));
        let id = append.command_id;
        append.claims = vec![claim(&id.to_string(), &id.to_string())];
        if appends < u64::MAX {
            append.limits = vec![seats("hall", 1, None)];
        }
        match log.append(append, Lane::Foreground).await {
            Ok(appended) => println!(">acknowledged {id} {}", appended.first),
            Err(AppendError::Violated(Violation::LimitExceeded { .. })) => println!(">refused {id}"),
            Err(AppendError::Unavailable { unknown: false, .. }) => println!(">unavailable {id}"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn this_process_appends() {
    let Ok(place) = std::env::var(PLACE) else { return appends_here().await };
    let engine = if place.starts_with("postgres") {
        EngineConfig::Postgres { url: place.into(), max_connections: 2 }
    } else {
        EngineConfig::Sqlite { directory: place.into() }
    };
    let variable = |name| std::env::var(name).unwrap();
    let master_key = MasterKey::load(variable(MASTER_KEY).as_ref()).unwrap();
    let config = LogConfig { outage_patience_ms: 100, ..LogConfig::new(engine, master_key, Clock::default()) };
    let log = EventLog::open(config).await.unwrap();
    let (tenant_id, appends) = (variable(TENANT).parse().unwrap(), variable(APPENDS).parse().unwrap());
    append_together(&log, tenant_id, appends).await;
    log.shutdown().await;
}

/// Started by nobody, it is an ordinary test of what it would do.
async fn appends_here() {
    let directory = tempfile::tempdir().unwrap();
    let engine = EngineConfig::Sqlite { directory: directory.path().to_owned() };
    EventLog::migrate(&engine).await.unwrap();
    let log = EventLog::open(LogConfig::new(engine, MasterKey::generate(), Clock::default())).await.unwrap();
    let tenant_id = Uuid::now_v7();
    let mut first = facts::of_tenant(tenant_id, &facts::stream(), 0, vec![facts::event()]);
    first.limits = vec![seats("hall", 0, Some(10))];
    log.append(first, Lane::Foreground).await.unwrap();
    append_together(&log, tenant_id, 2).await;
    assert_eq!(log.head().await.unwrap().get(), 1 + 10 * 3, "ten of sixteen got a seat, three events for each");
    log.shutdown().await;
}

async fn append_together(log: &EventLog, tenant_id: Uuid, appends: u64) {
    let writers: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(write(log.clone(), tenant_id, appends))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
}
