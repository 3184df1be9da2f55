//! `/health/ready` says of each part that is not well what is wrong and what to do.

use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use tenure::identity::Role;
use tenure_test_engines::PostgresCluster;

use crate::service::{Answer, Engine, Service, Storage, append_by_hand, eventually, on_each_engine};

async fn ready(service: &Service) -> (u16, Value) {
    let answer = Answer::of(service.request("GET", "/health/ready")).await;
    (answer.status, serde_json::from_str(&answer.text).unwrap())
}

fn reasons(body: &Value) -> Vec<&str> {
    let reasons: Vec<_> = body["reasons"].as_array().unwrap().iter().map(|reason| reason.as_str().unwrap()).collect();
    for reason in &reasons {
        assert!(reason.ends_with('.') && reason.split_whitespace().count() > 5, "a sentence: {reason}");
        assert!(!reason.contains("password") && !reason.contains("postgres://"), "{reason}");
    }
    reasons
}

on_each_engine! {
    async fn a_service_that_is_well_has_no_reason_against_it(service: Service) {
        service.tenant("acme").await;
        eventually("it is ready", async || ready(&service).await.0 == 200).await;
        let (_, body) = ready(&service).await;
        assert_eq!((&body["ready"], &body["reasons"]), (&json!(true), &json!([])), "{body}");
        assert_eq!(body["log"], json!({"head": 4}));
        assert_eq!(body["gate"], json!({"fresh": true, "position": 4}));
        let names: Vec<_> = body["projections"].as_array().unwrap().iter().map(|view| &view["name"]).collect();
        assert_eq!(names, ["tenants", "billing", "deadlines", "usage", "links", "access_tokens"]);
        for view in body["projections"].as_array().unwrap() {
            assert_eq!((&view["live"], &view["position"]), (&json!(true), &json!(4)), "{view}");
            assert!(view.get("reason").is_none() && view.get("stopped").is_none(), "{view}");
        }
    }
}

async fn on_cluster() -> (PostgresCluster, Service) {
    let cluster = tokio::task::spawn_blocking(PostgresCluster::start).await.unwrap();
    let url = cluster.url();
    let service = Service::start_with(Storage::new(Engine::Sqlite).await, &[("TENURE_DATABASE_URL", &url)]);
    (cluster, service)
}

