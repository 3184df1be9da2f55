//! Every route, every role, every kind of tenant: who gets what. The operations are those of the OpenAPI document, so a
//! new one is missing here until somebody says who may use it.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};
use tenure::identity::Role;
use tenure_aggregates::TenantId;

use crate::openapi::operations;
use crate::service::{Answer, Engine, Service, Storage, for_each_engine};

/// Operations on the MSP's tree, with a body that reaches the tenant, and the roles that may use them.
fn rights() -> BTreeMap<&'static str, (Value, &'static [Role])> {
    use Role::{Billing, MspAdmin, Support};
    let tenant = "/api/v1/msp/tenants/{tenantId}";
    let provision = json!({"shortCode": "x", "displayName": "", "contactEmail": ""});
    BTreeMap::from([
        ("GET /api/v1/msp/tenants", (Value::Null, &[MspAdmin][..])),
        ("POST /api/v1/msp/tenants", (provision, &[MspAdmin])),
        ("GET /api/v1/msp/billing-events", (Value::Null, &[MspAdmin, Billing])),
        ("GET /api/v1/msp/billing-events/reconciliation", (Value::Null, &[MspAdmin, Billing])),
        (leak(tenant, "GET", ""), (Value::Null, &[MspAdmin])),
        (leak(tenant, "PATCH", ""), (json!({"maxUsers": 5}), &[MspAdmin])),
        (leak(tenant, "POST", "/suspend"), (json!({}), &[MspAdmin])),
        (leak(tenant, "POST", "/reinstate"), (json!({}), &[MspAdmin])),
        (leak(tenant, "POST", "/deprovision"), (json!({"confirmShortCode": "no"}), &[MspAdmin])),
        (leak(tenant, "POST", "/restore"), (json!({"reason": "r"}), &[Support])),
        (leak(tenant, "PUT", "/usage"), (json!({"resources": 1, "grants": 1}), &[MspAdmin])),
        (leak(tenant, "GET", "/billing-events"), (Value::Null, &[MspAdmin, Billing])),
    ])
}

fn leak(tenant: &str, method: &str, rest: &str) -> &'static str {
    Box::leak(format!("{method} {tenant}{rest}").into_boxed_str())
}

struct Two {
    service: Service,
    ours: TenantId,
    theirs: TenantId,
    customer_of_ours: TenantId,
    /// Nobody changes this one: its people can always be asked.
    bystander: TenantId,
    customer_of_theirs: TenantId,
}

/// One deployment, two MSPs that must never see each other.
async fn two_msps(engine: Engine) -> Two {
    let storage = Storage::new(engine).await;
    let path = storage.directory.path().join("tenure.toml");
    let mut file = std::fs::File::create(&path).unwrap();
    for (short_code, id) in [("ours", 1), ("theirs", 2)] {
        writeln!(
            file,
            "[[msp]]\nid = \"01900000-0000-7000-8000-00000000000{id}\"\nshort_code = \"{short_code}\"\n\
             display_name = \"{short_code}\"\nadmin_email = \"a@{short_code}.example\"\nadmin_display_name = \"A\""
        )
        .unwrap();
    }
    let service = Service::start_with(storage, &[("TENURE_CONFIG", path.to_str().unwrap())]);
    let (ours, theirs) = (service.config.msps[0].id, service.config.msps[1].id);
    let customer_of_ours = service.tenant("ours-1").await;
    let bystander = service.tenant("ours-2").await;
    let body = json!({"shortCode": "theirs-1", "displayName": "T", "contactEmail": "t@theirs.example"});
    let request = service.request("POST", "/api/v1/msp/tenants").json(&body);
    let made = Answer::of(request.bearer_auth(service.token_of(Role::MspAdmin, theirs))).await.expect(201);
    let customer_of_theirs = made["tenantId"].as_str().unwrap().parse().unwrap();
    Two { service, ours, theirs, customer_of_ours, bystander, customer_of_theirs }
}

impl Two {
    async fn ask(&self, operation: &str, body: &Value, role: Role, of: TenantId, about: TenantId) -> Answer {
        let (method, path) = operation.split_once(' ').unwrap();
        let path = path.replace("{tenantId}", &about.to_string());
        let mut request = self.service.request(method, &path).bearer_auth(self.service.token_of(role, of));
        if !body.is_null() {
            request = request.json(body);
        }
        Answer::of(request).await
    }
}

