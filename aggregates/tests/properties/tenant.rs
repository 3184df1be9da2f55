//! A tenant under any sequence of commands.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use tenure_aggregates::fold::Corruption;
use tenure_aggregates::tenant::{Changes, Command, Event, MonthlyUsage, NewAccount, SHORT_CODE_CLAIM, Stage};
use tenure_aggregates::values::{ResourceLimit, Retention, SeatLimit, UsagePeriod};
use tenure_aggregates::{ClaimChange, Decider, Folded, Refusal, Tenant, TenantKind, fold};

use crate::given::tenant::{PROVISIONED, account, every_event, join, leave, month, prove_domain, reason};
use crate::given::{at, msp_id, stored, tenant_id, value};
use crate::tenant::possible::leads_to;

/// Somebody's next move, before it is known where the tenant then is.
#[derive(Clone, Debug)]
enum Move {
    Provision,
    Update { max_resources: u32, max_users: u32 },
    Suspend,
    Reinstate,
    Deprovision { confirmed: bool, days: u32 },
    Restore,
    Delete { release: bool },
    Report { resources: u32 },
    Bill { months_off: u32 },
    ProveDomain,
    Join,
    Leave,
}

/// A move, and the minutes that pass before it (at times the clock is set back).
fn moves() -> impl Strategy<Value = Vec<(Move, i64)>> {
    let one = prop_oneof![
        1 => Just(Move::Provision),
        2 => (1..30u32, 1..30u32).prop_map(|(max_resources, max_users)| Move::Update { max_resources, max_users }),
        3 => Just(Move::Suspend),
        3 => Just(Move::Reinstate),
        3 => (prop::bool::weighted(0.8), 0..40u32).prop_map(|(confirmed, days)| Move::Deprovision { confirmed, days }),
        2 => Just(Move::Restore),
        2 => any::<bool>().prop_map(|release| Move::Delete { release }),
        2 => (0..40u32).prop_map(|resources| Move::Report { resources }),
        4 => (0..3u32).prop_map(|months_off| Move::Bill { months_off }),
        1 => Just(Move::ProveDomain),
        1 => Just(Move::Join),
        1 => Just(Move::Leave),
    ];
    let minutes = prop_oneof![3 => 0..60i64, 3 => 0..60 * 24 * 45i64, 1 => -60 * 24..0i64];
    prop::collection::vec((one, minutes), 0..40)
}

fn kinds() -> impl Strategy<Value = TenantKind> {
    prop_oneof![1 => Just(TenantKind::Msp), 4 => Just(TenantKind::Customer { msp: msp_id() })]
}

impl Move {
    fn command(self, kind: TenantKind, tenant: &Tenant, at: DateTime<Utc>) -> Command {
        match self {
            Self::Provision => Command::Provision { account: NewAccount { kind, ..account() }, at },
            Self::Update { max_resources, max_users } => {
                let max_resources = ResourceLimit::new(max_resources.into()).ok();
                let max_users = SeatLimit::new(max_users.into()).ok();
                Command::Update { changes: Changes { max_resources, max_users, ..Changes::default() }, at }
            }
            Self::Suspend => Command::Suspend { reason: Some(reason()), at },
            Self::Reinstate => Command::Reinstate { at },
            Self::Deprovision { confirmed, days } => Command::Deprovision {
                confirm_short_code: if confirmed { "acme-corp" } else { "Acme-Corp" }.to_owned(),
                reason: None,
                retention: Retention::from_days(days).expect("in range"),
                at,
            },
            Self::Restore => Command::Restore { reason: value("asked by support"), at },
            Self::Delete { release } => Command::Delete { release_short_code: release, at },
            Self::Report { resources } => Command::ReportUsage { resources, grants: 0, at },
            Self::Bill { months_off } => {
                let due = tenant.next_usage_period().unwrap_or(UsagePeriod::containing(at));
                let period = (0..months_off).fold(due, |period, _| period.next());
                Command::RecordMonthlyUsage { usage: MonthlyUsage { period, ..month("2026-04") }, at }
            }
            Self::ProveDomain => prove_domain(at),
            Self::Join => join(at),
            Self::Leave => leave(at),
        }
    }
}

/// One event, between the states before and after it.
struct Step {
    before: Tenant,
    event: Event,
    after: Tenant,
}

/// Makes the moves, from provisioning on, and skips what is refused.
fn live(kind: TenantKind, moves: Vec<(Move, i64)>) -> (Folded<Tenant>, Vec<Step>) {
    let (mut tenant, mut steps, mut now) = (Folded::<Tenant>::default(), Vec::new(), at(PROVISIONED));
    for (wish, minutes) in std::iter::once((Move::Provision, 0)).chain(moves) {
        now += TimeDelta::minutes(minutes);
        let decision = match tenant.decide(wish.command(kind, &tenant.state, now)) {
            Ok(decision) => decision,
            Err(Refusal::Rule(_)) => continue,
            Err(Refusal::Impossible(impossible)) => panic!("a decision that can't be: {impossible}"),
        };
        assert!(decision.events.len() <= 1, "every command of a tenant makes at most one event");
        for event in decision.events {
            steps.push(Step { before: tenant.state.clone(), event, after: decision.after.state.clone() });
        }
        tenant = decision.after;
    }
    (tenant, steps)
}

