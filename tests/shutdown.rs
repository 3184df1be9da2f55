//! SIGTERM under load: what is answered is in the log, what was begun is answered, and the process ends in time.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tenure_test_engines::Proxy;

use crate::service::process::tenure;
use crate::service::{Answer, Engine, ServiceProcess, Storage, eventually, for_each_engine};

const CLIENTS: usize = 32;
const PATIENCE: (&str, &str) = ("TENURE_SHUTDOWN_SECONDS", "20");

/// What one client saw until the service was gone.
#[derive(Default)]
struct Seen {
    acknowledged: Vec<String>,
    /// 503: refused, and not done.
    refused: Vec<String>,
    /// Broken off on a connection that was open: the client can't know.
    broken: Vec<String>,
}

/// Provisions over one connection that it keeps as long as the service does.
async fn provision_until_refused(service: &ServiceProcess, client: usize, done: &AtomicUsize) -> Seen {
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(1).build().unwrap();
    let mut seen = Seen::default();
    for number in 0.. {
        let code = format!("c{client}-{number}");
        let body = json!({"shortCode": code, "displayName": code, "contactEmail": "it@acme.example"});
        let request = http.post(format!("{}/api/v1/msp/tenants", service.url)).bearer_auth(&service.token).json(&body);
        match request.send().await {
            Ok(answer) if answer.status() == 201 || answer.status() == 202 => {
                seen.acknowledged.push(code);
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) if answer.status() == 503 => seen.refused.push(code),
            Ok(answer) => panic!("{}: {}", answer.status(), answer.text().await.unwrap()),
            Err(error) if error.is_connect() => break,
            Err(error) => {
                assert!(error.is_request(), "{error:?}");
                seen.broken.push(code);
            }
        }
    }
    seen
}

/// The short codes in the log, after a start on the same storage.
async fn provisioned(storage: &Storage) -> BTreeSet<String> {
    let service = ServiceProcess::start(storage, &[]);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = |path: &str| Answer::of(http.get(format!("{}{path}", service.url)).bearer_auth(&service.token));
    eventually("the service is ready", async || get("/health/ready").await.status == 200).await;
    let bill = get("/api/v1/msp/billing-events").await.expect(200);
    let codes: Vec<_> =
        bill.as_array().unwrap().iter().map(|event| event["shortCode"].as_str().unwrap().to_owned()).collect();
    let total = get("/api/v1/msp/tenants?pageSize=1").await;
    assert_eq!(total.header("x-total-count"), codes.len().to_string(), "the list agrees with the bill");
    let once: BTreeSet<_> = codes.iter().cloned().collect();
    assert_eq!(once.len(), codes.len(), "nothing is done twice");
    service.terminate();
    once
}

/// A connection on which a command was begun: its head, and half of its body.
fn begin_slowly(service: &ServiceProcess, code: &str) -> (TcpStream, String) {
    let address = service.url.strip_prefix("http://").unwrap();
    let body = json!({"shortCode": code, "displayName": code, "contactEmail": "it@acme.example"}).to_string();
    let (first, rest) = body.split_at(body.len() / 2);
    let head = format!(
        "POST /api/v1/msp/tenants HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{first}",
        service.token,
        body.len()
    );
    let mut connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    connection.write_all(head.as_bytes()).unwrap();
    (connection, rest.to_owned())
}

