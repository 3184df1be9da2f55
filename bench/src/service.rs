//! The programs that are measured: Tenure itself and the stock baseline, each a process of its own, ended by its id.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;
use tenure::config::Config;
use tenure::identity::{DevelopmentKey, Role, TokenRequest};
use tenure_aggregates::values::Groups;

/// The engine that a service stands on.
#[derive(Clone, Debug)]
pub enum Engine {
    /// Everything in the data directory.
    Sqlite,
    /// A database of this URL.
    Postgres(String),
}

/// `tenure serve`.
pub struct Service {
    /// Where it listens.
    pub address: SocketAddr,
    /// Settings, to sign tokens and open the log beside it.
    pub config: Config,
    /// Start to listening.
    pub started_in: Duration,
    child: Child,
    program: PathBuf,
    variables: Vec<(String, String)>,
    directory: TempDir,
}

impl Service {
    /// Starts it on a new data directory below `below`.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(program: &Path, engine: &Engine, below: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("tenure-bench-").tempdir_in(below)?;
        let mut variables = vec![
            ("TENURE_LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
            ("TENURE_DATA_DIR".to_owned(), directory.path().display().to_string()),
            ("TENURE_LOG".to_owned(), "warn".to_owned()),
        ];
        if let Engine::Postgres(url) = engine {
            variables.push(("TENURE_DATABASE_URL".to_owned(), url.clone()));
        }
        let (child, address, started_in) = serve(program, &variables)?;
        let config = Config::read(None, variables.clone())?;
        Ok(Self { address, config, started_in, child, program: program.to_owned(), variables, directory })
    }

    /// Ends the process; its files stay.
    pub fn stop(&mut self) {
        end(&mut self.child);
    }

    /// Starts it again on the same data, with these settings besides.
    ///
    /// # Errors
    /// It does not start.
    pub fn start_again(&mut self, settings: &[(&str, String)]) -> anyhow::Result<()> {
        self.stop();
        self.variables.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        (self.child, self.address, self.started_in) = serve(&self.program, &self.variables)?;
        Ok(())
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A token of the MSP's administrator with this subject.
    ///
    /// # Errors
    /// The development key can't be read.
    pub fn token(&self, subject: &str) -> anyhow::Result<String> {
        let key = DevelopmentKey::load_or_create(&self.config.development_key_path())?;
        Ok(key.sign(&TokenRequest {
            role: Role::MspAdmin,
            tenant: self.config.default_msp().id,
            subject: Some(subject.to_owned()),
            groups: Groups::default(),
            now: self.config.clock().now(),
            expires_in: chrono::TimeDelta::hours(8),
        }))
    }

    /// Runs a subcommand to its end; what it printed.
    ///
    /// # Errors
    /// It failed.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = tenure(&self.program, &self.variables).args(arguments).output()?;
        if !output.status.success() {
            bail!("tenure {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Bytes of everything in the data directory.
    ///
    /// # Errors
    /// It can't be read.
    pub fn disk(&self) -> anyhow::Result<u64> {
        let mut bytes = 0;
        for entry in self.directory.path().read_dir()? {
            bytes += entry?.metadata()?.len();
        }
        Ok(bytes)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// The service on stock cqrs-es and postgres-es, see `stock/main.rs`.
pub struct Stock {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
}

impl Stock {
    /// Starts it on an empty database.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(url: &str) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?.with_file_name("tenure-bench-stock");
        let mut child = Command::new(&program)
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} can't be started", program.display()))?;
        Ok(Self { address: listening(&mut child, "listening on http://")?, child })
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Starts the program; where it listens, and how long it took until then.
fn serve(program: &Path, variables: &[(String, String)]) -> anyhow::Result<(Child, SocketAddr, Duration)> {
    let began = Instant::now();
    let mut child = tenure(program, variables).arg("serve").stdout(Stdio::piped()).spawn()?;
    let address = listening(&mut child, "Tenure is listening on http://")?;
    Ok((child, address, began.elapsed()))
}

fn tenure(program: &Path, variables: &[(String, String)]) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TENURE_")) {
        command.env_remove(name);
    }
    command.envs(variables.iter().cloned()).stdin(Stdio::null());
    command
}

/// Reads what the program prints until it says where it listens.
fn listening(child: &mut Child, sentence: &str) -> anyhow::Result<SocketAddr> {
    let mut lines = BufReader::new(child.stdout.take().context("its output is piped")?).lines();
    let address = loop {
        let Some(line) = lines.next() else { bail!("it does not start: {:?}", child.wait()) };
        if let Some(rest) = line?.strip_prefix(sentence) {
            break rest.split([' ', '/']).next().unwrap_or_default().parse()?;
        }
    };
    // Nobody may block on a full pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Ok(address)
}

fn end(child: &mut Child) {
    // Both fail only where it has ended already.
    drop(child.kill());
    drop(child.wait());
}
