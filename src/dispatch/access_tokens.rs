//! Access tokens: made for a tenant that stands still meanwhile, revoked, and their uses written down behind the requests.

use std::sync::Arc;
use std::time::Instant;

use tenure_aggregates::access_token::{self, Details, Granter, LastUse, NewToken, last_use};
use tenure_aggregates::tenant::{self, Stage};
use tenure_aggregates::values::{Groups, TokenHash, TokenLifetime, TokenName};
use tenure_aggregates::{AccessToken, AccessTokenId, Decision, Folded, Refusal, Replay, Role, TenantId, fold};
use tenure_event_log::Position;
use tracing::Instrument;

use super::changes::Changes;
use super::{CommandContext, CommandError, DECIDE_AGAIN_FOR, Dispatcher, Inner, Wait};
use crate::identity::Principal;

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewAccessToken {
    /// The new token. A version 7 uuid: lists show tokens in the order of their ids.
    pub id: AccessTokenId,
    /// The tenant that it is to act in.
    pub tenant_id: TenantId,
    /// What it is for.
    pub name: TokenName,
    /// What its bearer is to be.
    pub role: Role,
    /// The groups that its bearer is to be in.
    pub groups: Groups,
    /// Of the whole token.
    pub hash: TokenHash,
    /// For how long.
    pub lifetime: TokenLifetime,
    /// Who asks.
    pub granter: Granter,
    /// Whether the granter may make tokens that act there. If not, the tenant looks absent.
    pub is_permitted: bool,
}

/// A command on a token that was carried out.
#[derive(Clone, Debug)]
pub struct TokenOutcome {
    /// The token as the command left it.
    pub token: AccessToken,
    /// Position of the command's event; `None` if nothing changed.
    pub position: Option<Position>,
    /// Whether the views show the command.
    pub in_views: bool,
}

impl Dispatcher {
    /// Makes a token in an active tenant. The same request once more is [`CommandError::TokenShownOnce`], since nobody knows
    /// the token any more.
    ///
    /// # Errors
    /// What the granter may not give, or [`CommandError::NotFound`] for a tenant out of its reach.
    pub async fn create_access_token(
        &self,
        request: NewAccessToken,
        context: CommandContext,
    ) -> Result<TokenOutcome, CommandError> {
        let inner = Arc::clone(&self.inner);
        self.detached(async move {
            let _entry = inner.enter(context.idempotency.as_ref())?;
            match inner.create_again(&request, &context).await {
                Ok((token, position)) => Ok(inner.token_settled(token, Some(position), context.wait).await),
                Err(error) => Err(inner.shown_once(&context, error).await?),
            }
        })
        .await
    }

    /// Takes a token back, if the caller `may` know of it.
    ///
    /// # Errors
    /// [`CommandError::NotFound`] where there is no such token for the caller.
    pub async fn revoke_access_token(
        &self,
        id: AccessTokenId,
        may: impl Fn(&Details) -> bool + Send + Sync + 'static,
        context: CommandContext,
    ) -> Result<TokenOutcome, CommandError> {
        let inner = Arc::clone(&self.inner);
        self.detached(async move {
            let began = Instant::now();
            let (token, position) = loop {
                match inner.revoke_once(id, &may, &context).await {
                    Err(CommandError::Busy) if began.elapsed() < DECIDE_AGAIN_FOR => {}
                    revoked => break revoked?,
                }
            };
            Ok(inner.token_settled(token, position, context.wait).await)
        })
        .await
    }

    /// Writes down that the principal's access token, if it is one, is in use: at most once a minute, and behind the
    /// request, which does not wait. A use that can't be written down is forgotten.
    pub fn note_use(&self, principal: &Principal) {
        let Some(id) = principal.access_token else { return };
        let Some(uses) = self.inner.gate.uses_of(id) else { return };
        let at = self.inner.log.clock().now();
        let Ok(decision) = uses.decide(last_use::Command::Record { at }) else { return };
        // The gate learns of a use when it is committed; until then, this instance's other requests must not write it too.
        if decision.events.is_empty() || !self.inner.noted.insert_if_absent(&id, ()) {
            return;
        }
        let context = CommandContext { actor: principal.id(), ..CommandContext::of_service("access-token-use") };
        let (inner, tenant) = (Arc::clone(&self.inner), principal.tenant);
        let noted = async move {
            if let Err(error) = inner.append_use(id, tenant, &uses, &decision, &context).await {
                tracing::debug!(%error, "a use of an access token is not written down");
            }
        };
        tokio::spawn(noted.in_current_span());
    }
}

impl Inner {
    /// Tries until the tenant's stream stood still during a whole append.
    async fn create_again(
        &self,
        request: &NewAccessToken,
        context: &CommandContext,
    ) -> Result<(AccessToken, Position), CommandError> {
        let began = Instant::now();
        loop {
            match self.create_once(request, context).await {
                Err(CommandError::Busy) if began.elapsed() < DECIDE_AGAIN_FOR => {}
                other => return other,
            }
        }
    }

