//! The command line, run as an operator runs it.

use std::process::Output;

use serde_json::{Value, json};

use crate::service::process::{run, tenure};
use crate::service::{Answer, Engine, ServiceProcess, Storage, for_each_engine};

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn help_is_worth_reading() {
    let storage = Storage::new(Engine::Sqlite).await;
    let help = text(&run(&storage, &["--help"]));
    for word in [
        "serve",
        "migrate",
        "backup",
        "token",
        "pat",
        "projections",
        "events",
        "config",
        "health",
        "TENURE_CONFIG",
        "./data",
    ] {
        assert!(help.contains(word), "{word} is missing from:\n{help}");
    }
    for subcommand in ["serve", "migrate", "backup", "token", "pat", "projections", "events", "config", "health"] {
        assert!(text(&run(&storage, &[subcommand, "--help"])).contains("Usage: tenure"), "{subcommand}");
    }
}

#[tokio::test]
async fn a_wrong_setting_is_one_line_and_exit_code_2() {
    let storage = Storage::new(Engine::Sqlite).await;
    for (name, value) in [
        ("TENURE_LISTEN", "nowhere"),
        ("TENURE_MODE", "prod"),
        ("TENURE_CLOCK_OFFSET", "soon"),
        ("TENURE_RETENTION_DAYS", "-1"),
        ("TENURE_DATABASE_URL", "mysql://x"),
        ("TENURE_LISTN", "127.0.0.1:1"),
        ("TENURE_TLS_CERT", "/tmp/only-the-certificate.pem"),
    ] {
        for subcommand in [&["config", "check"][..], &["serve"]] {
            let output = tenure(&storage, &[(name, value)]).args(subcommand).output().unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{name}={value}: {errors}");
            assert_eq!(errors.lines().count(), 1, "{errors}");
            assert!(errors.contains(&name["TENURE_".len()..].to_lowercase()) || errors.contains(name), "{errors}");
        }
    }
}

#[tokio::test]
async fn production_refuses_the_development_key_and_a_shifted_clock() {
    let storage = Storage::new(Engine::Sqlite).await;
    text(&run(&storage, &["token", "--role", "msp-admin"]));
    let jwks = storage.directory.path().join("jwks.json");
    std::fs::write(&jwks, "{\"keys\": []}").unwrap();
    let production = [
        ("TENURE_MODE", "production"),
        ("TENURE_JWT_JWKS", jwks.to_str().unwrap()),
        ("TENURE_JWT_ISSUER", "https://id.example/"),
        ("TENURE_JWT_AUDIENCE", "tenure"),
    ];
    let output = tenure(&storage, &production).arg("serve").output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("development"), "{errors}");
    let output = tenure(&storage, &production[..1]).arg("serve").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "nobody to trust");
    std::fs::remove_file(storage.directory.path().join("data/development.key")).unwrap();
    let shifted = [&production[..], &[("TENURE_CLOCK_OFFSET", "1d")]].concat();
    assert_eq!(tenure(&storage, &shifted).arg("serve").output().unwrap().status.code(), Some(2));
}

#[tokio::test]
async fn a_token_is_printed_bare_and_works() {
    let storage = Storage::new(Engine::Sqlite).await;
    let service = ServiceProcess::start(&storage, &[]);
    let token = text(&run(&storage, &["token", "--role", "billing", "--subject", "exporter"]));
    assert_eq!(token.lines().count(), 1);
    assert_eq!(token.trim().split('.').count(), 3);
    let me = reqwest::Client::new().get(format!("{}/api/v1/me", service.url)).bearer_auth(token.trim());
    let me = Answer::of(me).await.expect(200);
    assert_eq!((&me["role"], &me["subject"]), (&json!("billing"), &json!("exporter")));
    assert!(!run(&storage, &["token", "--role", "emperor"]).status.success());
}

