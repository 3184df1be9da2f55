//! Reads Tenure's billing events from Kafka and prints a line for each: a billing exporter without a bill.
//!
//!     cargo run -p billing-consumer -- --brokers 127.0.0.1:7103 --ledger billing.ledger
//!
//! The README beside it says what every consumer has to do, in whatever language.

mod event;
mod ledger;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use event::BillingEvent;
use ledger::Ledger;

/// Events that are processed between two commits of offsets, at most.
const BATCH: usize = 500;
const WAIT: Duration = Duration::from_millis(200);

/// Prints Tenure's billing events: type, tenant, position in the log, time.
#[derive(Parser)]
struct Options {
    /// Brokers to begin with, `host:port`, several with commas between
    #[arg(long, default_value = "127.0.0.1:7103")]
    brokers: String,
    /// Where the events are
    #[arg(long, default_value = "tenure.billing.v1")]
    topic: String,
    /// Consumers of one group share the work, and its progress
    #[arg(long, default_value = "billing-consumer")]
    group: String,
    /// A file with what is processed, read at the start: with it no event is processed twice, whatever crashes
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// Ends after so many seconds without an event
    #[arg(long, value_name = "SECONDS")]
    until_idle: Option<u64>,
    /// Any property of librdkafka, for example `security.protocol=SASL_SSL`
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = property)]
    properties: Vec<(String, String)>,
}

fn property(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut ledger = Ledger::open(options.ledger.as_deref()).context("opening the ledger")?;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &options.brokers).set("group.id", &options.group);
    // What an aborted transaction wrote never was; a new group begins with the first event there is.
    config.set("isolation.level", "read_committed").set("auto.offset.reset", "earliest");
    // An offset is committed when its event is processed, never before.
    config.set("enable.auto.commit", "false");
    // What stands before a broker that starts (a published port, a proxy) accepts and hangs up: ask once a second.
    config.set("reconnect.backoff.ms", "1000");
    config.extend(options.properties);
    let consumer: BaseConsumer = config.create().context("librdkafka refuses the settings")?;
    consumer.subscribe(&[&options.topic])?;

    let idle_limit = options.until_idle.map(Duration::from_secs);
    let mut last_event = None;
    let mut uncommitted = 0;
    loop {
        let message = match consumer.poll(if uncommitted == 0 { WAIT } else { Duration::ZERO }) {
            Some(Ok(message)) => Some(message),
            // librdkafka tries again by itself, except after these.
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error.into()),
            Some(Err(error)) => {
                eprintln!("{error}");
                None
            }
            None => None,
        };
        if let Some(message) = &message {
            let event = BillingEvent::read(message)?;
            if ledger.enter(&event).context("writing the ledger")? {
                println!("{} {} {} {}", event.kind, event.tenant, event.position, event.time);
            }
            uncommitted += 1;
            last_event = Some(Instant::now());
        }
        if uncommitted == BATCH || (message.is_none() && uncommitted > 0) {
            ledger.sync().context("writing the ledger")?;
            commit(&consumer);
            uncommitted = 0;
        }
        // The wait begins when the group has given us something to wait for.
        if last_event.is_none() && consumer.assignment()?.count() > 0 {
            last_event = Some(Instant::now());
        }
        if uncommitted == 0 && idle_limit.zip(last_event).is_some_and(|(limit, since)| since.elapsed() >= limit) {
            return Ok(());
        }
    }
}

/// Says that everything up to here is processed. What could not be said is delivered again, and the ledger knows it.
fn commit(consumer: &BaseConsumer) {
    match consumer.commit_consumer_state(CommitMode::Sync) {
        Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
        Err(error) => eprintln!("{error}; these events will come again"),
    }
}
