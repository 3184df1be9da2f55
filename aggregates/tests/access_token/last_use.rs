//! A use is written down once a minute.

use tenure_aggregates::access_token::LastUse;
use tenure_aggregates::access_token::last_use::{Command, Event};
use tenure_aggregates::{Decider, Folded, fold};

use crate::given::{at, state, stored};

fn record(history: &[Event], time: &str) -> Vec<Event> {
    state::<LastUse>(history).decide(Command::Record { at: at(time) }).expect("it never refuses")
}

fn used(time: &str) -> Event {
    Event::Used { at: at(time) }
}

#[test]
fn the_first_use_is_written_down() {
    assert_eq!(record(&[], "2026-05-01T12:00:00Z"), [used("2026-05-01T12:00:00Z")]);
    assert_eq!(LastUse::default().at(), None);
}

#[test]
fn another_one_only_after_a_minute() {
    let history = [used("2026-05-01T12:00:00Z")];
    assert_eq!(record(&history, "2026-05-01T12:00:59.999999Z"), []);
    assert_eq!(record(&history, "2026-05-01T11:00:00Z"), [], "a clock behind moves nothing back");
    assert_eq!(record(&history, "2026-05-01T12:01:00Z"), [used("2026-05-01T12:01:00Z")]);
}

#[test]
fn history_gives_the_last_one() {
    let history = [used("2026-05-01T12:00:00Z"), used("2026-05-01T12:01:00Z")];
    let folded: Folded<LastUse> = fold("token", stored::<LastUse>("token", &history)).expect("a sound history");
    assert_eq!((folded.state.at(), folded.sequence), (Some(at("2026-05-01T12:01:00Z")), 2));
    assert_eq!((folded.state.claims(&history[0]), folded.state.limits(&history[0])), (vec![], vec![]));
}
