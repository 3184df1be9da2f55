//! Both example consumers against a real broker: what was aborted they never see, what comes twice they process once, and
//! what they have committed does not come again.

mod consumer;
mod topic;

use consumer::{Consumer, Language};
use tenure_test_engines::{KafkaBroker, shared_kafka};
use topic::{Event, Topic};

#[tokio::test]
async fn in_rust() {
    sees_each_committed_event_once_and_in_order(Language::Rust).await;
}

#[tokio::test]
async fn in_python() {
    sees_each_committed_event_once_and_in_order(Language::Python).await;
}

async fn sees_each_committed_event_once_and_in_order(language: Language) {
    let Some(brokers) = shared_kafka() else { return };
    let topic = Topic::create(&brokers).await;
    let provisioned = Event::new("tenant.provisioned", "acme", 7);
    let suspended = Event::new("tenant.suspended", "acme", 9);
    let other = Event::new("tenant.provisioned", "globex", 8);
    topic.commit(&[&provisioned, &other]);
    topic.abort(&[&Event::new("tenant.deleted", "acme", 9)]);
    topic.commit(&[&suspended, &provisioned]);

    let directory = tempfile::tempdir().expect("a directory");
    let ledger = directory.path().join("ledger");
    let forgetful = Consumer::new(language, &brokers, &topic.name);
    let consumer = forgetful.with("--ledger", &ledger.display().to_string());
    let printed = consumer.run().await;
    assert_eq!(of_tenant(&printed, "acme"), [provisioned.line(), suspended.line()]);
    assert_eq!(of_tenant(&printed, "globex"), [other.line()]);
    assert_eq!(printed.lines().count(), 3, "{printed}");

    let reinstated = Event::new("tenant.reinstated", "acme", 12);
    topic.commit(&[&reinstated]);
    assert_eq!(forgetful.run().await, reinstated.line() + "\n", "the group goes on where it was");

    let from_the_start = consumer.with("--group", "another");
    assert_eq!(from_the_start.run().await, reinstated.line() + "\n", "the ledger knows the others");
    assert_eq!(consumer.with("--group", "third").run().await, "", "the ledger knows every event");
    let file = std::fs::File::options().write(true).open(&ledger).expect("the ledger");
    file.set_len(file.metadata().expect("its length").len() - 5).expect("cutting it off");
    let after_a_crash = consumer.with("--group", "fourth").run().await;
    assert_eq!(after_a_crash, reinstated.line() + "\n", "an entry cut off by a crash was none");
}

#[tokio::test]
async fn a_record_that_is_no_billing_event_stops_both() {
    let Some(brokers) = shared_kafka() else { return };
    for language in [Language::Rust, Language::Python] {
        let topic = Topic::create(&brokers).await;
        let good = Event::new("tenant.provisioned", "acme", 1);
        topic.commit(&[&good, &Event { value: "", ..Event::new("tenant.suspended", "acme", 2) }]);
        let failed = Consumer::new(language, &brokers, &topic.name).complaint().await;
        assert!(failed.contains("is no billing event"), "{failed}");
    }
}

#[tokio::test]
async fn tls_and_a_password_are_properties() {
    if shared_kafka().is_none() {
        return;
    }
    let broker = KafkaBroker::start_secured("exporter", "correct").await;
    let topic = Topic::create(&broker.bootstrap()).await;
    let event = Event::new("tenant.provisioned", "acme", 1);
    topic.commit(&[&event]);
    let certificate = format!("ssl.ca.location={}", broker.certificate().display());
    for (language, mechanism) in
        [(Language::Rust, "SCRAM-SHA-512"), (Language::Python, "SCRAM-SHA-512"), (Language::Rust, "PLAIN")]
    {
        let consumer = Consumer::new(language, &broker.secured_bootstrap(), &topic.name)
            .with("--group", &format!("{language:?}-{mechanism}"))
            .with("--property", "security.protocol=SASL_SSL")
            .with("--property", &certificate)
            .with("--property", &format!("sasl.mechanism={mechanism}"))
            .with("--property", "sasl.username=exporter")
            .with("--property", "sasl.password=correct");
        assert_eq!(consumer.run().await, event.line() + "\n", "{language:?} by {mechanism}");
    }
}

fn of_tenant(printed: &str, tenant: &str) -> Vec<String> {
    printed.lines().filter(|line| line.split(' ').nth(1) == Some(tenant)).map(str::to_owned).collect()
}
