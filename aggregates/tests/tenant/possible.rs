//! Which event can follow which stage, and where it leads: all 60 pairs.

use std::collections::BTreeMap;

use tenure_aggregates::tenant::{Event, Stage};
use tenure_aggregates::{Decider, Impossible, Tenant};

use crate::given::state;
use crate::given::tenant::{active, deleted, deprovisioning, every_event, suspended};

/// The events that can follow a stage, and the stage after each.
pub(crate) fn leads_to(stage: Stage) -> BTreeMap<&'static str, Stage> {
    use Stage::{Active, Deleted, Deprovisioning, Suspended};
    let possible: &[_] = match stage {
        Stage::Unprovisioned => &[("tenant.provisioned", Active)],
        Active => &[
            ("tenant.updated", Active),
            ("tenant.suspended", Suspended),
            ("tenant.deprovisioned", Deprovisioning),
            ("tenant.usage.reported", Active),
            ("tenant.usage.monthly", Active),
            ("tenant.domain.proven", Active),
            ("tenant.joined", Active),
            ("tenant.unlinked", Active),
        ],
        Suspended => &[
            ("tenant.updated", Suspended),
            ("tenant.reinstated", Active),
            ("tenant.deprovisioned", Deprovisioning),
            ("tenant.usage.monthly", Suspended),
            ("tenant.domain.proven", Suspended),
        ],
        Deprovisioning => {
            &[("tenant.restored", Suspended), ("tenant.deleted", Deleted), ("tenant.usage.monthly", Deprovisioning)]
        }
        Deleted => &[("tenant.usage.monthly", Deleted)],
    };
    possible.iter().copied().collect()
}

#[test]
fn every_event_after_every_stage_leads_on_or_is_impossible() {
    for history in [vec![], active(), suspended(), deprovisioning(), deleted()] {
        let before = state::<Tenant>(&history);
        let stage = before.stage();
        let possible = leads_to(stage);
        for event in every_event() {
            let after = before.clone().evolve(&event).map(|tenant| tenant.stage());
            let impossible = Impossible { aggregate: "tenant", stage: stage.as_str(), event: event.name() };
            assert_eq!(after, possible.get(event.name()).copied().ok_or(impossible));
        }
    }
}

#[test]
fn a_month_billed_twice_or_left_out_is_impossible() {
    let before = state::<Tenant>(&active());
    let [.., april, _, _, _] = every_event();
    let june = Event::UsageMonthly { usage: crate::given::tenant::month("2026-06"), at: april.at() };
    let billed = before.evolve(&april).expect("April comes first");
    assert!(billed.clone().evolve(&april).is_err());
    assert!(billed.evolve(&june).is_err());
}

#[test]
fn an_impossible_event_says_what_it_met() {
    let impossible = Impossible { aggregate: "tenant", stage: "deleted", event: "tenant.suspended" };
    assert_eq!(impossible.to_string(), "tenant.suspended can't follow: the tenant is deleted");
}
