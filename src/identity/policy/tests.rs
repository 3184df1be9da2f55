//! Who may do what, exhaustively: every role, every action, every place that a resource can have.

use chrono::DateTime;
use tenure_aggregates::link::GroupRole;
use tenure_aggregates::{Role, TenantId, TenantKind};
use uuid::Uuid;

use super::{Action, Authorizer, Relation, Resource};
use crate::identity::Principal;

const RELATIONS: [Relation; Relation::COUNT] =
    [Relation::Own, Relation::Customer, Relation::ForeignMsp, Relation::ForeignCustomer];

/// What everybody may do in the own tenant.
const FOR_EVERYBODY: [Action; 4] = [Action::WhoAmI, Action::CreateToken, Action::ListTokens, Action::RevokeToken];

/// What an MSP's people may do to customers of it.
const MSP_TO_CUSTOMER: &[(Role, &[Action])] = &[
    (
        Role::MspAdmin,
        &[
            Action::ReadTenant,
            Action::UpdateTenant,
            Action::SuspendTenant,
            Action::ReinstateTenant,
            Action::DeprovisionTenant,
            Action::ReportUsage,
            Action::ReadBilling,
            Action::CreateToken,
            Action::AdministerTokens,
        ],
    ),
    (Role::Support, &[Action::RestoreTenant]),
    (Role::Billing, &[Action::ReadBilling]),
];

/// What an MSP's people may do to the MSP itself, beside what everybody may.
const MSP_TO_ITSELF: &[(Role, &[Action])] = &[
    (
        Role::MspAdmin,
        &[
            Action::ProvisionTenant,
            Action::ListTenants,
            Action::ReadTenant,
            Action::UpdateTenant,
            Action::ReportUsage,
            Action::ReadBilling,
            Action::CreateLink,
            Action::ReadLink,
            Action::UpdateLink,
            Action::RemoveLink,
            Action::UnlinkAccount,
            Action::VerifyDomain,
            Action::ChangeSubscription,
            Action::InviteAccount,
            Action::AdministerTokens,
        ],
    ),
    (
        Role::PrimeAdmin,
        &[
            Action::CreateLink,
            Action::ReadLink,
            Action::UpdateLink,
            Action::RemoveLink,
            Action::UnlinkAccount,
            Action::VerifyDomain,
            Action::ChangeSubscription,
            Action::InviteAccount,
        ],
    ),
    (Role::Admin, &[Action::ReadLink, Action::UpdateLink, Action::VerifyDomain, Action::ChangeSubscription]),
    (Role::ReadOnly, &[Action::ReadLink]),
    (Role::Auditor, &[Action::ReadLink]),
    (Role::Billing, &[Action::ReadBilling]),
];

/// What a tenant's people may do to the tenant, beside what everybody may, whether it has an MSP or not.
const CUSTOMER_TO_ITSELF: &[(Role, &[Action])] = &[(Role::PrimeAdmin, &[Action::AnswerInvitation])];

/// What an MSP's people may do to an account that it manages, by the role that a group gives them there.
const GROUP_TO_ACCOUNT: &[(GroupRole, &[Action])] = &[
    (GroupRole::Auditor, &[Action::ReadLink, Action::ReadTenant]),
    (GroupRole::Admin, KEEPS_AN_ACCOUNT),
    (GroupRole::Owner, KEEPS_AN_ACCOUNT),
];

const KEEPS_AN_ACCOUNT: &[Action] = &[
    Action::ReadLink,
    Action::UpdateLink,
    Action::VerifyDomain,
    Action::ChangeSubscription,
    Action::ReadTenant,
    Action::UpdateTenant,
];

/// What anybody may do to tenants of others.
const NOTHING: &[(Role, &[Action])] = &[];

fn expected(role: Role, is_msp: bool, relation: Relation, action: Action) -> bool {
    let table = match (relation, is_msp) {
        (Relation::Own, _) if FOR_EVERYBODY.contains(&action) => return true,
        (Relation::Own, true) => MSP_TO_ITSELF,
        (Relation::Own, false) => CUSTOMER_TO_ITSELF,
        (Relation::Customer, true) => MSP_TO_CUSTOMER,
        (Relation::Customer, false) | (Relation::ForeignMsp | Relation::ForeignCustomer, _) => NOTHING,
    };
    table.iter().any(|(named, actions)| *named == role && actions.contains(&action))
}

fn tenant() -> TenantId {
    TenantId::from_uuid(Uuid::now_v7())
}

fn principal(role: Role, is_msp: bool) -> Principal {
    let kind = if is_msp { TenantKind::Msp } else { TenantKind::Customer { msp: tenant() } };
    Principal {
        subject: "s".to_owned(),
        role,
        tenant: tenant(),
        kind,
        groups: std::sync::Arc::default(),
        token_id: None,
        access_token: None,
        expires_at: DateTime::UNIX_EPOCH,
        subject_id: "s".to_owned(),
    }
}

fn resource(principal: &Principal, relation: Relation) -> Resource {
    match relation {
        Relation::Own => Resource { tenant: principal.tenant, kind: principal.kind },
        Relation::Customer => Resource { tenant: tenant(), kind: TenantKind::Customer { msp: principal.tenant } },
        Relation::ForeignMsp => match principal.kind {
            // Also the MSP above a customer is a stranger to the customer's people.
            TenantKind::Customer { msp } => Resource { tenant: msp, kind: TenantKind::Msp },
            TenantKind::Msp | TenantKind::Independent => Resource { tenant: tenant(), kind: TenantKind::Msp },
        },
        Relation::ForeignCustomer => {
            let msp = match principal.kind {
                TenantKind::Customer { msp } => msp,
                TenantKind::Msp | TenantKind::Independent => tenant(),
            };
            Resource { tenant: tenant(), kind: TenantKind::Customer { msp } }
        }
    }
}

