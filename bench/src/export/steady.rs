//! A steady rate of commands over HTTP, and a consumer that notes when it sees each event.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use chrono::{DateTime, Utc};
use hdrhistogram::Histogram;
use rdkafka::Offset;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use tenure_projections::export::ExportSettings;
use tokio::task::LocalSet;
use uuid::Uuid;

use super::topic;
use crate::http::Connection;
use crate::service::Service;
use crate::work::{Client, Counters, Outcome, Tokens, Work};

const CLIENTS: u32 = 50;
/// Customers that are switched: the warm-up has met each of them, so that none is loaded for the first time later.
const SWITCHED: usize = 1_000;
const WARM_UP: Duration = Duration::from_secs(5);
/// How long the last events may take.
const TAIL: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(5);

/// What came of it.
pub struct Seen {
    /// Commands that were carried out, per second.
    pub per_second: f64,
    /// Events of the measured time that the consumer saw.
    pub events: u64,
    /// From a command's own time stamp, which is earlier than its commit, until the consumer has the event; in microseconds.
    pub visible_us: [u64; 3],
}

/// Runs it: half of the clients' commands suspend, half reinstate.
///
/// # Errors
/// A command is refused, or events do not come.
pub fn run(
    service: &Service,
    settings: &ExportSettings,
    mut tenants: Vec<Uuid>,
    rate: u32,
    seconds: u64,
) -> anyhow::Result<Seen> {
    tenants.truncate(SWITCHED);
    let stop = Arc::new(AtomicBool::new(false));
    let consumer = topic::consumer(settings, &settings.topic, Offset::End)?;
    let warm_at = Utc::now() + WARM_UP;
    let end = warm_at + Duration::from_secs(seconds);
    let watching = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || watch(&consumer, (warm_at, end), &stop))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let driven =
        LocalSet::new().block_on(&runtime, drive(service, tenants, rate, WARM_UP + Duration::from_secs(seconds)));
    std::thread::sleep(TAIL);
    stop.store(true, Ordering::Relaxed);
    let latencies = watching.join().map_err(|_| anyhow::anyhow!("the consumer panicked"))??;
    let done = driven?;
    let measured = u32::try_from(seconds)?;
    let expected = u64::from(rate) * seconds;
    ensure!(latencies.len() >= expected * 9 / 10, "of about {expected} events {} were seen", latencies.len());
    Ok(Seen {
        per_second: f64::from(done) / (f64::from(measured) + WARM_UP.as_secs_f64()),
        events: latencies.len(),
        visible_us: [0.5, 0.99, 1.0].map(|quantile| latencies.value_at_quantile(quantile)),
    })
}

fn watch(
    consumer: &rdkafka::consumer::BaseConsumer,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    stop: &AtomicBool,
) -> anyhow::Result<Histogram<u64>> {
    let mut latencies = Histogram::new_with_max(60_000_000, 3)?;
    while !stop.load(Ordering::Relaxed) {
        match consumer.poll(POLL) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Ok(message)) => {
                let (now, at) = (Utc::now(), time(&message)?);
                if (from..to).contains(&at) {
                    let late = (now - at).num_microseconds().unwrap_or(i64::MAX);
                    latencies.saturating_record(u64::try_from(late).unwrap_or_default());
                }
            }
            Some(Err(error)) => return Err(error.into()),
        }
    }
    Ok(latencies)
}

fn time(message: &BorrowedMessage<'_>) -> anyhow::Result<DateTime<Utc>> {
    let headers = message.headers().context("no headers")?;
    let time = headers.iter().find(|header| header.key == "ce_time").and_then(|header| header.value);
    Ok(std::str::from_utf8(time.context("no time")?)?.parse()?)
}

/// Each client sends at its own points of time; one that is late sends at once. How many commands were carried out.
async fn drive(service: &Service, tenants: Vec<Uuid>, rate: u32, time: Duration) -> anyhow::Result<u32> {
    let token: Rc<str> = service.token("bench")?.into();
    let (work, began) = (Work::Switch(Rc::new(tenants)), Instant::now());
    let mut clients = Vec::new();
    for place in 0..CLIENTS {
        let mut connection = Connection::open(service.address).await?;
        let place_of = (usize::try_from(place)?, usize::try_from(CLIENTS)?);
        let mut client = Client::new(work.clone(), Tokens::Same(Rc::clone(&token)), Counters::default(), place_of);
        clients.push(tokio::task::spawn_local(async move {
            let mut done = 0;
            loop {
                let due = began + Duration::from_secs(1) * (place + done * CLIENTS) / rate;
                if due >= began + time {
                    return anyhow::Ok(done);
                }
                tokio::time::sleep_until(due.into()).await;
                let answer = connection.send(client.next()).await?;
                ensure!(client.answered(&answer) == Outcome::Done, "a command was answered {}", answer.status);
                done += 1;
            }
        }));
    }
    let mut all = 0;
    for client in clients {
        all += client.await??;
    }
    Ok(all)
}
