//! What is run, in which order.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tenure_event_log::Position;
use tenure_test_engines::TestDatabase;
use uuid::Uuid;

use crate::cpu::{self, Processes};
use crate::http::{Ask, Connection as HttpConnection};
use crate::load::{Load, Measured};
use crate::pgbench::{Pgbench, Script, Seen};
use crate::results::Results;
use crate::service::{Engine, Service, Stock};
use crate::work::{Counters, Tokens, Work};
use crate::{link, sqlite, verify};

const WARM_UP: Duration = Duration::from_secs(2);
const PROVISION: Work = Work::Provision { respond_async: false, repeats_percent: 0 };
const PROVISION_ASYNC: Work = Work::Provision { respond_async: true, repeats_percent: 0 };
const WITH_REPEATS: Work = Work::Provision { respond_async: false, repeats_percent: 5 };
/// Tenants that are there when a small directory is read.
const FEW: usize = 1_000;
/// Rows of a list page that is read.
const PAGE: usize = 100;

/// What is measured, and for how long.
pub struct Suite {
    /// The program.
    pub tenure: PathBuf,
    /// Where the embedded engine keeps its files.
    pub directory: PathBuf,
    /// How long each run is measured.
    pub measured: Duration,
    /// How long each run with and without an open snapshot is.
    pub snapshot: Duration,
    /// Tenants of the large runs.
    pub tenants: usize,
}

/// A service under test with its clients' tokens and numbers.
struct Bench {
    service: Service,
    processes: Processes,
    tokens: Tokens,
    counters: Counters,
    label: &'static str,
    measured: Duration,
}

impl Suite {
    /// Everything that is asked for.
    ///
    /// # Errors
    /// A program does not start, or an acknowledged command is missing.
    pub fn run(&self, results: &mut Results) -> anyhow::Result<()> {
        if results.wants_any(&["pgbench"]) {
            self.pgbench(results)?;
        }
        if results.wants_any(&["stock"]) {
            self.stock(results)?;
        }
        if results.wants_any(&["sqlite"]) {
            results.note("sqlite/single-row commits", self.single_rows()?);
        }
        for label in ["postgres", "sqlite"] {
            if results.wants_any(&[label]) {
                self.tenure(label, results).with_context(|| format!("on {label}"))?;
            }
            let large = format!("{label}/large");
            if self.tenants > 0 && results.wants_any(&[&large]) {
                self.large(label, results).with_context(|| format!("on {label}, filled"))?;
            }
        }
        Ok(())
    }

    fn pgbench(&self, results: &mut Results) -> anyhow::Result<()> {
        let database = database()?;
        let scratch = tempfile::tempdir_in(&self.directory)?;
        // Its tables are like Tenure's, so those come first.
        drop(Service::start(&self.tenure, &Engine::Postgres(database.url().to_owned()), &self.directory)?);
        let pgbench = block_on(Pgbench::prepare(database.url(), scratch.path()))?;
        let processes = Processes { service: None, database: Some(postmaster(database.url())?) };
        for (script, name) in [(Script::BareInsert, "insert"), (Script::Provisioning, "provisioning")] {
            for clients in [1, 8, 32, 64] {
                let name = format!("pgbench/{name}/{clients}");
                if results.wants(&name) {
                    let before = processes.cpu();
                    let Seen { per_second, p50_us, p99_us } = pgbench.run(script, clients, self.measured.as_secs())?;
                    let transactions = per_second * self.measured.as_secs_f64();
                    // Until the server has counted its processes that have just ended.
                    std::thread::sleep(Duration::from_millis(500));
                    let cpu_us = cpu::spent(before, processes.cpu()).map(|seconds| seconds * 1e6 / transactions);
                    results.add(&name, Measured { per_second, p50_us, p99_us, cpu_us, ..Measured::default() });
                }
            }
        }
        Ok(())
    }

