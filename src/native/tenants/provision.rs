//! `POST /msp/tenants`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Payload;
use serde::Deserialize;
use tenure_aggregates::tenant::{NewAccount, TenantKind};
use tenure_aggregates::values::{PersonName, ResourceLimit, SeatLimit, ShortCode};
use tenure_aggregates::{Personal, TenantId};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{TenantDetail, answer, fields};
use crate::dispatch::NewTenant;
use crate::identity::Action;
use crate::native::call::{Call, Operation};
use crate::native::errors;
use crate::native::problem::{FieldError, Problem, ProblemSchema};

/// The right to make tenants.
pub struct ProvisionTenant;

impl Operation for ProvisionTenant {
    const ACTION: Action = Action::ProvisionTenant;
}

/// A new tenant (RP-PAM article 37).
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provision {
    /// 3 to 20 letters, digits or hyphens, not starting or ending with a hyphen; stored in lower case; unique in the
    /// deployment, since it names the tenant's data space.
    #[schema(example = "acme-corp", required = true, min_length = 3, max_length = 20)]
    short_code: Option<String>,
    /// The organisation's name, 1 to 100 characters.
    #[schema(example = "Acme Corporation", required = true, max_length = 100)]
    display_name: Option<String>,
    /// Whom to write to.
    #[schema(example = "it@acmecorp.com", required = true)]
    contact_email: Option<String>,
    /// Most users, 1 to 1,000,000; 500 if left out.
    #[schema(minimum = 1, maximum = 1_000_000)]
    max_users: Option<i64>,
    /// Most resources, 1 to 1,000,000; 200 if left out.
    #[schema(minimum = 1, maximum = 1_000_000)]
    max_resources: Option<i64>,
    /// Modules to enable; none if left out.
    #[schema(example = json!(["ad", "ssh"]))]
    modules: Option<Vec<String>>,
    /// Where the first administrator's invitation goes; `contactEmail` if left out.
    #[schema(example = "admin@acmecorp.com")]
    admin_email: Option<String>,
    /// The first administrator's name; "Tenant Admin" if left out.
    #[schema(example = "Tenant Admin", max_length = 100)]
    admin_display_name: Option<String>,
}

/// What RP-PAM calls an administrator that nobody named (article 37).
const DEFAULT_ADMINISTRATOR_NAME: &str = "Tenant Admin";

impl Provision {
    fn into_tenant(self, id: TenantId, msp: TenantId) -> Result<NewTenant, Vec<FieldError>> {
        let mut checked = fields::Checked::default();
        let short_code = checked.required("/shortCode", self.short_code, |text| ShortCode::parse(&text));
        let display_name = checked.required("/displayName", self.display_name.as_deref(), fields::display_name);
        let contact_email = checked.required("/contactEmail", self.contact_email.as_deref(), fields::email);
        let max_users = checked.optional("/maxUsers", self.max_users, fields::seat_limit);
        let max_resources = checked.optional("/maxResources", self.max_resources, fields::resource_limit);
        let modules = checked.modules("/modules", self.modules);
        let administrator_email = checked.optional("/adminEmail", self.admin_email.as_deref(), fields::email);
        let name = self.admin_display_name.unwrap_or_else(|| DEFAULT_ADMINISTRATOR_NAME.to_owned());
        let administrator_name = checked.required("/adminDisplayName", Some(name), |text| PersonName::parse(&text));

        let required = short_code.zip(display_name).zip(contact_email).zip(administrator_name);
        // Whatever is missing has its error already.
        let Some((((short_code, display_name), contact_email), administrator_name)) = checked.or(required)? else {
            return Err(Vec::new());
        };
        let account = NewAccount {
            tenant_id: id,
            kind: TenantKind::Customer { msp },
            short_code,
            display_name,
            contact_email: Personal::Known(contact_email.clone()),
            max_users: max_users.unwrap_or(SeatLimit::DEFAULT),
            max_resources: max_resources.unwrap_or(ResourceLimit::DEFAULT),
            modules: modules.unwrap_or_default(),
        };
        let administrator_email = administrator_email.unwrap_or(contact_email);
        Ok(NewTenant { account, administrator_name, administrator_email })
    }
}

/// Provision a tenant.
///
/// The tenant is active at once; its first administrator is invited in the same step.
#[utoipa::path(
    post, path = "/api/v1/msp/tenants", tag = "tenants", operation_id = "provisionTenant",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat get the first answer, for 24 hours"),
        ("Prefer" = Option<String>, Header, description = "`respond-async`: don't wait for the views"),
    ),
    request_body(content = Provision, content_type = "application/json"),
    responses(
        (status = 201, description = "The new tenant", body = TenantDetail,
            headers(("Location" = String), ("ETag" = String), ("Tenure-Position" = u64))),
        (status = 400, description = "A field is missing or not valid", body = ProblemSchema),
        (status = 409, description = "The short code is in use", body = ProblemSchema),
    ),
)]
pub async fn provision(call: Call<ProvisionTenant>, payload: Payload) -> Result<HttpResponse, Problem> {
    call.query(&[])?;
    let body = call.read(payload).await?;
    let asked = call.parse::<Provision>(&body)?;
    let id = TenantId::from_uuid(Uuid::now_v7());
    let new = asked.into_tenant(id, call.principal.tenant).map_err(errors::validation)?;
    let context = call.context(&body, StatusCode::CREATED, None)?;
    let wait = context.wait;
    let outcome = call.app.dispatcher.provision(new, context).await?;
    answer(&call.app, outcome, StatusCode::CREATED, wait).await
}
