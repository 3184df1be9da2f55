//! A backup of a SQLite log is taken beside the writer, in nobody's way, and only of a log that is whole.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use tenure_event_log::{BackupError, EventLog, LogConfig, OpenError, Position};

use crate::bench::{Bench, append, everything};
use crate::facts;
use crate::sqlite_directory::descriptors;

/// A second connection that writes or checkpoints could corrupt the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_neither_writes_nor_checkpoints_nor_waits_for_the_writer() {
    let bench = Bench::sqlite().await;
    let log = bench.log().await;
    let into = tempfile::tempdir().unwrap();
    append(&log, facts::anything()).await;
    let files = || ["log.db", "log.db-wal"].map(|file| fs::read(bench.directory().join(file)).unwrap());
    let before = files();
    let backup = EventLog::back_up(&bench.engine(), &into.path().join("idle"), Some(&bench.master_key)).await.unwrap();
    assert_eq!(backup.head, Position::new(1));
    assert!(files() == before, "the log and its WAL are as they were");

    let done = AtomicBool::new(false);
    let backups = async {
        for number in 0..10 {
            let into = into.path().join(number.to_string());
            EventLog::back_up(&bench.engine(), &into, None).await.unwrap();
        }
        done.store(true, Ordering::Relaxed);
    };
    let appends = async {
        while !done.load(Ordering::Relaxed) {
            append(&log, facts::anything()).await;
            assert_eq!(descriptors(&bench.directory().join("log.db")).0, 1);
        }
    };
    tokio::join!(backups, appends);

    let restored = tenure_event_log::EngineConfig::Sqlite { directory: into.path().join("9") };
    let restored = EventLog::open(LogConfig { engine: restored, ..bench.config() }).await.unwrap();
    let events = everything(&restored).await;
    assert_eq!(events[..], everything(&log).await[..events.len()], "the copy is the log's beginning");
    append(&restored, facts::anything()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_not_whole_is_no_backup() {
    let bench = Bench::sqlite().await;
    let log = bench.log().await;
    for _ in 0..3 {
        append(&log, facts::anything()).await;
    }
    log.shutdown().await;
    let file = rusqlite::Connection::open(bench.directory().join("log.db")).unwrap();
    file.execute("DELETE FROM events WHERE position = 2", []).unwrap();
    drop(file);

    let into = tempfile::tempdir().unwrap();
    let refused = EventLog::back_up(&bench.engine(), into.path(), None).await.unwrap_err();
    let BackupError::Damaged { reason } = &refused else { panic!("{refused:?}") };
    assert_eq!(reason, "2 events up to position 3, but the head is at 3");
    assert_eq!(fs::read_dir(into.path()).unwrap().count(), 0, "nothing is left of it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_without_a_log_is_no_backup() {
    let empty = tempfile::tempdir().unwrap();
    let engine = tenure_event_log::EngineConfig::Sqlite { directory: empty.path().to_path_buf() };
    let refused = EventLog::back_up(&engine, &empty.path().join("backup"), None).await;
    assert!(matches!(refused, Err(BackupError::Log(OpenError::SchemaMissing))), "{refused:?}");
    assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0);
}
