//! A backup that was never restored is none: taken under load, restored into an empty place, started, and compared with
//! what the clients had been told.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tenure_event_log::MasterKey;
use tenure_test_engines::PostgresCluster;

use crate::service::process::{PROGRAM, run, tenure};
use crate::service::{Answer, Engine, ServiceProcess, Storage, eventually};

const CLIENTS: usize = 4;

/// What has to happen before the backup begins, and while it is made.
const SOME: usize = 40;

/// Short codes whose provisioning was acknowledged.
type Acknowledged = Mutex<BTreeSet<String>>;

/// Provisions until it is told to stop.
async fn provision(service: &ServiceProcess, client: usize, acknowledged: &Acknowledged, stop: &AtomicBool) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let code = format!("c{client}-{number}");
        let body = json!({"shortCode": code, "displayName": code, "contactEmail": format!("it@{code}.example")});
        let request = http.post(format!("{}/api/v1/msp/tenants", service.url)).bearer_auth(&service.token).json(&body);
        Answer::of(request).await.expect(201);
        acknowledged.lock().unwrap().insert(code);
    }
}

/// Does `work` under load; what was acknowledged before it began.
async fn under_load(service: &ServiceProcess, work: impl FnOnce() + Send + 'static) -> BTreeSet<String> {
    let (acknowledged, stop) = (Acknowledged::default(), AtomicBool::new(false));
    let count = || acknowledged.lock().unwrap().len();
    let clients = (0..CLIENTS).map(|client| provision(service, client, &acknowledged, &stop));
    let backup = async {
        eventually("the clients get something done", async || count() >= SOME).await;
        let before = acknowledged.lock().unwrap().clone();
        tokio::task::spawn_blocking(work).await.unwrap();
        let after = count();
        eventually("the service goes on", async || count() >= after + SOME).await;
        stop.store(true, Ordering::Relaxed);
        before
    };
    tokio::join!(backup, futures::future::join_all(clients)).0
}

fn data(storage: &Storage) -> PathBuf {
    storage.directory.path().join("data")
}

/// Puts `from`'s key where a service on `to` looks for it.
fn copy_key(from: &Path, to: &Storage) {
    fs::create_dir_all(data(to)).unwrap();
    // With its mode, 600.
    fs::copy(from.join("master.key"), data(to).join("master.key")).unwrap();
}

/// The restored log has no gap and holds what was acknowledged; so do the views, personal values included; and the
/// service goes on from there.
async fn is_whole(restored: &Storage, acknowledged: &BTreeSet<String>) {
    let service = ServiceProcess::start(restored, &[]);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = |path: String| Answer::of(http.get(format!("{}{path}", service.url)).bearer_auth(&service.token));
    eventually("the service is ready", async || get("/health/ready".to_owned()).await.status == 200).await;

    let bill = get("/api/v1/msp/billing-events".to_owned()).await.expect(200);
    let billed: Vec<_> =
        bill.as_array().unwrap().iter().map(|event| event["shortCode"].as_str().unwrap().to_owned()).collect();
    let once: BTreeSet<_> = billed.iter().cloned().collect();
    assert_eq!(once.len(), billed.len(), "nothing is there twice");
    let missing: Vec<_> = acknowledged.difference(&once).collect();
    assert!(missing.is_empty(), "acknowledged before the backup, but not in it: {missing:?}");
    let list = get("/api/v1/msp/tenants?pageSize=100".to_owned()).await;
    assert_eq!(list.header("x-total-count"), billed.len().to_string(), "the list agrees with the bill");
    for tenant in list.expect(200).as_array().unwrap() {
        let id = tenant["tenantId"].as_str().unwrap();
        let detail = get(format!("/api/v1/msp/tenants/{id}")).await.expect(200);
        let address = format!("it@{}.example", tenant["shortCode"].as_str().unwrap());
        assert_eq!(detail["contactEmail"], address, "the key opens what is personal");
    }

    let body = json!({"shortCode": "after", "displayName": "After", "contactEmail": "it@after.example"});
    let post = http.post(format!("{}/api/v1/msp/tenants", service.url)).bearer_auth(&service.token).json(&body);
    Answer::of(post).await.expect(201);
    let taken = json!({"shortCode": once.first().unwrap(), "displayName": "X", "contactEmail": "x@x.example"});
    let post = http.post(format!("{}/api/v1/msp/tenants", service.url)).bearer_auth(&service.token).json(&taken);
    Answer::of(post).await.expect(409);

    let tail = run(restored, &["events", "tail", "--after", "0"]);
    assert!(tail.status.success(), "{}", String::from_utf8_lossy(&tail.stderr));
    let text = String::from_utf8(tail.stdout).unwrap();
    for (index, line) in text.lines().enumerate() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["position"].as_u64(), Some(index as u64 + 1), "a gap");
    }
    assert!(text.lines().count() > acknowledged.len());
}

/// A service with another key does not start, and says why.
fn another_key_is_refused(restored: &Storage) {
    let path = data(restored).join("master.key");
    let key = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    MasterKey::generate().save_new(&path).unwrap();
    let refused = run(restored, &["serve"]);
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{errors}");
    assert!(errors.contains("the log was sealed with another master key (fingerprint "), "{errors}");
    fs::write(&path, key).unwrap();
}