    fn stock(&self, results: &mut Results) -> anyhow::Result<()> {
        let database = database()?;
        let stock = Stock::start(database.url())?;
        let processes = Processes { service: Some(stock.id()), database: Some(postmaster(database.url())?) };
        let tokens = Tokens::Same("none".into());
        let counters = Counters::default();
        for clients in [1, 64, 256] {
            let name = format!("stock/provision/{clients}");
            if results.wants(&name) {
                let load = Load {
                    address: stock.address,
                    clients,
                    work: PROVISION,
                    tokens: tokens.clone(),
                    counters: counters.clone(),
                    warm_up: WARM_UP,
                    measured: self.measured,
                    tenants: None,
                };
                results.add(&name, load.run(&processes)?);
            }
        }
        Ok(())
    }

    fn single_rows(&self) -> anyhow::Result<f64> {
        let scratch = tempfile::tempdir_in(&self.directory)?;
        sqlite::single_row_commits(scratch.path(), self.measured)
    }

    /// The runs on a log that begins empty.
    fn tenure(&self, label: &'static str, results: &mut Results) -> anyhow::Result<()> {
        let (database, engine) = engine(label)?;
        let mut bench = self.bench(label, &engine)?;
        std::thread::sleep(Duration::from_secs(1));
        results.note(&format!("{label}/idle memory, MB"), megabytes(bench.processes.memory()));
        results.note(&format!("{label}/first start, ms"), bench.service.started_in.as_secs_f64() * 1e3);
        let few = bench.fill(FEW)?;
        bench.reads("few", FEW, &few, results)?;
        for clients in [1, 8, 32, 64, 256] {
            bench.provision("provision", clients, &PROVISION, results)?;
        }
        for clients in [64, 256] {
            bench.provision("respond-async", clients, &PROVISION_ASYNC, results)?;
        }
        bench.provision("5% repeats", 256, &WITH_REPEATS, results)?;
        bench.cold_tokens(results)?;
        let one = few[0];
        bench.switch("switch many", &Work::Switch(Rc::new(few)), results)?;
        bench.switch("switch one", &Work::SwitchOne(one), results)?;
        // Before a snapshot, which keeps the WAL from being begun anew, and a rebuild, after which the replaced tables stay for
        // a while.
        if label == "sqlite" && results.wants("sqlite/disk") {
            let events = verify::head(&bench.service)?.get();
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            results.note("sqlite/disk per event, bytes", bench.service.disk()? as f64 / events as f64);
        }
        self.snapshot(&mut bench, database.as_ref().map(TestDatabase::url), results)?;
        bench.rebuild(results)
    }

    /// Another session holds a snapshot open meanwhile; on SQLite (without a `url`) that keeps the WAL from being reused.
    fn snapshot(&self, bench: &mut Bench, url: Option<&str>, results: &mut Results) -> anyhow::Result<()> {
        if !results.wants(&format!("{}/snapshot", bench.label)) {
            return Ok(());
        }
        let usual = std::mem::replace(&mut bench.measured, self.snapshot);
        bench.provision("snapshot/none", 256, &PROVISION, results)?;
        if let Some(url) = url {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let mut session = runtime.block_on(PgConnection::connect(url))?;
            let hold = "begin isolation level repeatable read; select position from log_head";
            runtime.block_on(sqlx::raw_sql(hold).execute(&mut session))?;
            bench.provision("snapshot/one", 256, &PROVISION, results)?;
            runtime.block_on(session.close())?;
        } else {
            let session = sqlite::open_snapshot(&bench.service.config.data_dir)?;
            bench.provision("snapshot/one", 256, &PROVISION, results)?;
            drop(session);
        }
        bench.measured = usual;
        Ok(())
    }

