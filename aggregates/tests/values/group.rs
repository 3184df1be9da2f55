//! Groups.

use tenure_aggregates::values::{GroupError, GroupId, Groups};

#[test]
fn a_groups_id_is_kept_as_it_is() {
    for id in ["ch8i4ug6lnn4g9hqv7l0", "CN=Admins,DC=example", "a", "gruppe für alle", &"x".repeat(255)] {
        assert_eq!(GroupId::parse(id).unwrap().as_str(), id);
    }
    assert_ne!(GroupId::parse("Admins").unwrap(), GroupId::parse("admins").unwrap());
}

#[test]
fn what_people_can_not_see_is_refused() {
    for id in [" a", "a ", "a\nb", "a\0", "\u{3000}a"] {
        assert_eq!(GroupId::parse(id), Err(GroupError::Invisible), "{id:?}");
    }
    assert_eq!(GroupId::parse(""), Err(GroupError::Length { length: 0, max: 255 }));
    assert_eq!(GroupId::parse(&"x".repeat(256)), Err(GroupError::Length { length: 256, max: 255 }));
}

#[test]
fn groups_are_a_set_of_bounded_size() {
    let groups = Groups::parse(&["b", "a", "b"]).unwrap();
    assert_eq!(groups.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a", "b"]);
    assert!(groups.contains(&GroupId::parse("a").unwrap()) && !groups.contains(&GroupId::parse("c").unwrap()));
    let many: Vec<String> = (0..257).map(|number| number.to_string()).collect();
    assert!(Groups::parse(&many[..256]).is_ok());
    assert_eq!(Groups::parse(&many), Err(GroupError::TooMany { count: 257, max: 256 }));
    assert!(serde_json::from_value::<Groups>(serde_json::json!(["a", ""])).is_err());
}
