//! What events mean to the gate about personal access tokens: which are alive, what each stands for, and when it was last
//! used. Of a revoked one nothing is kept, of an expired one only for a while.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use tenure_aggregates::access_token::{Event, LastUse};
use tenure_aggregates::values::{Groups, PrincipalId, TokenHash};
use tenure_aggregates::{AccessToken, AccessTokenId, Decider, Folded, Role, TenantId, decode_text};
use tenure_event_log::RecordedEvent;

use super::standing::Unreadable;
use crate::identity::principal::granting_token;

/// A token that was made and not revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownToken {
    /// The token.
    pub id: AccessTokenId,
    /// SHA-256 of it.
    pub hash: TokenHash,
    /// The tenant that it acts in.
    pub tenant: TenantId,
    /// Who made it. If that was a token, it is alive no longer than that one.
    pub made_by: PrincipalId,
    /// In whose tree that tenant stood when the token was made: the MSP's, or its own.
    pub made_below: TenantId,
    /// What its bearer is there.
    pub role: Role,
    /// The groups that its bearer is in.
    pub groups: Arc<Groups>,
    /// Valid before then.
    pub expires_at: DateTime<Utc>,
    /// Its uses, as far as they were written down.
    pub uses: Folded<LastUse>,
}

/// For how long an expired token is known, so that whoever comes with it learns what is wrong with it.
const EXPIRED_FOR: TimeDelta = TimeDelta::days(1);

/// All tokens that are alive, and those that expired a short while ago.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    known: HashMap<AccessTokenId, Entry>,
    by_hash: HashMap<TokenHash, AccessTokenId>,
    by_expiry: BTreeSet<(DateTime<Utc>, AccessTokenId)>,
}

#[derive(Debug)]
struct Entry {
    token: KnownToken,
    /// Something happened to it that this release can't read.
    is_undecidable: bool,
}

impl Tokens {
    pub fn new(tokens: Vec<KnownToken>) -> Self {
        let mut all = Self::default();
        for token in tokens {
            all.insert(token);
        }
        all
    }

    /// The token with this hash, and whether nobody can tell if it is still alive; `None` also where one that it descends from
    /// was revoked.
    pub fn with_hash(&self, hash: &TokenHash) -> Option<(&KnownToken, bool)> {
        let id = *self.by_hash.get(hash)?;
        self.get(id).zip(self.is_undecidable(id))
    }

    /// Whether the token was not revoked, but one that it descends from was.
    pub fn is_cut_off(&self, id: AccessTokenId) -> bool {
        self.known.contains_key(&id) && self.is_undecidable(id).is_none()
    }

    /// Whether nobody can tell if the token is alive, or one that it descends from; `None` if one of them is not. Who makes
    /// tokens with a token is known before them, and kept for as long as it is alive.
    fn is_undecidable(&self, id: AccessTokenId) -> Option<bool> {
        let mut entry = self.known.get(&id)?;
        let mut is_undecidable = entry.is_undecidable;
        while let Some(parent) = granting_token(&entry.token.made_by) {
            entry = self.known.get(&parent)?;
            is_undecidable |= entry.is_undecidable;
        }
        Some(is_undecidable)
    }

    /// How many tokens are alive whose first maker is that of this one. Looks at every token: tokens are made seldom.
    pub fn alive_of(&self, maker: &PrincipalId, now: DateTime<Utc>) -> usize {
        let first = self.first_maker(maker);
        let is_alive = |token: &KnownToken| now < token.expires_at && self.is_undecidable(token.id).is_some();
        let tokens = self.known.values().map(|entry| &entry.token);
        tokens.filter(|token| self.first_maker(&token.made_by) == first && is_alive(token)).count()
    }

    /// Who made the token with which this maker makes others, and so on.
    fn first_maker<'a>(&'a self, mut maker: &'a PrincipalId) -> &'a PrincipalId {
        while let Some(parent) = granting_token(maker).and_then(|id| self.get(id)) {
            maker = &parent.made_by;
        }
        maker
    }

    pub fn get(&self, id: AccessTokenId) -> Option<&KnownToken> {
        self.known.get(&id).map(|entry| &entry.token)
    }

    /// Whether the event is about a token.
    pub fn concerns(event: &RecordedEvent) -> bool {
        matches!(&*event.stream.aggregate_type, AccessToken::TYPE | LastUse::TYPE)
    }

    /// Takes over what an event says; `Some` if this release can't read what happened to the token.
    pub fn apply(&mut self, event: &RecordedEvent) -> Option<Unreadable> {
        let id = event.stream.aggregate_id.parse().ok()?;
        match &*event.stream.aggregate_type {
            AccessToken::TYPE => self.changed(id, event),
            LastUse::TYPE => {
                self.used(id, event);
                None
            }
            _ => None,
        }
    }

    fn changed(&mut self, id: AccessTokenId, event: &RecordedEvent) -> Option<Unreadable> {
        match decode_text::<AccessToken>(&event.event_type, &event.event_version, event.payload.text()) {
            Ok(Event::Created { tenant_id, kind, role, groups, hash, created_by, expires_at, .. }) => {
                // Read again, it must not forget what the views knew of its uses.
                let uses = self.get(id).map_or_else(Folded::default, |known| known.uses.clone());
                let groups = Arc::new(groups);
                self.forget_expired(event.recorded_at);
                self.insert(KnownToken {
                    id,
                    hash,
                    tenant: tenant_id,
                    made_by: created_by,
                    made_below: kind.root(tenant_id),
                    role,
                    groups,
                    expires_at,
                    uses,
                });
                None
            }
            Ok(Event::Revoked { .. }) => {
                self.remove(id);
                None
            }
            Err(cause) => {
                if let Some(entry) = self.known.get_mut(&id) {
                    entry.is_undecidable = true;
                }
                Some(Unreadable::new(event, cause))
            }
        }
    }

    /// An unreadable use is a use all the same: only its time is not known.
    fn used(&mut self, id: AccessTokenId, event: &RecordedEvent) {
        let Some(Entry { token: KnownToken { uses, .. }, .. }) = self.known.get_mut(&id) else { return };
        if event.sequence <= uses.sequence {
            return;
        }
        if let Ok(used) = decode_text::<LastUse>(&event.event_type, &event.event_version, event.payload.text())
            && let Ok(state) = uses.state.evolve(&used)
        {
            uses.state = state;
        }
        uses.sequence = event.sequence;
    }

    fn insert(&mut self, token: KnownToken) {
        self.by_hash.insert(token.hash, token.id);
        self.by_expiry.insert((token.expires_at, token.id));
        self.known.insert(token.id, Entry { token, is_undecidable: false });
    }

    fn remove(&mut self, id: AccessTokenId) {
        if let Some(Entry { token, .. }) = self.known.remove(&id) {
            self.by_hash.remove(&token.hash);
            self.by_expiry.remove(&(token.expires_at, id));
        }
    }

    /// A token that was made with another one expires no later, so that nothing is left of it either.
    fn forget_expired(&mut self, now: DateTime<Utc>) {
        while let Some(&(expires_at, id)) = self.by_expiry.first()
            && now - expires_at > EXPIRED_FOR
        {
            self.remove(id);
        }
    }
}
