//! Personal access tokens: made, used, limited, revoked. Who may do that to whose is in `authorization`.

mod command_line;
mod descent;
mod granting;
mod instances;
mod settings;

use serde_json::{Value, json};
use tenure::identity::Role;
use tenure_aggregates::TenantId;
use tenure_event_log::{EventLog, LogConfig, MasterKey, Position};

use crate::service::{Answer, Service, eventually, on_each_engine};

/// A token that the MSP's administrator makes: the answer's body.
async fn make(service: &Service, role: Role, tenant: TenantId) -> Value {
    let body =
        json!({"name": "nightly sync", "role": role.as_str(), "tenantId": tenant.to_string(), "expiresInDays": 1});
    service.post("/api/v1/tokens", &body).await.expect(201)
}

fn secret(made: &Value) -> &str {
    made["token"].as_str().unwrap()
}

/// What the service says to a request with this `Authorization` header.
async fn me(service: &Service, authorization: &str) -> Answer {
    Answer::of(service.request("GET", "/api/v1/me").header("authorization", authorization)).await
}

async fn revoke(service: &Service, made: &Value) -> Answer {
    Answer::of(service.as_msp("DELETE", &format!("/api/v1/tokens/{}", made["id"].as_str().unwrap()))).await
}

async fn listed(service: &Service, id: &Value) -> Value {
    let list = service.get("/api/v1/tokens").await.expect(200);
    list.as_array().unwrap().iter().find(|token| token["id"] == *id).cloned().unwrap_or_default()
}

/// How many uses stand in the log.
async fn uses(service: &Service) -> usize {
    let key = MasterKey::load(&service.config.master_key_path()).unwrap();
    let config = LogConfig::new(service.config.engine.clone(), key, service.config.clock());
    let log = EventLog::open_read_only(config).await.unwrap();
    let events = log.read(Position::START, 1_000).await.unwrap();
    log.shutdown().await;
    events.iter().filter(|event| event.event_type == "access_token.used").count()
}

