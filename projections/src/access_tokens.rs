//! Personal access tokens: what each stands for and when it was last used. Of the token itself only the hash is here.

use chrono::{DateTime, Utc};
use tenure_aggregates::values::{Groups, PrincipalId, TokenHash, TokenName};
use tenure_aggregates::{AccessTokenId, AggregateKind, Role, TenantId, access_token};
use tenure_event_log::Position;

use crate::batch::{Cell, Cells, Table, Write, integer, nullable_integer, text};
use crate::cells::{CellsReader, micros};
use crate::history::{Happened, Obstacle};
use crate::rows::{Row, Rows};
use crate::view::{Fact, Ignored, View};
use crate::{QueryError, Views};

const TOKENS: Table = Table {
    name: "access_tokens",
    columns: &[
        text("token_id"),
        text("msp_id"),
        text("tenant_id"),
        text("name"),
        text("role"),
        text("groups"),
        text("hash"),
        text("created_by"),
        integer("created_at"),
        integer("expires_at"),
        nullable_integer("revoked_at"),
        nullable_integer("last_used_at"),
        integer("uses"),
    ],
    key: 1,
    indexes: &["msp_id, token_id", "created_by, token_id"],
    write: Write::Replace,
};

pub(crate) const TABLES: &[Table] = &[TOKENS];

/// Events that change nothing here.
pub(crate) const IGNORED: Ignored = Ignored {
    aggregates: &[
        AggregateKind::Tenant,
        AggregateKind::Administrator,
        AggregateKind::Link,
        AggregateKind::Subscription,
    ],
    events: &[],
};

/// Tokens per statement when all of them are read: none holds a snapshot open for long.
const PAGE: i64 = 5_000;

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// The token. Ids of later ones are greater.
    pub token_id: AccessTokenId,
    /// The MSP in whose tree the token's tenant stood when it was made.
    pub msp_id: TenantId,
    /// The tenant that it acts in.
    pub tenant_id: TenantId,
    /// What it is for.
    pub name: TokenName,
    /// What its bearer is in the tenant.
    pub role: Role,
    /// The groups that its bearer is in.
    pub groups: Groups,
    /// SHA-256 of the token.
    pub hash: TokenHash,
    /// Who made it.
    pub created_by: PrincipalId,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Valid before then.
    pub expires_at: DateTime<Utc>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// How many of its uses were written down: the last sequence of that stream.
    pub uses: u64,
}

/// Whose tokens are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenScope {
    /// Those of an MSP and of its customers.
    Tree(TenantId),
    /// Those that somebody made, and the token that is asked with.
    Own {
        /// Who made them.
        created_by: PrincipalId,
        /// The token that is asked with.
        token: Option<AccessTokenId>,
    },
}

/// Up to `limit` tokens in the scope, the newest first; after the token `after`, if there is one.
///
/// # Errors
/// [`QueryError`] when the views can't be read.
pub async fn list(
    views: &Views,
    scope: &TokenScope,
    after: Option<AccessTokenId>,
    limit: u32,
) -> Result<Vec<TokenRecord>, QueryError> {
    // Greater than every uuid.
    let before = after.map_or_else(|| "g".to_owned(), |after| after.to_string());
    let (condition, mut params) = scope.condition();
    params.extend([before.into(), i64::from(limit).into()]);
    let (columns, count) = (TOKENS.column_list(), params.len());
    let sql = format!(
        "select {columns} from {{access_tokens}} where {condition} and token_id < ${} order by token_id desc limit ${count}",
        count - 1
    );
    records(views.query(View::AccessTokens, &sql, params).await?)
}

/// The token, if it is in the scope.
///
/// # Errors
/// [`QueryError`] when the views can't be read.
pub async fn find(views: &Views, scope: &TokenScope, id: AccessTokenId) -> Result<Option<TokenRecord>, QueryError> {
    let (condition, mut params) = scope.condition();
    params.push(id.to_string().into());
    let (columns, count) = (TOKENS.column_list(), params.len());
    let sql = format!("select {columns} from {{access_tokens}} where {condition} and token_id = ${count}");
    Ok(records(views.query(View::AccessTokens, &sql, params).await?)?.pop())
}

impl TokenScope {
    /// As a condition of SQL, with its parameters from `$1` on.
    fn condition(&self) -> (&'static str, Vec<Cell>) {
        match self {
            Self::Tree(msp) => ("msp_id = $1", vec![msp.to_string().into()]),
            Self::Own { created_by, token } => {
                let token = token.map_or_else(String::new, |token| token.to_string());
                ("(created_by = $1 or token_id = $2)", vec![created_by.to_string().into(), token.into()])
            }
        }
    }
}

/// All tokens that were not revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveTokens {
    /// Everything up to here is in them. A later change may be in them too: following the feed from here makes it again.
    pub position: Position,
    /// One for each token, expired ones included.
    pub tokens: Vec<TokenRecord>,
}

