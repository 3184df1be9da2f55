//! Who calls and what they may do: bearer tokens, the gate and the policies, for every dialect.
//!
//! The way of a request: the [`Verifier`] says that the token is good, the [`Gate`] that its tenant may be used right
//! now, the [`Authorizer`] that the role may do what is asked, first at all (403), then to that tenant (404).

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

use crate::config::{Config, Mode};

pub use denied::{Answer, Denied, TokenFault};
pub use development_key::{DevelopmentKey, DevelopmentKeyError, TokenRequest};
pub use gate::{Gate, GateError, GateStart, LinkStanding, Ownership, Standing};
pub use jwks::JwksError;
pub use policy::{Action, Authorizer, PolicyError, Resource};
pub use principal::{Principal, Role, UnknownRole};
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
        Ok(Self { inner: Arc::new(Inner { verifier, gate, authorizer: Authorizer::new()? }) })
    }

    /// Who calls, by the request's `Authorization` header.
    ///
    /// # Errors
    /// No token, a bad one, or a tenant that can't be used now.
    pub async fn authenticate(&self, authorization_header: Option<&str>) -> Result<Principal, Denied> {
        let header = authorization_header.ok_or(Denied::MissingToken)?;
        let token = self.inner.verifier.verify(bearer(header)?).await?;
        let kind = self.inner.gate.check(token.tenant)?;
        let subject_id = self.subject_id(&token.subject);
        Ok(Principal {
            role: self.role_now(token.role, token.tenant, &subject_id),
            subject: token.subject,
            tenant: token.tenant,
            kind,
            groups: std::sync::Arc::default(),
            token_id: token.id,
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

    /// Whether the principal may do this to any tenant at all.
    ///
    /// # Errors
    /// [`Denied::Forbidden`], to be answered with 403.
    pub fn authorize(&self, principal: &Principal, action: Action) -> Result<(), Denied> {
        let let_in = || {
            let accounts = self.inner.gate.let_in(principal.tenant, &principal.groups);
            accounts.into_iter().any(|(_, role)| self.inner.authorizer.group_allows(role, action))
        };
        if self.inner.authorizer.may_ever(principal, action) || let_in() {
            Ok(())
        } else {
            Err(Denied::Forbidden { role: principal.role, action })
        }
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

/// The token of a `Bearer` header (RFC 6750 section 2.1). The scheme's case does not matter.
fn bearer(header: &str) -> Result<&str, Denied> {
    let (scheme, token) = header.split_once(' ').ok_or(Denied::MalformedHeader)?;
    let token = token.trim_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.contains(' ') {
        return Err(Denied::MalformedHeader);
    }
    Ok(token)
}
