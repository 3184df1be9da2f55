//! What an MSP was billed for, summed up per tenant and month, so that whoever keeps a copy can prove that it is whole.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use tenure_aggregates::TenantId;
use tenure_aggregates::values::UsagePeriod;
use tenure_event_log::Position;
use uuid::Uuid;

use super::bounds;
use crate::batch::{Cell, Cells};
use crate::cells::{CellsReader, micros};
use crate::view::View;
use crate::{QueryError, Views};

/// Tenants that are summed up at once.
const TENANTS_PER_PAGE: u32 = 100;
/// Events that one statement reads.
const ROWS_PER_STATEMENT: usize = 5_000;

/// The billing events of one tenant that occurred in one calendar month (UTC).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonthTotal {
    /// The tenant.
    pub tenant_id: TenantId,
    /// Its short code.
    pub short_code: String,
    /// The month.
    pub month: UsagePeriod,
    /// How many events.
    pub count: u64,
    /// See [`fingerprint`].
    pub sha256: String,
}

/// SHA-256 of the event ids, in lower-case hexadecimal: the ids as lower-case text with hyphens, sorted, with a line feed
/// between two and none at the end, as UTF-8.
#[must_use]
pub fn fingerprint(mut ids: Vec<Uuid>) -> String {
    // Sorted as bytes is sorted as text: all have the same form.
    ids.sort_unstable();
    let mut hash = Sha256::new();
    for (index, id) in ids.iter().enumerate() {
        if index > 0 {
            hash.update(b"\n");
        }
        hash.update(id.hyphenated().encode_lower(&mut [0; 36]).as_bytes());
    }
    format!("{:x}", hash.finalize())
}

/// The MSPs that somebody was ever billed for, in the order of their ids.
///
/// # Errors
/// [`QueryError`] when the views can't be read.
pub async fn msps(views: &Views) -> Result<Vec<TenantId>, QueryError> {
    let sql = "select distinct msp_id from {billing_accounts} order by msp_id";
    let rows = views.query(View::Billing, sql, Vec::new()).await?;
    rows.into_iter().map(|row| CellsReader::new(row).parsed()).collect::<Option<_>>().ok_or(QueryError::Malformed)
}

/// The totals of an MSP's tenants, in the order of their ids and months, page by page. All pages show the log as it was when
/// this began. Memory is bounded by the events of one tenant (16 bytes each), however many tenants there are.
#[derive(Debug)]
pub struct Reconciliation {
    msp: TenantId,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    /// Up to where the log is summed up.
    upto: Position,
    /// All of the time's events stand behind the first and up to the second.
    between: (i64, i64),
    /// The last tenant that was summed up.
    after: String,
    is_over: bool,
}

impl Reconciliation {
    /// Begins with what the views show now; `from` is inclusive, `to` is not.
    ///
    /// # Errors
    /// [`QueryError`] when the views can't be read.
    pub async fn begin(
        views: &Views,
        msp: TenantId,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Result<Self, QueryError> {
        let upto = views.committed_position(View::Billing).await?;
        let after = match from {
            Some(from) => bounds::before(views, from).await?,
            None => 0,
        };
        let mut last = i64::try_from(upto.get()).unwrap_or(i64::MAX);
        if let Some(to) = to {
            last = last.min(bounds::last(views, msp, from, to).await?);
        }
        Ok(Self { msp, from, to, upto, between: (after, last), after: String::new(), is_over: false })
    }

    /// Up to where in the log events are counted.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.upto
    }

    /// The totals of the next tenants that have any; `None` when all were summed up.
    ///
    /// # Errors
    /// [`QueryError`] when the views can't be read.
    pub async fn next(&mut self, views: &Views) -> Result<Option<Vec<MonthTotal>>, QueryError> {
        while !self.is_over {
            let tenants = self.tenants(views).await?;
            self.is_over = tenants.len() < TENANTS_PER_PAGE as usize;
            let Some(last) = tenants.last().cloned() else { break };
            let totals = self.sum(views, tenants).await?;
            self.after = last;
            if !totals.is_empty() {
                return Ok(Some(totals));
            }
        }
        Ok(None)
    }

    async fn tenants(&self, views: &Views) -> Result<Vec<String>, QueryError> {
        let sql = "select tenant_id from {billing_accounts} where msp_id = $1 and tenant_id > $2 \
                   order by tenant_id limit $3";
        let params = vec![self.msp.to_string().into(), self.after.as_str().into(), i64::from(TENANTS_PER_PAGE).into()];
        let rows = views.query(View::Billing, sql, params).await?;
        rows.into_iter().map(|row| CellsReader::new(row).text()).collect::<Option<_>>().ok_or(QueryError::Malformed)
    }

