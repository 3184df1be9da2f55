//! `PUT /tenants/{id}/invite`: by the invited account's owner, whose own tenant it is.

use actix_web::HttpResponse;
use actix_web::web::Payload;
use serde::Deserialize;
use tenure_aggregates::values::SubjectId;
use utoipa::ToSchema;

use super::done;
use crate::dispatch::LinkRequest;
use crate::identity::Action;
use crate::netbird::call::{Call, Operation};
use crate::netbird::errors::{ErrorBody, Refusal};

/// The right to answer for one's own account.
pub struct AnswerInvitation;

impl Operation for AnswerInvitation {
    const ACTION: Action = Action::AnswerInvitation;
}

/// The owner's answer.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", try_from = "String")]
pub enum Decision {
    /// The MSP manages the account from now on.
    Accept,
    /// It does not.
    Decline,
}

/// A string and nothing else: an enum would read from an object as well.
impl TryFrom<String> for Decision {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.as_str() {
            "accept" => Ok(Self::Accept),
            "decline" => Ok(Self::Decline),
            _ => Err("must be accept or decline"),
        }
    }
}

/// What the account's owner says.
#[derive(Deserialize, ToSchema)]
pub struct Respond {
    /// Accept or decline the invitation.
    value: Decision,
}

/// Answer an invitation.
///
/// By the owner of the invited account, with a token of that account. The account joins the MSP, or stays as it was.
#[utoipa::path(
    put, path = "/api/integrations/msp/tenants/{id}/invite", tag = "msp", operation_id = "respondToInvite",
    params(("id" = String, Path, description = "The own account")),
    request_body(content = Respond, content_type = "application/json"),
    responses(
        (status = 200, description = "`{}`"),
        (status = 404, description = "Not the own account", body = ErrorBody),
        (status = 409, description = "Another MSP manages the account", body = ErrorBody),
        (status = 412, description = "There is no open invitation", body = ErrorBody),
        (status = 422, description = "`value` is neither accept nor decline", body = ErrorBody),
    ),
)]
pub async fn respond(call: Call<AnswerInvitation>, payload: Payload) -> Result<HttpResponse, Refusal> {
    let account = call.own_account()?;
    let body = call.read(payload).await?;
    let asked = call.parse::<Respond>(&body)?;
    let invitation = call.app.dispatcher.invitation(account).await?;
    let key = invitation.ok_or_else(|| Refusal::wrong_state("there is no open invitation"))?;
    let request = match asked.value {
        Decision::Accept => {
            let by = SubjectId::parse(call.principal.subject_id()).map_err(|_| Refusal::internal())?;
            LinkRequest::Accept { by }
        }
        Decision::Decline => LinkRequest::Decline,
    };
    Ok(done(&call.app.dispatcher.on_link(key, request, call.command_context()).await?))
}
