//! Personal values and their markers.

use serde_json::{from_value, json, to_value};
use tenure_aggregates::Personal;

type Name = Personal<String>;

#[test]
fn a_known_value_stands_under_its_marker() {
    let known = Name::Known("Ada".to_owned());
    assert_eq!(to_value(&known).unwrap(), json!({ "$personal": "Ada" }));
    assert_eq!(from_value::<Name>(json!({ "$personal": "Ada" })).unwrap(), known);
}

#[test]
fn a_sealed_value_is_read_and_never_written() {
    let sealed: Name = from_value(json!({ "$sealed": "b64" })).unwrap();
    assert_eq!(sealed, Name::Sealed);
    assert!(to_value(&sealed).is_err());
}

#[test]
fn an_erased_value_stays_erased() {
    let erased: Name = from_value(json!({ "$erased": true })).unwrap();
    assert!(erased.is_erased());
    assert_eq!(to_value(&erased).unwrap(), json!({ "$erased": true }));
}

#[test]
fn a_value_without_marker_is_refused() {
    for unmarked in [json!("Ada"), json!(null), json!({}), json!({ "name": "Ada" }), json!(["Ada"])] {
        assert!(from_value::<Name>(unmarked.clone()).is_err(), "{unmarked}");
    }
}

#[test]
fn two_markers_or_another_type_are_refused() {
    for wrong in [json!({ "$personal": 7 }), json!({ "$personal": "Ada", "$erased": true })] {
        assert!(from_value::<Name>(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn only_a_known_value_can_be_seen() {
    assert_eq!(Name::from("Ada".to_owned()).known().map(String::as_str), Some("Ada"));
    assert_eq!(Name::Sealed.known(), None);
    assert_eq!(Name::Erased.known(), None);
    assert!(!Name::Sealed.is_erased());
}

#[test]
fn debug_does_not_show_it() {
    assert_eq!(format!("{:?}", Name::from("Ada".to_owned())), "Known(..)");
    assert_eq!(format!("{:?} {:?}", Name::Sealed, Name::Erased), "Sealed Erased");
}