#[tokio::test]
async fn a_database_that_is_gone_is_named_by_every_part_that_needs_it() {
    let (mut cluster, service) = on_cluster().await;
    service.tenant("acme").await;
    cluster.kill9();
    eventually("log and gate say so", async || {
        let (status, body) = ready(&service).await;
        let reasons = reasons(&body);
        let says = |start: &str, advice: &str| {
            reasons.iter().any(|reason| reason.starts_with(start) && reason.contains(advice))
        };
        status == 503
            && (says("The log can't be read", "check that the database runs")
                || says("The log did not answer", "network"))
            && says("The gate has not read the log for", "check the database")
    })
    .await;
    drop(service);
    cluster.stop();
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_told_apart_from_one_that_is_gone() {
    let (mut cluster, service) = on_cluster().await;
    let mut database = sqlx::PgConnection::connect(&cluster.url()).await.unwrap();
    let read_only = async |database: &mut sqlx::PgConnection, value: &str| {
        // Only a role's setting could undo it, and a superuser in a session of his own.
        database.execute(format!("alter system set default_transaction_read_only = {value}").as_str()).await.unwrap();
        database.execute("select pg_reload_conf()").await.unwrap();
    };
    read_only(&mut database, "on").await;
    let body = json!({"shortCode": "during", "displayName": "D", "contactEmail": "d@acme.example"});
    eventually("the writer is named", async || {
        let made = service.post("/api/v1/msp/tenants", &body).await;
        assert!(matches!(made.status, 201 | 202 | 409 | 500 | 503), "{made:?}");
        let (status, body) = ready(&service).await;
        let reasons = reasons(&body);
        let log = &body["log"];
        let named = log["writerReason"].as_str().is_some_and(|reason| reasons.contains(&reason));
        status == 503 && named && log["head"].is_u64() && log.get("reason").is_none()
    })
    .await;
    read_only(&mut database, "off").await;
    // Nobody has to send a command for the reason to go away.
    eventually("it is ready again", async || ready(&service).await.0 == 200).await;
    drop((service, database));
    cluster.stop();
}

/// Waits until a projection has this in its reason, and the whole service has it among its own.
async fn says_of_tenants(service: &Service, words: &str) {
    eventually(&format!("it says {words:?}"), async || {
        let (status, body) = ready(service).await;
        let reasons = reasons(&body);
        let tenants = &body["projections"][0];
        let said = tenants["reason"].as_str().unwrap_or_default();
        status == 503 && said.contains(words) && reasons.contains(&format!("Projection tenants: {said}").as_str())
    })
    .await;
}

#[tokio::test]
async fn views_that_have_yet_to_catch_up_say_how_far() {
    let service = Service::start(Engine::Postgres).await;
    let id = service.tenant("acme").await;
    eventually("the views have passed it", async || ready(&service).await.0 == 200).await;
    let storage = service.stop();
    let mut database = PgConnection::connect(storage.database_url().unwrap()).await.unwrap();
    let suspended = "{\"tenant.suspended\": {\"reason\": null, \"at\": \"2026-01-01T00:00:00Z\"}}";
    assert_eq!(append_by_hand(&mut database, id, "tenant.suspended", suspended).await, 5);
    // Nobody can move a view on meanwhile.
    let mut lock = database.begin().await.unwrap();
    lock.execute("select position from views.checkpoints for update").await.unwrap();
    let service = Service::start_with(storage, &[]);
    says_of_tenants(&service, "It has yet to apply the events from 5 to 5").await;
    lock.rollback().await.unwrap();
    eventually("it is ready", async || ready(&service).await.0 == 200).await;
}

#[tokio::test]
async fn a_release_that_was_given_up_says_how_far_its_new_views_are() {
    let service = Service::start(Engine::Postgres).await;
    service.tenant("acme").await;
    eventually("it is ready", async || ready(&service).await.0 == 200).await;
    let url = service.storage().database_url().unwrap();
    let (mut one, mut two) = (PgConnection::connect(url).await.unwrap(), PgConnection::connect(url).await.unwrap());
    // What is begun anew gets no event meanwhile.
    let mut lock = one.begin().await.unwrap();
    lock.execute("lock table events in access exclusive mode").await.unwrap();
    // As a newer release does that has not heard of any instance of this one for long.
    two.execute("delete from views.pointers").await.unwrap();
    says_of_tenants(&service, "It has yet to apply the events from 1 to 4").await;
    lock.rollback().await.unwrap();
    eventually("it is ready", async || ready(&service).await.0 == 200).await;
    let list = service.get("/api/v1/msp/tenants").await.expect(200);
    assert_eq!(list[0]["shortCode"], "acme", "{list}");
}

#[tokio::test]
async fn an_event_of_a_newer_release_asks_for_an_upgrade() {
    let service = Service::start(Engine::Postgres).await;
    let id = service.tenant("acme").await;
    let mut database = PgConnection::connect(service.storage().database_url().unwrap()).await.unwrap();
    append_by_hand(&mut database, id, "tenant.relocated", "{}").await;
    says_of_tenants(&service, "before an event that only a newer release knows (tenant.relocated at position 5").await;
    says_of_tenants(&service, "upgrade this instance").await;
    // Commands of others go on.
    service
        .post(
            "/api/v1/msp/tenants",
            &json!({"shortCode": "bystander", "displayName": "B", "contactEmail": "b@b.example"}),
        )
        .await
        .expect(202);
}

#[tokio::test]
async fn an_instance_that_has_read_what_a_failover_lost_says_so_and_lets_nobody_in() {
    let service = Service::start(Engine::Postgres).await;
    let id = service.tenant("acme").await;
    let suspended =
        service.post_nothing(&format!("/api/v1/msp/tenants/{}/suspend", service.tenant("contoso").await)).await;
    let lost: i64 = suspended.header("tenure-position").parse().unwrap();
    let people = service.token_of(Role::PrimeAdmin, id);
    let me = async || Answer::of(service.request("GET", "/api/v1/me").bearer_auth(&people)).await.status;
    eventually("the tenant's people are let in", async || me().await == 200).await;

    let mut database = PgConnection::connect(service.storage().database_url().unwrap()).await.unwrap();
    // As a standby that had not got it yet.
    let mut change = database.begin().await.unwrap();
    change.execute("set local session_replication_role = replica").await.unwrap();
    change.execute(format!("delete from events where position = {lost}").as_str()).await.unwrap();
    change.execute("update log_head set position = position - 1").await.unwrap();
    change.commit().await.unwrap();
    let says = async || {
        let (status, body) = ready(&service).await;
        let reason = format!("The log does not hold the event at position {lost} ");
        status == 503 && reasons(&body).iter().any(|said| said.starts_with(&reason) && said.contains("Restart"))
    };
    eventually("it says so", says).await;
    eventually("the tenant's people are turned away", async || me().await == 503).await;

    // Another event in its place is not the one that was read.
    let payload = "{\"tenant.suspended\": {\"reason\": null, \"at\": \"2026-01-01T00:00:00Z\"}}";
    assert_eq!(append_by_hand(&mut database, id, "tenant.suspended", payload).await, lost);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(says().await && me().await == 503);
}
