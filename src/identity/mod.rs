//! Who calls and what they may do: tokens, the gate and the policies, for every dialect.
//!
//! The way of a request: the [`Verifier`] says that a signed token is good, or the [`Gate`] that an access token is
//! alive; the [`Gate`] that its tenant may be used right
//! now, the [`Authorizer`] that the role may do what is asked, first at all (403), then to that tenant (404).

mod access_token;
mod claims;
mod denied;
mod development_key;
mod gate;
mod jwks;
mod keys;
mod policy;
mod principal;
mod verifier;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tenure_aggregates::TenantId;
pub use tenure_aggregates::{Role, UnknownRole};
use tenure_event_log::Clock;

use crate::config::{Config, Mode};

pub use access_token::NewSecret;
pub use denied::{Answer, Denied, TokenFault};
pub use development_key::{DevelopmentKey, DevelopmentKeyError, TokenRequest};
pub use gate::{Gate, GateError, GateStart, KnownToken, LinkStanding, Ownership, Standing};
pub use jwks::JwksError;
pub use policy::{Action, Authorizer, PolicyError, Resource};
pub use principal::Principal;
pub use verifier::Verifier;

use jwks::Jwks;
use keys::{KeySet, TrustedKey};
use verifier::{Anchor, AnchorKeys};

/// Why identities can't be checked, so that the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The development key can't be made or read.
    #[error(transparent)]
    DevelopmentKey(#[from] DevelopmentKeyError),
    /// The issuer's keys can't be read from their file.
    #[error(transparent)]
    Jwks(#[from] JwksError),
    /// The built-in policies are wrong.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Production mode without anybody to trust.
    #[error("production mode needs a key set to trust")]
    NobodyTrusted,
}

/// Answers who calls and what they may do. Clones share everything.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    verifier: Verifier,
    gate: Gate,
    authorizer: Authorizer,
    clock: Clock,
}

impl Identity {
    /// Trusts whom the configuration says: the issuer of `jwt_*`, and in development mode the development key.
    ///
    /// # Errors
    /// A key can't be read, or nobody would be trusted.
    pub async fn open(config: &Config, gate: Gate) -> Result<Self, IdentityError> {
        let mut anchors = Vec::new();
        match config.mode {
            Mode::Development => {
                let key = DevelopmentKey::load_or_create(&config.development_key_path())?;
                anchors.extend(development_anchor(&key));
            }
            Mode::Production if config.jwt.is_none() => return Err(IdentityError::NobodyTrusted),
            Mode::Production => {}
        }
        if let Some(jwt) = &config.jwt {
            anchors.push(Anchor {
                issuer: jwt.issuer.clone(),
                audience: jwt.audience.clone(),
                keys: AnchorKeys::Published(Jwks::open(jwt.jwks.clone()).await?),
            });
        }
        let verifier = Verifier::new(anchors, config.jwt_leeway_seconds, config.clock(), config.default_msp().id);
        let clock = config.clock();
        Ok(Self { inner: Arc::new(Inner { verifier, gate, authorizer: Authorizer::new()?, clock }) })
    }

    /// Who calls, by the request's `Authorization` header.
    ///
    /// # Errors
    /// No token, a bad one, or a tenant that can't be used now.
    pub async fn authenticate(&self, authorization_header: Option<&str>) -> Result<Principal, Denied> {
        match Credential::of(authorization_header.ok_or(Denied::MissingToken)?)? {
            Credential::Signed(token) => self.by_signature(token).await,
            Credential::AccessToken(token) => self.by_access_token(token).await,
        }
    }

    async fn by_signature(&self, token: &str) -> Result<Principal, Denied> {
        let token = self.inner.verifier.verify(token).await?;
        let kind = self.inner.gate.check(token.tenant)?;
        let subject_id = self.subject_id(&token.subject);
        Ok(Principal {
            role: self.role_now(token.role, token.tenant, &subject_id),
            subject: token.subject,
            tenant: token.tenant,
            kind,
            groups: token.groups,
            token_id: token.id,
            access_token: None,
            expires_at: token.expires_at,
            subject_id,
        })
    }

    /// How events, metadata and logs name a person: itself if it is plainly an identifier, else a pseudonym.
    #[must_use]
    pub fn subject_id(&self, subject: &str) -> String {
        principal::subject_id(subject, |subject| self.inner.gate.blind(subject))
    }

    /// Whom an MSP named that let the tenant go owns it, and who agreed to join an MSP is an administrator there: whatever
    /// their tokens say.
    fn role_now(&self, role: Role, tenant: TenantId, subject_id: &str) -> Role {
        match self.inner.gate.ownership(tenant) {
            Some(Ownership::Owner(owner)) if owner == subject_id => Role::PrimeAdmin,
            Some(Ownership::Former(owner)) if owner == subject_id && role == Role::PrimeAdmin => Role::Admin,
            Some(Ownership::Owner(_) | Ownership::Former(_)) | None => role,
        }
    }

