//! The results as a page: the figures that Tenure aims for, then everything that was measured.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::results::Results;
use crate::suite::Suite;

/// A figure of interest.
struct Figure {
    what: &'static str,
    floor: f64,
    aim: f64,
    /// Whether less is better.
    is_limit: bool,
    value: fn(&Results) -> Option<f64>,
}

const fn at_least(what: &'static str, floor: f64, aim: f64, value: fn(&Results) -> Option<f64>) -> Figure {
    Figure { what, floor, aim, is_limit: false, value }
}

const fn at_most(what: &'static str, floor: f64, aim: f64, value: fn(&Results) -> Option<f64>) -> Figure {
    Figure { what, floor, aim, is_limit: true, value }
}

fn ratio(results: &Results, one: &str, other: &str) -> Option<f64> {
    Some(results.rate(one)? / results.rate(other)?)
}

fn to_best(results: &Results, one: &str, prefix: &str) -> Option<f64> {
    Some(results.rate(one)? / results.best(prefix)?)
}

fn to_number(results: &Results, one: &str, number: &str) -> Option<f64> {
    Some(results.rate(one)? / results.number(number)?)
}

/// The slowest of the reads of a large directory, against the same of a small one.
fn reads(results: &Results, label: &str) -> Option<f64> {
    let reads = ["list", "deep list", "detail"].into_iter().filter_map(|what| {
        let few = results.run(&format!("{label}/few/{what}/64"))?;
        let many = results.run(&format!("{label}/large/{what}/64"))?;
        Some(few.per_second / many.per_second)
    });
    reads.reduce(f64::max)
}

#[expect(clippy::cast_precision_loss, reason = "microseconds are far below 2^52")]
const FIGURES: &[Figure] = &[
    at_least("provisioning at 64 clients / best bare insert", 0.4, 0.7, |r| {
        to_best(r, "postgres/provision/64", "pgbench/insert/")
    }),
    at_least("provisioning at 256 clients / best bare insert", 0.6, 1.0, |r| {
        to_best(r, "postgres/provision/256", "pgbench/insert/")
    }),
    at_least("respond-async at 256 clients / best bare insert", 0.8, 1.3, |r| {
        to_best(r, "postgres/respond-async/256", "pgbench/insert/")
    }),
    at_least("provisioning at 256 clients / best hand-written provisioning", 1.5, 2.5, |r| {
        to_best(r, "postgres/provision/256", "pgbench/provisioning/")
    }),
    at_least("provisioning / stock cqrs-es, 64 clients", 3.0, 6.0, |r| {
        ratio(r, "postgres/provision/64", "stock/provision/64")
    }),
    at_least("provisioning / stock cqrs-es, 256 clients", 4.0, 9.0, |r| {
        ratio(r, "postgres/provision/256", "stock/provision/256")
    }),
    at_least("5 % repeats / none, 256 clients", 0.7, 0.9, |r| {
        ratio(r, "postgres/5% repeats/256", "postgres/provision/256")
    }),
    at_least("one open snapshot / none, 256 clients", 0.8, 0.95, |r| {
        ratio(r, "postgres/snapshot/one/256", "postgres/snapshot/none/256")
    }),
    at_least("filled log / empty log, PostgreSQL", 0.85, 0.95, |r| {
        ratio(r, "postgres/large/provision/256", "postgres/large/empty again/256")
    }),
    at_most("reads of the filled log / of 1 thousand tenants, PostgreSQL (times slower)", 2.0, 1.2, |r| {
        reads(r, "postgres")
    }),
    at_most("median at 1 client / bare insert's (times slower)", 6.0, 4.0, |r| {
        let ours = r.run("postgres/provision/1")?.p50_us as f64;
        Some(ours / r.run("pgbench/insert/1")?.p50_us as f64)
    }),
    at_most("99th percentile at 64 clients, PostgreSQL, ms", 15.0, 8.0, |r| {
        Some(r.run("postgres/provision/64")?.p99_us as f64 / 1e3)
    }),
    at_most("idle memory, PostgreSQL, MB", 60.0, 40.0, |r| r.number("postgres/idle memory, MB")),
    at_most("memory under load, PostgreSQL, MB", 300.0, 150.0, |r| {
        let all = r.runs().iter().filter(|(name, _)| name.starts_with("postgres/"));
        all.map(|(_, run)| run.memory as f64 / 1e6).reduce(f64::max)
    }),
    at_least("SQLite, 64 clients / single-row commits", 0.7, 1.5, |r| {
        to_number(r, "sqlite/provision/64", "sqlite/single-row commits")
    }),
    at_least("SQLite, 256 clients / single-row commits", 1.0, 2.5, |r| {
        to_number(r, "sqlite/provision/256", "sqlite/single-row commits")
    }),
    at_least("filled log / empty log, SQLite", 0.4, 0.7, |r| {
        ratio(r, "sqlite/large/provision/256", "sqlite/large/empty again/256")
    }),
    at_least("rebuild of all views, PostgreSQL, thousand events/s", 40.0, 60.0, |r| {
        Some(r.number("postgres/rebuild all views, events/s")? / 1e3)
    }),
    at_least("rebuild of all views, SQLite, thousand events/s", 20.0, 35.0, |r| {
        Some(r.number("sqlite/rebuild all views, events/s")? / 1e3)
    }),
    at_most("disk per event, SQLite, bytes", 900.0, 700.0, |r| r.number("sqlite/disk per event, bytes")),
];

