//! The database's own speed: pgbench with a bare single-row insert, and with the work of one provisioning.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use sqlx::{Connection, PgConnection};

/// Like Tenure's tables, beside them so that nothing else writes there. Positions come from a sequence: no total order.
const TABLES: &str = "
    create sequence bench_number;
    create table bench_events (like events including all);
    create table bench_claims (like claims including all);
    create table bench_tenant_keys (like tenant_keys including all);
    create table bench_stream_keys (like stream_keys including all);
    create table bench_idempotency (like idempotency including all)";

/// Ids in time order, as uuids of version 7 are: random ones would only make it slower.
const BARE_INSERT: &str = "\
with n as materialized (select nextval('bench_number') as n)
insert into bench_events select 'tenant', lpad(n::text, 36, '0'), 1, 'tenant.provisioned', '1',
  '{PAYLOAD}', '{METADATA}', n, lpad(n::text, 32, '0')::uuid, clock_timestamp() from n;
";

/// One prepared statement, one transaction, one round trip.
const PROVISIONING: &str = "\
with n as materialized (select n, lpad(n::text, 36, '0') as id, lpad(n::text, 32, '0')::uuid as tenant
    from (select nextval('bench_number') as n) s),
e as (insert into bench_events
  select 'tenant', id, 1, 'tenant.provisioned', '1', '{PAYLOAD}'::json, '{METADATA}'::json, 2 * n, tenant, clock_timestamp() from n
  union all select 'administrator', id, 1, 'administrator.invited', '1', '{PAYLOAD}', '{METADATA}', 2 * n + 1, tenant, clock_timestamp() from n),
c as (insert into bench_claims select 'tenant.short-code', id, id from n
  union all select 'administrator.email', md5(id) || md5(id), id from n),
t as (insert into bench_tenant_keys select tenant, decode('{KEY}', 'hex') from n),
k as (insert into bench_stream_keys select 'tenant', id, tenant, decode('{KEY}', 'hex') from n
  union all select 'administrator', id, tenant, decode('{KEY}', 'hex') from n)
insert into bench_idempotency select 'msp/somebody', id, decode('{KEY}', 'hex'), 'tenant', id, 1, 201, clock_timestamp() + '24 h' from n;
";

/// What pgbench is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// (a): one row into a table like `events`.
    BareInsert,
    /// (b): two events, two claims, three keys and an idempotency record.
    Provisioning,
}

/// What pgbench saw.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Transactions per second.
    pub per_second: f64,
    /// Median latency in microseconds.
    pub p50_us: u64,
    /// 99th percentile, in microseconds.
    pub p99_us: u64,
}

/// A database with the tables.
pub struct Pgbench {
    url: String,
    directory: PathBuf,
}

impl Pgbench {
    /// Makes the tables beside Tenure's own, in a database that is migrated already.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn prepare(url: &str, directory: &Path) -> anyhow::Result<Self> {
        let mut connection = PgConnection::connect(url).await?;
        let durability = "select current_setting('fsync') || ' ' || current_setting('synchronous_commit')";
        let durability: String = sqlx::query_scalar(durability).fetch_one(&mut connection).await?;
        ensure!(durability == "on on", "the server's fsync and synchronous_commit are {durability}, not on");
        sqlx::raw_sql(TABLES).execute(&mut connection).await?;
        connection.close().await?;
        for script in [Script::BareInsert, Script::Provisioning] {
            fs::write(directory.join(script.file()), script.text())?;
        }
        // The driver adds settings of its own, which pgbench does not know.
        let url = url.split('?').next().unwrap_or_default().to_owned();
        Ok(Self { url, directory: directory.to_owned() })
    }

    /// Runs one of them with so many clients.
    ///
    /// # Errors
    /// pgbench is not there or fails.
    pub fn run(&self, script: Script, clients: usize, seconds: u64) -> anyhow::Result<Seen> {
        let program = std::env::var_os("PGBIN").map_or_else(|| "pgbench".into(), |bin| Path::new(&bin).join("pgbench"));
        let mut command = Command::new(&program);
        command.current_dir(&self.directory).args(["-n", "-M", "prepared", "-f", script.file()]);
        command.args(["-c", &clients.to_string(), "-j", &clients.min(2).to_string(), "-T", &seconds.to_string()]);
        command.args(["-l", "--log-prefix", script.file()]);
        if clients > 1 {
            // Enough to tell percentiles by, and too few to slow anything down.
            command.args(["--sampling-rate", "0.1"]);
        }
        let output = command.arg(&self.url).output().with_context(|| format!("{} can't run", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let per_second = text
            .lines()
            .find_map(|line| line.strip_prefix("tps = "))
            .and_then(|rest| rest.split(' ').next()?.parse().ok())
            .with_context(|| format!("pgbench named no rate: {text}"))?;
        let latencies = self.latencies(script)?;
        let percentile = |hundredths: usize| latencies.get(latencies.len() * hundredths / 100).copied();
        let (p50_us, p99_us) = percentile(50).zip(percentile(99)).context("pgbench logged no latency")?;
        Ok(Seen { per_second, p50_us, p99_us })
    }

    /// From the log that pgbench wrote, in order: the third column is the latency in microseconds.
    fn latencies(&self, script: Script) -> anyhow::Result<Vec<u64>> {
        let mut latencies: Vec<u64> = Vec::new();
        for entry in self.directory.read_dir()? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(&format!("{}.", script.file())) {
                let log = fs::read_to_string(&path)?;
                latencies.extend(log.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok()));
                fs::remove_file(&path)?;
            }
        }
        latencies.sort_unstable();
        Ok(latencies)
    }
}

impl Script {
    const fn file(self) -> &'static str {
        match self {
            Self::BareInsert => "bare-insert",
            Self::Provisioning => "provisioning",
        }
    }

    /// With values as long as Tenure's are.
    fn text(self) -> String {
        let template = match self {
            Self::BareInsert => BARE_INSERT,
            Self::Provisioning => PROVISIONING,
        };
        // pgbench takes a colon and a name for a variable, but not in this JSON: a space follows each.
        let payload = format!(r#"{{"tenant.provisioned": {{"account": "{}"}}}}"#, "a".repeat(480));
        let metadata = format!(r#"{{"actor": "{}"}}"#, "b".repeat(330));
        template.replace("{PAYLOAD}", &payload).replace("{METADATA}", &metadata).replace("{KEY}", &"c7".repeat(73))
    }
}
