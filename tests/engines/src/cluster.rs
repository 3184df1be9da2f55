//! A PostgreSQL server of a test's own, made to be killed.

mod standby;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use uuid::Uuid;

const START_TIMEOUT: Duration = Duration::from_mins(1);
const STARTS: u32 = 20;

/// A private cluster in a temporary directory, flushing as a production server does. It is stopped and removed with the
/// value. All methods block the calling thread; none takes longer than a few seconds.
#[derive(Debug)]
pub struct PostgresCluster {
    directory: TempDir,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    server: Option<Child>,
}

impl PostgresCluster {
    /// Makes a cluster and starts its server.
    ///
    /// # Panics
    ///
    /// When no server programs are installed, or they fail.
    #[must_use]
    pub fn start() -> Self {
        Self::make(None)
    }

    /// As [`PostgresCluster::start`], in a directory, for example on a small disk.
    ///
    /// # Panics
    ///
    /// When no server programs are installed, or they fail.
    #[must_use]
    pub fn start_in(parent: &Path) -> Self {
        Self::make(Some(parent))
    }

    fn make(parent: Option<&Path>) -> Self {
        let mut cluster = Self::unmade(parent);
        let made = cluster
            .program("initdb")
            .args(["-U", "tenure", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(cluster.data())
            .output()
            .expect("running initdb");
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        for _ in 0..STARTS {
            cluster.port = free_port();
            if cluster.launch() {
                return cluster;
            }
        }
        panic!("the server does not start: {}", cluster.log());
    }

    /// A directory that the server's user may write, and nothing in it.
    fn unmade(parent: Option<&Path>) -> Self {
        let mut builder = tempfile::Builder::new();
        let builder = builder.prefix("tenure-cluster-");
        let directory = parent.map_or_else(|| builder.tempdir(), |parent| builder.tempdir_in(parent));
        let directory = directory.expect("a temporary directory");
        let is_root = fs::metadata(directory.path()).expect("the directory's owner").uid() == 0;
        let user = is_root.then(server_user);
        if let Some((uid, gid)) = user {
            chown(directory.path(), Some(uid), Some(gid)).expect("giving the directory to the server's user");
        }
        Self { directory, programs: programs(), user, port: 0, server: None }
    }

    /// Where the server listens on 127.0.0.1. It stays the same over restarts.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether the server has not ended by itself, as it does when it can't write its own log any more.
    ///
    /// # Panics
    ///
    /// When its process can't be asked.
    pub fn is_running(&mut self) -> bool {
        self.server.as_mut().is_some_and(|server| server.try_wait().expect("asking for the server").is_none())
    }

    /// The server's `postgres` database, as a `postgres://` URL. It stays the same over restarts.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://tenure@127.0.0.1:{}/postgres", self.port)
    }

    /// Kills every process of the server at once, as a power cut would: nobody gets to finish or to say goodbye.
    ///
    /// # Panics
    ///
    /// When the processes can't be killed.
    pub fn kill9(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let backends = children(server.id());
        server.kill().expect("killing the server");
        signal("KILL", &backends);
        server.wait().expect("waiting for the server's end");
        // The next server refuses to start while an old process still has the shared memory.
        wait_until(|| backends.iter().all(|pid| !is_alive(pid)));
    }

    /// Starts the server again, after [`PostgresCluster::kill9`] or in order when it runs, on the same port.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn restart(&mut self) {
        self.stop();
        for _ in 0..STARTS {
            if self.launch() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("the server does not start again: {}", self.log());
    }

    /// Stops the server in order; connections that are open are ended.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            signal("INT", &[server.id().to_string()]);
            if !wait_until(|| matches!(server.try_wait(), Ok(Some(_)))) {
                self.server = Some(server);
                self.kill9();
            }
        }
    }

    /// True once it accepts connections, false if it ended instead (most likely since the port is taken).
    fn launch(&mut self) -> bool {
        let log = fs::File::options().create(true).append(true).open(self.directory.path().join("log"));
        let log = log.expect("the server's log");
        let sockets = format!("unix_socket_directories={}", self.directory.path().display());
        let mut server = self
            .program("postgres")
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", &sockets])
            .args(["-c", "fsync=on", "-c", "shared_buffers=32MB", "-c", "max_connections=100"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("starting the server");
        let status = self.data().join("postmaster.pid");
        let own = server.id().to_string();
        let mut ended = false;
        let settled = wait_until(|| {
            ended = matches!(server.try_wait(), Ok(Some(_)));
            let status = fs::read_to_string(&status).unwrap_or_default();
            ended
                || (status.lines().next() == Some(&own)
                    && status.lines().any(|line| matches!(line.trim(), "ready" | "standby")))
        });
        if !settled {
            server.kill().expect("killing a server that does not get ready");
            server.wait().expect("waiting for its end");
            return false;
        }
        if !ended {
            self.server = Some(server);
        }
        !ended
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// One of the server's programs, as the user who may run it.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.directory.path());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for PostgresCluster {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// Where initdb and postgres are: `PGBIN`, Debian's directory of the newest version, or the search path.
fn programs() -> PathBuf {
    let has_server = |directory: &PathBuf| directory.join("initdb").is_file() && directory.join("postgres").is_file();
    let version = |directory: &PathBuf| -> Option<u32> { directory.parent()?.file_name()?.to_str()?.parse().ok() };
    let mut installed: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    installed.sort_by_key(version);
    let named = std::env::var_os("PGBIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    named
        .into_iter()
        .chain(installed.into_iter().rev())
        .chain(std::env::split_paths(&path))
        .find(has_server)
        .expect("no PostgreSQL server programs here: run `make test`, which installs them")
}

/// PostgreSQL refuses to run as root.
fn server_user() -> (u32, u32) {
    let users = fs::read_to_string("/etc/passwd").expect("reading /etc/passwd");
    let find = |name: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == name).then_some(())?;
            Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
        })
    };
    find("postgres").or_else(|| find("nobody")).expect("a user that the server can run as")
}

