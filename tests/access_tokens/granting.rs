//! Nobody makes a token that is more than they are.

use serde_json::{Value, json};
use tenure::identity::{DevelopmentKey, Role, TokenRequest};
use tenure_aggregates::TenantId;
use tenure_aggregates::access_token::MOST_ALIVE;
use tenure_aggregates::values::Groups;

use crate::service::{Answer, Engine, Service, eventually, on_each_engine};

async fn ask(service: &Service, authorization: &str, body: &Value) -> Answer {
    Answer::of(service.request("POST", "/api/v1/tokens").header("authorization", authorization).json(body)).await
}

fn body(role: &str) -> Value {
    json!({"name": "t", "role": role, "expiresInDays": 1})
}

/// A person's token, in these groups.
fn person(service: &Service, role: Role, tenant: TenantId, groups: &[&str]) -> String {
    person_named(service, role, tenant, groups, "0190a0a0-0000-7000-8000-000000000007")
}

/// The same of somebody whose token has this subject.
pub fn person_named(service: &Service, role: Role, tenant: TenantId, groups: &[&str], subject: &str) -> String {
    let key = DevelopmentKey::load_or_create(&service.config.development_key_path()).unwrap();
    let (now, expires_in) = (service.config.clock().now(), chrono::TimeDelta::hours(1));
    let groups = Groups::parse(groups).unwrap();
    let subject = Some(subject.to_owned());
    format!("Bearer {}", key.sign(&TokenRequest { role, tenant, subject, groups, now, expires_in }))
}

#[tokio::test]
async fn a_maker_has_so_many_tokens_and_no_more() {
    let service = Service::start(Engine::Sqlite).await;
    let tenant = service.tenant("acme").await;
    let named = |subject| person_named(&service, Role::Admin, tenant, &[], subject);
    let (anna, ben) = (named("0190a0a0-0000-7000-8000-000000000001"), named("0190a0a0-0000-7000-8000-000000000002"));
    let for_longer = json!({"name": "t", "role": "admin", "expiresInDays": 2});
    let first = ask(&service, &anna, &for_longer).await.expect(201);
    let with_it = format!("Token {}", first["token"].as_str().unwrap());
    let (mut missing, read_only) = (MOST_ALIVE - 1, body("read-only"));
    while missing > 0 {
        let asked = (0..missing.min(100)).map(|_| ask(&service, &anna, &read_only));
        let answers = futures::future::join_all(asked).await;
        for answer in &answers {
            answer.expect(201);
        }
        missing -= answers.len();
    }
    // The gate counts, and the answers did not wait for it.
    let is_full = async || ask(&service, &anna, &read_only).await.status == 409;
    eventually("the gate knows them all", is_full).await;
    for authorization in [&anna, &with_it] {
        let problem = ask(&service, authorization, &body("read-only")).await.expect_problem(409, "too-many-tokens");
        assert!(problem["detail"].as_str().unwrap().contains("revoke some first"), "{problem}");
    }
    ask(&service, &ben, &body("read-only")).await.expect(201);
    let revoke = format!("/api/v1/tokens/{}", first["id"].as_str().unwrap());
    Answer::of(service.request("DELETE", &revoke).header("authorization", &anna)).await.expect(204);
    eventually("there is room again", async || ask(&service, &anna, &read_only).await.status == 201).await;
}