async fn operators_look_and_rebuild_beside_a_running_service(engine: Engine) {
    let storage = Storage::new(engine).await;
    let service = ServiceProcess::start(&storage, &[]);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({"shortCode": "acme", "displayName": "Acme", "contactEmail": "it@acme.example"});
    let made = client.post(format!("{}/api/v1/msp/tenants", service.url)).bearer_auth(&service.token).json(&body);
    Answer::of(made).await.expect(201);

    let tail = text(&run(&storage, &["events", "tail"]));
    let events: Vec<Value> = tail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = ["tenant.provisioned", "administrator.invited", "tenant.provisioned", "administrator.invited"];
    assert_eq!(types, expected);
    assert!(tail.contains("$sealed") && !tail.contains("it@acme.example"));
    assert!(text(&run(&storage, &["events", "show", "3", "--open"])).contains("it@acme.example"));
    assert!(!run(&storage, &["events", "show", "99"]).status.success());

    let list = text(&run(&storage, &["projections", "list"]));
    for name in ["tenants", "billing", "deadlines", "usage", "links", "access_tokens"] {
        assert!(list.contains(name), "{list}");
    }
    assert!(text(&run(&storage, &["projections", "rebuild", "tenants"])).contains("rebuilt"));
    assert!(!run(&storage, &["projections", "rebuild", "nonsense"]).status.success());
    assert!(!run(&storage, &["projections", "rebuild"]).status.success(), "what to rebuild has to be said");
    let all = text(&run(&storage, &["projections", "rebuild", "--all"]));
    assert_eq!(all.lines().filter(|line| line.ends_with("is rebuilt.")).count(), 6, "{all}");
    let listed = text(&run(&storage, &["projections", "list"]));
    assert_eq!(listed.lines().filter(|line| line.ends_with("live")).count(), 6, "{listed}");
    let tenants = client.get(format!("{}/api/v1/msp/tenants", service.url)).bearer_auth(&service.token);
    assert_eq!(Answer::of(tenants).await.expect(200).as_array().unwrap().len(), 1);
    service.terminate();
    assert!(text(&run(&storage, &["projections", "list"])).contains("tenants"), "without a service, too");
}

#[tokio::test]
async fn a_service_that_listens_everywhere_prints_an_address_to_ask_it_at() {
    for (listen, printed) in [("0.0.0.0:0", "http://127.0.0.1:"), ("[::]:0", "http://[::1]:")] {
        let storage = Storage::new(Engine::Sqlite).await;
        let service = ServiceProcess::start(&storage, &[("TENURE_LISTEN", listen)]);
        assert!(service.url.starts_with(printed), "{}", service.url);
        assert_eq!(reqwest::get(format!("{}/health/live", service.url)).await.unwrap().status(), 200);
        service.terminate();
    }
}

#[tokio::test]
async fn a_second_service_on_the_same_directory_is_refused() {
    let storage = Storage::new(Engine::Sqlite).await;
    let service = ServiceProcess::start(&storage, &[]);
    let second = run(&storage, &["serve"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another process"));
    let answer = reqwest::get(format!("{}/health/live", service.url)).await.unwrap();
    assert_eq!(answer.status(), 200, "the first one goes on");
}

#[tokio::test]
async fn config_check_shows_what_is_in_effect_without_secrets() {
    let storage = Storage::new(Engine::Sqlite).await;
    let settings = [("TENURE_DATABASE_URL", "postgres://u:hush-hush@db.example/t"), ("TENURE_RETENTION_DAYS", "7")];
    let shown = text(&tenure(&storage, &settings).args(["config", "check"]).output().unwrap());
    assert!(!shown.contains("hush-hush"), "{shown}");
    let retention = shown.lines().find(|line| line.starts_with("retention_days")).unwrap();
    assert!(retention.contains('7') && retention.contains("TENURE_RETENTION_DAYS"), "{retention}");
    assert!(text(&run(&storage, &["config", "default"])).contains("[[msp]]"));
}

for_each_engine! {
    operators_look_and_rebuild_beside_a_running_service
}
