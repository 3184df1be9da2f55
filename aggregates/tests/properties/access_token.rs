//! Whoever grants whatever: nothing leaves that the granter did not hold.

use chrono::TimeDelta;
use proptest::prelude::*;
use tenure_aggregates::access_token::{Command, Event, Granter, NewToken};
use tenure_aggregates::values::{GroupId, Groups, TokenLifetime};
use tenure_aggregates::{AccessToken, Decider, Folded, Role, TenantId, TenantKind, fold};

use crate::given::access_token::{CREATED, msp_admin, token};
use crate::given::{at, msp_id, stored, tenant_id};

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(Role::ALL)
}

fn groups() -> impl Strategy<Value = Groups> {
    let ids = prop::sample::subsequence(vec!["a", "b", "c"], 0..=3);
    ids.prop_map(|ids| Groups::parse(&ids).expect("valid"))
}

/// The MSP, a customer of it, or a tenant of somebody else.
fn place() -> impl Strategy<Value = (TenantId, TenantKind)> {
    let stranger: TenantId = "0198a1b2-c3d4-7000-8000-00000000000f".parse().expect("valid");
    prop::sample::select(vec![
        (msp_id(), TenantKind::Msp),
        (tenant_id(), TenantKind::Customer { msp: msp_id() }),
        (stranger, TenantKind::Customer { msp: stranger }),
    ])
}

proptest! {
    #[test]
    fn a_token_is_never_more_than_its_granter(
        (granter_role, granter_place, granter_groups, ends) in (role(), place(), groups(), prop::option::of(1..400_i64)),
        (token_role, token_place, token_groups, days) in (role(), place(), groups(), 1..=365_i64),
    ) {
        let now = at(CREATED);
        let granter = Granter {
            role: granter_role,
            tenant_id: granter_place.0,
            kind: granter_place.1,
            groups: granter_groups,
            token_expires_at: ends.map(|days| now + TimeDelta::days(days)),
            ..msp_admin()
        };
        let token = NewToken {
            tenant_id: token_place.0,
            kind: token_place.1,
            role: token_role,
            groups: token_groups,
            lifetime: TokenLifetime::from_days(days).expect("valid"),
            ..token()
        };
        let command = Command::Create { token: Box::new(token), granter: Box::new(granter.clone()), at: now };
        let Ok(events) = AccessToken::default().decide(command) else { return Ok(()) };
        let [Event::Created { tenant_id, kind, role, groups, expires_at, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        let runs_the_msp = granter.role == Role::MspAdmin && granter.kind == TenantKind::Msp;
        prop_assert!(runs_the_msp || (*tenant_id == granter.tenant_id && granter.role.holds(*role)));
        let below = TenantKind::Customer { msp: granter.tenant_id };
        prop_assert!(*tenant_id == granter.tenant_id || *kind == below);
        prop_assert!(runs_the_msp || *role != Role::MspAdmin);
        let is_held = |group: &GroupId| runs_the_msp || granter.groups.contains(group);
        prop_assert!(groups.iter().all(is_held));
        prop_assert!(granter.token_expires_at.is_none_or(|end| *expires_at <= end));
        let folded: Folded<AccessToken> = fold("t", stored::<AccessToken>("t", &events)).expect("a sound history");
        prop_assert_eq!(folded.state.details().map(|details| details.role), Some(*role));
    }
}
