//! Ids.

use tenure_aggregates::ids::InvalidId;
use tenure_aggregates::{AdministratorId, TenantId};

const HYPHENATED: &str = "0198a1b2-c3d4-7000-8000-000000000001";

#[test]
fn an_id_is_read_and_written_in_the_hyphenated_form() {
    let id: TenantId = HYPHENATED.parse().unwrap();
    assert_eq!(id.to_string(), HYPHENATED);
    assert_eq!(serde_json::to_value(id).unwrap(), HYPHENATED);
    assert_eq!(serde_json::from_value::<TenantId>(HYPHENATED.into()).unwrap(), id);
    assert_eq!(format!("{id:?}"), format!("TenantId({HYPHENATED})"));
    assert_eq!(HYPHENATED.to_uppercase().parse(), Ok(id));
}

#[test]
fn other_spellings_of_a_uuid_are_refused() {
    let simple = HYPHENATED.replace('-', "");
    let others = ["", "acme-corp", &simple, &format!("{{{HYPHENATED}}}"), &format!("urn:uuid:{HYPHENATED}")];
    for text in others {
        assert_eq!(text.parse::<AdministratorId>(), Err(InvalidId), "{text:?}");
    }
}
