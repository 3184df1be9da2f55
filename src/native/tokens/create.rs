//! `POST /tokens`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::web::Payload;
use serde::{Deserialize, Serialize};
use tenure_aggregates::access_token::Granter;
use tenure_aggregates::values::{GroupId, Groups, TokenHash, TokenLifetime, TokenName};
use tenure_aggregates::{AccessTokenId, TenantId};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{TokenSummary, maker};
use crate::dispatch::{NewAccessToken, Wait};
use crate::http::conditional::POSITION;
use crate::identity::{Action, NewSecret};
use crate::native::call::{Call, Operation};
use crate::native::errors;
use crate::native::problem::{FieldError, Problem, ProblemSchema};
use crate::native::tenants::fields;

/// The right to make tokens.
pub struct CreateToken;

impl Operation for CreateToken {
    const ACTION: Action = Action::CreateToken;
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Create {
    /// What it is for, 1 to 100 characters. Business text: no personal data.
    #[schema(example = "nightly sync", required = true, max_length = 100)]
    name: Option<String>,
    /// What its bearer is: the caller's role, or one that it holds.
    #[schema(example = "msp-admin", required = true)]
    role: Option<String>,
    /// The tenant that it acts in; the caller's own if left out. Others only in an MSP's own tree.
    tenant_id: Option<String>,
    /// The groups that its bearer is in, 256 at most: some of the caller's own; whichever for an MSP's administrator.
    groups: Option<Vec<String>>,
    /// Days until it expires, 1 to 365.
    #[schema(example = 90, required = true, minimum = 1, maximum = 365)]
    expires_in_days: Option<i64>,
}

/// A token that was just made.
#[derive(Serialize, ToSchema)]
pub struct CreatedToken {
    /// The token. It is shown here and never again.
    #[schema(example = "nbp_0123456789abcdefghijklmnopqrst3ya8Bc")]
    token: String,
    #[serde(flatten)]
    summary: TokenSummary,
}

impl Create {
    fn into_request(self, granter: Granter, hash: TokenHash) -> Result<NewAccessToken, Vec<FieldError>> {
        let mut checked = fields::Checked::default();
        let name = checked.required("/name", self.name, |text| TokenName::parse(&text));
        let role = checked.required("/role", self.role, |text| text.parse());
        let tenant_id = checked.optional("/tenantId", self.tenant_id, |text| text.parse::<TenantId>());
        let groups: Vec<_> = self
            .groups
            .unwrap_or_default()
            .iter()
            .enumerate()
            .filter_map(|(index, id)| checked.optional(&format!("/groups/{index}"), Some(id.as_str()), GroupId::parse))
            .collect();
        let groups = checked.optional("/groups", Some(groups), Groups::try_from);
        let lifetime = checked.required("/expiresInDays", self.expires_in_days, TokenLifetime::from_days);

        let required = name.zip(role).zip(lifetime);
        // Whatever is missing has its error already.
        let Some(((name, role), lifetime)) = checked.or(required)? else { return Err(Vec::new()) };
        Ok(NewAccessToken {
            id: AccessTokenId::from_uuid(Uuid::now_v7()),
            tenant_id: tenant_id.unwrap_or(granter.tenant_id),
            name,
            role,
            groups: groups.unwrap_or_default(),
            hash,
            lifetime,
            granter,
            is_permitted: false,
        })
    }
}

/// Make a token.
///
/// A token stands for less than its maker or as much, and ends with the token that it was made with at the latest, whether
/// that expires or is revoked. It is shown once: the same request again (`Idempotency-Key`) is 409 and names the token, to be
/// revoked and made anew. Nobody has more than 1,000 that are alive, counting those that were made with them.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "tokens", operation_id = "createToken",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeat make no second token, for 24 hours"),
        ("Prefer" = Option<String>, Header, description = "`respond-async`: don't wait for the views"),
    ),
    request_body(content = Create, content_type = "application/json"),
    responses(
        (status = 201, description = "The new token", body = CreatedToken,
            headers(("Location" = String), ("Tenure-Position" = u64))),
        (status = 400, description = "A field is missing or not valid", body = ProblemSchema),
        (status = 403, description = "More than the caller holds", body = ProblemSchema),
        (status = 404, description = "No such tenant here", body = ProblemSchema),
        (status = 409, description = "The tenant is not active, the token was shown before, or 1,000 of the same maker are alive", body = ProblemSchema),
    ),
)]
pub async fn create(call: Call<CreateToken>, payload: Payload) -> Result<HttpResponse, Problem> {
    call.query(&[])?;
    let body = call.read(payload).await?;
    let asked = call.parse::<Create>(&body)?;
    let secret = NewSecret::generate();
    let principal = &call.principal;
    let maker = maker(principal)?;
    let granter = Granter {
        id: maker.clone(),
        role: principal.role,
        tenant_id: principal.tenant,
        kind: principal.kind,
        groups: Groups::clone(&principal.groups),
        token_expires_at: principal.access_token.map(|_| principal.expires_at),
        tokens_alive: call.app.identity.gate().tokens_alive(&maker),
    };
    let mut request = asked.into_request(granter, secret.hash()).map_err(errors::validation)?;
    request.is_permitted = call.permits(request.tenant_id);
    let context = call.context(&body, StatusCode::CREATED, None)?;
    let (id, wait) = (request.id, context.wait);
    let outcome = call.app.dispatcher.create_access_token(request, context).await?;
    let details = outcome.token.details().ok_or_else(errors::internal)?;
    let status = if outcome.in_views { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    let mut response = HttpResponse::build(status);
    if let Some(position) = outcome.position {
        response.insert_header((POSITION, position.to_string()));
    }
    if wait == Wait::No {
        response.insert_header(("preference-applied", "respond-async"));
    }
    Ok(response
        .insert_header((LOCATION, format!("/api/v1/tokens/{id}")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(CreatedToken { token: secret.expose().to_owned(), summary: TokenSummary::made(id, details) }))
}
