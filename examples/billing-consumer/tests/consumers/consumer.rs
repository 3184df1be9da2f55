//! A run of one of the example programs, as its user would start it.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use tokio::process::Command;

const LIMIT: Duration = Duration::from_mins(2);

#[derive(Clone, Copy, Debug)]
pub enum Language {
    Rust,
    Python,
}

#[derive(Clone)]
pub struct Consumer {
    language: Language,
    arguments: Vec<String>,
}

impl Consumer {
    pub fn new(language: Language, brokers: &str, topic: &str) -> Self {
        let arguments = ["--brokers", brokers, "--topic", topic, "--until-idle", "2"];
        Self { language, arguments: arguments.map(str::to_owned).to_vec() }
    }

    /// The same with another option; of one that is given twice the later counts.
    pub fn with(&self, option: &str, value: &str) -> Self {
        let mut changed = self.clone();
        if let Some(place) = changed.arguments.iter().position(|argument| argument == option && option == "--group") {
            changed.arguments.drain(place..place + 2);
        }
        changed.arguments.extend([option.to_owned(), value.to_owned()]);
        changed
    }

    /// Runs it until nothing more comes, and answers what it printed.
    pub async fn run(&self) -> String {
        let output = self.output().await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?} failed: {complaint}", self.language);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs it until it fails, and answers what it complained of.
    pub async fn complaint(&self) -> String {
        let output = self.output().await;
        assert!(!output.status.success(), "{:?} did not fail", self.language);
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    async fn output(&self) -> Output {
        let mut command = match self.language {
            Language::Rust => Command::new(env!("CARGO_BIN_EXE_billing-consumer")),
            Language::Python => {
                let python = std::env::var_os("EXAMPLES_PYTHON");
                let mut python = Command::new(python.expect("EXAMPLES_PYTHON is not set: run `make test`"));
                python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../billing_consumer.py"));
                python
            }
        };
        let output = command.args(&self.arguments).kill_on_drop(true).output();
        tokio::time::timeout(LIMIT, output).await.expect("the consumer does not end").expect("running it")
    }
}
