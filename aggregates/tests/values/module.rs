//! Modules.

use tenure_aggregates::values::{ModuleError, ModuleName, Modules};

#[test]
fn a_name_is_a_plain_word() {
    for text in ["ad", "SSH", "db-2.1_x", &"m".repeat(50)] {
        assert_eq!(ModuleName::parse(text).unwrap().as_str(), text);
    }
    for (text, found) in [("a b", ' '), ("ä", 'ä'), ("a/b", '/'), ("a\0", '\0')] {
        assert_eq!(ModuleName::parse(text), Err(ModuleError::Character { found }));
    }
    for length in [0, 51] {
        assert_eq!(ModuleName::parse(&"m".repeat(length)), Err(ModuleError::Length { length, max: 50 }));
    }
}

fn modules(names: impl IntoIterator<Item = String>) -> Result<Modules, ModuleError> {
    names.into_iter().map(|name| ModuleName::parse(&name)).collect::<Result<Vec<_>, _>>()?.try_into()
}

#[test]
fn modules_are_a_set_in_the_order_of_their_names() {
    let set = modules(["ssh", "ad", "ssh"].map(str::to_owned)).unwrap();
    assert_eq!(set.iter().map(ModuleName::as_str).collect::<Vec<_>>(), ["ad", "ssh"]);
    assert_eq!(serde_json::to_string(&set).unwrap(), r#"["ad","ssh"]"#);
    assert_eq!(serde_json::from_str::<Modules>(r#"["ssh","ad"]"#).unwrap(), set);
}

#[test]
fn a_tenant_has_at_most_100() {
    let named = |count| modules((0..count).map(|n| format!("m{n}")));
    assert!(named(0).is_ok());
    assert!(named(100).is_ok());
    assert_eq!(named(101), Err(ModuleError::TooMany { count: 101, max: 100 }));
}