    /// The runs on a log that was filled first, and on a fresh one right after them.
    fn large(&self, label: &'static str, results: &mut Results) -> anyhow::Result<()> {
        let (_database, engine) = self::engine(label)?;
        let bench = self.bench(label, &engine)?;
        let began = Instant::now();
        let some = bench.fill(self.tenants)?;
        results.note(&format!("{label}/large/fill, s"), began.elapsed().as_secs_f64());
        bench.provision("large/provision", 256, &PROVISION, results)?;
        bench.reads("large", self.tenants, &some, results)?;
        results.note(&format!("{label}/large/memory, MB"), megabytes(bench.processes.memory()));
        drop(bench);
        let (_database, engine) = self::engine(label)?;
        self.bench(label, &engine)?.provision("large/empty again", 256, &PROVISION, results)
    }

    fn bench(&self, label: &'static str, engine: &Engine) -> anyhow::Result<Bench> {
        let service = Service::start(&self.tenure, engine, &self.directory)?;
        let database = match engine {
            Engine::Postgres(url) => Some(postmaster(url)?),
            Engine::Sqlite => None,
        };
        Ok(Bench {
            processes: Processes { service: Some(service.id()), database },
            tokens: Tokens::Same(service.token("bench")?.into()),
            counters: Counters::default(),
            label,
            measured: self.measured,
            service,
        })
    }
}

impl Bench {
    fn load(&self, clients: usize, work: &Work) -> Load {
        Load {
            address: self.service.address,
            clients,
            work: work.clone(),
            tokens: self.tokens.clone(),
            counters: self.counters.clone(),
            warm_up: WARM_UP,
            measured: self.measured,
            tenants: None,
        }
    }

    /// Provisions so many tenants as fast as it goes; the last thousand of them. All are looked for in the log, these in the
    /// list, too.
    fn fill(&self, tenants: usize) -> anyhow::Result<Vec<Uuid>> {
        let before = verify::head(&self.service)?;
        let load = Load {
            warm_up: Duration::ZERO,
            measured: Duration::from_hours(1),
            tenants: Some(tenants),
            ..self.load(256, &PROVISION_ASYNC)
        };
        let mut filled = load.run(&self.processes)?.acknowledged;
        verify::in_log(&self.service, before, &filled).context("filling the log")?;
        let last = filled.split_off(filled.len().saturating_sub(FEW));
        verify::in_view(&self.service, &last).context("filling the log")?;
        Ok(last)
    }

    fn measure(&self, what: &str, clients: usize, work: &Work, results: &mut Results) -> anyhow::Result<()> {
        let name = format!("{}/{what}/{clients}", self.label);
        if results.wants(&name) {
            results.add(&name, self.load(clients, work).run(&self.processes)?);
        }
        Ok(())
    }

    /// Measures, then looks for everything that was acknowledged.
    fn provision(&self, what: &str, clients: usize, work: &Work, results: &mut Results) -> anyhow::Result<()> {
        let name = format!("{}/{what}/{clients}", self.label);
        if results.wants(&name) {
            let before = verify::head(&self.service)?;
            let measured = self.load(clients, work).run(&self.processes)?;
            self.verified(&name, before, measured, results)?;
        }
        Ok(())
    }

    fn verified(&self, name: &str, before: Position, measured: Measured, results: &mut Results) -> anyhow::Result<()> {
        verify::in_log(&self.service, before, &measured.acknowledged).context(name.to_owned())?;
        verify::in_view(&self.service, &measured.acknowledged).context(name.to_owned())?;
        results.add(name, measured);
        Ok(())
    }

    /// Measures 64 clients who suspend and reinstate, then counts what they did.
    fn switch(&self, what: &str, work: &Work, results: &mut Results) -> anyhow::Result<()> {
        let name = format!("{}/{what}/64", self.label);
        if results.wants(&name) {
            let before = verify::head(&self.service)?;
            let measured = self.load(64, work).run(&self.processes)?;
            verify::switched(&self.service, before, measured.done).context(name.clone())?;
            results.add(&name, measured);
        }
        Ok(())
    }