on_each_engine! {
    async fn a_token_stands_for_its_role_tenant_and_groups(service: Service) {
        let tenant = service.tenant("acme").await;
        let body = json!({"name": " nightly sync ", "role": "read-only", "tenantId": tenant.to_string(),
            "groups": ["ops", "audit"], "expiresInDays": 30});
        let answer = service.post("/api/v1/tokens", &body).await;
        let made = answer.expect(201);
        assert_eq!(answer.header("location"), format!("/api/v1/tokens/{}", made["id"].as_str().unwrap()));
        assert!(!answer.header("tenure-position").is_empty() && answer.header("cache-control") == "no-store");
        assert_eq!((&made["name"], &made["role"], &made["status"]), (&json!("nightly sync"), &json!("read-only"), &json!("active")));
        let token = secret(&made);
        assert!(token.starts_with("nbp_") && token.len() == 40, "{token}");
        for scheme in ["Token", "token", "TOKEN", "Bearer", "bearer"] {
            let who = me(&service, &format!("{scheme} {token}")).await.expect(200);
            assert_eq!((&who["role"], &who["tenant"]), (&json!("read-only"), &json!(tenant.to_string())), "{scheme}");
            assert_eq!(who["groups"], json!(["audit", "ops"]));
            assert_eq!(who["subject"], format!("token-{}", made["id"].as_str().unwrap()));
        }
        let list = service.get("/api/v1/tokens").await;
        assert!(!list.text.contains(token) && !list.text.contains("hash"), "it is shown once: {}", list.text);
        assert_eq!(listed(&service, &made["id"]).await["groups"], json!(["audit", "ops"]));
        let shown = service.get(answer.header("location")).await;
        assert_eq!(shown.expect(200), listed(&service, &made["id"]).await, "where the answer said it is");
        assert!(!shown.text.contains(token) && shown.header("cache-control") == "no-store");

        // It is no more than it says: a customer's reader lists no tenants.
        let tenants = service.request("GET", "/api/v1/msp/tenants").header("authorization", format!("Token {token}"));
        Answer::of(tenants).await.expect_problem(403, "role-forbidden");
        let ours = make(&service, Role::MspAdmin, service.config.default_msp().id).await;
        let authorization = format!("Token {}", secret(&ours));
        let tenants = service.request("GET", "/api/v1/msp/tenants").header("authorization", authorization);
        assert_eq!(Answer::of(tenants).await.expect(200)[0]["shortCode"], "acme");
    }

    async fn what_is_no_live_token_is_refused(service: Service) {
        let good = secret(&make(&service, Role::MspAdmin, service.config.default_msp().id).await).to_owned();
        let mistyped = format!("{}{}", &good[..39], if good.ends_with('0') { '1' } else { '0' });
        let unknown = tenure::identity::NewSecret::generate().expose().to_owned();
        let jwt = service.msp_token().to_owned();
        for (wrong, why) in [
            (mistyped.as_str(), "malformed"),
            (&unknown, "not known"),
            (&good[..20], "malformed"),
            ("nbp_", "malformed"),
            (&good.to_uppercase(), "malformed"),
        ] {
            for scheme in ["Token", "Bearer"] {
                let refused = me(&service, &format!("{scheme} {wrong}")).await;
                let problem = refused.expect_problem(401, "token-invalid");
                assert!(problem["detail"].as_str().unwrap().contains(why), "{scheme} {wrong}: {problem}");
                assert!(refused.header("www-authenticate").contains("invalid_token"));
            }
        }
        me(&service, &format!("Token {jwt}")).await.expect_problem(401, "token-invalid");
        me(&service, &format!("Token {good} {good}")).await.expect_problem(401, "authorization-malformed");
        me(&service, &format!("Token {good}")).await.expect(200);
    }

    async fn a_revoked_token_is_refused_with_the_next_request(service: Service) {
        for _ in 0..5 {
            let made = make(&service, Role::MspAdmin, service.config.default_msp().id).await;
            let authorization = format!("Token {}", secret(&made));
            me(&service, &authorization).await.expect(200);
            let revoked = revoke(&service, &made).await;
            assert_eq!(revoked.status, 204, "{revoked:?}");
            assert!(!revoked.header("tenure-position").is_empty());
            me(&service, &authorization).await.expect_problem(401, "token-invalid");
            let again = revoke(&service, &made).await;
            assert_eq!((again.status, again.header("tenure-position")), (204, ""), "nothing happened");
            let listed = listed(&service, &made["id"]).await;
            assert!(listed["status"] == "revoked" && listed["revokedUtc"].is_string(), "{listed}");
            let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
            assert_eq!(service.get(&path).await.expect(200), listed);
        }
        for id in ["01900000-0000-7000-8000-00000000ffff", "nbp_", "%00"] {
            let answer = Answer::of(service.as_msp("DELETE", &format!("/api/v1/tokens/{id}"))).await;
            answer.expect_problem(404, "not-found");
            service.get(&format!("/api/v1/tokens/{id}")).await.expect_problem(404, "not-found");
        }
        service.get("/api/v1/tokens/01900000-0000-7000-8000-00000000ffff?x=1").await.expect_problem(400, "invalid-parameter");
        let with_body = service.as_msp("DELETE", "/api/v1/tokens/01900000-0000-7000-8000-00000000ffff");
        Answer::of(with_body.json(&json!({"why": "?"}))).await.expect_problem(400, "validation-failed");
    }

    async fn a_token_of_a_suspended_tenant_is_refused_like_its_people(service: Service) {
        let tenant = service.tenant("acme").await;
        let made = make(&service, Role::Admin, tenant).await;
        let authorization = format!("Token {}", secret(&made));
        let path = format!("/api/v1/msp/tenants/{tenant}");
        service.post_nothing(&format!("{path}/suspend")).await.expect(200);
        me(&service, &authorization).await.expect_problem(403, "tenant-suspended");
        let body = json!({"name": "t", "role": "admin", "tenantId": tenant.to_string(), "expiresInDays": 1});
        service.post("/api/v1/tokens", &body).await.expect_problem(409, "not-active");
        service.post_nothing(&format!("{path}/reinstate")).await.expect(200);
        me(&service, &authorization).await.expect(200);
        service.post(&format!("{path}/deprovision"), &json!({"confirmShortCode": "acme"})).await.expect(200);
        me(&service, &authorization).await.expect_problem(403, "tenant-deprovisioned");
        assert_eq!(revoke(&service, &made).await.status, 204, "it can be taken back all the same");
    }

    async fn a_request_that_is_repeated_makes_no_second_token(service: Service) {
        let ask = |name: &str| {
            let body = json!({"name": name, "role": "msp-admin", "expiresInDays": 1});
            Answer::of(service.as_msp("POST", "/api/v1/tokens").header("idempotency-key", "k").json(&body))
        };
        let made = ask("one").await.expect(201);
        let again = ask("one").await;
        let problem = again.expect_problem(409, "token-shown-once");
        assert!(problem["detail"].as_str().unwrap().contains(made["id"].as_str().unwrap()), "{problem}");
        assert!(!again.text.contains("nbp_"), "{}", again.text);
        ask("other").await.expect_problem(422, "idempotency-key-reused");
        assert_eq!(service.get("/api/v1/tokens").await.expect(200).as_array().unwrap().len(), 1);
        me(&service, &format!("Token {}", secret(&made))).await.expect(200);
    }

    async fn a_use_is_written_down_once_a_minute(service: Service) {
        let made = make(&service, Role::MspAdmin, service.config.default_msp().id).await;
        assert!(listed(&service, &made["id"]).await.get("lastUsedUtc").is_none());
        let authorization = format!("Token {}", secret(&made));
        let asked = (0..30).map(|_| me(&service, &authorization));
        futures::future::join_all(asked).await.iter().for_each(|answer| drop(answer.expect(200)));
        eventually("the use is shown", async || listed(&service, &made["id"]).await["lastUsedUtc"].is_string()).await;
        let first = listed(&service, &made["id"]).await["lastUsedUtc"].clone();
        me(&service, &authorization).await.expect(200);
        // What is written later stands behind what is written now.
        service.tenant("acme").await;
        assert_eq!((uses(&service).await, listed(&service, &made["id"]).await["lastUsedUtc"].clone()), (1, first));
    }

    async fn tokens_are_listed_page_by_page(service: Service) {
        let mut made = Vec::new();
        for _ in 0..5 {
            made.push(make(&service, Role::Billing, service.config.default_msp().id).await["id"].clone());
        }
        made.reverse();
        let (mut path, mut seen) = ("/api/v1/tokens?pageSize=2".to_owned(), Vec::new());
        loop {
            let page = service.get(&path).await;
            seen.extend(page.expect(200).as_array().unwrap().iter().map(|token| token["id"].clone()));
            let Some(rest) = page.header("link").strip_prefix('<') else { break };
            rest.split('>').next().unwrap().clone_into(&mut path);
        }
        assert_eq!(seen, made);
        for query in ["pageSize=0", "pageSize=201", "pageSize=x", "after=x", "page=1"] {
            service.get(&format!("/api/v1/tokens?{query}")).await.expect_problem(400, "invalid-parameter");
        }
    }
}