fn signal(service: &ServiceProcess) {
    let sent = std::process::Command::new("kill").args(["-TERM", &service.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

fn ended(status: ExitStatus, errors: &str) {
    assert!(status.success(), "{status}: {errors}");
    assert!(!errors.contains("gave up") && !errors.contains("panicked"), "{errors}");
}

async fn nothing_that_was_acknowledged_is_lost_by_a_stop_under_load(engine: Engine) {
    let storage = Storage::new(engine).await;
    let service = ServiceProcess::start(&storage, &[PATIENCE]);
    let done = AtomicUsize::new(0);
    let clients = (0..CLIENTS).map(|client| provision_until_refused(&service, client, &done));
    let operator = async {
        eventually("the load is on", async || done.load(Ordering::Relaxed) > 3 * CLIENTS).await;
        // One that finishes in time, one that never does, one that never asks anything.
        let (mut late, rest) = begin_slowly(&service, "late");
        let (mut never, _) = begin_slowly(&service, "never");
        let idle = TcpStream::connect(service.url.strip_prefix("http://").unwrap()).unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        signal(&service);
        let stopped = Instant::now();
        tokio::time::sleep(Duration::from_millis(300)).await;
        late.write_all(rest.as_bytes()).unwrap();
        let answers = tokio::task::spawn_blocking(move || {
            let (mut late_answer, mut never_answer) = (String::new(), String::new());
            late.read_to_string(&mut late_answer).unwrap();
            never.read_to_string(&mut never_answer).unwrap();
            (late_answer, never_answer)
        });
        let (late, never) = answers.await.unwrap();
        assert!(late.starts_with("HTTP/1.1 201 "), "what was begun is answered: {late}");
        assert!(never.starts_with("HTTP/1.1 503 ") && never.contains("\"stopping\""), "{never}");
        drop(idle);
        stopped
    };
    let (seen, stopped) = tokio::join!(futures::future::join_all(clients), operator);
    let (status, errors) = service.wait();
    assert!(stopped.elapsed() < Duration::from_secs(20), "{:?}", stopped.elapsed());
    ended(status, &errors);

    let there = provisioned(&storage).await;
    let mut acknowledged: BTreeSet<_> = seen.iter().flat_map(|seen| seen.acknowledged.iter().cloned()).collect();
    acknowledged.insert("late".to_owned());
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty(), "acknowledged, but lost: {lost:?}");
    let refused: Vec<_> = seen.iter().flat_map(|seen| &seen.refused).filter(|code| there.contains(*code)).collect();
    assert!(refused.is_empty(), "refused, but done: {refused:?}");
    // A connection that is closed while a client begins to write is a refusal; one that ate a command is not.
    let eaten: Vec<_> = seen.iter().flat_map(|seen| &seen.broken).filter(|code| there.contains(*code)).collect();
    assert!(eaten.is_empty(), "done, but never answered: {eaten:?}");
    assert!(!there.contains("never"));
}

async fn a_proxy_is_told_before_connections_are_refused(engine: Engine) {
    let storage = Storage::new(engine).await;
    let service = ServiceProcess::start(&storage, &[PATIENCE, ("TENURE_DRAIN_SECONDS", "3")]);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ready = || Answer::of(http.get(format!("{}/health/ready", service.url)));
    eventually("the service is ready", async || ready().await.status == 200).await;
    signal(&service);
    let stopped = Instant::now();
    eventually("it is ready no more", async || ready().await.status == 503).await;
    assert!(stopped.elapsed() < Duration::from_secs(2), "at once: {:?}", stopped.elapsed());
    let body = ready().await.expect(503);
    assert!(body["reasons"][0].as_str().unwrap().contains("stopping"), "{body}");

    let body = json!({"shortCode": "meanwhile", "displayName": "M", "contactEmail": "it@acme.example"});
    let made = http.post(format!("{}/api/v1/msp/tenants", service.url)).bearer_auth(&service.token).json(&body);
    let made = Answer::of(made).await;
    made.expect(201);
    assert_eq!(made.header("connection"), "close", "who comes back connects anew");
    let (status, errors) = service.wait();
    assert!(stopped.elapsed() > Duration::from_millis(2_900), "it served on for as long as it was told to");
    assert!(stopped.elapsed() < Duration::from_secs(20));
    ended(status, &errors);
    assert!(provisioned(&storage).await.contains("meanwhile"));
}

#[tokio::test]
async fn a_stop_while_the_database_does_not_answer_ends_a_start_at_once() {
    let storage = Storage::new(Engine::Sqlite).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let database = format!("postgres://tenure@{}/tenure", silent.local_addr().unwrap());
    let command = tenure(&storage, &[("TENURE_DATABASE_URL", &database)]);
    let mut child = tokio::process::Command::from(command).arg("serve").kill_on_drop(true).spawn().unwrap();
    // From here on it waits for an answer.
    let asked = tokio::time::timeout(Duration::from_secs(30), silent.accept()).await;
    let _connection = asked.expect("it asks the database").unwrap();
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let ended = tokio::time::timeout(Duration::from_secs(10), child.wait()).await;
    assert!(ended.expect("it ends at once").unwrap().success());
}

/// What keeps every command from being written, until it is dropped.
enum Obstruction {
    Network(Proxy),
    Lock(rusqlite::Connection),
}

impl Obstruction {
    async fn lies_ahead(storage: &Storage) -> Self {
        match storage.database_url() {
            Some(url) => Self::Network(Proxy::to(url).await),
            None => Self::Lock(rusqlite::Connection::open_in_memory().unwrap()),
        }
    }

    fn begin(&mut self, storage: &Storage) {
        match self {
            Self::Network(proxy) => proxy.fall_silent(),
            Self::Lock(connection) => {
                *connection = rusqlite::Connection::open(storage.directory.path().join("data/log.db")).unwrap();
                connection.busy_timeout(Duration::from_secs(10)).unwrap();
                connection.execute_batch("begin immediate").unwrap();
            }
        }
    }
}

async fn a_stop_that_can_finish_nothing_ends_in_its_time_all_the_same(engine: Engine) {
    let storage = Storage::new(engine).await;
    let mut obstruction = Obstruction::lies_ahead(&storage).await;
    let mut settings = vec![("TENURE_SHUTDOWN_SECONDS", "4")];
    if let Obstruction::Network(proxy) = &obstruction {
        settings.push(("TENURE_DATABASE_URL", proxy.url()));
    }
    let service = ServiceProcess::start(&storage, &settings);
    let done = AtomicUsize::new(0);
    let clients = (0..CLIENTS).map(|client| provision_until_refused(&service, client, &done));
    let operator = async {
        eventually("the load is on", async || done.load(Ordering::Relaxed) > 3 * CLIENTS).await;
        obstruction.begin(&storage);
        tokio::time::sleep(Duration::from_millis(300)).await;
        signal(&service);
        Instant::now()
    };
    let (seen, stopped) = tokio::join!(futures::future::join_all(clients), operator);
    let (status, errors) = service.wait();
    // Its time and this machine's own. Nothing in it waits for as short a time by itself.
    assert!(stopped.elapsed() < Duration::from_secs(7), "{:?}: {errors}", stopped.elapsed());
    assert!(status.success() && !errors.contains("panicked"), "{status}: {errors}");
    assert!(errors.contains("gave up waiting"), "{errors}");
    drop(obstruction);

    let there = provisioned(&storage).await;
    let lost: Vec<_> = seen.iter().flat_map(|seen| &seen.acknowledged).filter(|code| !there.contains(*code)).collect();
    assert!(lost.is_empty(), "acknowledged, but lost: {lost:?}");
    let refused: Vec<_> = seen.iter().flat_map(|seen| &seen.refused).filter(|code| there.contains(*code)).collect();
    assert!(refused.is_empty(), "refused, but done: {refused:?}");
    assert!(seen.iter().any(|seen| !seen.broken.is_empty()), "nobody waited when it ended");
}

/// More threads than one: the network before the database runs here too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_can_finish_nothing_ends_in_its_time_on_sqlite() {
    a_stop_that_can_finish_nothing_ends_in_its_time_all_the_same(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_can_finish_nothing_ends_in_its_time_on_postgres() {
    a_stop_that_can_finish_nothing_ends_in_its_time_all_the_same(Engine::Postgres).await;
}

/// Makes each flush of a file take so long; ends with the process.
async fn slow_down_flushes(service: &ServiceProcess, micros: u32) -> Child {
    let delay = format!("inject=fsync,fdatasync:delay_enter={micros}");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", &delay, "-p"]);
    let tracer = strace.arg(service.id().to_string()).spawn().unwrap();
    eventually("it is traced", async || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    })
    .await;
    tracer
}

#[tokio::test]
async fn a_stop_says_nothing_that_alarms_however_long_the_log_takes_to_close() {
    let storage = Storage::new(Engine::Sqlite).await;
    let service = ServiceProcess::start(&storage, &[]);
    let body = json!({"shortCode": "acme", "displayName": "Acme", "contactEmail": "it@acme.example"});
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.post(format!("{}/api/v1/msp/tenants", service.url)).bearer_auth(&service.token).json(&body);
    Answer::of(request).await.expect(201);
    let mut tracer = slow_down_flushes(&service, 400_000).await;
    let errors = service.terminate();
    tracer.wait().unwrap();
    assert!(!errors.contains("WARN") && !errors.contains("ERROR"), "{errors}");
}

for_each_engine! {
    nothing_that_was_acknowledged_is_lost_by_a_stop_under_load
    a_proxy_is_told_before_connections_are_refused
}
