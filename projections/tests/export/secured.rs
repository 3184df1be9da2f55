//! Brokers as production has them: TLS, and a name with a password.

use std::time::Instant;

use tenure_projections::export::{Export, ExportSettings, ExportState, Security};
use tenure_test_engines::{KafkaBroker, shared_kafka};

use super::comparison::assert_exported;
use super::{caught_up, says, settings};
use crate::deployment::Deployment;
use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_reach_brokers_that_ask_for_tls_and_a_password_and_a_refusal_can_be_read() {
    if shared_kafka().is_none() {
        return;
    }
    let broker = KafkaBroker::start_secured("billing", "correct").await;
    let deployment = Deployment::sqlite().await;
    let (log, views) = deployment.open().await;
    let mut world = World::new(&log).await;
    let security = |mechanism: &str, password: &str| Security {
        protocol: Some("sasl_ssl".to_owned()),
        mechanism: Some(mechanism.to_owned()),
        username: Some("billing".to_owned()),
        password: Some(password.to_owned().into()),
        ca: Some(broker.certificate()),
    };
    for mechanism in ["SCRAM-SHA-512", "PLAIN"] {
        world.provision().await;
        let settings =
            ExportSettings { security: security(mechanism, "correct"), ..settings(&broker.secured_bootstrap()) };
        let export = Export::start(settings.clone(), &views);
        caught_up(&export, &world).await;
        assert_exported(&views, &settings, &broker.bootstrap()).await;
        export.shutdown().await;

        let wrong = ExportSettings { security: security(mechanism, "wr0ng"), ..settings };
        let export = Export::start(wrong, &views);
        let reason = says(&export, ExportState::Connecting, "uthentication").await;
        assert!(!reason.contains("wr0ng") && !reason.contains('\n'), "{reason}");
        println!("{mechanism}: {reason}");
        let began = Instant::now();
        export.shutdown().await;
        assert!(began.elapsed().as_secs_f64() < 3.5, "{:?}", began.elapsed());
    }
    let unknown = Security { ca: None, ..security("PLAIN", "correct") };
    let export = Export::start(ExportSettings { security: unknown, ..settings(&broker.secured_bootstrap()) }, &views);
    let reason = says(&export, ExportState::Connecting, "certificate").await;
    println!("without the authority: {reason}");
    export.shutdown().await;
}