on_each_engine! {
    async fn no_role_above_the_own_one(service: Service) {
        let tenant = service.tenant("acme").await;
        for &granter in Role::ALL {
            let authorization = person(&service, granter, tenant, &[]);
            for &role in Role::ALL {
                let answer = ask(&service, &authorization, &body(role.as_str())).await;
                // In a customer, an MSP's role makes nobody a superior.
                let is_held = granter == role || (granter != Role::MspAdmin && granter.holds(role));
                match (is_held, role.is_for_msps()) {
                    (true, false) => drop(answer.expect(201)),
                    (true, true) => drop(answer.expect_problem(400, "validation-failed")),
                    (false, _) => {
                        let problem = answer.expect_problem(403, "role-not-held");
                        assert_eq!(problem["errors"][0]["pointer"], "/role", "{granter} makes {role}");
                    }
                }
            }
        }
    }

    async fn no_group_but_ones_own_unless_one_runs_the_msp(service: Service) {
        let tenant = service.tenant("acme").await;
        let member = person(&service, Role::Admin, tenant, &["ops", "audit"]);
        let with = |groups: &[&str]| json!({"name": "t", "role": "admin", "groups": groups, "expiresInDays": 1});
        let made = ask(&service, &member, &with(&["audit"])).await.expect(201);
        assert_eq!(made["groups"], json!(["audit"]));
        ask(&service, &member, &with(&["audit", "owners"])).await.expect_problem(403, "group-not-held");
        // Nor does a token get back what it was not given.
        let token = format!("Token {}", made["token"].as_str().unwrap());
        ask(&service, &token, &with(&["ops"])).await.expect_problem(403, "group-not-held");
        let mut ours = with(&["whichever"]);
        ours["role"] = json!("msp-admin");
        service.post("/api/v1/tokens", &ours).await.expect(201);
    }

    async fn a_token_makes_nothing_above_itself_and_nothing_longer(service: Service) {
        let tenant = service.tenant("acme").await;
        let of_the_tenant = json!({"name": "t", "role": "admin", "tenantId": tenant.to_string(), "expiresInDays": 2});
        let made = service.post("/api/v1/tokens", &of_the_tenant).await.expect(201);
        let token = format!("Token {}", made["token"].as_str().unwrap());
        ask(&service, &token, &body("prime-admin")).await.expect_problem(403, "role-not-held");
        let longer = json!({"name": "t", "role": "admin", "expiresInDays": 3});
        let problem = ask(&service, &token, &longer).await.expect_problem(403, "lifetime-not-held");
        assert_eq!(problem["errors"][0]["pointer"], "/expiresInDays");
        let child = ask(&service, &token, &body("read-only")).await.expect(201);
        assert_eq!(child["createdBy"], format!("{tenant}/token-{}", made["id"].as_str().unwrap()));

        // It sees what it made, and itself, and takes either back.
        let list = service.request("GET", "/api/v1/tokens").header("authorization", &token);
        let list = Answer::of(list).await.expect(200);
        let ids: Vec<_> = list.as_array().unwrap().iter().map(|token| &token["id"]).collect();
        assert_eq!(ids, [&child["id"], &made["id"]]);
        let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
        let revoked = Answer::of(service.request("DELETE", &path).header("authorization", &token)).await;
        assert_eq!(revoked.status, 204);
        ask(&service, &token, &body("read-only")).await.expect_problem(401, "token-invalid");
    }

    async fn every_field_is_checked_and_pointed_to(service: Service) {
        let good = || json!({"name": "t", "role": "msp-admin", "groups": ["a"], "expiresInDays": 1});
        let many: Vec<String> = (0..257).map(|number| number.to_string()).collect();
        for (field, value, pointer) in [
            ("name", json!(""), "/name"),
            ("name", json!("x".repeat(101)), "/name"),
            ("name", json!("two\nlines"), "/name"),
            ("name", Value::Null, "/name"),
            ("role", json!("root"), "/role"),
            ("role", Value::Null, "/role"),
            ("tenantId", json!("acme"), "/tenantId"),
            ("groups", json!("a"), "/groups"),
            ("groups", json!(["a", ""]), "/groups/1"),
            ("groups", json!(many), "/groups"),
            ("expiresInDays", json!(0), "/expiresInDays"),
            ("expiresInDays", json!(366), "/expiresInDays"),
            ("expiresInDays", json!(1.5), "/expiresInDays"),
            ("expiresInDays", Value::Null, "/expiresInDays"),
            ("token", json!("nbp_"), "/token"),
        ] {
            let mut body = good();
            body[field] = value.clone();
            let problem = service.post("/api/v1/tokens", &body).await.expect_problem(400, "validation-failed");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{field} = {value}: {problem}");
        }
        assert!(service.get("/api/v1/tokens").await.expect(200).as_array().unwrap().is_empty());
        service.post("/api/v1/tokens", &good()).await.expect(201);
    }
}
