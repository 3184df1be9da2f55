//! What happens when its time has come: deletion after the retention, usage at the end of each month. The clock is moved
//! by restarting the service with another `TENURE_CLOCK_OFFSET`.

use std::sync::Arc;

use chrono::{DateTime, TimeZone, Utc};
use serde_json::{Value, json};
use tenure::identity::Role;

use crate::service::process::run;
use crate::service::{Answer, Engine, Service, ServiceProcess, Storage, eventually, for_each_engine};

fn at(year: i32, month: u32, day: u32, hour: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(year, month, day, hour, 0, 0).unwrap()
}

fn start_at(storage: impl Into<Arc<Storage>>, moment: DateTime<Utc>) -> Service {
    let offset = format!("{}s", (moment - Utc::now()).num_seconds());
    Service::start_with(storage, &[("TENURE_CLOCK_OFFSET", &offset)])
}

async fn events_of(service: &Service, id: &str, kind: &str) -> Vec<Value> {
    let events = service.get(&format!("/api/v1/msp/tenants/{id}/billing-events?type={kind}")).await.expect(200);
    events.as_array().unwrap().clone()
}

async fn deprovisioned_at_noon(storage: Storage) -> (Arc<Storage>, String) {
    let service = start_at(storage, at(2026, 3, 10, 12));
    let id = service.tenant("acme").await.to_string();
    let body = json!({"confirmShortCode": "acme"});
    service.post(&format!("/api/v1/msp/tenants/{id}/deprovision"), &body).await.expect(200);
    (service.stop(), id)
}

async fn a_tenant_is_deleted_on_day_31_and_not_before(engine: Engine) {
    let (storage, id) = deprovisioned_at_noon(Storage::new(engine).await).await;
    let path = format!("/api/v1/msp/tenants/{id}");

    // Day 30 is over, day 31 has not begun: neither restored nor deleted any more.
    let service = start_at(storage, at(2026, 4, 10, 8));
    let restore = service.request("POST", &format!("{path}/restore")).json(&json!({"reason": "asked too late"}));
    let support = service.token_of(Role::Support, service.config.default_msp().id);
    Answer::of(restore.bearer_auth(support)).await.expect_problem(409, "retention-over");
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(service.get(&path).await.expect(200)["status"], "deprovisioning");

    let service = start_at(service.stop(), at(2026, 4, 12, 12));
    eventually("the tenant is deleted", async || service.get(&path).await.expect(200)["status"] == "deleted").await;
    let tenant = service.get(&path).await.expect(200);
    assert_eq!(tenant["contactEmail"], "erased");
    assert_eq!(events_of(&service, &id, "tenant.deleted").await.len(), 1);
    assert_eq!(service.get("/api/v1/msp/tenants?status=deleted").await.header("x-total-count"), "1");
    let again = json!({"shortCode": "acme", "displayName": "Acme", "contactEmail": "it@acme.example"});
    service.post("/api/v1/msp/tenants", &again).await.expect_problem(409, "short-code-taken");

    let service = start_at(service.stop(), at(2026, 4, 13, 12));
    assert_eq!(service.get(&path).await.expect(200)["contactEmail"], "erased", "after a restart, too");
}

async fn support_restores_within_the_retention(engine: Engine) {
    let (storage, id) = deprovisioned_at_noon(Storage::new(engine).await).await;
    let path = format!("/api/v1/msp/tenants/{id}");
    let service = start_at(storage, at(2026, 4, 9, 11));
    let msp = service.config.default_msp().id;
    let restore = |role| {
        let request = service.request("POST", &format!("{path}/restore")).json(&json!({"reason": "ticket 4711"}));
        Answer::of(request.bearer_auth(service.token_of(role, msp)))
    };
    restore(Role::MspAdmin).await.expect_problem(403, "role-forbidden");
    let restored = restore(Role::Support).await.expect(200);
    assert_eq!(restored["status"], "suspended");
    assert_eq!(restored["contactEmail"], "it@acme.example");
    assert_eq!(service.post_nothing(&format!("{path}/reinstate")).await.expect(200)["status"], "active");
    let bill = events_of(&service, &id, "tenant.restored").await;
    assert_eq!(bill[0]["reason"], "ticket 4711");
}

