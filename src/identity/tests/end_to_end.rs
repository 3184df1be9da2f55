//! The whole way of an `Authorization` header, on a real log and with a development key.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use tenure_aggregates::link::{self, GroupGrant, GroupRole, NewLink, Origin};
use tenure_aggregates::values::Groups;
use tenure_aggregates::{Decider, Link, LinkId, TenantId, TenantKind};
use tenure_event_log::StreamId;
use uuid::Uuid;

use super::cell::{Cell, new_event, within};
use super::issuer::{AUDIENCE, ISSUER, Issuer, claims, key_set};
use crate::config::Config;
use crate::identity::{
    Action, Answer, Denied, DevelopmentKey, Gate, GateStart, Identity, Role, TokenFault, TokenRequest,
};

const SOON: Duration = Duration::from_secs(5);

fn config(cell: &Cell, more: &[(&str, &str)]) -> Config {
    let data_dir = ("TENURE_DATA_DIR", cell.directory.path().to_str().unwrap());
    let variables = more.iter().chain([&data_dir]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(None, variables).unwrap()
}

async fn identity(cell: &Cell, config: &Config) -> Identity {
    let gate = Gate::start(cell.log.clone(), GateStart::default()).await.unwrap();
    Identity::open(config, gate).await.unwrap()
}

fn bearer(config: &Config, role: Role, tenant: TenantId) -> String {
    let key = DevelopmentKey::load_or_create(&config.development_key_path()).unwrap();
    let (now, expires_in) = (config.clock().now(), TimeDelta::hours(8));
    let request = TokenRequest { role, tenant, subject: None, groups: Groups::default(), now, expires_in };
    format!("Bearer {}", key.sign(&request))
}

#[tokio::test]
async fn an_msps_administrator_acts_on_its_own_customers_only() {
    let cell = Cell::new().await;
    let (msp, other) = (cell.msp().await, cell.msp().await);
    let (tenant, foreign) = (cell.customer(msp).await, cell.customer(other).await);
    let config = config(&cell, &[("TENURE_CLOCK_OFFSET", "31d")]);
    let identity = identity(&cell, &config).await;

    let principal = identity.authenticate(Some(&bearer(&config, Role::MspAdmin, msp))).await.unwrap();
    assert_eq!((principal.role, principal.tenant, principal.kind), (Role::MspAdmin, msp, TenantKind::Msp));
    assert_eq!(principal.id(), format!("{msp}/development-msp-admin"));
    assert_eq!(identity.authorize(&principal, Action::SuspendTenant), Ok(()));
    assert!(identity.permits(&principal, Action::SuspendTenant, tenant));
    assert!(!identity.permits(&principal, Action::SuspendTenant, foreign));
    assert!(!identity.permits(&principal, Action::SuspendTenant, TenantId::from_uuid(Uuid::now_v7())));
    let forbidden = identity.authorize(&principal, Action::RestoreTenant).unwrap_err();
    assert_eq!(forbidden, Denied::Forbidden { role: Role::MspAdmin, action: Action::RestoreTenant });
    assert_eq!((forbidden.answer(), forbidden.www_authenticate()), (Answer::Forbidden, None));

    // The role alone makes nobody an MSP's administrator: a customer has no customers.
    let pretender = identity.authenticate(Some(&bearer(&config, Role::MspAdmin, tenant))).await.unwrap();
    assert!(identity.authorize(&pretender, Action::SuspendTenant).is_err());
    assert_eq!(identity.authorize(&pretender, Action::WhoAmI), Ok(()));
}

#[tokio::test]
async fn a_suspension_is_felt_by_tokens_that_were_accepted_before() {
    let cell = Cell::new().await;
    let tenant = cell.customer(cell.msp().await).await;
    let config = config(&cell, &[]);
    let identity = identity(&cell, &config).await;
    let header = bearer(&config, Role::PrimeAdmin, tenant);
    identity.authenticate(Some(&header)).await.unwrap();
    assert!(identity.gate().wait_for(cell.suspend(tenant).await, SOON).await);
    let denied = identity.authenticate(Some(&header)).await.unwrap_err();
    assert_eq!((denied, denied.answer()), (Denied::TenantSuspended, Answer::Forbidden));
    assert_eq!(denied.to_string(), "tenant suspended");
    assert!(identity.gate().wait_for(cell.reinstate(tenant).await, SOON).await);
    identity.authenticate(Some(&header)).await.unwrap();
}

#[tokio::test]
async fn groups_let_nobody_in_once_the_gate_can_not_read_the_log() {
    let cell = Cell::new().await;
    let msp = cell.msp().await;
    let tenant = cell.customer(msp).await;
    let at = Utc::now();
    let created = link::Event::Created {
        link: NewLink {
            msp,
            account: tenant,
            name: "Acme".parse().unwrap(),
            domain: "acme.example".parse().unwrap(),
            groups: vec![GroupGrant { id: "g1".parse().unwrap(), role: GroupRole::Auditor }].try_into().unwrap(),
            dns_challenge: "abc".parse().unwrap(),
        },
        origin: Origin::New,
        at,
    };
    let stream = StreamId::new(Link::TYPE, LinkId::between(msp, tenant).to_string());
    cell.append_to(stream, msp, new_event(created.name(), &created)).await;
    let config = config(&cell, &[]);
    let identity = identity(&cell, &config).await;
    let key = DevelopmentKey::load_or_create(&config.development_key_path()).unwrap();
    let principal = async |role, groups: &[&str]| {
        let groups = Groups::parse(groups).unwrap();
        let (now, expires_in) = (config.clock().now(), TimeDelta::hours(8));
        let token = key.sign(&TokenRequest { role, tenant: msp, subject: None, groups, now, expires_in });
        identity.authenticate(Some(&format!("Bearer {token}"))).await.unwrap()
    };
    let member = principal(Role::Billing, &["g1"]).await;
    let (stranger, admin) = (principal(Role::Billing, &["g2"]).await, principal(Role::MspAdmin, &[]).await);
    assert_eq!(identity.authorize(&member, Action::ReadTenant), Ok(()));

    cell.log.shutdown().await;
    let is_stale = || identity.authorize(&member, Action::ReadTenant) == Err(Denied::GateStale);
    assert!(within(Duration::from_millis(1_500), is_stale).await, "the group may have been let out since");
    assert_eq!(identity.authorize(&member, Action::ReadBilling), Ok(()), "its own role stays");
    assert_eq!(identity.authorize(&admin, Action::ReadTenant), Ok(()));
    let forbidden = Denied::Forbidden { role: Role::Billing, action: Action::ReadTenant };
    assert_eq!(identity.authorize(&stranger, Action::ReadTenant), Err(forbidden));
}

#[tokio::test]
async fn headers_that_hold_no_bearer_token_are_refused() {
    let cell = Cell::new().await;
    let config = config(&cell, &[]);
    let identity = identity(&cell, &config).await;
    assert_eq!(identity.authenticate(None).await.unwrap_err(), Denied::MissingToken);
    assert_eq!(Denied::MissingToken.www_authenticate().unwrap(), "Bearer realm=\"tenure\"");
    for header in ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Token", "Bearer a b", "Bearer\tabc", "?"] {
        let denied = identity.authenticate(Some(header)).await.unwrap_err();
        assert_eq!(denied, Denied::MalformedHeader, "{header:?}");
        assert_eq!(denied.answer(), Answer::Unauthorized);
    }
    let denied = identity.authenticate(Some("Bearer abc")).await.unwrap_err();
    assert_eq!(denied, Denied::InvalidToken(TokenFault::Malformed));
    let expected = "Bearer realm=\"tenure\", error=\"invalid_token\", error_description=\"the token is malformed\"";
    assert_eq!(denied.www_authenticate().unwrap(), expected);
    let msp = cell.msp().await;
    assert!(identity.gate().wait_for(cell.log.head().await.unwrap(), SOON).await);
    let lower = bearer(&config, Role::MspAdmin, msp).replace("Bearer ", "bearer  ");
    identity.authenticate(Some(&lower)).await.unwrap();
}

