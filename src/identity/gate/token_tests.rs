//! Which access tokens the gate holds to be alive, on a real log.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tenure_aggregates::access_token::{Event, LastUse, last_use};
use tenure_aggregates::values::{Groups, TokenHash};
use tenure_aggregates::{AccessTokenId, Role, TenantId, TenantKind};
use tenure_event_log::{Position, StreamId};
use uuid::Uuid;

use super::{Gate, GateStart};
use crate::identity::NewSecret;
use crate::identity::denied::{Denied, TokenFault};
use crate::identity::tests::cell::{Cell, new_event, within};

const SOON: Duration = Duration::from_secs(5);
const NOT_LIVE: Denied = Denied::InvalidToken(TokenFault::NotLive);

struct Token {
    id: AccessTokenId,
    tenant: TenantId,
    hash: TokenHash,
}

impl Token {
    async fn make(cell: &Cell, tenant: TenantId) -> (Self, Position) {
        Self::make_until(cell, tenant, Utc::now() + TimeDelta::days(1)).await
    }

    async fn make_until(cell: &Cell, tenant: TenantId, expires_at: DateTime<Utc>) -> (Self, Position) {
        Self::make_by("anna", cell, tenant, expires_at).await
    }

    async fn make_by(maker: &str, cell: &Cell, tenant: TenantId, expires_at: DateTime<Utc>) -> (Self, Position) {
        let id = AccessTokenId::from_uuid(Uuid::now_v7());
        let token = Self { id, tenant, hash: NewSecret::generate().hash() };
        let (at, name) = (Utc::now(), "t".parse().unwrap());
        let created = Event::Created {
            tenant_id: tenant,
            kind: TenantKind::Msp,
            name,
            role: Role::ReadOnly,
            groups: Groups::parse(&["ops"]).unwrap(),
            hash: token.hash,
            created_by: maker.parse().unwrap(),
            expires_at,
            at,
        };
        let position = token.append(cell, created.name(), serde_json::to_value(&created).unwrap()).await;
        (token, position)
    }

    async fn append(&self, cell: &Cell, name: &'static str, payload: serde_json::Value) -> Position {
        let stream = StreamId::new("access_token", self.id.to_string());
        cell.append_to(stream, self.tenant, new_event(name, &payload)).await
    }

    async fn revoke(&self, cell: &Cell) -> Position {
        let revoked = Event::Revoked { at: Utc::now() };
        self.append(cell, revoked.name(), serde_json::to_value(&revoked).unwrap()).await
    }

    async fn used(&self, cell: &Cell) -> Position {
        let used = last_use::Event::Used { at: Utc::now() };
        let stream = StreamId::new("access_token_use", self.id.to_string());
        cell.append_to(stream, self.tenant, new_event(used.name(), &used)).await
    }
}

#[tokio::test]
async fn a_token_is_known_from_its_making_to_its_end() {
    let cell = Cell::new().await;
    let msp = cell.msp().await;
    let gate = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();
    let (token, made) = Token::make(&cell, msp).await;
    assert!(gate.wait_for(made, SOON).await);
    let known = gate.access_token(&token.hash).unwrap();
    assert_eq!((known.id, known.tenant, known.role), (token.id, msp, Role::ReadOnly));
    assert_eq!(known.groups.iter().map(ToString::to_string).collect::<Vec<_>>(), ["ops"]);
    assert_eq!((known.uses.state, known.uses.sequence), (LastUse::Never, 0));

    assert!(gate.wait_for(token.used(&cell).await, SOON).await);
    let uses = gate.uses_of(token.id).unwrap();
    assert!(uses.state.at().is_some() && uses.sequence == 1);
    assert!(gate.wait_for(token.revoke(&cell).await, SOON).await);
    assert_eq!((gate.access_token(&token.hash), gate.uses_of(token.id)), (Err(NOT_LIVE), None));
    // A use that was under way brings nobody back.
    assert!(gate.wait_for(token.used(&cell).await, SOON).await);
    assert_eq!(gate.access_token(&token.hash), Err(NOT_LIVE));
    assert_eq!(gate.access_token(&NewSecret::generate().hash()), Err(NOT_LIVE));
}

