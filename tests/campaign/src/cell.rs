//! The deployment that a scenario torments: a database, a data directory and instances of the service on them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, ensure};
use tenure_aggregates::TenantId;
use tenure_event_log::{Clock, EngineConfig, EventLog, LogConfig, MasterKey};

use crate::instance::Instance;

/// What clients need to know of a cell.
#[derive(Debug)]
pub struct Access {
    /// Where the instances are.
    pub urls: Vec<String>,
    /// May do what an MSP's administrator does.
    pub msp: String,
    /// May restore.
    pub support: String,
}

/// A deployment. Its processes end with it; its files stay for a look unless [`Cell::discard`] says that all is well.
#[derive(Debug)]
pub struct Cell {
    /// The service's processes.
    pub instances: Vec<Instance>,
    program: PathBuf,
    directory: PathBuf,
    data: PathBuf,
    database: Option<String>,
    settings: Vec<(String, String)>,
}

impl Cell {
    /// A cell on the embedded engine.
    ///
    /// # Errors
    /// No directory can be made.
    pub fn sqlite(program: &Path) -> anyhow::Result<Self> {
        Self::new(program, None)
    }

    /// A cell on a `PostgreSQL` database.
    ///
    /// # Errors
    /// No directory can be made.
    pub fn postgres(program: &Path, url: &str) -> anyhow::Result<Self> {
        Self::new(program, Some(url.to_owned()))
    }

    fn new(program: &Path, database: Option<String>) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("tenure-campaign-").tempdir()?.keep();
        let data = directory.join("data");
        let settings = Vec::new();
        Ok(Self { instances: Vec::new(), program: program.to_owned(), directory, data, database, settings })
    }

    /// Where the cell's logs are, and its data unless told otherwise.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Puts the data directory elsewhere, for example on a small disk.
    pub fn keep_data_in(&mut self, directory: &Path) {
        directory.clone_into(&mut self.data);
    }

    /// A setting of every instance that is added from now on, for example `TENURE_CLOCK_OFFSET`.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
        for instance in &mut self.instances {
            instance.set(name, value);
        }
    }

    /// Adds an instance that is not running yet, on the cell's database or behind another address of it.
    pub fn add(&mut self, database: Option<&str>) -> &mut Instance {
        let port = tenure_test_engines::free_port();
        let number = self.instances.len();
        let mut environment = vec![
            ("TENURE_LISTEN".to_owned(), format!("127.0.0.1:{port}")),
            ("TENURE_DATA_DIR".to_owned(), self.data.display().to_string()),
            ("TENURE_LOG".to_owned(), "info".to_owned()),
        ];
        if let Some(url) = database.or(self.database.as_deref()) {
            environment.push(("TENURE_DATABASE_URL".to_owned(), url.to_owned()));
        }
        environment.extend(self.settings.iter().cloned());
        let errors = self.directory.join(format!("instance-{number}.log"));
        self.instances.push(Instance::new(self.program.clone(), environment, port, errors));
        &mut self.instances[number]
    }

    /// Adds instances and waits until they are ready.
    ///
    /// # Errors
    /// One does not get ready.
    pub async fn start(&mut self, instances: usize) -> anyhow::Result<()> {
        for _ in 0..instances {
            self.add(None).ready().await?;
        }
        Ok(())
    }

    /// What clients need.
    ///
    /// # Errors
    /// No token can be made.
    pub async fn access(&self) -> anyhow::Result<Arc<Access>> {
        let urls = self.instances.iter().map(|instance| instance.url.clone()).collect();
        let (msp, support) = (self.token("msp-admin", None).await?, self.token("support", None).await?);
        Ok(Arc::new(Access { urls, msp, support }))
    }

    /// A token of this role, for the MSP or for one of its tenants.
    ///
    /// # Errors
    /// `tenure token` fails.
    pub async fn token(&self, role: &str, tenant: Option<TenantId>) -> anyhow::Result<String> {
        let tenant = tenant.map(|tenant| tenant.to_string());
        let mut arguments = vec!["token", "--role", role, "--expires-in", "7d"];
        arguments.extend(tenant.iter().flat_map(|tenant| ["--tenant", tenant]));
        self.tenure(&arguments).await
    }

    /// Runs a subcommand beside the service or without it; what it printed.
    ///
    /// # Errors
    /// It fails; says what it wrote.
    pub async fn tenure(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let instance = self.instances.first().context("a cell without an instance has no settings")?;
        let mut command = instance.command();
        command.args(arguments);
        let output = tokio::process::Command::from(command).output().await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "tenure {}: {errors}", arguments.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The engine, as the service has it.
    #[must_use]
    pub fn engine(&self) -> EngineConfig {
        match &self.database {
            None => EngineConfig::Sqlite { directory: self.data.clone() },
            Some(url) => EngineConfig::Postgres { url: url.as_str().into(), max_connections: 4 },
        }
    }

    /// The address of the database, where there is a server.
    #[must_use]
    pub fn database(&self) -> Option<&str> {
        self.database.as_deref()
    }

    /// Looks for the database elsewhere from now on, as after a failover.
    pub fn database_is_now(&mut self, url: &str) {
        self.database = Some(url.to_owned());
    }

    /// The log for reading, beside the service.
    ///
    /// # Errors
    /// It can't be opened.
    pub async fn log(&self) -> anyhow::Result<EventLog> {
        let key = MasterKey::load(&self.data.join("master.key"))?;
        Ok(EventLog::open_read_only(LogConfig::new(self.engine(), key, Clock::default())).await?)
    }

    /// Ends what runs and removes the files: nobody has to look at them.
    ///
    /// # Errors
    /// The files can't be removed.
    pub fn discard(mut self) -> anyhow::Result<()> {
        self.instances.clear();
        std::fs::remove_dir_all(&self.directory)?;
        Ok(())
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        if self.directory.exists() {
            eprintln!("the logs of a failed scenario are in {}", self.directory.display());
        }
    }
}
