//! The brokers that other tests build on: they keep what was written, die, freeze and are cut off as told. Written and read
//! by kcat, which shares no code with the service.

use std::process::Stdio;
use std::time::Duration;

use tenure_test_engines::{KafkaBroker, shared_kafka};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// These tests mention topics to make them.
const MAKES_TOPICS: &[(&str, &str)] = &[("auto.create.topics.enable", "true")];
const USER: &str = "sasl.username=billing";

#[tokio::test]
async fn what_was_written_before_a_kill_is_there_after_the_restart() {
    if shared_kafka().is_none() {
        return;
    }
    let mut broker = KafkaBroker::start_with(MAKES_TOPICS).await;
    let address = broker.bootstrap();
    write(&address, &[], "invoices", "one\ntwo\n").await.unwrap();
    broker.kill().await;
    assert!(write(&address, &["message.timeout.ms=300"], "invoices", "lost\n").await.is_err(), "nobody is there");
    broker.restart().await;
    assert_eq!(broker.bootstrap(), address);
    write(&address, &[], "invoices", "three\n").await.unwrap();
    assert_eq!(read(&address, &[], "invoices").await.unwrap(), "one\ntwo\nthree\n");
}

#[tokio::test]
async fn a_frozen_broker_answers_nothing_until_it_is_thawed() {
    if shared_kafka().is_none() {
        return;
    }
    let broker = KafkaBroker::start_with(MAKES_TOPICS).await;
    write(&broker.bootstrap(), &[], "invoices", "one\n").await.unwrap();
    broker.freeze();
    assert!(write(&broker.bootstrap(), &["message.timeout.ms=500"], "invoices", "lost\n").await.is_err());
    broker.thaw();
    write(&broker.bootstrap(), &[], "invoices", "two\n").await.unwrap();
    assert_eq!(read(&broker.bootstrap(), &[], "invoices").await.unwrap(), "one\ntwo\n");
}

#[tokio::test]
async fn behind_a_proxy_that_goes_down_the_broker_is_reached_only_directly() {
    if shared_kafka().is_none() {
        return;
    }
    let (broker, proxy) = KafkaBroker::start_behind_proxy(MAKES_TOPICS).await;
    write(proxy.url(), &[], "invoices", "one\n").await.unwrap();
    proxy.go_down();
    assert!(write(proxy.url(), &["message.timeout.ms=300"], "invoices", "lost\n").await.is_err());
    write(&broker.bootstrap(), &[], "invoices", "two\n").await.unwrap();
    proxy.come_back();
    assert_eq!(read(proxy.url(), &[], "invoices").await.unwrap(), "one\ntwo\n");
}

#[tokio::test]
async fn a_secured_broker_knows_its_user_by_both_mechanisms_and_no_other() {
    if shared_kafka().is_none() {
        return;
    }
    let broker = KafkaBroker::start_secured("billing", "correct").await;
    let certificate = format!("ssl.ca.location={}", broker.certificate().display());
    let options = |password| ["security.protocol=SASL_SSL", &certificate, "sasl.mechanism=PLAIN", USER, password];
    let seen = kcat(&broker.secured_bootstrap(), &options("sasl.password=correct"), &["-L"], "").await.unwrap();
    assert!(seen.contains(&broker.secured_bootstrap()), "{seen}");
    let refused = kcat(&broker.secured_bootstrap(), &options("sasl.password=wrong"), &["-L", "-m", "2"], "").await;
    assert!(refused.unwrap_err().to_lowercase().contains("authentication"));

    assert!(scram(&broker, "correct").await.unwrap().contains("SCRAM-SHA-512"));
    assert!(scram(&broker, "wrong").await.unwrap_err().contains("failed authentication"));
}

#[tokio::test]
async fn the_shared_broker_makes_no_topic_by_mention() {
    let Some(address) = shared_kafka() else { return };
    assert!(write(&address, &["message.timeout.ms=2000"], "never-made", "lost\n").await.is_err());
}

/// Asks the secured listener for its users, by SCRAM. Kafka's own client does: Debian's kcat has a librdkafka (below 2.6.1)
/// whose SCRAM Kafka 4 refuses.
async fn scram(broker: &KafkaBroker, password: &str) -> Result<String, String> {
    let login = format!(
        "security.protocol=SASL_SSL\nssl.truststore.type=PEM\nssl.truststore.location={}\nsasl.mechanism=SCRAM-SHA-512\n\
         sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
         username=\"billing\" password=\"{password}\";\n",
        broker.certificate().display()
    );
    let file = broker.certificate().with_file_name("client.properties");
    std::fs::write(&file, login).expect("writing a file");
    let mut java = Command::new(std::env::var_os("KAFKA_JAVA").expect("Java"));
    java.arg("-Xmx128m")
        .arg("-cp")
        .arg(std::env::var_os("KAFKA_CLASSPATH").expect("Kafka"))
        .arg("kafka.admin.ConfigCommand");
    java.args(["--bootstrap-server", &broker.secured_bootstrap(), "--describe", "--entity-type", "users"]);
    let ended = java.arg("--command-config").arg(file).output().await.expect("running Java");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    if ended.status.success() { Ok(String::from_utf8_lossy(&ended.stdout).into_owned()) } else { Err(said) }
}

/// Writes lines as records, each acknowledged.
async fn write(address: &str, options: &[&str], topic: &str, lines: &str) -> Result<String, String> {
    kcat(address, options, &["-P", "-t", topic], lines).await
}

/// Reads everything that is there.
async fn read(address: &str, options: &[&str], topic: &str) -> Result<String, String> {
    kcat(address, options, &["-C", "-q", "-e", "-o", "beginning", "-t", topic], "").await
}

async fn kcat(address: &str, options: &[&str], arguments: &[&str], input: &str) -> Result<String, String> {
    let mut command = Command::new("kcat");
    command.args(["-b", address]).args(options.iter().flat_map(|option| ["-X", option])).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut kcat = command.spawn().expect("kcat is not installed: run `make test`, which sees to that");
    let mut stdin = kcat.stdin.take().expect("its input");
    // One that has given up already reads no input.
    drop(stdin.write_all(input.as_bytes()).await);
    drop(stdin);
    let ended = tokio::time::timeout(Duration::from_mins(1), kcat.wait_with_output()).await;
    let ended = ended.expect("kcat takes more than a minute").expect("its output");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    if ended.status.success() { Ok(String::from_utf8_lossy(&ended.stdout).into_owned()) } else { Err(said) }
}