#[tokio::test]
async fn an_expired_token_is_forgotten_after_a_day() {
    let cell = Cell::new().await;
    let msp = cell.msp().await;
    let gate = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();
    let (long_ago, _) = Token::make_until(&cell, msp, Utc::now() - TimeDelta::hours(25)).await;
    let (of_late, made) = Token::make_until(&cell, msp, Utc::now() - TimeDelta::hours(23)).await;
    assert!(gate.wait_for(made, SOON).await);
    assert_eq!(gate.access_token(&long_ago.hash), Err(NOT_LIVE));
    assert!(gate.access_token(&of_late.hash).is_ok(), "whose time is told to whoever comes with it");
    // What is left of it harms nobody: it can still be used on paper, and revoked.
    long_ago.used(&cell).await;
    assert!(gate.wait_for(long_ago.revoke(&cell).await, SOON).await);
    assert!(gate.access_token(&of_late.hash).is_ok());
}

#[tokio::test]
async fn a_makers_tokens_are_counted_with_those_that_were_made_with_them() {
    let cell = Cell::new().await;
    let msp = cell.msp().await;
    let gate = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();
    let (tomorrow, yesterday) = (Utc::now() + TimeDelta::days(1), Utc::now() - TimeDelta::hours(20));
    let make = async |maker: &str, expires_at| Token::make_by(maker, &cell, msp, expires_at).await.0;
    let (anna, ben) = (format!("{msp}/anna"), format!("{msp}/ben"));
    let with = |token: &Token| format!("{msp}/token-{}", token.id);
    let (first, _) = (make(&anna, tomorrow).await, make(&anna, yesterday).await);
    let second = make(&with(&first), tomorrow).await;
    let (third, of_ben) = (make(&with(&second), tomorrow).await, make(&ben, tomorrow).await);
    gate.look_again().await;
    let alive = |maker: &str| gate.tokens_alive(&maker.parse().unwrap());
    assert_eq!((alive(&anna), alive(&ben)), (3, 1));
    assert_eq!((alive(&with(&third)), alive(&with(&of_ben))), (3, 1), "a token's are its maker's");
    assert_eq!(alive(&format!("{msp}/carl")), 0);
    second.revoke(&cell).await;
    gate.look_again().await;
    assert_eq!(alive(&anna), 1, "what was made with a revoked one is not alive either");
}

#[tokio::test]
async fn what_the_views_know_is_taken_over_and_what_they_know_twice_counts_once() {
    let cell = Cell::new().await;
    let msp = cell.msp().await;
    let before = cell.log.head().await.unwrap();
    let ((kept, _), (revoked, _)) = (Token::make(&cell, msp).await, Token::make(&cell, msp).await);
    kept.used(&cell).await;
    revoked.revoke(&cell).await;
    let whole = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();
    let known = whole.access_token(&kept.hash).unwrap();

    // Another view was behind, so that the log is read once more from there.
    for position in [before, cell.log.head().await.unwrap()] {
        let start = GateStart { position, tokens: vec![known.clone()], ..GateStart::default() };
        let gate = Gate::start(cell.log.clone(), start).await.unwrap();
        assert_eq!(gate.access_token(&kept.hash).as_ref(), Ok(&known));
        assert_eq!(gate.access_token(&revoked.hash), Err(NOT_LIVE));
    }
}

#[tokio::test]
async fn what_can_not_be_read_of_a_token_is_not_guessed_at() {
    let cell = Cell::new().await;
    let msp = cell.msp().await;
    let ((token, _), (other, _)) = (Token::make(&cell, msp).await, Token::make(&cell, msp).await);
    let gate = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();
    let narrowed = token.append(&cell, "access_token.narrowed", json!({ "access_token.narrowed": {} })).await;
    assert!(gate.wait_for(narrowed, SOON).await);
    assert_eq!(gate.access_token(&token.hash), Err(Denied::GateStale));
    assert!(gate.access_token(&other.hash).is_ok());
}

#[tokio::test]
async fn a_gate_that_can_not_read_trusts_no_token_whosever_it_is() {
    let cell = Cell::new().await;
    let msp = cell.msp().await;
    let (token, _) = Token::make(&cell, msp).await;
    let gate = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();
    assert!(gate.access_token(&token.hash).is_ok());
    gate.look_again().await;
    cell.log.shutdown().await;
    let is_stale = || gate.access_token(&token.hash) == Err(Denied::GateStale);
    assert!(within(Duration::from_millis(1_500), is_stale).await);
    assert_eq!(gate.check(msp), Ok(TenantKind::Msp), "somebody whose token is signed goes on");
    let began = std::time::Instant::now();
    gate.look_again().await;
    assert!(began.elapsed() < Duration::from_secs(2), "it is not waited for longer than it counts as fresh");
}