/// The page.
pub fn markdown(results: &Results, suite: &Suite) -> String {
    let mut page = String::new();
    // Writing to a String can't fail.
    let _ = writeln!(
        page,
        "# Results\n\nMeasured by `make bench` on {date} at commit {commit}: {machine}.\nEach run was measured for {seconds} s \
         (with and without a snapshot {snapshot} s)\nafter 2 s of warming up, load generator on the same cores; PostgreSQL has \
         its default durability (`fsync` and\n`synchronous_commit` on). Every acknowledged command was found in the log and in \
         the views afterwards, of those that\nfilled a log the last thousand in the views; {failures} answers were not what was \
         expected. The filled log holds\n{tenants} tenants. Ratios compare figures of this one \
         run.\n",
        date = chrono::Utc::now().format("%Y-%m-%d"),
        commit = commit(),
        machine = machine(),
        seconds = suite.measured.as_secs(),
        snapshot = suite.snapshot.as_secs(),
        failures = results.failures(),
        tenants = suite.tenants,
    );
    page.push_str("![commands per second by clients](results.svg)\n\n| figure | floor | aim | measured | |\n|---|---|---|---|---|\n");
    for figure in FIGURES {
        let Some(value) = (figure.value)(results) else { continue };
        let meets = |bound: f64| if figure.is_limit { value <= bound } else { value >= bound };
        let verdict = match (meets(figure.aim), meets(figure.floor)) {
            (true, _) => "aim",
            (false, true) => "floor",
            (false, false) => "**below the floor**",
        };
        let Figure { what, floor, aim, .. } = figure;
        let _ = writeln!(page, "| {what} | {floor} | {aim} | {value:.2} | {verdict} |");
    }
    page.push_str("\n| run | per second | p50, ms | p99, ms | CPU per answer, us: service + database + load | memory, MB |\n|---|---|---|---|---|---|\n");
    #[expect(clippy::cast_precision_loss, reason = "microseconds and bytes are far below 2^52")]
    for (name, run) in results.runs() {
        let [service, database, load] = run.cpu_us;
        let _ = writeln!(
            page,
            "| {name} | {:.0} | {:.2} | {:.2} | {service:.0} + {database:.0} + {load:.0} | {} |",
            run.per_second,
            run.p50_us as f64 / 1e3,
            run.p99_us as f64 / 1e3,
            match run.memory {
                0 => "-".to_owned(),
                bytes => (bytes / 1_000_000).to_string(),
            },
        );
    }
    page.push_str("\n| number | |\n|---|---|\n");
    for (name, number) in results.numbers() {
        let _ = writeln!(page, "| {name} | {number:.0} |");
    }
    page
}

/// The commit in the working directory, and whether there are changes beside it.
pub fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]).unwrap_or_default();
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|changes| !changes.is_empty());
    if changed { format!("{commit} with changes") } else { commit }
}

/// What it was measured on.
pub fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1).map(str::to_owned));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores of {}, Linux {}", model.as_deref().unwrap_or("an unnamed processor"), kernel.trim())
}