#[tokio::test]
async fn an_issuer_beside_the_development_key_and_subjects_that_are_no_ids() {
    let cell = Cell::new().await;
    let tenant = cell.customer(cell.msp().await).await;
    let issuer = Issuer::rsa("a");
    let path = cell.directory.path().join("jwks.json");
    std::fs::write(&path, key_set(&[&issuer]).to_string()).unwrap();
    let jwks = ("TENURE_JWT_JWKS", path.to_str().unwrap());
    let config = config(&cell, &[jwks, ("TENURE_JWT_ISSUER", ISSUER), ("TENURE_JWT_AUDIENCE", AUDIENCE)]);
    let identity = identity(&cell, &config).await;
    identity.authenticate(Some(&bearer(&config, Role::Admin, tenant))).await.unwrap();

    let mut said = claims(Utc::now());
    said["tenant"] = tenant.to_string().into();
    said["sub"] = "jane.doe@acme.example".into();
    let header = format!("Bearer {}", issuer.sign(&said));
    let principal = identity.authenticate(Some(&header)).await.unwrap();
    assert_eq!(principal.subject, "jane.doe@acme.example");
    assert!(!principal.id().contains("jane") && !format!("{principal:?}").contains("jane"));
    assert!(principal.id().starts_with(&format!("{tenant}/~")));
    assert_eq!(identity.authenticate(Some(&header)).await.unwrap().id(), principal.id(), "always the same");
}

#[test]
fn the_development_key_is_made_once_and_for_its_owner_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data").join("development.key");
    let made: Vec<_> = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| DevelopmentKey::load_or_create(&path).unwrap())).collect();
        makers.into_iter().map(|maker| maker.join().unwrap()).collect()
    });
    assert!(made.iter().all(|key| key.public() == made[0].public() && key.kid() == made[0].kid()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left behind");
    std::fs::write(&path, "half a key").unwrap();
    assert!(DevelopmentKey::load_or_create(&path).is_err());
}