async fn a_short_code_is_free_again_only_if_the_operator_says_so(engine: Engine) {
    let (storage, id) = deprovisioned_at_noon(Storage::new(engine).await).await;
    let offset = format!("{}s", (at(2026, 5, 1, 12) - Utc::now()).num_seconds());
    let settings = [("TENURE_CLOCK_OFFSET", offset.as_str()), ("TENURE_RELEASE_SHORT_CODES", "true")];
    let service = Service::start_with(storage, &settings);
    let path = format!("/api/v1/msp/tenants/{id}");
    eventually("the tenant is deleted", async || service.get(&path).await.expect(200)["status"] == "deleted").await;
    service.provision("acme").await;
}

async fn monthly_usage_is_written_once_per_month_also_after_downtime(engine: Engine) {
    let service = start_at(Storage::new(engine).await, at(2026, 1, 15, 9));
    let id = service.tenant("acme").await.to_string();
    let path = format!("/api/v1/msp/tenants/{id}");
    let report = |service: &Service, resources: u32| {
        let body = json!({"resources": resources, "grants": 12});
        Answer::of(service.as_msp("PUT", &format!("{path}/usage")).json(&body))
    };
    report(&service, 83).await.expect(204);
    let service = start_at(service.stop(), at(2026, 2, 20, 9));
    report(&service, 90).await.expect(204);
    service.post_nothing(&format!("{path}/suspend")).await.expect(200);

    // Down for two month ends.
    let service = start_at(service.stop(), at(2026, 4, 2, 9));
    eventually("three months are written", async || events_of(&service, &id, "tenant.usage.monthly").await.len() == 3)
        .await;
    let months = events_of(&service, &id, "tenant.usage.monthly").await;
    let periods: Vec<_> = months.iter().map(|event| event["period"].as_str().unwrap()).collect();
    assert_eq!(periods, ["2026-01", "2026-02", "2026-03"]);
    let resources: Vec<_> = months.iter().map(|event| event["resourceCount"].as_u64().unwrap()).collect();
    assert_eq!(resources, [83, 90, 90], "counts as of each month's end");
    assert_eq!(months[0]["grantCount"], 12);
    assert_eq!(months[0]["userCount"], 0);
    assert_eq!(months[1]["occurredUtc"], "2026-02-28T23:59:59Z");

    let service = start_at(service.stop(), at(2026, 4, 3, 9));
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(events_of(&service, &id, "tenant.usage.monthly").await, months, "once, with the same event ids");
    let february = service.get("/api/v1/msp/billing-events?from=2026-02-01&to=2026-02-28").await.expect(200);
    assert!(february.as_array().unwrap().contains(&months[1]), "a bill of February finds February's usage");
}

async fn rebuilding_the_views_bills_and_deletes_nothing_again(engine: Engine) {
    let service = start_at(Storage::new(engine).await, at(2026, 1, 10, 12));
    for number in 0..4 {
        service.tenant(&format!("tenant-{number}")).await;
    }
    let gone = service.tenant("gone").await.to_string();
    let body = json!({"confirmShortCode": "gone"});
    service.post(&format!("/api/v1/msp/tenants/{gone}/deprovision"), &body).await.expect(200);
    let storage = service.stop();

    let offset = format!("{}s", (at(2026, 3, 10, 12) - Utc::now()).num_seconds());
    let process = ServiceProcess::start(&storage, &[("TENURE_CLOCK_OFFSET", &offset)]);
    let history = async || {
        let asked = reqwest::Client::new().get(format!("{}/api/v1/msp/billing-events", process.url));
        Answer::of(asked.bearer_auth(&process.token)).await.expect(200).as_array().unwrap().clone()
    };
    let of_type = |events: &[Value], kind| events.iter().filter(|event| event["type"] == kind).count();
    eventually("two months of four tenants are billed, and one is deleted", async || {
        let events = history().await;
        of_type(&events, "tenant.usage.monthly") >= 8 && of_type(&events, "tenant.deleted") == 1
    })
    .await;
    let before = history().await;
    let log = || run(&storage, &["events", "tail", "-n", "100"]).stdout;
    let logged = log();

    let rebuilt = run(&storage, &["projections", "rebuild", "--all"]);
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    // The scheduler looks every second.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(String::from_utf8_lossy(&log()), String::from_utf8_lossy(&logged), "nothing was appended");
    assert_eq!(history().await, before, "the same bills, with the same ids");
    process.terminate();
}

for_each_engine! {
    rebuilding_the_views_bills_and_deletes_nothing_again
    a_tenant_is_deleted_on_day_31_and_not_before
    support_restores_within_the_retention
    a_short_code_is_free_again_only_if_the_operator_says_so
    monthly_usage_is_written_once_per_month_also_after_downtime
}
