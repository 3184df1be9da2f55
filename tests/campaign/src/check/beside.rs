//! What the append writes beside the events: claims, counted limits and answered requests.

use std::collections::BTreeMap;

use tenure_aggregates::administrator::EMAIL_CLAIM;

use super::Facts;
use crate::cell::Cell;
use crate::tables::{Part, rows};

/// Adds what is wrong to `faults`.
///
/// # Errors
/// The database can't be asked.
pub async fn compare(cell: &Cell, facts: &Facts, faults: &mut Vec<String>) -> anyhow::Result<()> {
    let mut held: BTreeMap<String, String> = BTreeMap::new();
    for row in rows(cell, Part::Log, "select scope, key, owner from {}claims").await? {
        if let Some((name, owner)) = row.rsplit_once('|') {
            held.insert(name.to_owned(), owner.to_owned());
        }
    }
    for (name, owner) in &facts.claims {
        match held.remove(name) {
            Some(holder) if holder == *owner => {}
            holder => faults.push(format!("claim {name} is {owner}'s after the events, and {holder:?}'s in the table")),
        }
    }
    for (name, owner) in held {
        // What it was made of is gone with the tenant's keys, and nobody can take it again.
        if !(name.starts_with(EMAIL_CLAIM) && facts.erased_owners.contains(&owner)) {
            faults.push(format!("claim {name} is held by {owner}, after no event"));
        }
    }

    let expected: Vec<String> = facts.limits.iter().map(|(name, (used, max))| format!("{name}|{used}|{max}")).collect();
    let stored = rows(cell, Part::Log, "select scope, key, used, max from {}quotas").await?;
    if stored != expected {
        let wrong: Vec<_> = stored.iter().filter(|row| !expected.contains(row)).collect();
        faults.push(format!(
            "limits are {} in the table and {} after the events: {wrong:?}",
            stored.len(),
            expected.len()
        ));
    }

    let orphans = "select i.key from {}idempotency i left join {}events e on e.aggregate_type = i.aggregate_type \
                   and e.aggregate_id = i.aggregate_id and e.sequence = i.sequence where e.sequence is null";
    for key in rows(cell, Part::Log, orphans).await? {
        faults.push(format!("the answer to {key} is remembered, and its event is not there"));
    }
    Ok(())
}