/// Reads all tokens that were not revoked, page by page.
///
/// # Errors
/// [`QueryError`] when the views can't be read.
pub async fn live(views: &Views) -> Result<LiveTokens, QueryError> {
    // The position first: what commits while the pages are read is then in them, or follows from the feed, or both.
    let position = views.committed_position(View::AccessTokens).await?;
    let sql = format!(
        "select {} from {{access_tokens}} where token_id > $1 and revoked_at is null order by token_id limit $2",
        TOKENS.column_list()
    );
    let (mut tokens, mut after) = (Vec::new(), String::new());
    loop {
        let page = records(views.query(View::AccessTokens, &sql, vec![after.into(), PAGE.into()]).await?)?;
        let Some(last) = page.last() else { return Ok(LiveTokens { position, tokens }) };
        after = last.token_id.to_string();
        tokens.extend(page);
    }
}

fn records(rows: Vec<Cells>) -> Result<Vec<TokenRecord>, QueryError> {
    rows.into_iter().map(TokenRecord::from_cells).collect::<Option<_>>().ok_or(QueryError::Malformed)
}

impl Row for TokenRecord {
    const TABLE: &'static Table = &TOKENS;

    fn into_cells(self) -> Cells {
        vec![
            self.token_id.to_string().into(),
            self.msp_id.to_string().into(),
            self.tenant_id.to_string().into(),
            self.name.to_string().into(),
            self.role.as_str().into(),
            serde_json::json!(self.groups).to_string().into(),
            self.hash.to_string().into(),
            self.created_by.to_string().into(),
            micros(self.created_at).into(),
            micros(self.expires_at).into(),
            self.revoked_at.map(micros).into(),
            self.last_used_at.map(micros).into(),
            i64::try_from(self.uses).unwrap_or(i64::MAX).into(),
        ]
    }

    fn from_cells(cells: Cells) -> Option<Self> {
        let mut cells = CellsReader::new(cells);
        Some(Self {
            token_id: cells.parsed()?,
            msp_id: cells.parsed()?,
            tenant_id: cells.parsed()?,
            name: cells.parsed()?,
            role: cells.parsed()?,
            groups: cells.json()?,
            hash: cells.parsed()?,
            created_by: cells.parsed()?,
            created_at: cells.time()?,
            expires_at: cells.time()?,
            revoked_at: cells.optional_time().ok()?,
            last_used_at: cells.optional_time().ok()?,
            uses: cells.number()?,
        })
    }
}

pub(crate) fn reads(fact: &Fact<'_>) -> Option<(&'static Table, Cells)> {
    match fact.happened {
        Happened::AccessToken(access_token::Event::Revoked { .. })
        | Happened::AccessTokenUse(access_token::last_use::Event::Used { .. }) => Some((&TOKENS, key(fact))),
        Happened::AccessToken(access_token::Event::Created { .. })
        | Happened::Tenant(_)
        | Happened::Administrator(_)
        | Happened::Link(_)
        | Happened::Subscription(_) => None,
    }
}

pub(crate) fn apply(fact: &Fact<'_>, rows: &mut Rows) -> Result<(), Obstacle> {
    let record = match fact.happened {
        Happened::AccessToken(event) => match event {
            access_token::Event::Created { tenant_id, kind, name, role, groups, hash, created_by, expires_at, at } => {
                rows.insert(TokenRecord {
                    token_id: fact
                        .recorded
                        .stream
                        .aggregate_id
                        .parse()
                        .map_err(|invalid| Obstacle::poison(&invalid))?,
                    msp_id: kind.root(*tenant_id),
                    tenant_id: *tenant_id,
                    name: name.clone(),
                    role: *role,
                    groups: groups.clone(),
                    hash: *hash,
                    created_by: created_by.clone(),
                    created_at: *at,
                    expires_at: *expires_at,
                    revoked_at: None,
                    last_used_at: None,
                    uses: 0,
                });
                return Ok(());
            }
            access_token::Event::Revoked { at } => TokenRecord { revoked_at: Some(*at), ..known(fact, rows)? },
        },
        Happened::AccessTokenUse(access_token::last_use::Event::Used { at }) => {
            TokenRecord { last_used_at: Some(*at), uses: fact.recorded.sequence, ..known(fact, rows)? }
        }
        // What becomes of a tenant is asked of the gate; its tokens stay what they are.
        Happened::Tenant(_) | Happened::Administrator(_) | Happened::Link(_) | Happened::Subscription(_) => {
            return Ok(());
        }
    };
    rows.put(record);
    Ok(())
}

fn key(fact: &Fact<'_>) -> Cells {
    vec![fact.recorded.stream.aggregate_id.as_str().into()]
}

fn known(fact: &Fact<'_>, rows: &Rows) -> Result<TokenRecord, Obstacle> {
    let missing = || Obstacle::Poison(format!("the token {} was never made", fact.recorded.stream.aggregate_id));
    rows.get::<TokenRecord>(&key(fact))?.ok_or_else(missing)
}
