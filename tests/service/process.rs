//! The service as a process of its own, ended by its id.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::{self, JoinHandle};

use super::Storage;

/// The program that cargo built for this test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_tenure");

/// `tenure serve` and what it wrote to standard error.
pub struct ServiceProcess {
    pub url: String,
    pub token: String,
    child: Child,
    errors: Option<JoinHandle<String>>,
}

impl ServiceProcess {
    /// Starts the service on a storage; reads address and token where a newcomer does, in what it prints.
    pub fn start(storage: &Storage, settings: &[(&str, &str)]) -> Self {
        let mut child =
            tenure(storage, settings).arg("serve").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        let (mut url, mut token) = (String::new(), String::new());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while url.is_empty() || token.is_empty() {
            let Some(line) = lines.next() else {
                panic!("the service does not start: {}", errors.join().unwrap());
            };
            let line = line.unwrap();
            if let Some(rest) = line.strip_prefix("Tenure is listening on ") {
                rest.split(' ').next().unwrap().clone_into(&mut url);
            }
            if let Some(rest) = line.strip_prefix("export MSP_ADMIN_JWT=") {
                rest.clone_into(&mut token);
            }
        }
        // Nobody may block on a full pipe.
        thread::spawn(move || lines.for_each(drop));
        Self { url, token, child, errors: Some(errors) }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; what it wrote to standard error.
    pub fn terminate(self) -> String {
        let ended = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(ended.success());
        let (status, errors) = self.wait();
        assert!(status.success(), "{errors}");
        errors
    }

    /// Waits for its end; how it ended, and what it wrote to standard error.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, self.errors.take().unwrap().join().unwrap())
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The program with the storage's environment and nothing else of Tenure's.
pub fn tenure(storage: &Storage, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TENURE_")) {
        command.env_remove(name);
    }
    command.envs(storage.variables()).envs(settings.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs a subcommand to its end.
pub fn run(storage: &Storage, arguments: &[&str]) -> Output {
    tenure(storage, &[]).args(arguments).output().unwrap()
}
