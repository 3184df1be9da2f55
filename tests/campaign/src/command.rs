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
        let steps = steps(stage);
        let kind = steps[random.index(steps.len())];
        Self::on_tenant(mark, kind, tenant, short_code, stage, number)
    }

    /// An operation on a tenant in this stage. `number` makes what it changes distinct.
    #[must_use]
    pub fn on_tenant(mark: String, kind: Kind, tenant: TenantId, short_code: &str, stage: Stage, number: u64) -> Self {
        let path = format!("/api/v1/msp/tenants/{tenant}");
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
        Self { refusal: refusal(kind, stage), ..command }
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

/// What clients do to a tenant in this stage; what stands there more often is done more often. What is refused must be
/// refused, too.
const fn steps(stage: Stage) -> &'static [Kind] {
    use Kind::{Deprovision, Reinstate, ReportUsage, Restore, Suspend, Update};
    match stage {
        Stage::Active => {
            &[Suspend, Suspend, Suspend, Suspend, ReportUsage, ReportUsage, Update, Update, Deprovision, Reinstate]
        }
        Stage::Suspended => {
            &[Reinstate, Reinstate, Reinstate, Reinstate, Reinstate, Update, Update, Deprovision, Deprovision, Suspend]
        }
        Stage::Deprovisioning => &[Restore, Restore, Restore, Reinstate],
        Stage::Deleted | Stage::Unprovisioned => &[Reinstate],
    }
}

/// The code with which a tenant in this stage refuses the operation.
const fn refusal(kind: Kind, stage: Stage) -> Option<&'static str> {
    match stage {
        Stage::Unprovisioned => match kind {
            Kind::Provision => None,
            Kind::Update | Kind::Suspend | Kind::Reinstate | Kind::Deprovision | Kind::Restore | Kind::ReportUsage => {
                Some("not-found")
            }
        },
        Stage::Active => match kind {
            Kind::Reinstate => Some("not-suspended"),
            Kind::Restore => Some("not-deprovisioning"),
            Kind::Provision | Kind::Update | Kind::Suspend | Kind::Deprovision | Kind::ReportUsage => None,
        },
        Stage::Suspended => match kind {
            Kind::Suspend | Kind::ReportUsage => Some("not-active"),
            Kind::Restore => Some("not-deprovisioning"),
            Kind::Provision | Kind::Update | Kind::Reinstate | Kind::Deprovision => None,
        },
        Stage::Deprovisioning => match kind {
            Kind::Suspend | Kind::ReportUsage => Some("not-active"),
            Kind::Reinstate => Some("not-suspended"),
            Kind::Update => Some("not-updatable"),
            Kind::Deprovision => Some("already-deprovisioned"),
            Kind::Provision | Kind::Restore => None,
        },
        Stage::Deleted => match kind {
            Kind::Suspend | Kind::ReportUsage => Some("not-active"),
            Kind::Reinstate => Some("not-suspended"),
            Kind::Update => Some("not-updatable"),
            Kind::Deprovision => Some("already-deprovisioned"),
            Kind::Restore => Some("not-deprovisioning"),
            Kind::Provision => None,
        },
    }
}
