//! A deployment with two MSPs that must never see each other, and a name server.

use std::io::Write;
use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tenure::identity::{DevelopmentKey, Role, TokenRequest};
use tenure_aggregates::TenantId;
use tenure_aggregates::values::Groups;

use crate::service::name_server::NameServer;
use crate::service::{Answer, Engine, Service, Storage};

pub const TENANTS: &str = "/api/integrations/msp/tenants";

pub struct World {
    pub service: Service,
    pub names: NameServer,
    pub ours: TenantId,
    pub theirs: TenantId,
}

impl World {
    pub async fn start(engine: Engine) -> Self {
        Self::start_with(engine, &[]).await
    }

    pub async fn start_with(engine: Engine, settings: &[(&str, &str)]) -> Self {
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
        let names = NameServer::start().await;
        let server = names.address.to_string();
        let ours = [("TENURE_CONFIG", path.to_str().unwrap()), ("TENURE_DNS_SERVER", &server)];
        let service = Service::start_with(storage, &[&ours[..], settings].concat());
        let (ours, theirs) = (service.config.msps[0].id, service.config.msps[1].id);
        Self { service, names, ours, theirs }
    }

    /// Another instance, on the same database.
    pub fn beside(&self) -> Service {
        let file = self.service.config.data_dir.parent().unwrap().join("tenure.toml");
        let server = self.names.address.to_string();
        let settings = [("TENURE_CONFIG", file.to_str().unwrap()), ("TENURE_DNS_SERVER", server.as_str())];
        Service::start_with(Arc::clone(self.service.storage()), &settings)
    }

    /// A token of somebody with a role in a tenant, who is in these groups; `subject` if it matters who.
    pub fn token(&self, role: Role, tenant: TenantId, groups: &[&str], subject: Option<&str>) -> String {
        let key = DevelopmentKey::load_or_create(&self.service.config.development_key_path()).unwrap();
        let now = self.service.config.clock().now();
        let groups = Groups::parse(groups).unwrap();
        let subject = subject.map(ToOwned::to_owned);
        key.sign(&TokenRequest { role, tenant, subject, groups, now, expires_in: TimeDelta::hours(1) })
    }

    /// An API token of that role, made with a signed token.
    pub async fn api_token(&self, signed: String, role: Role) -> String {
        let body = json!({"name": "tool", "role": role.as_str(), "expiresInDays": 1});
        let made = Answer::of(self.service.request("POST", "/api/v1/tokens").bearer_auth(signed).json(&body)).await;
        made.expect(201)["token"].as_str().unwrap().to_owned()
    }

    /// A request below the list of tenants, with this token.
    pub async fn ask(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        let request = self.service.request(method, &format!("{TENANTS}{path}")).bearer_auth(token);
        Answer::of(if body.is_null() { request } else { request.json(body) }).await
    }

    /// A request by an MSP's administrator.
    pub async fn by(&self, msp: TenantId, method: &str, path: &str, body: Value) -> Answer {
        self.ask(&self.token(Role::MspAdmin, msp, &[], None), method, path, &body).await
    }

    /// A request by the owner of an account.
    pub async fn by_owner(&self, account: &Value, method: &str, path: &str, body: Value) -> Answer {
        let account = account["id"].as_str().unwrap().parse().unwrap();
        self.ask(&self.token(Role::PrimeAdmin, account, &[], None), method, path, &body).await
    }

    /// Makes a tenant of an MSP.
    pub async fn create(&self, msp: TenantId, domain: &str) -> Value {
        let body = json!({"name": format!("Tenant {domain}"), "domain": domain, "groups": []});
        self.by(msp, "POST", "", body).await.expect(200)
    }

    /// Makes a tenant and proves its domain.
    pub async fn verified(&self, msp: TenantId, domain: &str) -> Value {
        let tenant = self.create(msp, domain).await;
        self.names.publish_proof(&tenant).await;
        self.by(msp, "POST", &format!("{}/dns", of(&tenant)), Value::Null).await.expect(200);
        self.read(msp, &tenant).await
    }

    /// The tenant as it is now.
    pub async fn read(&self, msp: TenantId, tenant: &Value) -> Value {
        self.by(msp, "GET", &of(tenant), Value::Null).await.expect(200)
    }

    /// Each listed tenant's domain and status.
    pub async fn listed(&self, msp: TenantId) -> Vec<(String, String)> {
        let list = self.by(msp, "GET", "", Value::Null).await.expect(200);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        list.as_array().unwrap().iter().map(|tenant| (text(&tenant["domain"]), text(&tenant["status"]))).collect()
    }

    /// The tenant in the native API, as an MSP's administrator sees it.
    pub async fn native(&self, msp: TenantId, tenant: &Value) -> Answer {
        let path = format!("/api/v1/msp/tenants/{}", tenant["id"].as_str().unwrap());
        let token = self.token(Role::MspAdmin, msp, &[], None);
        Answer::of(self.service.request("GET", &path).bearer_auth(token)).await
    }
}

/// The path of a tenant below the list.
pub fn of(tenant: &Value) -> String {
    format!("/{}", tenant["id"].as_str().unwrap())
}

/// Checks an answer that is an error of this dialect; its message.
#[track_caller]
pub fn refused(answer: &Answer, status: u16) -> String {
    let body = answer.expect(status);
    assert_eq!(answer.header("content-type"), "application/json; charset=UTF-8");
    assert_eq!(body["code"], status, "{body}");
    body["message"].as_str().unwrap().to_owned()
}
