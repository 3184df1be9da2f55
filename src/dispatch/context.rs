//! Who commands, why and from where: what every event of a command carries as metadata.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tenure_event_log::{Lane, MetadataValue};
use uuid::Uuid;

/// How long a command's caller wants to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until the views have passed the command's position.
    ForViews,
    /// Not at all (`Prefer: respond-async`).
    No,
}

/// The circumstances of one command.
#[derive(Clone, Debug)]
pub struct CommandContext {
    /// Unique per command; an append whose answer was lost is found by it.
    pub command_id: Uuid,
    /// The principal, by id: never a name or an e-mail address.
    pub actor: String,
    /// For whom the actor acts under a delegation.
    pub on_behalf_of: Option<String>,
    /// The HTTP request.
    pub request_id: Option<String>,
    /// What the whole conversation shares; the request where there is none.
    pub correlation_id: Option<String>,
    /// The event or command that led to this one.
    pub causation_id: Option<String>,
    /// The API dialect, or the part of the service, that the command came through.
    pub dialect: &'static str,
    /// Business text, exported as it is.
    pub reason: Option<String>,
    /// Where the request came from: personal, so it is sealed.
    pub source_address: Option<IpAddr>,
    /// The queue that the append waits in.
    pub lane: Lane,
    /// Whether the caller waits for the views.
    pub wait: Wait,
    /// Makes a repeat get the first answer.
    pub idempotency: Option<IdempotentRequest>,
}

/// What makes two requests the same: who asks, the key, and a hash over method, path and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The principal's id, with the tenant it belongs to.
    pub principal: String,
    /// The header's value.
    pub key: String,
    /// SHA-256 over method, path with query, and body.
    pub request_hash: [u8; 32],
}

/// A request that carries an `Idempotency-Key`, with the statuses that its success is answered with.
#[derive(Clone, Debug)]
pub struct IdempotentRequest {
    /// What identifies the request.
    pub key: IdempotencyKey,
    /// HTTP status of a success.
    pub status: u16,
    /// HTTP status of a success that the views don't show in time. A dialect that makes no difference repeats `status`.
    pub late_status: u16,
}

impl CommandContext {
    /// A command that the service gives itself, for example when a deadline is due.
    #[must_use]
    pub fn of_service(part: &'static str) -> Self {
        Self {
            command_id: Uuid::now_v7(),
            actor: format!("service:{part}"),
            on_behalf_of: None,
            request_id: None,
            correlation_id: None,
            causation_id: None,
            dialect: part,
            reason: None,
            source_address: None,
            lane: Lane::Background,
            wait: Wait::No,
            idempotency: None,
        }
    }

    /// The flat object of strings that cqrs-es wants; the log adds `command_id`.
    #[must_use]
    pub fn metadata(&self) -> BTreeMap<String, MetadataValue> {
        let plain = [
            ("actor", Some(self.actor.clone())),
            ("on_behalf_of", self.on_behalf_of.clone()),
            ("request_id", self.request_id.clone()),
            ("correlation_id", self.correlation_id.clone().or_else(|| self.request_id.clone())),
            ("causation_id", self.causation_id.clone()),
            ("dialect", Some(self.dialect.to_owned())),
            ("reason", self.reason.clone()),
        ];
        let mut metadata: BTreeMap<_, _> = plain
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), MetadataValue::Plain(value?))))
            .collect();
        if let Some(address) = self.source_address {
            metadata.insert("source_address".to_owned(), MetadataValue::Personal(address.to_string()));
        }
        metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_address_is_personal_and_the_correlation_defaults_to_the_request() {
        let context = CommandContext {
            request_id: Some("r-1".to_owned()),
            source_address: Some(IpAddr::from([192, 0, 2, 7])),
            ..CommandContext::of_service("scheduler")
        };
        let metadata = context.metadata();
        assert_eq!(metadata["source_address"], MetadataValue::Personal("192.0.2.7".to_owned()));
        assert_eq!(metadata["correlation_id"], MetadataValue::Plain("r-1".to_owned()));
        assert!(!metadata.contains_key("on_behalf_of"));
    }
}
