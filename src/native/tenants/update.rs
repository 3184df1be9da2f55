//! `PATCH /msp/tenants/{tenantId}`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Payload;
use serde::Deserialize;
use tenure_aggregates::Personal;
use tenure_aggregates::tenant::{Changes, Command};
use utoipa::ToSchema;

use super::{TenantDetail, answer, fields};
use crate::identity::Action;
use crate::native::call::{Call, Operation};
use crate::native::errors;
use crate::native::problem::{Problem, ProblemSchema};

/// The right to change a tenant's account fields.
pub struct UpdateTenant;

impl Operation for UpdateTenant {
    const ACTION: Action = Action::UpdateTenant;
}

/// New values; a field that is left out stays as it is.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Update {
    /// The organisation's name, 1 to 100 characters.
    #[schema(example = "Acme Corporation", max_length = 100)]
    display_name: Option<String>,
    /// Whom to write to.
    #[schema(example = "it@acmecorp.com")]
    contact_email: Option<String>,
    /// Most users, 1 to 1,000,000; not below the users that there are.
    #[schema(minimum = 1, maximum = 1_000_000)]
    max_users: Option<i64>,
    /// Most resources, 1 to 1,000,000; not below the resources last reported.
    #[schema(minimum = 1, maximum = 1_000_000)]
    max_resources: Option<i64>,
    /// The whole new list of modules.
    #[schema(example = json!(["ad", "ssh"]))]
    modules: Option<Vec<String>>,
}

impl TryFrom<Update> for Changes {
    type Error = Problem;

    fn try_from(update: Update) -> Result<Self, Problem> {
        let mut checked = fields::Checked::default();
        let changes = Self {
            display_name: checked.optional("/displayName", update.display_name.as_deref(), fields::display_name),
            contact_email: checked
                .optional("/contactEmail", update.contact_email.as_deref(), fields::email)
                .map(Personal::Known),
            max_users: checked.optional("/maxUsers", update.max_users, fields::seat_limit),
            max_resources: checked.optional("/maxResources", update.max_resources, fields::resource_limit),
            modules: checked.modules("/modules", update.modules),
        };
        checked.or(changes).map_err(errors::validation)
    }
}

/// Change a tenant's account fields.
#[utoipa::path(
    patch, path = "/api/v1/msp/tenants/{tenantId}", tag = "tenants", operation_id = "updateTenant",
    params(
        ("tenantId" = uuid::Uuid, Path, description = "The tenant"),
        ("If-Match" = Option<String>, Header, description = "Only if the tenant is at this version"),
        ("Prefer" = Option<String>, Header, description = "`respond-async`: don't wait for the views"),
    ),
    request_body(content = Update, content_type = "application/json"),
    responses(
        (status = 200, description = "The tenant, changed", body = TenantDetail),
        (status = 400, description = "A field is not valid", body = ProblemSchema),
        (status = 404, description = "No such tenant here", body = ProblemSchema),
        (status = 409, description = "A limit below the present usage, or a tenant that is being deleted", body = ProblemSchema),
        (status = 412, description = "The tenant is at another version", body = ProblemSchema),
    ),
)]
pub async fn update(call: Call<UpdateTenant>, payload: Payload) -> Result<HttpResponse, Problem> {
    call.query(&[])?;
    let id = call.tenant_id()?;
    let body = call.read(payload).await?;
    let changes = Changes::try_from(call.parse::<Update>(&body)?)?;
    let context = call.context(&body, StatusCode::OK, None)?;
    let wait = context.wait;
    let command = move |at| Command::Update { changes: changes.clone(), at };
    let outcome = call.app.dispatcher.on_tenant(call.scope_of(id), id, call.precondition()?, context, command).await?;
    answer(&call.app, outcome, StatusCode::OK, wait).await
}