/// A port of this machine that nobody listens on: below those that outgoing connections get, and never the same one twice in a
/// process, so that nobody takes it while the server that it is meant for is down.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let seed = Uuid::new_v4().as_u128();
    let port = (0..12_000_u128)
        .map(|step| 20_000 + u16::try_from((seed + step) % 12_000).expect("a port"))
        .find(|port| !given.contains(port) && TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port");
    given.insert(port);
    port
}

fn children(parent: u32) -> Vec<String> {
    let parent = parent.to_string();
    let processes = fs::read_dir("/proc").expect("listing processes").flatten();
    let names = processes.filter_map(|process| process.file_name().into_string().ok());
    names.filter(|process| state_and_parent(process).is_some_and(|(_, of)| of == parent)).collect()
}

/// From `/proc/PID/stat`: `PID (NAME) STATE PARENT ...`, where the name may hold anything.
fn state_and_parent(process: &str) -> Option<(String, String)> {
    let stat = fs::read_to_string(Path::new("/proc").join(process).join("stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned);
    Some((fields.next()?, fields.next()?))
}

pub(crate) fn signal(name: &str, processes: &[String]) {
    if !processes.is_empty() {
        // One that has ended by itself meanwhile is no failure.
        let mut kill = Command::new("sh");
        kill.args(["-c", r#"kill -s "$0" "$@""#, name]).args(processes).stderr(Stdio::null());
        kill.status().expect("running kill");
    }
}

/// One that nobody has reaped yet holds nothing any more.
fn is_alive(process: &str) -> bool {
    state_and_parent(process).is_some_and(|(state, _)| state != "Z")
}

fn wait_until(mut done: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < START_TIMEOUT {
        if done() {
            return true;
        }
        thread::sleep(Duration::from_millis(10));
    }
    false
}
