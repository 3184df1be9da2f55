//! `tenure pat`, run as an operator runs it.

use std::process::Output;

use serde_json::json;

use crate::service::process::{run, tenure};
use crate::service::{Answer, Engine, ServiceProcess, Storage};

/// Runs `tenure pat` against the service with this token.
fn pat(storage: &Storage, url: &str, token: &str, arguments: &[&str]) -> Output {
    let settings = [("TENURE_URL", url), ("TENURE_TOKEN", token)];
    tenure(storage, &settings).arg("pat").args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_token_is_made_listed_and_revoked() {
    let storage = Storage::new(Engine::Sqlite).await;
    let service = ServiceProcess::start(&storage, &[]);
    let pat = |token: &str, arguments: &[&str]| pat(&storage, &service.url, token, arguments);
    let me = async |token: &str| {
        let me = reqwest::Client::new().get(format!("{}/api/v1/me", service.url));
        Answer::of(me.header("authorization", format!("Token {token}"))).await
    };

    let create =
        ["create", "nightly sync", "--role", "billing", "--group", "a", "--group", "b", "--expires-in-days", "7"];
    let created = pat(&service.token, &create);
    assert!(created.status.success(), "{}", text(&created.stderr));
    let stdout = text(&created.stdout);
    assert_eq!(stdout.lines().count(), 1, "the bare token and nothing else: {stdout}");
    let token = stdout.trim();
    assert!(token.starts_with("nbp_") && token.len() == 40);
    assert!(!text(&created.stderr).contains(token) && text(&created.stderr).contains("not shown again"));
    let who = me(token).await.expect(200);
    assert_eq!((&who["role"], &who["groups"]), (&json!("billing"), &json!(["a", "b"])));

    // It is a token to ask with, too, and sees itself.
    let list = pat(token, &["list"]);
    assert!(list.status.success(), "{}", text(&list.stderr));
    let list = text(&list.stdout);
    assert!(list.starts_with("ID ") && list.contains("nightly sync") && list.contains("active"), "{list}");
    assert!(!list.contains("nbp_"), "{list}");
    let id = list.lines().nth(1).unwrap().split(' ').next().unwrap();

    let revoked = pat(&service.token, &["revoke", id]);
    assert!(revoked.status.success() && revoked.stdout.is_empty(), "{}", text(&revoked.stderr));
    me(token).await.expect_problem(401, "token-invalid");
    assert!(text(&pat(&service.token, &["list"]).stdout).contains("revoked"));
}

#[tokio::test]
async fn a_list_goes_on_behind_a_page_of_which_nothing_is_shown() {
    let storage = Storage::new(Engine::Sqlite).await;
    let service = ServiceProcess::start(&storage, &[]);
    let client = reqwest::Client::new();
    let post = async |path: &str, body: serde_json::Value| {
        let request = client.post(format!("{}{path}", service.url)).bearer_auth(&service.token);
        Answer::of(request.json(&body)).await
    };
    let made = pat(&storage, &service.url, &service.token, &["create", "the oldest", "--role", "billing"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let tenants = "/api/integrations/msp/tenants";
    let tenant = post(tenants, json!({"name": "T", "domain": "tenant.com", "groups": []})).await.expect(200);
    let inside = json!({"name": "inside", "role": "admin", "tenantId": tenant["id"], "expiresInDays": 1});
    for _ in 0..200 {
        post("/api/v1/tokens", inside.clone()).await.expect(201);
    }
    let unlink = format!("{tenants}/{}/unlink", tenant["id"].as_str().unwrap());
    post(&unlink, json!({"owner": "somebody"})).await.expect(200);
    let list = pat(&storage, &service.url, &service.token, &["list"]);
    let list = text(&list.stdout);
    assert!(list.contains("the oldest") && !list.contains("inside"), "{list}");
}

#[tokio::test]
async fn what_goes_wrong_is_one_line_and_an_exit_code() {
    let storage = Storage::new(Engine::Sqlite).await;
    let service = ServiceProcess::start(&storage, &[]);
    let billing = text(&run(&storage, &["token", "--role", "billing", "--group", "ops"]).stdout);
    let nobody = "01900000-0000-7000-8000-00000000ffff";
    let above: &[&str] = &["create", "t", "--role", "msp-admin"];
    for (url, token, arguments, code, why) in [
        (service.url.as_str(), billing.trim(), above, 1, "403 role-not-held"),
        (&service.url, "nbp_", &["list"], 1, "401 token-invalid"),
        (&service.url, billing.trim(), &["revoke", nobody], 1, "404 not-found"),
        (&service.url, billing.trim(), &["create", "", "--role", "billing"], 1, "400 validation-failed"),
        ("http://127.0.0.1:1", billing.trim(), &["list"], 1, "can't be asked"),
        (&service.url, "", &["list"], 2, "TENURE_TOKEN is not set"),
        ("ftp://127.0.0.1", billing.trim(), &["list"], 2, "must be an address"),
        (&service.url, billing.trim(), &["create", "t", "--role", "emperor"], 2, "not a role"),
        (&service.url, billing.trim(), &["revoke"], 2, "required"),
    ] {
        let output = pat(&storage, url, token, arguments);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(why) && output.stdout.is_empty(), "{arguments:?}: {errors}");
        assert!(token.is_empty() || !errors.contains(token), "{errors}");
        if code == 1 {
            assert_eq!(errors.lines().count(), 1, "{errors}");
        }
    }
    // A group that a token of the command line's own names is the person's to hand on.
    let own = pat(&storage, &service.url, billing.trim(), &["create", "t", "--role", "billing", "--group", "ops"]);
    assert!(own.status.success(), "{}", text(&own.stderr));
}

#[tokio::test]
async fn what_the_command_line_reads_is_no_setting_of_the_service() {
    let storage = Storage::new(Engine::Sqlite).await;
    let exported = [("TENURE_URL", "http://127.0.0.1:7101"), ("TENURE_TOKEN", "nbp_secret")];
    let output = tenure(&storage, &exported).args(["config", "check"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!text(&output.stdout).contains("nbp_secret"));
}