    /// Nothing has to be remembered here: the gate holds every token that is alive, by its hash.
    async fn by_access_token(&self, token: &str) -> Result<Principal, Denied> {
        let gate = &self.inner.gate;
        let hash = access_token::hash_of(token).ok_or(TokenFault::Malformed)?;
        let token = match gate.access_token(&hash) {
            // Another instance may have made it a moment ago.
            Err(Denied::InvalidToken(TokenFault::NotLive)) => {
                gate.look_again().await;
                gate.access_token(&hash)?
            }
            found => found?,
        };
        if self.inner.clock.now() >= token.expires_at {
            return Err(TokenFault::Expired.into());
        }
        let kind = gate.check(token.tenant)?;
        // Whoever made it may have nothing to say there any more: a tenant that changes hands takes no tokens along.
        if kind.root(token.tenant) != token.made_below {
            return Err(TokenFault::NotLive.into());
        }
        let subject = principal::token_subject(token.id);
        Ok(Principal {
            subject: subject.clone(),
            role: token.role,
            tenant: token.tenant,
            kind,
            groups: token.groups,
            token_id: Some(token.id.to_string()),
            access_token: Some(token.id),
            expires_at: token.expires_at,
            subject_id: subject,
        })
    }

    /// Whether the principal may do this to any tenant at all.
    ///
    /// # Errors
    /// [`Denied::Forbidden`], to be answered with 403; [`Denied::GateStale`] where only groups could let the principal in, and
    /// nobody knows whether they still do.
    pub fn authorize(&self, principal: &Principal, action: Action) -> Result<(), Denied> {
        let Inner { gate, authorizer, .. } = &*self.inner;
        if authorizer.may_ever(principal, action) {
            return Ok(());
        }
        // Before the look at the links, so that what is seen is no older than the answer claims.
        let is_fresh = gate.is_fresh();
        let accounts = gate.let_in(principal.tenant, &principal.groups);
        if !accounts.into_iter().any(|(_, role)| authorizer.group_allows(role, action)) {
            return Err(Denied::Forbidden { role: principal.role, action });
        }
        if is_fresh { Ok(()) } else { Err(Denied::GateStale) }
    }

    /// Whether the principal may do this to that tenant, by its own role or by a group's. "No" is answered with 404, as for
    /// a tenant that does not exist.
    #[must_use]
    pub fn permits(&self, principal: &Principal, action: Action, tenant: TenantId) -> bool {
        let Inner { gate, authorizer, .. } = &*self.inner;
        let Some(resource) = gate.resource(tenant) else { return false };
        let by_group = || gate.group_role(principal.tenant, tenant, &principal.groups);
        authorizer.allows(principal, action, resource)
            || by_group().is_some_and(|role| authorizer.group_allows(role, action))
    }

    /// Whether the principal may do this to every customer of its MSP, by its own role: what is known of a tenant that the
    /// gate has not heard of yet.
    #[must_use]
    pub fn permits_any_customer(&self, principal: &Principal, action: Action) -> bool {
        self.inner.authorizer.allows_any_customer(principal, action)
    }

    /// The gate that is asked.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.inner.gate
    }
}

/// The trust in a development key: only for its own issuer and audience.
fn development_anchor(key: &DevelopmentKey) -> Option<Anchor> {
    let trusted = TrustedKey::ed25519(Some(key.kid().to_owned()), &key.public())?;
    Some(Anchor {
        issuer: development_key::ISSUER.to_owned(),
        audience: development_key::AUDIENCE.to_owned(),
        keys: AnchorKeys::Fixed(KeySet::of(trusted)),
    })
}

/// What an `Authorization` header shows.
enum Credential<'a> {
    /// A JSON Web Token.
    Signed(&'a str),
    /// A personal access token, or what was meant as one.
    AccessToken(&'a str),
}

impl<'a> Credential<'a> {
    /// `Bearer` (RFC 6750 section 2.1) holds either kind, `Token` an access token. The scheme's case does not matter.
    fn of(header: &'a str) -> Result<Self, Denied> {
        let (scheme, token) = header.split_once(' ').ok_or(Denied::MalformedHeader)?;
        let token = token.trim_matches(' ');
        if token.is_empty() || token.contains(' ') {
            return Err(Denied::MalformedHeader);
        }
        if scheme.eq_ignore_ascii_case("token") {
            return Ok(Self::AccessToken(token));
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Denied::MalformedHeader);
        }
        Ok(if token.starts_with(access_token::PREFIX) { Self::AccessToken(token) } else { Self::Signed(token) })
    }
}