    /// Every request brings a token that the service has not seen.
    fn cold_tokens(&self, results: &mut Results) -> anyhow::Result<()> {
        let name = format!("{}/cold tokens/256", self.label);
        if !results.wants(&name) {
            return Ok(());
        }
        let tokens = (0..60_000).map(|number| Ok(self.service.token(&format!("bench-{number}"))?.into()));
        let tokens = Tokens::Fresh(Rc::new(tokens.collect::<anyhow::Result<_>>()?));
        let before = verify::head(&self.service)?;
        let measured = Load { tokens, ..self.load(256, &PROVISION) }.run(&self.processes)?;
        self.verified(&name, before, measured, results)
    }

    /// A list's first page, a page deep in it that is reached by `Link`, and one tenant.
    fn reads(&self, size: &str, tenants: usize, some: &[Uuid], results: &mut Results) -> anyhow::Result<()> {
        let first = format!("/api/v1/msp/tenants?pageSize={PAGE}");
        let deep = self.follow(&first, (tenants / PAGE).saturating_sub(2).min(200))?;
        let detail = format!("/api/v1/msp/tenants/{}", some[some.len() / 2]);
        for (what, path) in [("list", first), ("deep list", deep), ("detail", detail)] {
            self.measure(&format!("{size}/{what}"), 64, &Work::Read(path.into()), results)?;
        }
        Ok(())
    }

    /// The path of the page so many `Link`s behind `path`.
    fn follow(&self, path: &str, pages: usize) -> anyhow::Result<String> {
        let Tokens::Same(token) = &self.tokens else { anyhow::bail!("one token is for all") };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let mut connection = HttpConnection::open(self.service.address).await?;
            let mut path = path.to_owned();
            for _ in 0..pages {
                let (method, token, body) = ("GET", Rc::clone(token), String::new());
                let answer =
                    connection.send(Ask { method, path, token, body, key: None, respond_async: false }).await?;
                let next = answer.headers.get("link").and_then(|link| link::next(link.to_str().ok()?));
                path = next.with_context(|| format!("the list ends early: {}", answer.status))?;
            }
            Ok(path)
        })
    }

    /// Builds every view anew, each by itself and then all at the same time.
    fn rebuild(&self, results: &mut Results) -> anyhow::Result<()> {
        if !results.wants(&format!("{}/rebuild", self.label)) {
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let events = verify::head(&self.service)?.get() as f64;
        let names = self.service.command(&["projections", "list"])?;
        for name in names.lines().skip(1).filter_map(|line| line.split_whitespace().next()) {
            let began = Instant::now();
            self.service.command(&["projections", "rebuild", name])?;
            let took = began.elapsed().as_secs_f64();
            results.note(&format!("{}/rebuild {name}, events/s", self.label), events / took);
        }
        let began = Instant::now();
        self.service.command(&["projections", "rebuild", "--all"])?;
        results.note(&format!("{}/rebuild all views, events/s", self.label), events / began.elapsed().as_secs_f64());
        Ok(())
    }
}

/// A new database, or none for the embedded engine.
pub fn engine(label: &str) -> anyhow::Result<(Option<TestDatabase>, Engine)> {
    if label == "sqlite" {
        return Ok((None, Engine::Sqlite));
    }
    let database = database()?;
    let url = database.url().to_owned();
    Ok((Some(database), Engine::Postgres(url)))
}

fn database() -> anyhow::Result<TestDatabase> {
    block_on(async { Ok(TestDatabase::create().await) })
}

/// The server's first process, which is the parent of the one that serves a connection.
pub fn postmaster(url: &str) -> anyhow::Result<u32> {
    let options: PgConnectOptions = url.parse()?;
    block_on(async {
        let mut connection = options.connect().await?;
        let backend: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut connection).await?;
        let parent = cpu::parent(backend.unsigned_abs());
        connection.close().await?;
        parent.context("the database server is not on this machine")
    })
}

fn megabytes(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let bytes = bytes as f64;
    bytes / 1e6
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
