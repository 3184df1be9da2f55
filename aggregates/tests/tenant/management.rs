//! A tenant's domain, and its way from MSP to MSP.

use tenure_aggregates::tenant::{Command, DOMAIN_CLAIM, Error, Event};
use tenure_aggregates::{ClaimChange, ClaimKey, Decider, Personal, Tenant, TenantKind};

use super::when;
use crate::given::tenant::{active, active_msp, deprovisioned, email, independent, join, leave, owner, prove_domain};
use crate::given::{at, msp_id, state, tenant_id, value};

const NOW: &str = "2026-05-01T12:00:00Z";

fn kind(history: &[Event]) -> TenantKind {
    state::<Tenant>(history).account().expect("provisioned").kind
}

#[test]
fn a_tenant_that_leaves_its_msp_is_its_owners_and_can_join_one_again() {
    let customer = TenantKind::Customer { msp: msp_id() };
    assert_eq!(kind(&active()), customer);
    assert_eq!(kind(&independent()), TenantKind::Independent);
    let joined = when(&independent(), join(at(NOW))).expect("the owner agrees");
    let msps = email("ops@msp.example");
    let contact_email = Some(msps.clone());
    assert_eq!(joined, [Event::Joined { msp: msp_id(), former_owner: owner(), contact_email, at: at(NOW) }]);
    let back = [independent(), joined].concat();
    assert_eq!(kind(&back), customer);
    let after = state::<Tenant>(&back);
    let account = after.account().expect("provisioned");
    assert_eq!((&account.owner, &account.contact_email), (&None, &msps));
}

/// As it was written at first.
#[test]
fn joining_that_names_no_address_changes_none() {
    let joined = Event::Joined { msp: msp_id(), former_owner: owner(), contact_email: None, at: at(NOW) };
    let address = |history: &[Event]| state::<Tenant>(history).account().expect("provisioned").contact_email.clone();
    assert_eq!(address(&[independent(), vec![joined]].concat()), address(&independent()));
}

#[test]
fn who_has_an_msp_or_is_one_joins_none() {
    for history in [active(), active_msp()] {
        assert_eq!(when(&history, join(at(NOW))), Err(Error::NotIndependent));
    }
}

#[test]
fn only_the_msp_that_manages_a_tenant_lets_it_go() {
    let another = tenant_id();
    let foreign = Command::Leave { msp: another, owner: Personal::Known(value("o")), owner_id: owner(), at: at(NOW) };
    assert_eq!(when(&active(), foreign), Err(Error::NotManagedBy { msp: another }));
    for history in [independent(), active_msp()] {
        assert_eq!(when(&history, leave(at(NOW))), Err(Error::NotManagedBy { msp: msp_id() }));
    }
}

#[test]
fn a_tenant_has_one_domain_and_keeps_it_through_retention() {
    let claim = |take: bool| {
        let (scope, key) = (DOMAIN_CLAIM, ClaimKey::Plain("tenant.com".to_owned()));
        if take { ClaimChange::Take { scope, key } } else { ClaimChange::Release { scope, key } }
    };
    let proven = when(&active(), prove_domain(at(NOW))).expect("it has none yet");
    assert_eq!(state::<Tenant>(&active()).claims(&proven[0]), [claim(true)]);

    let history = [active(), proven].concat();
    assert_eq!(when(&history, prove_domain(at(NOW))), Ok(vec![]), "proven again");
    let other = Command::ProveDomain { domain: value("other.example"), at: at(NOW) };
    assert_eq!(when(&history, other), Err(Error::OtherDomain { proven: value("tenant.com") }));

    let leaving = state::<Tenant>(&history);
    assert_eq!(leaving.claims(&deprovisioned(at(NOW))), []);
    let deleted = Event::Deleted { released_short_code: None, at: at(NOW) };
    let in_retention = leaving.evolve(&deprovisioned(at(NOW))).expect("it can follow");
    assert_eq!(in_retention.claims(&deleted), [claim(false)]);
}