/// Every combination, with fresh ids each.
fn combinations() -> impl Iterator<Item = (Principal, bool, Relation, Action)> {
    Role::ALL.iter().flat_map(|role| {
        [true, false].into_iter().flat_map(move |is_msp| {
            RELATIONS.into_iter().flat_map(move |relation| {
                Action::ALL.iter().map(move |action| (principal(*role, is_msp), is_msp, relation, *action))
            })
        })
    })
}

#[test]
fn the_policies_say_what_the_tables_say() {
    let authorizer = Authorizer::new().unwrap();
    for (principal, is_msp, relation, action) in combinations() {
        // A customer has no customers, so there is nothing to ask.
        if relation == Relation::Customer && !is_msp {
            continue;
        }
        let allowed = authorizer.allows(&principal, action, resource(&principal, relation));
        let role = principal.role;
        assert_eq!(allowed, expected(role, is_msp, relation, action), "{role} {action} {relation:?} MSP: {is_msp}");
    }
}

#[test]
fn remembered_answers_are_what_cedar_answers_for_other_tenants() {
    let authorizer = Authorizer::new().unwrap();
    for _ in 0..2 {
        for (principal, _, relation, action) in combinations() {
            let resource = resource(&principal, relation);
            assert_eq!(Relation::of(&principal, resource), relation);
            let asked = authorizer.engine.decide(&principal, action, resource);
            assert_eq!(authorizer.allows(&principal, action, resource), asked, "{principal:?} {action} {relation:?}");
        }
    }
    assert!(authorizer.remembered.iter().all(|answer| answer.get().is_some()), "each combination has a place");
}

#[test]
fn independent_tenants_stand_where_customers_stand() {
    let authorizer = Authorizer::new().unwrap();
    for (customer, _, relation, action) in combinations().filter(|(_, is_msp, ..)| !is_msp) {
        let independent = Principal { kind: TenantKind::Independent, ..customer.clone() };
        let asked = |principal: &Principal| authorizer.engine.decide(principal, action, resource(principal, relation));
        let of_both = (asked(&customer), asked(&independent));
        assert_eq!(of_both.0, of_both.1, "{} {action} {relation:?}", customer.role);
    }
    for (principal, is_msp, relation, action) in combinations() {
        let nobodys = Resource { tenant: tenant(), kind: TenantKind::Independent };
        let allowed = authorizer.engine.decide(&principal, action, nobodys);
        assert!(!allowed, "{} {action} {relation:?} MSP: {is_msp}", principal.role);
    }
}

#[test]
fn a_group_lets_its_people_do_what_the_table_says() {
    let authorizer = Authorizer::new().unwrap();
    for _ in 0..2 {
        for role in GroupRole::ALL {
            for action in Action::ALL {
                let expected =
                    GROUP_TO_ACCOUNT.iter().any(|(named, actions)| *named == role && actions.contains(action));
                assert_eq!(authorizer.group_allows(role, *action), expected, "{role} {action}");
            }
        }
    }
}

#[test]
fn no_policy_names_a_tenant() {
    let policies = include_str!("tenure.cedar");
    assert!(!policies.contains("Tenant::\""), "answers are remembered for all tenants alike");
    assert!(!policies.contains("Person::\""));
}

#[test]
fn what_a_role_may_never_do_is_known_without_a_tenant() {
    let authorizer = Authorizer::new().unwrap();
    for (principal, is_msp, ..) in
        combinations().filter(|(.., relation, action)| *relation == Relation::Own && *action == Action::WhoAmI)
    {
        for action in Action::ALL {
            let ever = RELATIONS.into_iter().any(|relation| expected(principal.role, is_msp, relation, *action));
            assert_eq!(authorizer.may_ever(&principal, *action), ever, "{} {action} MSP: {is_msp}", principal.role);
        }
    }
}

/// Who hands a role on gives nothing away that it may not do itself, whatever the policies become.
#[test]
fn a_role_that_another_one_holds_may_do_no_more() {
    let authorizer = Authorizer::new().unwrap();
    for (principal, is_msp, relation, action) in combinations() {
        // An MSP's administrators appoint everybody in its tree, also those who restore what they can't.
        let held = Role::ALL.iter().filter(|held| principal.role != Role::MspAdmin && principal.role.holds(**held));
        for &held in held {
            let (resource, who) = (resource(&principal, relation), principal.role);
            let other = Principal { role: held, ..principal.clone() };
            let more = authorizer.allows(&other, action, resource) && !authorizer.allows(&principal, action, resource);
            assert!(!more, "{held}, which {who} holds, may {action} {relation:?} MSP: {is_msp}");
        }
    }
}

#[test]
fn roles_have_the_names_that_tokens_use() {
    let names: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
    let expected = "msp-admin prime-admin admin office-admin dpsk-admin templates-admin reports-admin read-only auditor \
                    billing support";
    assert_eq!(names.join(" "), expected);
    for role in Role::ALL {
        assert_eq!(role.as_str().parse(), Ok(*role));
    }
    for wrong in ["", "MSP-ADMIN", "msp_admin", "msp-admin ", "root"] {
        assert!(wrong.parse::<Role>().is_err(), "{wrong:?}");
    }
}
