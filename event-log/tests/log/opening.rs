//! What a log refuses to be opened with.

use tenure_event_log::{EventLog, LogConfig, MasterKey, OpenError};

use crate::bench::{Bench, append, everything};
use crate::facts;

on_both_engines! {
    async fn a_log_sealed_with_another_master_key_is_refused(bench: &Bench) {
        let log = bench.log().await;
        append(&log, facts::anything()).await;
        log.shutdown().await;
        let other = LogConfig { master_key: MasterKey::generate(), ..bench.config() };
        for opened in [EventLog::open(other.clone()).await, EventLog::open_read_only(other.clone()).await] {
            let Err(OpenError::OtherMasterKey { theirs, ours }) = opened else { panic!("{opened:?}") };
            assert_eq!(theirs, bench.master_key.fingerprint());
            assert_eq!(ours, other.master_key.fingerprint());
        }
        assert_eq!(everything(&bench.log().await).await.len(), 1);
    }

    async fn a_log_of_a_newer_release_is_refused(bench: &Bench) {
        bench.migrate_beyond().await;
        for opened in [EventLog::open(bench.config()).await, EventLog::open_read_only(bench.config()).await] {
            assert!(matches!(opened, Err(OpenError::SchemaNewer { found: 99, .. })), "{opened:?}");
        }
    }

    async fn migrating_again_changes_nothing(bench: &Bench) {
        let log = bench.log().await;
        let appended = append(&log, facts::anything()).await;
        log.shutdown().await;
        EventLog::migrate(&bench.engine()).await.unwrap();
        assert_eq!(bench.log().await.head().await.unwrap(), appended.last);
    }
}

mod a_log_that_was_never_migrated_is_refused {
    use secrecy::SecretString;
    use tenure_event_log::{Clock, EngineConfig};
    use tenure_test_engines::TestDatabase;

    use super::*;

    async fn is_refused(engine: EngineConfig) {
        let config = LogConfig::new(engine, MasterKey::generate(), Clock::default());
        for opened in [EventLog::open(config.clone()).await, EventLog::open_read_only(config).await] {
            assert!(matches!(opened, Err(OpenError::SchemaMissing)), "{opened:?}");
        }
    }

    #[tokio::test]
    async fn sqlite() {
        let directory = tempfile::tempdir().unwrap();
        is_refused(EngineConfig::Sqlite { directory: directory.path().to_path_buf() }).await;
        assert_eq!(directory.path().read_dir().unwrap().count(), 0, "nothing is made by looking");
    }

    #[tokio::test]
    async fn postgres() {
        let database = TestDatabase::create().await;
        is_refused(EngineConfig::Postgres { url: SecretString::from(database.url()), max_connections: 2 }).await;
    }
}
