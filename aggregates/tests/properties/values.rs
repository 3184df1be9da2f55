//! Values: no text makes a parser panic, and what a parser accepts it accepts again, unchanged.

use std::fmt::Debug;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tenure_aggregates::values::{DisplayName, EmailAddress, ModuleName, PersonName, Reason, ShortCode, UsagePeriod};
use tenure_aggregates::{AdministratorId, TenantId};
use uuid::Uuid;

/// Text, JSON and the value itself say the same.
fn round_trips<T>(text: &str) -> Result<bool, TestCaseError>
where
    T: FromStr<Err: Debug> + Clone + Debug + PartialEq + Serialize + DeserializeOwned,
{
    let Ok(parsed) = text.parse::<T>() else { return Ok(false) };
    let json = serde_json::to_value(&parsed).expect("a value can be written");
    let kept = json.as_str().expect("written as a string").to_owned();
    prop_assert_eq!(&kept.parse::<T>().expect("accepted again"), &parsed);
    prop_assert_eq!(serde_json::from_value::<T>(json).expect("read again"), parsed);
    Ok(true)
}

fn moments() -> impl Strategy<Value = DateTime<Utc>> {
    // The years 0 to 9999.
    (-62_167_219_200..253_402_300_800i64).prop_map(|seconds| DateTime::from_timestamp(seconds, 0).expect("in range"))
}

proptest! {
    #[test]
    fn any_text_is_accepted_for_good_or_refused(text in any::<String>()) {
        round_trips::<ShortCode>(&text)?;
        round_trips::<DisplayName>(&text)?;
        round_trips::<PersonName>(&text)?;
        round_trips::<Reason>(&text)?;
        round_trips::<EmailAddress>(&text)?;
        round_trips::<ModuleName>(&text)?;
        round_trips::<UsagePeriod>(&text)?;
        round_trips::<TenantId>(&text)?;
    }

    #[test]
    fn what_the_rules_describe_is_accepted(
        short_code in "[a-zA-Z0-9][a-zA-Z0-9-]{1,18}[a-zA-Z0-9]",
        name in "\\PC{0,49}[^\\pC\\pZ]\\PC{0,49}",
        email in "[a-z0-9.+_-]{1,64}@[a-z0-9]{1,20}(\\.[a-z]{1,20}){1,3}",
        module in "[a-zA-Z0-9._-]{1,50}",
        period in "[0-9]{4}-(0[1-9]|1[0-2])",
    ) {
        prop_assert!(round_trips::<ShortCode>(&short_code)?);
        prop_assert!(round_trips::<DisplayName>(&name)?);
        prop_assert!(round_trips::<PersonName>(&name)?);
        prop_assert!(round_trips::<Reason>(&name)?);
        prop_assert!(round_trips::<EmailAddress>(&email)?);
        prop_assert!(round_trips::<ModuleName>(&module)?);
        prop_assert!(round_trips::<UsagePeriod>(&period)?);
    }

    #[test]
    fn ids_keep_their_uuid(bits in any::<u128>()) {
        let uuid = Uuid::from_u128(bits);
        prop_assert_eq!(TenantId::from_uuid(uuid).as_uuid(), uuid);
        prop_assert!(round_trips::<TenantId>(&uuid.to_string())?);
        prop_assert!(round_trips::<AdministratorId>(&uuid.to_string())?);
    }

    #[test]
    fn every_moment_lies_in_exactly_one_month(moment in moments()) {
        let month = UsagePeriod::containing(moment);
        prop_assert!(month.starts_at() <= moment && moment < month.ends_at());
        prop_assert_eq!(UsagePeriod::containing(month.last_second()), month);
        prop_assert!(month < month.next());
        prop_assert!(round_trips::<UsagePeriod>(&month.to_string())?);
    }
}
