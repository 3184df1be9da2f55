//! The subscription's rules.

use tenure_aggregates::link::Stage;
use tenure_aggregates::subscription::{Command, Error, Event};
use tenure_aggregates::{Decider, Impossible, Subscription};

use crate::given::{at, state, value};

const NOW: &str = "2026-05-01T12:00:00Z";

/// Every event that there is, in the order of a life.
pub fn every_event() -> [Event; 2] {
    [changed("price_1HhxOpBzq4JbCqRmJxkpzL2V"), Event::Cancelled { at: at("2026-05-02T08:00:00Z") }]
}

fn changed(price: &str) -> Event {
    Event::Changed { price: value(price), at: at(NOW) }
}

fn change(price: &str, link: Stage) -> Command {
    Command::Change { price: value(price), link, at: at(NOW) }
}

fn when(history: &[Event], command: Command) -> Result<Vec<Event>, Error> {
    state::<Subscription>(history).decide(command)
}

#[test]
fn an_active_tenant_subscribes_changes_and_cancels() {
    let cancelled = Event::Cancelled { at: at(NOW) };
    for history in [vec![], vec![changed("price_1"), cancelled.clone()]] {
        assert_eq!(when(&history, change("price_1", Stage::Active)), Ok(vec![changed("price_1")]));
        assert_eq!(when(&history, Command::Cancel { at: at(NOW) }), Ok(vec![]), "there is nothing to cancel");
    }
    let subscribed = [changed("price_1")];
    assert_eq!(when(&subscribed, change("price_1", Stage::Active)), Ok(vec![]), "the same price again");
    assert_eq!(when(&subscribed, change("price_2", Stage::Active)), Ok(vec![changed("price_2")]));
    assert_eq!(when(&subscribed, Command::Cancel { at: at(NOW) }), Ok(vec![cancelled]));
}

#[test]
fn nobody_pays_for_a_tenant_that_is_not_active() {
    for link in Stage::ALL.into_iter().filter(|stage| *stage != Stage::Active) {
        for history in [vec![], vec![changed("price_1")]] {
            assert_eq!(when(&history, change("price_1", link)), Err(Error::NotActive { link }));
        }
    }
}

#[test]
fn every_event_after_every_stage_leads_on_or_is_impossible() {
    let [subscribing, cancelling] = every_event();
    for (history, leads_to) in [
        (vec![], [Some("subscribed"), None]),
        (vec![subscribing.clone()], [Some("subscribed"), Some("cancelled")]),
        (vec![subscribing, cancelling], [Some("subscribed"), None]),
    ] {
        let before = state::<Subscription>(&history);
        for (event, then) in every_event().into_iter().zip(leads_to) {
            let impossible = Impossible { aggregate: "subscription", stage: before.stage(), event: event.name() };
            let after = before.clone().evolve(&event).map(|subscription| subscription.stage());
            assert_eq!(after, then.ok_or(impossible));
        }
    }
}
