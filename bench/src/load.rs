//! Drives clients against a service and measures what they see.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::LocalSet;
use uuid::Uuid;

use crate::cpu::{self, Processes};
use crate::http::Connection;
use crate::work::{Client, Counters, Outcome, Tokens, Work};

/// One run.
pub struct Load {
    /// Where the service listens.
    pub address: SocketAddr,
    /// Concurrent clients, each with a connection of its own, each waiting for its answer before it asks again.
    pub clients: usize,
    /// What they do.
    pub work: Work,
    /// With which tokens.
    pub tokens: Tokens,
    /// Numbers to draw from.
    pub counters: Counters,
    /// Before measuring begins.
    pub warm_up: Duration,
    /// For how long is measured.
    pub measured: Duration,
    /// Ends the run earlier: after so many tenants.
    pub tenants: Option<usize>,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Answers per second that did what was asked.
    pub per_second: f64,
    /// Median time to an answer, in microseconds.
    pub p50_us: u64,
    /// 99th percentile, in microseconds.
    pub p99_us: u64,
    /// 409s per second.
    pub refused_per_second: f64,
    /// Answers that nobody expected, by status; 0 is a broken connection.
    pub failures: Vec<u16>,
    /// CPU time per answer, in microseconds: service, database server, load generator.
    pub cpu_us: [f64; 3],
    /// Resident memory of the service at the end, in bytes.
    pub memory: u64,
    /// Every tenant whose provisioning was acknowledged, warm-up included.
    pub acknowledged: Vec<Uuid>,
    /// All other answers that did what was asked, warm-up included.
    pub done: u64,
}

struct Tally {
    latencies: Histogram<u64>,
    counted: u64,
    refused: u64,
    failures: Vec<u16>,
    acknowledged: Vec<Uuid>,
    done: u64,
}

impl Load {
    /// Runs it, on one thread.
    ///
    /// # Errors
    /// The service can't be reached.
    pub fn run(&self, processes: &Processes) -> anyhow::Result<Measured> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, self.drive(processes))
    }

    async fn drive(&self, processes: &Processes) -> anyhow::Result<Measured> {
        let tally = Rc::new(RefCell::new(Tally {
            latencies: Histogram::new_with_max(60_000_000, 3)?,
            counted: 0,
            refused: 0,
            failures: Vec::new(),
            acknowledged: Vec::new(),
            done: 0,
        }));
        let warm_at = Instant::now() + self.warm_up;
        let end = warm_at + self.measured;
        let mut clients = Vec::new();
        for place in 0..self.clients {
            let connection = Connection::open(self.address).await?;
            let client =
                Client::new(self.work.clone(), self.tokens.clone(), self.counters.clone(), (place, self.clients));
            clients.push(tokio::task::spawn_local(drive_client(
                client,
                connection,
                Rc::clone(&tally),
                (warm_at, end),
                self.tenants,
            )));
        }
        tokio::time::sleep_until(warm_at.into()).await;
        let before = processes.cpu();
        let began = Instant::now();
        let reached = async {
            while self.tenants.is_none_or(|wanted| tally.borrow().acknowledged.len() < wanted) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(end.into()) => {}
            () = reached => {}
        }
        let elapsed = began.elapsed().as_secs_f64();
        let after = processes.cpu();
        let (done, refused) = (tally.borrow().counted, tally.borrow().refused);
        for client in clients {
            client.await?;
        }
        let tally = tally.borrow();
        #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^52")]
        let (done, refused) = (done as f64, refused as f64);
        let spent = cpu::spent(before, after);
        Ok(Measured {
            per_second: done / elapsed,
            p50_us: tally.latencies.value_at_quantile(0.5),
            p99_us: tally.latencies.value_at_quantile(0.99),
            refused_per_second: refused / elapsed,
            failures: tally.failures.clone(),
            cpu_us: spent.map(|seconds| seconds * 1e6 / (done + refused).max(1.0)),
            memory: processes.memory(),
            acknowledged: tally.acknowledged.clone(),
            done: tally.done,
        })
    }
}

async fn drive_client(
    mut client: Client,
    mut connection: Connection,
    tally: Rc<RefCell<Tally>>,
    (warm_at, end): (Instant, Instant),
    tenants: Option<usize>,
) {
    loop {
        let sent = Instant::now();
        if sent >= end || tenants.is_some_and(|wanted| tally.borrow().acknowledged.len() >= wanted) {
            return;
        }
        let answer = connection.send(client.next()).await;
        let answered = Instant::now();
        let outcome = answer.map_or(Outcome::Failed(0), |answer| client.answered(&answer));
        let mut tally = tally.borrow_mut();
        let counts = sent >= warm_at && answered <= end;
        match outcome {
            Outcome::Provisioned(tenant) => tally.acknowledged.push(tenant),
            Outcome::Done => tally.done += 1,
            Outcome::Refused => {
                tally.refused += u64::from(counts);
                continue;
            }
            Outcome::Failed(status) => {
                tally.failures.push(status);
                if status == 0 {
                    return;
                }
                continue;
            }
        }
        if counts {
            tally.counted += 1;
            let micros = u64::try_from((answered - sent).as_micros()).unwrap_or(u64::MAX);
            tally.latencies.saturating_record(micros);
        }
    }
}
