//! Two instances of the service on one PostgreSQL: a client may talk to either, and nothing is done twice.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{TimeZone, Utc};
use serde_json::json;
use tenure::identity::Role;

use crate::service::{Answer, Engine, Service, Storage, eventually};

async fn two(settings: &[(&str, &str)]) -> (Service, Service) {
    let storage = Arc::new(Storage::new(Engine::Postgres).await);
    let first = Service::start_with(Arc::clone(&storage), settings);
    (first, Service::start_with(storage, settings))
}

#[tokio::test]
async fn a_suspension_is_felt_on_the_other_instance_within_a_second() {
    let (here, there) = two(&[]).await;
    let id = here.tenant("acme").await;
    let path = format!("/api/v1/msp/tenants/{id}");
    let token = here.token_of(Role::PrimeAdmin, id);
    let me = async || Answer::of(there.request("GET", "/api/v1/me").bearer_auth(&token)).await.status;
    for _ in 0..5 {
        eventually("the tenant's people are let in there", async || me().await == 200).await;
        here.post_nothing(&format!("{path}/suspend")).await.expect(200);
        let suspended = Instant::now();
        while me().await != 403 {
            assert!(suspended.elapsed() < Duration::from_secs(2), "the bound is a second, and the test's own time");
        }
        here.post_nothing(&format!("{path}/reinstate")).await.expect(200);
    }
}

#[tokio::test]
async fn what_was_written_here_is_read_there() {
    let (here, there) = two(&[]).await;
    for number in 0..20 {
        let code = format!("tenant-{number}");
        let body = json!({"shortCode": code, "displayName": code, "contactEmail": "it@acme.example"});
        let made = here.post("/api/v1/msp/tenants", &body).await;
        let list = there.as_msp("GET", "/api/v1/msp/tenants?pageSize=1");
        let list = Answer::of(list.header("tenure-min-position", made.header("tenure-position"))).await;
        assert_eq!(list.expect(200)[0]["shortCode"], code);
    }
}

#[tokio::test]
async fn instances_that_alternate_see_no_false_conflict() {
    let (here, there) = two(&[]).await;
    let path = format!("/api/v1/msp/tenants/{}", here.tenant("acme").await);
    for _ in 0..30 {
        here.post_nothing(&format!("{path}/suspend")).await.expect(200);
        there.post_nothing(&format!("{path}/reinstate")).await.expect(200);
        there.post_nothing(&format!("{path}/suspend")).await.expect(200);
        // What this instance remembers is old, and refuses nothing by itself.
        here.post_nothing(&format!("{path}/reinstate")).await.expect(200);
        here.post_nothing(&format!("{path}/reinstate")).await.expect_problem(409, "not-suspended");
    }
}

#[tokio::test]
async fn an_instance_with_an_old_state_neither_skips_a_change_nor_refuses_a_version() {
    let (here, there) = two(&[]).await;
    let path = format!("/api/v1/msp/tenants/{}", here.tenant("acme").await);
    let change = |service: &Service, users: u32, version: &str| {
        let change = service.as_msp("PATCH", &path).header("if-match", version);
        Answer::of(change.json(&json!({"maxUsers": users})))
    };
    let mut version = change(&here, 10, "*").await.header("etag").to_owned();
    for _ in 0..10 {
        let behind = change(&there, 20, &version).await;
        assert_eq!(behind.expect(200)["maxUsers"], 20);
        // For this instance it was 10 a moment ago: that this changes nothing, or that the version is unknown, is not true.
        let changed = change(&here, 10, behind.header("etag")).await;
        assert_eq!(changed.expect(200)["maxUsers"], 10);
        let read = there.as_msp("GET", &path).header("tenure-min-position", changed.header("tenure-position"));
        assert_eq!(Answer::of(read).await.expect(200)["maxUsers"], 10);
        // And that it is still of the old version isn't either.
        change(&there, 30, behind.header("etag")).await.expect_problem(412, "version-mismatch");
        version = changed.header("etag").to_owned();
    }
}

#[tokio::test]
async fn the_loser_of_a_repeated_request_gets_the_winners_answer() {
    let (here, there) = two(&[]).await;
    for number in 0..10 {
        let code = format!("tenant-{number}");
        let body = json!({"shortCode": code, "displayName": code, "contactEmail": "it@acme.example"});
        let key = format!("key-{number}");
        let provision = |service: &Service| {
            Answer::of(service.as_msp("POST", "/api/v1/msp/tenants").header("idempotency-key", &key).json(&body))
        };
        let (one, other) = tokio::join!(provision(&here), provision(&there));
        assert_eq!(one.expect(201), other.expect(201));
    }
    assert_eq!(there.get("/api/v1/msp/tenants?pageSize=1").await.header("x-total-count"), "10");
}

#[tokio::test]
async fn a_month_is_billed_once_by_two_schedulers() {
    let offset = |month, day| {
        let moment = Utc.with_ymd_and_hms(2026, month, day, 12, 0, 0).unwrap();
        format!("{}s", (moment - Utc::now()).num_seconds())
    };
    let storage = Arc::new(Storage::new(Engine::Postgres).await);
    let before = Service::start_with(Arc::clone(&storage), &[("TENURE_CLOCK_OFFSET", &offset(1, 10))]);
    for number in 0..10 {
        before.tenant(&format!("tenant-{number}")).await;
    }
    before.stop();
    let later = offset(3, 10);
    let settings = [("TENURE_CLOCK_OFFSET", later.as_str())];
    let (one, other) = tokio::task::spawn_blocking({
        let storage = Arc::clone(&storage);
        let settings = settings.map(|(name, value)| (name, value.to_owned()));
        move || {
            let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
            let first = Service::start_with(Arc::clone(&storage), &settings);
            (first, Service::start_with(storage, &settings))
        }
    })
    .await
    .unwrap();
    let monthly = "/api/v1/msp/billing-events?type=tenant.usage.monthly";
    eventually("two months of ten tenants are billed", async || {
        one.get(monthly).await.expect(200).as_array().unwrap().len() >= 20
    })
    .await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(other.get(monthly).await.expect(200).as_array().unwrap().len(), 20);
}