fn history(steps: &[Step]) -> Vec<Event> {
    steps.iter().map(|step| step.event.clone()).collect()
}

proptest! {
    #[test]
    fn no_command_sequence_reaches_a_forbidden_state(kind in kinds(), moves in moves()) {
        for Step { before, event, after } in live(kind, moves).1 {
            let possible = leads_to(before.stage());
            prop_assert_eq!(possible.get(event.name()), Some(&after.stage()));

            let account = after.account().expect("nothing leads back before provisioning");
            let kind = match (&event, before.account()) {
                (Event::Joined { msp, .. }, _) => TenantKind::Customer { msp: *msp },
                (Event::Unlinked { .. }, _) => TenantKind::Independent,
                (_, before) => before.map_or(kind, |before| before.kind),
            };
            prop_assert_eq!((account.tenant_id, account.kind), (tenant_id(), kind));
            prop_assert_eq!(account.short_code.as_str(), "acme-corp");

            match (&before, &event) {
                (Tenant::Deprovisioning { retention_ends_at, .. }, Event::Restored { at, .. }) => {
                    prop_assert!(at <= retention_ends_at);
                }
                (Tenant::Deprovisioning { delete_after, .. }, Event::Deleted { at, .. }) => {
                    prop_assert!(at >= delete_after);
                }
                (_, Event::Deprovisioned { at, retention_ends_at, delete_after, .. }) => {
                    prop_assert_ne!(kind, TenantKind::Msp);
                    prop_assert!(at <= retention_ends_at && retention_ends_at < delete_after);
                }
                (_, Event::Updated { changes, .. }) => {
                    prop_assert!(changes.max_resources.is_none_or(|max| max.get() >= account.usage.resources));
                }
                _ => {}
            }
        }
    }

    #[test]
    fn replaying_the_events_gives_the_same_state(kind in kinds(), moves in moves()) {
        let (live, steps) = live(kind, moves);
        let id = tenant_id().to_string();
        let replayed = fold::<Tenant>(&id, stored::<Tenant>(&id, &history(&steps))).expect("a sound history");
        prop_assert_eq!(replayed, live);
    }

    #[test]
    fn an_event_that_can_not_follow_is_refused(kind in kinds(), moves in moves(), which in 0..12usize) {
        let (live, steps) = live(kind, moves);
        let event = every_event()[which].clone();
        let due = match &event {
            Event::UsageMonthly { usage, .. } => {
                live.state.account().is_some_and(|account| account.usage.next_period == usage.period)
            }
            _ => true,
        };
        let possible = due && leads_to(live.state.stage()).contains_key(event.name());

        let id = tenant_id().to_string();
        let extended = [history(&steps), vec![event]].concat();
        match fold::<Tenant>(&id, stored::<Tenant>(&id, &extended)) {
            Ok(folded) => {
                prop_assert!(possible);
                prop_assert_eq!(folded.sequence, live.sequence + 1);
            }
            Err(corrupt) => {
                prop_assert!(!possible);
                prop_assert_eq!(corrupt.sequence, live.sequence + 1);
                prop_assert!(matches!(corrupt.cause, Corruption::Impossible(_)));
            }
        }
    }

    #[test]
    fn every_month_is_billed_once_in_order_and_only_when_over(kind in kinds(), moves in moves()) {
        let mut due = UsagePeriod::containing(at(PROVISIONED));
        for Step { before, event, .. } in live(kind, moves).1 {
            let Event::UsageMonthly { usage, at } = event else { continue };
            prop_assert_eq!(usage.period, due);
            prop_assert!(at >= usage.period.ends_at());
            if let Tenant::Deleted { deleted_at, .. } = before {
                prop_assert!(usage.period.starts_at() <= deleted_at);
            }
            due = due.next();
        }
    }

    #[test]
    fn short_code_and_domain_are_held_until_they_are_released(kind in kinds(), moves in moves()) {
        let (mut code_held, mut domain_held) = (false, false);
        for Step { before, event, after } in live(kind, moves).1 {
            for claim in before.claims(&event) {
                let take = matches!(claim, ClaimChange::Take { .. });
                let (ClaimChange::Take { scope, .. } | ClaimChange::Release { scope, .. }) = claim;
                let held = if scope == SHORT_CODE_CLAIM { &mut code_held } else { &mut domain_held };
                prop_assert_ne!(take, *held);
                *held = take;
            }
            prop_assert!(code_held || after.stage() == Stage::Deleted);
            let has_domain = after.account().is_some_and(|account| account.domain.is_some());
            prop_assert_eq!(domain_held, has_domain && after.stage() != Stage::Deleted);
        }
    }
}
