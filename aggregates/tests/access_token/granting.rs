//! Nobody hands on more than they hold.

use chrono::TimeDelta;
use tenure_aggregates::access_token::{Command, Error, Event, Granter, MOST_ALIVE, NewToken};
use tenure_aggregates::values::{Groups, TokenLifetime};
use tenure_aggregates::{AccessToken, Decider, Role, TenantKind};

use crate::given::access_token::{CREATED, groups, msp_admin, token};
use crate::given::{at, msp_id, tenant_id, value};

const CUSTOMER: fn() -> TenantKind = || TenantKind::Customer { msp: msp_id() };

fn ask(granter: Granter, token: NewToken) -> Result<(), Error> {
    let events = AccessToken::default().decide(Command::Create {
        token: Box::new(token),
        granter: Box::new(granter),
        at: at(CREATED),
    })?;
    assert!(matches!(&events[..], [Event::Created { .. }]), "{events:?}");
    Ok(())
}

/// Somebody in the customer.
fn one_of_the_customers(role: Role) -> Granter {
    let id = value("0198a1b2-c3d4-7000-8000-000000000001/ben");
    Granter { id, role, tenant_id: tenant_id(), kind: CUSTOMER(), ..msp_admin() }
}

fn bare(role: Role) -> NewToken {
    NewToken { role, groups: Groups::default(), ..token() }
}

#[test]
fn an_msps_administrator_appoints_everybody_in_its_tree_but_support() {
    let granter = Role::MspAdmin;
    for tenant in [tenant_id(), msp_id()] {
        let support = NewToken { tenant_id: tenant, ..bare(Role::Support) };
        assert_eq!(ask(msp_admin(), support), Err(Error::RoleNotHeld { granter, role: Role::Support }));
    }
    for &role in Role::ALL.iter().filter(|role| **role != Role::Support) {
        let own = NewToken { tenant_id: msp_id(), kind: TenantKind::Msp, ..bare(role) };
        assert_eq!(ask(msp_admin(), own), Ok(()), "{role}");
        let expected = if role.is_for_msps() { Err(Error::RoleOfMsps { role }) } else { Ok(()) };
        assert_eq!(ask(msp_admin(), bare(role)), expected, "{role} in a customer");
    }
}

#[test]
fn others_hand_on_what_they_hold_within_their_own_tenant() {
    use Role::{Admin, DpskAdmin, OfficeAdmin, PrimeAdmin, ReadOnly, ReportsAdmin, TemplatesAdmin};
    for &granter in Role::ALL {
        let held: &[Role] = match granter {
            PrimeAdmin => {
                &[PrimeAdmin, Admin, OfficeAdmin, DpskAdmin, TemplatesAdmin, ReportsAdmin, ReadOnly, Role::Auditor]
            }
            Admin => &[Admin, OfficeAdmin, DpskAdmin, TemplatesAdmin, ReportsAdmin, ReadOnly],
            // In a customer, an MSP's role makes nobody a superior.
            Role::MspAdmin => &[Role::MspAdmin],
            _ => &[granter],
        };
        for &role in Role::ALL {
            let asked = ask(one_of_the_customers(granter), bare(role));
            let expected = match held.contains(&role) {
                false => Err(Error::RoleNotHeld { granter, role }),
                true if role.is_for_msps() => Err(Error::RoleOfMsps { role }),
                true => Ok(()),
            };
            assert_eq!(asked, expected, "{granter} makes {role}");
        }
    }
}

#[test]
fn the_roles_are_partially_ordered() {
    for &a in Role::ALL {
        assert!(a.holds(a), "{a}");
        for &b in Role::ALL {
            assert!(a == b || !(a.holds(b) && b.holds(a)), "{a} and {b} hold each other");
            for &c in Role::ALL {
                assert!(!(a.holds(b) && b.holds(c)) || a.holds(c), "{a} holds {b}, {b} holds {c}");
            }
        }
    }
}

#[test]
fn another_tenant_is_out_of_reach() {
    let stranger = value("0198a1b2-c3d4-7000-8000-00000000000f");
    let elsewhere =
        NewToken { tenant_id: stranger, kind: TenantKind::Customer { msp: stranger }, ..bare(Role::ReadOnly) };
    let other_msp = NewToken { kind: TenantKind::Msp, ..elsewhere.clone() };
    let sibling = NewToken { tenant_id: stranger, ..bare(Role::ReadOnly) };
    let above = NewToken { tenant_id: msp_id(), kind: TenantKind::Msp, ..bare(Role::ReadOnly) };
    for (granter, token) in [
        (msp_admin(), elsewhere.clone()),
        (msp_admin(), other_msp),
        (one_of_the_customers(Role::PrimeAdmin), sibling),
        (one_of_the_customers(Role::PrimeAdmin), above),
        // Only administrators of an MSP reach into its customers.
        (Granter { role: Role::ReadOnly, ..msp_admin() }, bare(Role::ReadOnly)),
        // A customer's id is no MSP's, whatever the role says.
        (one_of_the_customers(Role::MspAdmin), elsewhere),
    ] {
        assert_eq!(ask(granter.clone(), token.clone()), Err(Error::TenantOutOfReach), "{granter:?} {token:?}");
    }
}

#[test]
fn groups_are_the_granters_own_unless_it_runs_the_msp() {
    assert_eq!(ask(msp_admin(), NewToken { groups: groups(&["a", "b"]), ..bare(Role::ReadOnly) }), Ok(()));
    let member = Granter { groups: groups(&["a", "b"]), ..one_of_the_customers(Role::Admin) };
    let with = |ids: &[&str]| NewToken { groups: groups(ids), ..bare(Role::ReadOnly) };
    assert_eq!(ask(member.clone(), with(&[])), Ok(()));
    assert_eq!(ask(member.clone(), with(&["b", "a"])), Ok(()));
    for wrong in ["c", "A"] {
        assert_eq!(ask(member.clone(), with(&["a", wrong])), Err(Error::GroupNotHeld { group: value(wrong) }));
    }
    let in_name_only = Granter { role: Role::MspAdmin, ..one_of_the_customers(Role::MspAdmin) };
    let token = NewToken { role: Role::MspAdmin, kind: CUSTOMER(), ..with(&["c"]) };
    assert!(ask(in_name_only, token).is_err());
}

#[test]
fn nobody_makes_tokens_without_end() {
    let with = |tokens_alive| Granter { tokens_alive, ..msp_admin() };
    assert_eq!(ask(with(MOST_ALIVE - 1), token()), Ok(()));
    assert_eq!(ask(with(MOST_ALIVE), token()), Err(Error::TooMany));
}

#[test]
fn a_token_made_with_a_token_ends_no_later() {
    let in_days = |days| TokenLifetime::from_days(days).expect("valid");
    let end = at(CREATED) + TimeDelta::days(10);
    let granter = Granter { token_expires_at: Some(end), ..msp_admin() };
    let for_days = |days| NewToken { lifetime: in_days(days), ..token() };
    assert_eq!(ask(granter.clone(), for_days(10)), Ok(()));
    assert_eq!(ask(granter, for_days(11)), Err(Error::OutlivesGranter { end }));
    assert_eq!(ask(msp_admin(), for_days(365)), Ok(()), "somebody who signs in by other means");
}
