//! The commands that clients give, as requests, and what a correct service may answer to them.

use reqwest::Method;
use serde_json::{Value, json};
use tenure_aggregates::TenantId;
use tenure_aggregates::tenant::Stage;

use crate::history::Kind;
use crate::random::Random;

/// One command, ready to be sent as often as it takes.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its mark: `X-Request-Id` and `Idempotency-Key`.
    pub mark: String,
    /// What it asks for.
    pub kind: Kind,
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// The body.
    pub body: Value,
    /// The code of the problem that it must be answered with, where the tenant's stage forbids it.
    pub refusal: Option<&'static str>,
}

impl Command {
    /// Whether the operation takes an `Idempotency-Key`. The others are repeated without harm by a tenant's only client.
    #[must_use]
    pub fn takes_key(&self) -> bool {
        self.method == Method::POST
    }

    /// Makes a tenant.
    #[must_use]
    pub fn provision(mark: String, short_code: &str) -> Self {
        let body = json!({
            "shortCode": short_code,
            "displayName": format!("Company {short_code}"),
            "contactEmail": format!("it@{short_code}.example"),
        });
        Self::post(mark, Kind::Provision, "/api/v1/msp/tenants".to_owned(), body)
    }

    /// A step of a tenant's life, most of the time one that its stage allows. `number` makes what it changes distinct.
    #[must_use]
    pub fn of_life(
        random: &mut Random,
        mark: String,
        tenant: TenantId,
        short_code: &str,
        stage: Stage,
        number: u64,
    ) -> Self {
        let kind = match (stage, random.below(10)) {
            (Stage::Active, 0..=3) => Kind::Suspend,
            (Stage::Active, 4..=5) => Kind::ReportUsage,
            (Stage::Active, 6..=7) | (Stage::Suspended, 5..=6) => Kind::Update,
            (Stage::Active, 8) | (Stage::Suspended, 7..=8) => Kind::Deprovision,
            (Stage::Suspended, 0..=4) => Kind::Reinstate,
            (Stage::Deprovisioning, 0..=6) => Kind::Restore,
            // What is refused must be refused, too.
            (Stage::Active | Stage::Deprovisioning | Stage::Deleted | Stage::Unprovisioned, _) => Kind::Reinstate,
            (Stage::Suspended, _) => Kind::Suspend,
        };
        Self::on_tenant(mark, kind, tenant, short_code, stage, number)
    }

    /// An operation on a tenant in this stage. `number` makes what it changes distinct.
    #[must_use]
    pub fn on_tenant(mark: String, kind: Kind, tenant: TenantId, short_code: &str, stage: Stage, number: u64) -> Self {
        let path = format!("/api/v1/msp/tenants/{tenant}");
        let refusal = match (kind, stage) {
            (Kind::Suspend | Kind::ReportUsage, Stage::Active)
            | (Kind::Reinstate, Stage::Suspended)
            | (Kind::Update | Kind::Deprovision, Stage::Active | Stage::Suspended)
            | (Kind::Restore, Stage::Deprovisioning)
            | (Kind::Provision, _) => None,
            (Kind::Suspend | Kind::ReportUsage, _) => Some("not-active"),
            (Kind::Reinstate, _) => Some("not-suspended"),
            (Kind::Update, _) => Some("not-updatable"),
            (Kind::Deprovision, _) => Some("already-deprovisioned"),
            (Kind::Restore, _) => Some("not-deprovisioning"),
        };
        let command = match kind {
            Kind::Provision => Self::provision(mark, short_code),
            Kind::Suspend => Self::post(mark.clone(), kind, format!("{path}/suspend"), json!({ "reason": mark })),
            Kind::Reinstate => Self::post(mark, kind, format!("{path}/reinstate"), json!({})),
            Kind::Deprovision => {
                let body = json!({"confirmShortCode": short_code, "reason": mark});
                Self::post(mark.clone(), kind, format!("{path}/deprovision"), body)
            }
            Kind::Restore => Self::post(mark.clone(), kind, format!("{path}/restore"), json!({ "reason": mark })),
            Kind::Update => {
                // The mark makes it a change whatever was there before.
                let limit = 1_000 + number % 1_000;
                let body =
                    json!({"displayName": format!("Company {mark}"), "maxUsers": limit, "maxResources": 1_000_000});
                Self { method: Method::PATCH, ..Self::post(mark, kind, path, body) }
            }
            Kind::ReportUsage => {
                let body = json!({"resources": number, "grants": number});
                Self { method: Method::PUT, ..Self::post(mark, kind, format!("{path}/usage"), body) }
            }
        };
        Self { refusal, ..command }
    }

    fn post(mark: String, kind: Kind, path: String, body: Value) -> Self {
        Self { mark, kind, method: Method::POST, path, body, refusal: None }
    }

    /// The stage after it was carried out.
    #[must_use]
    pub const fn stage_after(&self, before: Stage) -> Stage {
        match self.kind {
            Kind::Provision | Kind::Reinstate => Stage::Active,
            Kind::Suspend | Kind::Restore => Stage::Suspended,
            Kind::Deprovision => Stage::Deprovisioning,
            Kind::Update | Kind::ReportUsage => before,
        }
    }
}
