//! One process serves a SQLite directory, through one connection that writes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tenure_event_log::{AppendError, EventLog, Lane, OpenError, Position};
use uuid::Uuid;

use crate::appending_process::AppendingProcess;
use crate::bench::{Bench, append, everything};
use crate::facts;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_in_use_is_refused() {
    let bench = Bench::sqlite().await;
    let log = bench.log().await;
    let second = EventLog::open(bench.config()).await.unwrap_err();
    let OpenError::Locked { directory } = &second else { panic!("{second}") };
    assert_eq!(directory, bench.directory());
    assert!(second.to_string().contains("in use by another process"), "{second}");
    assert!(matches!(EventLog::migrate(&bench.engine()).await, Err(OpenError::Locked { .. })));
    append(&log, facts::anything()).await;
    log.shutdown().await;
    assert!(!bench.directory().join("log.db-wal").exists(), "after an orderly end the file is whole");
    append(&bench.log().await, facts::anything()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_in_use_by_another_process_is_refused_until_it_dies() {
    let bench = Bench::sqlite().await;
    let process = AppendingProcess::start(&bench, Uuid::now_v7(), None);
    process.next();
    assert!(matches!(EventLog::open(bench.config()).await, Err(OpenError::Locked { .. })));
    process.kill9();
    append(&bench.log().await, facts::anything()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_dropped_leaves_its_directory_free() {
    let bench = Bench::sqlite().await;
    let log = bench.log().await;
    append(&log, facts::anything()).await;
    drop(log);
    for _ in 0..100 {
        match EventLog::open(bench.config()).await {
            Err(OpenError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            opened => return drop(opened.unwrap()),
        }
    }
    panic!("the directory stays locked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_looks_on_beside_the_service_and_without_it() {
    let bench = Bench::sqlite().await;
    let log = bench.log().await;
    append(&log, facts::anything()).await;
    let reader = EventLog::open_read_only(bench.config()).await.unwrap();
    append(&log, facts::anything()).await;
    assert_eq!(everything(&reader).await.len(), 2);
    let refused = reader.append(facts::anything(), Lane::Foreground).await;
    assert!(matches!(refused, Err(AppendError::Unavailable { unknown: false, .. })), "{refused:?}");
    log.shutdown().await;
    assert_eq!(everything(&reader).await.len(), 2, "also after the service has stopped");
    reader.shutdown().await;

    let reader = EventLog::open_read_only(bench.config()).await.unwrap();
    assert_eq!(everything(&reader).await.len(), 2);
    // Whoever only reads is in nobody's way.
    append(&bench.log().await, facts::anything()).await;
    assert_eq!(reader.head().await.unwrap(), Position::new(3));
}

/// SQLite 3.46 can corrupt a WAL that two connections write or checkpoint. A connection whose descriptor of the file is
/// read-only can do neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_one_connection_can_write_or_checkpoint() {
    let bench = Bench::sqlite().await;
    let log = bench.log().await;
    let reader = EventLog::open_read_only(bench.config()).await.unwrap();
    let mut feed = reader.feed(Position::START);
    for _ in 0..20 {
        append(&log, facts::of_tenant(Uuid::now_v7(), &facts::stream(), 0, vec![facts::personal_event()])).await;
        feed.next(5).await.unwrap();
        let (writing, reading) = descriptors(&bench.directory().join("log.db"));
        assert_eq!(writing, 1);
        assert!(reading >= 2, "the readers of both are there to be counted: {reading}");
    }
}

/// How many descriptors of the file this process has open for writing, and for reading only.
pub fn descriptors(file: &Path) -> (usize, usize) {
    let file = file.canonicalize().unwrap();
    let (mut writing, mut reading) = (0, 0);
    for descriptor in fs::read_dir("/proc/self/fd").unwrap().map(Result::unwrap) {
        // Other tests of this process open and close theirs meanwhile.
        if fs::read_link(descriptor.path()).is_ok_and(|target| target == file) {
            let info = fs::read_to_string(Path::new("/proc/self/fdinfo").join(descriptor.file_name())).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
            match u32::from_str_radix(flags, 8).unwrap() & 0b11 {
                0 => reading += 1,
                _ => writing += 1,
            }
        }
    }
    (writing, reading)
}

#[test]
fn sqlite_is_built_as_its_connections_need_it() {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    let mut statement = connection.prepare("PRAGMA compile_options").unwrap();
    let options: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let advice = "LIBSQLITE3_FLAGS of .cargo/config.toml did not reach the build (docs/adr/0017)";
    assert!(!options.iter().any(|option| option == "ENABLE_MEMORY_MANAGEMENT"), "{advice}: {options:?}");
    assert!(options.iter().any(|option| option == "DEFAULT_MEMSTATUS=0"), "{advice}: {options:?}");
}
