//! The curl lines of the document that the product was made from (RP-PAM article 38), run by a shell with a real curl.
//! Only host, token and tenant id are replaced. The tenants were made with the clock at 2026-04-07.

use std::process::Stdio;

use chrono::{DateTime, TimeZone, Utc};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::service::{Answer, Engine, Service, Storage, for_each_engine};

/// Every curl line of the document, in its order and to the letter.
const LINES: [&str; 9] = [
    r#"curl -s "https://rppam.corp.local:7101/api/v1/msp/tenants" \
  -H "Authorization: Bearer $MSP_ADMIN_JWT" | jq '.[] | {shortCode, displayName, status, createdUtc}'"#,
    r#"curl -s "https://rppam.corp.local:7101/api/v1/msp/tenants?status=active" \
  -H "Authorization: Bearer $MSP_ADMIN_JWT" | jq ."#,
    r#"curl -s "https://rppam.corp.local:7101/api/v1/msp/tenants?pageSize=25&page=2" \
  -H "Authorization: Bearer $MSP_ADMIN_JWT" | jq ."#,
    r#"curl -s "https://rppam.corp.local:7101/api/v1/msp/tenants/$TENANT_ID" \
  -H "Authorization: Bearer $MSP_ADMIN_JWT" | jq ."#,
    r#"curl -s -X POST "https://rppam.corp.local:7101/api/v1/msp/tenants/$TENANT_ID/suspend" \
  -H "Authorization: Bearer $MSP_ADMIN_JWT" | jq ."#,
    r#"curl -s -X POST "https://rppam.corp.local:7101/api/v1/msp/tenants/$TENANT_ID/reinstate" \
  -H "Authorization: Bearer $MSP_ADMIN_JWT" | jq ."#,
    r#"curl -s -X POST "https://rppam.corp.local:7101/api/v1/msp/tenants/$TENANT_ID/deprovision" \
  -H "Authorization: Bearer $MSP_ADMIN_JWT" \
  -H "Content-Type: application/json" \
  -d '{"confirmShortCode": "acme-corp"}' | jq ."#,
    r#"curl -s "https://rppam.corp.local:7101/api/v1/msp/tenants/$TENANT_ID/billing-events?from=2026-04-01&to=2026-04-30" \
  -H "Authorization: Bearer $MSP_ADMIN_JWT" | jq ."#,
    r#"curl -s "https://rppam.corp.local:7101/api/v1/msp/billing-events?from=2026-04-01&to=2026-04-30" \
  -H "Authorization: Bearer $MSP_ADMIN_JWT" | jq ."#,
];

/// A curl line as it stands in the document, and the answer.
struct Line {
    line: &'static str,
    answer: Value,
}

async fn run(service: &Service, tenant: &str, line: &'static str) -> Line {
    let script = line.replace("https://rppam.corp.local:7101", &service.url);
    // jq only shows the answer; the test looks at it whole.
    let script = script.split(" | jq").next().unwrap();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .env("MSP_ADMIN_JWT", service.msp_token())
        .env("TENANT_ID", tenant)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let answer = serde_json::from_slice(&output.stdout).unwrap();
    Line { line, answer }
}

/// Signed whole seconds from now to a moment, as `TENURE_CLOCK_OFFSET` takes them.
fn offset_to(moment: DateTime<Utc>) -> String {
    format!("{}s", (moment - Utc::now()).num_seconds())
}

async fn every_line_of_the_seed_answers(engine: Engine) {
    let then = Utc.with_ymd_and_hms(2026, 4, 7, 14, 30, 0).unwrap();
    let offset = offset_to(then);
    let service = Service::start_with(Storage::new(engine).await, &[("TENURE_CLOCK_OFFSET", &offset)]);
    // Page 2 of 25 must not be empty.
    for number in 0..30 {
        service.provision(&format!("customer-{number}")).await;
    }
    let acme = json!({
        "shortCode": "acme-corp", "displayName": "Acme Corporation", "contactEmail": "it@acmecorp.com",
        "modules": ["ad", "ssh"],
    });
    let acme = service.post("/api/v1/msp/tenants", &acme).await.expect(201);
    let id = acme["tenantId"].as_str().unwrap();
    let usage = service.as_msp("PUT", &format!("/api/v1/msp/tenants/{id}/usage"));
    Answer::of(usage.json(&json!({"resources": 83, "grants": 12}))).await.expect(204);

    let mut answers = Vec::new();
    for line in LINES {
        answers.push(run(&service, id, line).await);
    }
    let of = |part: &str| -> &Line {
        answers.iter().find(|answer| answer.line.contains(part)).unwrap_or_else(|| panic!("no line with {part}"))
    };

    let all = answers[0].answer.as_array().unwrap();
    assert_eq!(all.len(), 31);
    let mut fields: Vec<_> = ["tenantId", "shortCode", "displayName", "status", "createdUtc"].to_vec();
    assert!(fields.iter().all(|field| all[0][field].is_string()), "{}", all[0]);
    assert_eq!(all[0]["shortCode"], "acme-corp", "the newest comes first, as in the document's example");
    let active = of("status=active").answer.as_array().unwrap();
    assert_eq!(active.len(), 31);
    assert!(active.iter().all(|tenant| tenant["status"] == "active"));
    assert_eq!(of("pageSize=25&page=2").answer.as_array().unwrap().len(), 6);

    let detail = &answers.iter().find(|answer| answer.line.contains("/tenants/$TENANT_ID\"")).unwrap().answer;
    fields.extend(["contactEmail", "databaseName", "lastActivityUtc"]);
    assert!(fields.iter().all(|field| detail[field].is_string()), "{detail}");
    for field in ["maxUsers", "maxResources", "currentUsers", "currentResources"] {
        assert!(detail[field].is_u64(), "{field} of {detail}");
    }
    assert_eq!(detail["contactEmail"], "it@acmecorp.com");
    assert_eq!(detail["enabledModules"], json!(["ad", "ssh"]));
    assert_eq!(detail["databaseName"], "rppam_tenant_acme_corp");
    assert_eq!((&detail["maxUsers"], &detail["maxResources"]), (&json!(500), &json!(200)));
    assert_eq!(detail["currentResources"], 83);
    assert!(detail["createdUtc"].as_str().unwrap().starts_with("2026-04-07T14:3"), "{detail}");

    assert_eq!(of("/suspend").answer["status"], "suspended");
    assert_eq!(of("/reinstate").answer["status"], "active");
    let leaving = &of("/deprovision").answer;
    assert_eq!(leaving["status"], "deprovisioning");
    let ends: DateTime<Utc> = leaving["retentionEndsUtc"].as_str().unwrap().parse().unwrap();
    assert_eq!((ends - then).num_days(), 30);

    let of_tenant = of("$TENANT_ID/billing-events").answer.as_array().unwrap();
    let types: Vec<_> = of_tenant.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["tenant.provisioned", "tenant.suspended", "tenant.reinstated", "tenant.deprovisioned"]);
    assert_eq!(of_tenant[0]["shortCode"], "acme-corp");
    assert_eq!(of_tenant[1]["reason"], Value::Null, "the document's line gives none");
    assert_eq!(of_tenant[3]["retentionEndsUtc"], leaving["retentionEndsUtc"]);
    assert!(of_tenant.iter().all(|event| event["tenantId"] == id && event["occurredUtc"].is_string()));
    assert_eq!(of("msp/billing-events").answer.as_array().unwrap().len(), 31 + 3);
}

for_each_engine! {
    every_line_of_the_seed_answers
}
