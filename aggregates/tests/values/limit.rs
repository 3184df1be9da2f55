//! Limits.

use tenure_aggregates::values::{LimitError, ResourceLimit, SeatLimit};

#[test]
fn one_to_a_million() {
    for given in [1, 500, 1_000_000] {
        assert_eq!(SeatLimit::new(given).map(|limit| i64::from(limit.get())), Ok(given));
        assert_eq!(ResourceLimit::new(given).map(|limit| i64::from(limit.get())), Ok(given));
    }
    for given in [i64::MIN, -1, 0, 1_000_001, 4_294_967_297, i64::MAX] {
        let refused = LimitError { given, min: 1, max: 1_000_000 };
        assert_eq!(SeatLimit::new(given), Err(refused));
        assert_eq!(ResourceLimit::new(given), Err(refused));
    }
}

#[test]
fn defaults_are_those_of_the_published_example() {
    assert_eq!((SeatLimit::default().get(), ResourceLimit::default().get()), (500, 200));
}

#[test]
fn json_is_parsed_by_the_same_rules() {
    assert_eq!(serde_json::from_str::<SeatLimit>("47").unwrap().to_string(), "47");
    for text in ["0", "-1", "1.5", "\"47\"", "null", "1000001"] {
        assert!(serde_json::from_str::<SeatLimit>(text).is_err(), "{text}");
    }
}