#[tokio::test]
async fn a_directory_is_backed_up_under_load_and_restored() {
    let storage = Storage::new(Engine::Sqlite).await;
    let service = ServiceProcess::start(&storage, &[]);
    let backup = storage.directory.path().join("backup");
    let mut command = tenure(&storage, &[]);
    command.arg("backup").arg(&backup);
    let acknowledged = under_load(&service, move || {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("positions 1 to ") && said.contains("with master.key"), "{said}");
    })
    .await;
    service.kill();

    let mut files: Vec<_> = fs::read_dir(&backup).unwrap().map(|file| file.unwrap()).collect();
    files.sort_by_key(fs::DirEntry::file_name);
    assert_eq!(files.iter().map(fs::DirEntry::file_name).collect::<Vec<_>>(), ["log.db", "master.key"]);
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.path().display());
    }
    let restored = Storage::new(Engine::Sqlite).await;
    copy_key(&backup, &restored);
    fs::copy(backup.join("log.db"), data(&restored).join("log.db")).unwrap();
    another_key_is_refused(&restored);
    is_whole(&restored, &acknowledged).await;
}

#[tokio::test]
async fn nothing_is_overwritten_and_no_half_backup_is_left() {
    let storage = Storage::new(Engine::Sqlite).await;
    let directory = |name: &str| storage.directory.path().join(name);
    let back_up = |arguments: &[&str], into: &Path| {
        let output = tenure(&storage, &[]).arg("backup").args(arguments).arg(into).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    ServiceProcess::start(&storage, &[]).terminate();

    // The service need not run.
    assert_eq!(back_up(&["--without-key"], &directory("apart")), (Some(0), String::new()));
    assert!(!directory("apart").join("master.key").exists());
    let log = fs::read(directory("apart").join("log.db")).unwrap();
    for arguments in [&[][..], &["--without-key"]] {
        let (code, errors) = back_up(arguments, &directory("apart"));
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains("log.db is there already"), "{errors}");
    }
    assert_eq!(fs::read(directory("apart").join("log.db")).unwrap(), log);
    let (code, errors) = back_up(&["--without-key"], &data(&storage));
    assert!(code == Some(1) && errors.contains("is there already"), "not into the log's own directory: {errors}");

    // A disk that is full, as far as this process may tell.
    let mut limited = Command::new("bash");
    let limit = r#"trap "" XFSZ; ulimit -f 40; exec "$@""#;
    limited.args(["-c", limit, "bash", PROGRAM, "backup"]).arg(directory("full")).envs(storage.variables());
    let full = limited.output().unwrap();
    let errors = String::from_utf8(full.stderr).unwrap();
    assert!(full.status.code() == Some(1) && errors.contains("was not copied"), "{errors}");
    assert_eq!(fs::read_dir(directory("full")).unwrap().count(), 0, "nothing is left of it");

    // A key that does not belong to the log is no key to keep with it.
    let key = data(&storage).join("master.key");
    fs::remove_file(&key).unwrap();
    MasterKey::generate().save_new(&key).unwrap();
    let (code, errors) = back_up(&[], &directory("other"));
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("sealed with another master key"), "{errors}");
    assert!(!directory("other").exists());
}

/// `url` as PostgreSQL's own programs read it, without the test driver's parameters.
fn for_programs(url: &str) -> &str {
    url.split('?').next().unwrap()
}

fn program(name: &str) -> Command {
    let directory = std::env::var("PGBIN").expect("PGBIN names PostgreSQL's programs: run `make test`, which sets it");
    Command::new(Path::new(&directory).join(name))
}

fn succeed(mut command: Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_database_is_dumped_under_load_and_restored() {
    let storage = Storage::new(Engine::Postgres).await;
    let service = ServiceProcess::start(&storage, &[]);
    let refused = run(&storage, &["backup", storage.directory.path().join("backup").to_str().unwrap()]);
    let errors = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{errors}");
    assert!(
        ["pg_dump", "pg_basebackup", "master.key", "RUNBOOK.md"].iter().all(|word| errors.contains(word)),
        "{errors}"
    );

    let file = storage.directory.path().join("tenure.dump");
    let mut dump = program("pg_dump");
    dump.args(["--format=custom", "--no-owner", "--file"]).arg(&file);
    dump.arg(for_programs(storage.database_url().unwrap()));
    let acknowledged = under_load(&service, move || succeed(dump)).await;
    service.kill();

    let restored = Storage::new(Engine::Postgres).await;
    let mut restore = program("pg_restore");
    restore.args(["--no-owner", "--exit-on-error", "--single-transaction", "--dbname"]);
    restore.arg(for_programs(restored.database_url().unwrap())).arg(&file);
    succeed(restore);
    copy_key(&data(&storage), &restored);
    another_key_is_refused(&restored);
    is_whole(&restored, &acknowledged).await;
}

#[tokio::test]
async fn a_server_is_copied_under_load_and_its_copy_started() {
    let cluster = Arc::new(tokio::task::spawn_blocking(PostgresCluster::start).await.unwrap());
    let storage = Storage::at(cluster.url());
    let service = ServiceProcess::start(&storage, &[]);
    let copied = Arc::new(Mutex::new(None));
    let acknowledged = under_load(&service, {
        let (cluster, copied) = (Arc::clone(&cluster), Arc::clone(&copied));
        move || *copied.lock().unwrap() = Some(cluster.base_backup())
    })
    .await;
    service.kill();

    let copy = copied.lock().unwrap().take().unwrap();
    let restored = Storage::at(copy.url());
    copy_key(&data(&storage), &restored);
    another_key_is_refused(&restored);
    is_whole(&restored, &acknowledged).await;
}