async fn every_route_asks_for_role_and_tenant(engine: Engine) {
    let two = two_msps(engine).await;
    let rights = rights();
    for (method, path, needs_token) in operations(&two.service).await {
        let operation = format!("{method} {path}");
        // What everybody may do has a matrix of its own, below.
        if !needs_token || operation == "GET /api/v1/me" || path.starts_with("/api/v1/tokens") {
            continue;
        }
        let (body, allowed) = rights.get(operation.as_str()).unwrap_or_else(|| panic!("who may {operation}?"));
        for &role in Role::ALL {
            let answer = two.ask(&operation, body, role, two.ours, two.customer_of_ours).await;
            let own_tenants_people = two.ask(&operation, body, role, two.bystander, two.bystander).await;
            if allowed.contains(&role) {
                let expected = [200, 201, 204, 400, 409];
                assert!(expected.contains(&answer.status), "{role} {operation}: {answer:?}");
            } else {
                answer.expect_problem(403, "role-forbidden");
            }
            own_tenants_people.expect_problem(403, "role-forbidden");
            if path.contains("{tenantId}") && allowed.contains(&role) {
                for about in [two.customer_of_theirs, two.theirs, two.ours, TenantId::from_uuid(uuid::Uuid::now_v7())] {
                    let foreign = two.ask(&operation, body, role, two.ours, about).await;
                    let problem = foreign.expect_problem(404, "not-found");
                    assert!(problem.get("detail").is_none(), "a foreign tenant looks absent: {problem}");
                }
            }
        }
    }
}

async fn a_foreign_tenant_is_refused_like_one_that_does_not_exist_whatever_else_is_wrong(engine: Engine) {
    let two = two_msps(engine).await;
    let nobodys = TenantId::from_uuid(uuid::Uuid::now_v7());
    for (operation, (_, allowed)) in rights().into_iter().filter(|(operation, _)| operation.contains("{tenantId}")) {
        let (method, path) = operation.split_once(' ').unwrap();
        let token = two.service.token_of(allowed[0], two.ours);
        for (header, value, body) in [
            ("x-nothing", "wrong", "{}"),
            ("x-body", "broken", "{"),
            ("x-body", "of another shape", "{\"x\": 1}"),
            ("if-match", "1", "{\"confirmShortCode\": \"x\", \"reason\": \"x\"}"),
            ("idempotency-key", "", "{\"confirmShortCode\": \"x\", \"reason\": \"x\"}"),
            ("tenure-min-position", "x", ""),
            ("content-type", "text/plain", "{}"),
        ] {
            let seen = async |about: TenantId| {
                let path = path.replace("{tenantId}", &about.to_string());
                let request = two.service.request(method, &path).bearer_auth(&token).header(header, value);
                let is_typed = header == "content-type";
                let request = if is_typed { request } else { request.header("content-type", "application/json") };
                let answer = Answer::of(request.body(body)).await;
                let problem: Value = serde_json::from_str(&answer.text).unwrap();
                (answer.status, problem["code"].clone(), problem["detail"].clone())
            };
            let none = seen(nobodys).await;
            for foreign in [two.customer_of_theirs, two.theirs, two.ours] {
                assert_eq!(seen(foreign).await, none, "{operation} with {header} {value}");
            }
        }
    }
    // The same where the tenant stands in the body.
    for (key, role) in [("", "msp-admin"), ("k", "msp-admin"), ("k", "support")] {
        let seen = async |about: TenantId| {
            let body = json!({"name": "t", "role": role, "tenantId": about.to_string(), "expiresInDays": 1});
            let request = two.service.as_msp("POST", "/api/v1/tokens").header("idempotency-key", key).json(&body);
            let problem: Value = serde_json::from_str(&Answer::of(request).await.text).unwrap();
            (problem["status"].clone(), problem["code"].clone(), problem["detail"].clone())
        };
        assert_eq!(seen(two.customer_of_theirs).await, seen(nobodys).await, "{key} {role}");
    }
}

async fn two_msps_never_see_each_other(engine: Engine) {
    let two = two_msps(engine).await;
    let codes_of = |ours: bool| if ours { json!(["ours-2", "ours-1"]) } else { json!(["theirs-1"]) };
    for msp in [two.ours, two.theirs] {
        let list = two.ask("GET /api/v1/msp/tenants", &Value::Null, Role::MspAdmin, msp, msp).await;
        let list_body = list.expect(200);
        let codes: Vec<_> = list_body.as_array().unwrap().iter().map(|tenant| tenant["shortCode"].clone()).collect();
        assert_eq!(json!(codes), codes_of(msp == two.ours));
        assert_eq!(list.header("x-total-count"), codes.len().to_string());
        for role in [Role::MspAdmin, Role::Billing] {
            let bill = two.ask("GET /api/v1/msp/billing-events", &Value::Null, role, msp, msp).await.expect(200);
            let mut billed: Vec<_> = bill.as_array().unwrap().iter().map(|event| event["shortCode"].clone()).collect();
            billed.reverse();
            assert_eq!(json!(billed), codes_of(msp == two.ours));
        }
    }
    // The name is unique all the same: it names a data space of the cell.
    let body = json!({"shortCode": "theirs-1", "displayName": "O", "contactEmail": "o@ours.example"});
    two.service.post("/api/v1/msp/tenants", &body).await.expect_problem(409, "short-code-taken");
}

