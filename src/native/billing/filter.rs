//! Which billing events a request asks for.

use tenure_event_log::Position;
use tenure_projections::billing::{BillingFilter, BillingType};

use crate::http::query::{BadQuery, Query};
use crate::moment::{self, Range};

/// Query parameters of both lists.
pub const PARAMETERS: [&str; 5] = ["from", "to", "type", "after", "limit"];
/// Most events that a client may ask for by `limit`; without it the list is streamed whole.
const MAX_LIMIT: u32 = 10_000;

/// What a request asks for.
pub struct Asked {
    pub filter: BillingFilter,
    pub after: Position,
    pub limit: Option<u32>,
}

impl Asked {
    /// # Errors
    /// A bad range, an unknown type, a limit or position that is none.
    pub fn of(mut query: Query) -> Result<Self, BadQuery> {
        let (from, to) = range(&mut query)?;
        let types = match query.take::<String>("type", "a billing event's type")? {
            Some(types) => types.split(',').map(known_type).collect::<Result<_, _>>()?,
            None => Vec::new(),
        };
        let limit: Option<u32> = query.take("limit", "a number from 1 to 10000")?;
        if limit.is_some_and(|limit| !(1..=MAX_LIMIT).contains(&limit)) {
            return Err(BadQuery::new("limit", "must be a number from 1 to 10000"));
        }
        let after = query.take("after", "a position: a whole number")?.map_or(Position::START, Position::new);
        Ok(Self { filter: BillingFilter { from, to, types }, after, limit })
    }
}

/// Takes `from` and `to`, both inclusive.
///
/// # Errors
/// One is no moment, or they are the wrong way round.
pub fn range(query: &mut Query) -> Result<Range, BadQuery> {
    let from = query.take("from", moment::ALLOWED)?;
    let to = query.take("to", moment::ALLOWED)?;
    moment::range(from, to).ok_or_else(|| BadQuery::new("from", "must not be later than to"))
}

fn known_type(name: &str) -> Result<String, BadQuery> {
    if BillingType::named(name).is_some() {
        return Ok(name.to_owned());
    }
    Err(BadQuery::new("type", format!("must be one of {}", BillingType::ALL.map(BillingType::name).join(", "))))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn asked(query: &str) -> Result<Asked, BadQuery> {
        Asked::of(Query::of(&TestRequest::with_uri(&format!("/?{query}")).to_http_request(), &PARAMETERS)?)
    }

    #[test]
    fn both_days_are_inclusive() {
        let asked = asked("from=2026-04-01&to=2026-04-30").unwrap();
        assert_eq!(asked.filter.from.unwrap().to_rfc3339(), "2026-04-01T00:00:00+00:00");
        assert_eq!(asked.filter.to.unwrap().to_rfc3339(), "2026-05-01T00:00:00+00:00");
    }

    #[test]
    fn a_full_timestamp_is_inclusive_too() {
        let asked = asked("to=2026-04-30T12:00:00%2B02:00").unwrap();
        assert_eq!(asked.filter.to.unwrap().to_rfc3339(), "2026-04-30T10:00:00.000001+00:00");
    }

    #[test]
    fn nonsense_is_refused() {
        for query in [
            "from=2026-04-31",
            "from=2026-4-1",
            "from=yesterday",
            "from=0001-01-01",
            "to=%2B99999-01-01",
            "from=2026-05-01&to=2026-04-30",
            "type=tenant.exploded",
            "type=",
            "type=tenant.suspended,",
            "limit=0",
            "limit=10001",
            "after=-1",
        ] {
            assert!(asked(query).is_err(), "{query}");
        }
    }
}