    async fn create_once(
        &self,
        request: &NewAccessToken,
        context: &CommandContext,
    ) -> Result<(AccessToken, Position), CommandError> {
        let tenant_id = request.tenant_id;
        let tenant = self.load_tenant(tenant_id).await?;
        let account = tenant.state.account().filter(|_| request.is_permitted).ok_or(CommandError::NotFound)?;
        let token = NewToken {
            tenant_id,
            kind: account.kind,
            name: request.name.clone(),
            role: request.role,
            groups: request.groups.clone(),
            hash: request.hash,
            lifetime: request.lifetime,
        };
        let at = self.log.clock().now();
        let granter = Box::new(request.granter.clone());
        let command = access_token::Command::Create { token: Box::new(token), granter, at };
        let decision = Folded::<AccessToken>::default().decide(command)?;
        // Only now: of a tenant out of reach, not even the stage is told.
        match tenant.state.stage() {
            Stage::Active => {}
            stage @ (Stage::Unprovisioned | Stage::Suspended | Stage::Deprovisioning | Stage::Deleted) => {
                return Err(CommandError::Tenant(tenant::Error::NotActive { stage }));
            }
        }
        let mut changes = Changes::new(&self.log, context);
        changes.decided(request.id.as_uuid(), tenant_id, 0, &decision)?;
        changes.unchanged(tenant_id.as_uuid(), &tenant);
        let append = changes.answered_by::<AccessToken>(request.id.as_uuid(), decision.after.sequence);
        let position = self.append(append, context).await?.last;
        Ok((decision.after.state, position))
    }

    /// What a request is told that was refused now: that it made a token before, if it did.
    async fn shown_once(&self, context: &CommandContext, error: CommandError) -> Result<CommandError, CommandError> {
        let Some(request) = context.idempotency.as_ref().filter(|_| error.yields_to_repeat()) else { return Ok(error) };
        let record = self.log.idempotency(&request.key.principal, &request.key.key).await?;
        Ok(match record {
            None => error,
            Some(record) if record.request_hash != request.key.request_hash => CommandError::KeyReused,
            Some(record) => CommandError::TokenShownOnce { id: record.stream.aggregate_id },
        })
    }

    async fn revoke_once(
        &self,
        id: AccessTokenId,
        may: &(impl Fn(&Details) -> bool + Sync),
        context: &CommandContext,
    ) -> Result<(AccessToken, Option<Position>), CommandError> {
        let events = self.log.load::<Replay<AccessToken>>(&id.to_string()).await?;
        let before = fold::<AccessToken>(&id.to_string(), events)?;
        let details = before.state.details().filter(|details| may(details)).ok_or(CommandError::NotFound)?;
        let tenant_id = details.tenant_id;
        let mut context = context.clone();
        if self.load_tenant(tenant_id).await?.state.stage() == Stage::Deleted {
            // Nothing personal can be sealed there any more.
            context.source_address = None;
        }
        let decision = before.decide(access_token::Command::Revoke { at: self.log.clock().now() })?;
        if decision.events.is_empty() {
            return Ok((decision.after.state, None));
        }
        let mut changes = Changes::new(&self.log, &context);
        changes.decided(id.as_uuid(), tenant_id, before.sequence, &decision)?;
        let append = changes.answered_by::<AccessToken>(id.as_uuid(), decision.after.sequence);
        let position = self.append(append, &context).await?.last;
        Ok((decision.after.state, Some(position)))
    }

    /// The uses are what the gate has seen: whoever was faster has written the same minute down.
    async fn append_use(
        &self,
        id: AccessTokenId,
        tenant: TenantId,
        before: &Folded<LastUse>,
        decision: &Decision<LastUse>,
        context: &CommandContext,
    ) -> Result<(), CommandError> {
        let mut changes = Changes::new(&self.log, context);
        changes.decided(id.as_uuid(), tenant, before.sequence, decision)?;
        let append = changes.answered_by::<LastUse>(id.as_uuid(), decision.after.sequence);
        self.append(append, context).await.map(drop)
    }

    async fn token_settled(&self, token: AccessToken, position: Option<Position>, wait: Wait) -> TokenOutcome {
        let in_views = match position {
            Some(position) => self.settle(position, wait).await,
            None => true,
        };
        TokenOutcome { token, position, in_views }
    }
}

impl From<Refusal<access_token::Error>> for CommandError {
    fn from(refusal: Refusal<access_token::Error>) -> Self {
        match refusal {
            Refusal::Rule(access_token::Error::NeverMade | access_token::Error::TenantOutOfReach) => Self::NotFound,
            Refusal::Rule(error) => Self::AccessToken(error),
            Refusal::Impossible(impossible) => Self::Defect(impossible.to_string()),
        }
    }
}