    async fn sum(&self, views: &Views, mut tenants: Vec<String>) -> Result<Vec<MonthTotal>, QueryError> {
        let (mut totals, mut sums) = (Vec::new(), Sums::default());
        let mut after = self.between.0;
        while !tenants.is_empty() {
            // Where a tenant's events fill a statement, that one is read to its end alone.
            let is_resumed = after > self.between.0;
            let asked = if is_resumed { &tenants[..1] } else { &tenants[..] };
            let entries = self.entries(views, asked, after).await?;
            let is_full = entries.len() == ROWS_PER_STATEMENT;
            let last = entries.last().map(|entry| (entry.tenant_id.to_string(), entry.position));
            for entry in entries {
                sums.add(entry, &mut totals);
            }
            match (last, is_full) {
                (Some((tenant, position)), true) => {
                    tenants.drain(..tenants.iter().position(|other| *other == tenant).unwrap_or_default());
                    after = position;
                }
                (_, _) if is_resumed => {
                    tenants.remove(0);
                    after = self.between.0;
                }
                (_, _) => break,
            }
        }
        sums.finish(&mut totals);
        Ok(totals)
    }

    /// Some of the tenants' events, in the order of tenants and positions.
    async fn entries(&self, views: &Views, tenants: &[String], after: i64) -> Result<Vec<Entry>, QueryError> {
        let bounds = [self.from.map_or(i64::MIN, micros), self.to.map_or(i64::MAX, micros)];
        let limit = i64::try_from(ROWS_PER_STATEMENT).unwrap_or(i64::MAX);
        let mut params: Vec<Cell> = vec![after.into(), self.between.1.into()];
        params.extend(bounds.map(Cell::from));
        params.extend([limit.into(), self.msp.to_string().into()]);
        let first = params.len() + 1;
        params.extend(tenants.iter().map(|tenant| Cell::from(tenant.as_str())));
        let places: Vec<String> = (first..=params.len()).map(|place| format!("${place}")).collect();
        // What a tenant was billed by another MSP is not this one's. By `coalesce`, so that no engine takes this condition
        // for the one to begin with: the MSP's whole time would be read for each page of tenants.
        let sql = format!(
            "select tenant_id, short_code, position, event_id, occurred_at from {{billing_events}} \
             where tenant_id in ({}) and position > $1 and position <= $2 and occurred_at >= $3 and occurred_at < $4 \
             and coalesce(msp_id, '') = $6 order by tenant_id, position limit $5",
            places.join(", ")
        );
        let rows = views.query(View::Billing, &sql, params).await?;
        rows.into_iter().map(Entry::from_cells).collect::<Option<_>>().ok_or(QueryError::Malformed)
    }
}

/// What counts of an event.
struct Entry {
    tenant_id: TenantId,
    short_code: String,
    position: i64,
    event_id: Uuid,
    month: UsagePeriod,
}

impl Entry {
    fn from_cells(cells: Cells) -> Option<Self> {
        let mut cells = CellsReader::new(cells);
        Some(Self {
            tenant_id: cells.parsed()?,
            short_code: cells.text()?,
            position: cells.number()?,
            event_id: cells.parsed()?,
            month: UsagePeriod::containing(cells.time()?),
        })
    }
}

/// The months of the tenant whose events come at present.
#[derive(Default)]
struct Sums {
    tenant: Option<(TenantId, String)>,
    months: BTreeMap<UsagePeriod, Vec<Uuid>>,
}

impl Sums {
    fn add(&mut self, entry: Entry, totals: &mut Vec<MonthTotal>) {
        if self.tenant.as_ref().is_none_or(|(tenant, _)| *tenant != entry.tenant_id) {
            self.finish(totals);
            self.tenant = Some((entry.tenant_id, entry.short_code));
        }
        self.months.entry(entry.month).or_default().push(entry.event_id);
    }

    fn finish(&mut self, totals: &mut Vec<MonthTotal>) {
        let Some((tenant_id, short_code)) = self.tenant.take() else { return };
        for (month, ids) in std::mem::take(&mut self.months) {
            let (short_code, count) = (short_code.clone(), u64::try_from(ids.len()).unwrap_or(u64::MAX));
            totals.push(MonthTotal { tenant_id, short_code, month, count, sha256: fingerprint(ids) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_that_of_the_readme() {
        let ids = [
            "9c8e2f4d-0b1a-5e63-8f57-2d4c6b8a0e19",
            "2b1d7a52-6a1e-5c39-9d53-0f6f1c2a549d",
            "41f0c7b6-3d2e-5a98-b1c4-7e5d9f8a6b03",
        ];
        let ids = ids.map(|id| id.parse().unwrap()).to_vec();
        assert_eq!(fingerprint(ids), "2e752fe0d7c4ca94d65c0e460a538717f26fc76bf9c721cb8a1b424d5d03b25d");
        assert_eq!(fingerprint(Vec::new()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
