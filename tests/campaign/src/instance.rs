//! One `tenure serve` process, ended by its id.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// How long a process may take to listen, also on a machine that does other things.
const STARTS_WITHIN: Duration = Duration::from_mins(1);
/// How long a fault may take to be among the reasons against it.
const SAYS_WITHIN: Duration = Duration::from_secs(30);
/// How long it may take to stop in order: its own limit is 20 s.
const STOPS_WITHIN: Duration = Duration::from_secs(40);

/// A place for a process of the service: its port stays the same over restarts.
#[derive(Debug)]
pub struct Instance {
    /// Where clients find it.
    pub url: String,
    environment: Vec<(String, String)>,
    program: PathBuf,
    errors: PathBuf,
    child: Option<Child>,
}

impl Instance {
    /// A place where nothing runs yet. `errors` takes what the processes say on standard error.
    #[must_use]
    pub fn new(program: PathBuf, environment: Vec<(String, String)>, port: u16, errors: PathBuf) -> Self {
        Self { url: format!("http://127.0.0.1:{port}"), environment, program, errors, child: None }
    }

    /// Changes one variable for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Runs the program with the instance's environment and nothing else of Tenure's.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TENURE_")) {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        command
    }

    /// Starts the process and does not wait for it to listen.
    ///
    /// # Errors
    /// The program can't be run.
    pub fn launch(&mut self) -> anyhow::Result<()> {
        self.kill9()?;
        let errors = File::options().create(true).append(true).open(&self.errors)?;
        let mut command = self.command();
        command.args(["serve", "--quiet"]).stdout(Stdio::null()).stderr(errors);
        self.child = Some(command.spawn().with_context(|| format!("running {}", self.program.display()))?);
        Ok(())
    }

    /// Starts the process and waits until it answers. One that gives up is started again, as a supervisor would.
    ///
    /// # Errors
    /// It does not answer within a minute.
    pub async fn start(&mut self) -> anyhow::Result<()> {
        self.launch()?;
        self.answers("/health/live", STARTS_WITHIN).await
    }

    /// Starts the process if it is not running, and waits until it is ready: its views have caught up.
    ///
    /// # Errors
    /// It is not ready within a minute.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        if self.child.is_none() {
            self.launch()?;
        }
        self.answers("/health/ready", STARTS_WITHIN).await
    }

    /// Waits until `/health/ready` is 503 for a reason with one of these words in it.
    ///
    /// # Errors
    /// It does not say so within half a minute, or says nothing at all.
    pub async fn says_why(&self, words: &[&str]) -> anyhow::Result<()> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let began = Instant::now();
        loop {
            let answer = http.get(format!("{}/health/ready", self.url)).send().await?;
            let (status, body) = (answer.status(), answer.json::<Value>().await?);
            let reasons = body["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str);
            if status == 503 && reasons.clone().any(|reason| words.iter().any(|word| reason.contains(word))) {
                return Ok(());
            }
            ensure!(began.elapsed() < SAYS_WITHIN, "no {words:?} in the reasons: {status} {body}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn answers(&mut self, path: &str, within: Duration) -> anyhow::Result<()> {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        let began = Instant::now();
        loop {
            let answer = http.get(format!("{}{path}", self.url)).send().await;
            if answer.as_ref().is_ok_and(|answer| answer.status() == 200) {
                return Ok(());
            }
            if began.elapsed() > within {
                let last = match answer {
                    Ok(answer) => answer.text().await?,
                    Err(error) => error.to_string(),
                };
                bail!("{path} of {} is not 200: {last}; its log: {}", self.url, self.errors.display());
            }
            if self.exited()?.is_some() {
                self.launch()?;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How the process ended, if it did by itself.
    ///
    /// # Errors
    /// It can't be asked.
    pub fn exited(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        Ok(child.try_wait()?)
    }

    /// `kill -9`; true if there was a process to kill.
    ///
    /// # Errors
    /// It can't be killed.
    pub fn kill9(&mut self) -> anyhow::Result<bool> {
        let Some(mut child) = self.child.take() else { return Ok(false) };
        let was_running = child.try_wait()?.is_none();
        child.kill()?;
        child.wait()?;
        Ok(was_running)
    }

    /// SIGTERM, and waits for the end in order.
    ///
    /// # Errors
    /// It does not stop in time, or not with success.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(child) = &mut self.child else { return Ok(()) };
        signal("TERM", child.id())?;
        let began = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                self.child = None;
                ensure!(status.success(), "{} ended with {status}; its log: {}", self.url, self.errors.display());
                return Ok(());
            }
            ensure!(began.elapsed() < STOPS_WITHIN, "{} does not stop", self.url);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// SIGSTOP: the process is there and does nothing, also with the locks that it holds.
    ///
    /// # Errors
    /// There is no process.
    pub fn freeze(&self) -> anyhow::Result<()> {
        signal("STOP", self.child.as_ref().context("nothing to freeze")?.id())
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// There is no process.
    pub fn thaw(&self) -> anyhow::Result<()> {
        signal("CONT", self.child.as_ref().context("nothing to thaw")?.id())
    }

    /// What the processes have said on standard error so far.
    #[must_use]
    pub fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Err(error) = self.kill9() {
            eprintln!("{} is left running: {error}", self.url);
        }
    }
}

fn signal(name: &str, process: u32) -> anyhow::Result<()> {
    let sent = Command::new("kill").args(["-s", name, &process.to_string()]).status()?;
    ensure!(sent.success(), "SIG{name} could not be sent to {process}");
    Ok(())
}