impl Two {
    async fn make_token(&self, role: Role, of: TenantId, acts_in: TenantId) -> Answer {
        let body = json!({"name": "t", "role": role.as_str(), "tenantId": acts_in.to_string(), "expiresInDays": 1});
        self.ask("POST /api/v1/tokens", &body, role, of, acts_in).await
    }

    async fn revoke_token(&self, id: &Value, role: Role, of: TenantId) -> Answer {
        let operation = format!("DELETE /api/v1/tokens/{}", id.as_str().unwrap());
        self.ask(&operation, &Value::Null, role, of, of).await
    }

    async fn show_token(&self, id: &Value, role: Role, of: TenantId) -> Answer {
        let operation = format!("GET /api/v1/tokens/{}", id.as_str().unwrap());
        self.ask(&operation, &Value::Null, role, of, of).await
    }

    async fn token_ids(&self, role: Role, of: TenantId) -> Vec<Value> {
        let list = self.ask("GET /api/v1/tokens", &Value::Null, role, of, of).await.expect(200);
        list.as_array().unwrap().iter().map(|token| token["id"].clone()).collect()
    }
}

async fn every_role_has_tokens_of_its_own_and_an_msps_administrator_those_of_its_tree(engine: Engine) {
    let two = two_msps(engine).await;
    let mut made = Vec::new();
    for of in [two.ours, two.customer_of_ours, two.theirs] {
        for &role in Role::ALL {
            let answer = two.make_token(role, of, of).await;
            if role.is_for_msps() && of == two.customer_of_ours {
                answer.expect_problem(400, "validation-failed");
                continue;
            }
            made.push((role, of, answer.expect(201)["id"].clone()));
        }
    }
    for &(role, of, ref id) in &made {
        for &other in Role::ALL {
            let runs_all = other == Role::MspAdmin;
            for (asker, is_visible) in [
                (two.ours, if runs_all { of != two.theirs } else { of == two.ours && role == other }),
                (two.customer_of_ours, of == two.customer_of_ours && role == other),
                (two.theirs, of == two.theirs && (runs_all || role == other)),
            ] {
                let seen = two.token_ids(other, asker).await.contains(id);
                assert_eq!(seen, is_visible, "{other} of {asker} sees the token of {role} of {of}");
                let shown = two.show_token(id, other, asker).await;
                if is_visible {
                    assert_eq!(&shown.expect(200)["id"], id);
                } else {
                    let problem = shown.expect_problem(404, "not-found");
                    assert!(problem.get("detail").is_none(), "a foreign token looks absent: {problem}");
                    two.revoke_token(id, other, asker).await.expect_problem(404, "not-found");
                }
            }
        }
        for &other in Role::ALL {
            let reaches = [two.customer_of_theirs, two.theirs, two.bystander, TenantId::from_uuid(uuid::Uuid::nil())];
            for foreign in reaches.into_iter().filter(|_| of == two.customer_of_ours && role == other) {
                two.make_token(other, of, foreign).await.expect_problem(404, "not-found");
            }
        }
    }
    for (role, of, id) in made {
        // An MSP's own people may be asked; whoever made it may, too.
        let (asker, by) = if of == two.customer_of_ours { (two.ours, Role::MspAdmin) } else { (of, role) };
        assert_eq!(two.revoke_token(&id, by, asker).await.status, 204, "{by} of {asker} revokes the one of {role}");
        assert_eq!(two.revoke_token(&id, role, of).await.status, 204, "once more changes nothing");
    }
    two.make_token(Role::MspAdmin, two.ours, two.theirs).await.expect_problem(404, "not-found");
    two.make_token(Role::MspAdmin, two.ours, two.customer_of_theirs).await.expect_problem(404, "not-found");
    two.make_token(Role::Billing, two.ours, two.customer_of_ours).await.expect_problem(404, "not-found");
}

for_each_engine! {
    every_role_has_tokens_of_its_own_and_an_msps_administrator_those_of_its_tree
    every_route_asks_for_role_and_tenant
    a_foreign_tenant_is_refused_like_one_that_does_not_exist_whatever_else_is_wrong
    two_msps_never_see_each_other
}
