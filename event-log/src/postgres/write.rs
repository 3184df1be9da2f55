//! Writing: a batch is one round trip, and a lost answer is looked up before anything else is sent.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Connection, Row};
use uuid::Uuid;

use super::columns::{Columns, signed};
use super::session::WriterSession;
use super::{Postgres, PostgresServers, error};
use crate::Clock;
use crate::append::{Appended, Violation};
use crate::engine::{BatchAnswer, EngineError, Offence, Prepared};
use crate::event::StreamId;
use crate::position::Position;

pub(super) const FIND_COMMITTED: &str = "select member, at_position, at_time from find_committed($1, $2, $3, $4, $5)";

/// A server that says nothing for so long is given up. Longer than its own `lock_timeout`, which gives a clear answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The writer's connection while it is not in use.
#[derive(Default)]
pub(super) struct WriterSlot {
    session: Option<WriterSession>,
    /// The session whose answer was lost and that is not fenced yet.
    lost: Option<Uuid>,
}

impl WriterSlot {
    /// Takes the connection out: whoever fails, or is dropped midway, leaves the slot empty.
    async fn take(&mut self, servers: &PostgresServers) -> Result<WriterSession, EngineError> {
        match self.session.take() {
            Some(session) => Ok(session),
            None => WriterSession::connect(servers).await.map_err(|error| EngineError::Unavailable(error.into())),
        }
    }

    pub async fn close(&mut self) {
        if let Some(session) = self.session.take()
            && let Err(error) = session.connection.close().await
        {
            tracing::debug!(%error, "the writer's connection was not closed in order");
        }
    }
}

impl Postgres {
    pub async fn append_batch(&self, batch: &[Prepared], clock: Clock) -> Result<BatchAnswer, EngineError> {
        match self.send_batch(batch, clock).await {
            // The statement itself may have been on its way for too long.
            Err(EngineError::ClockSkew { .. }) => self.send_batch(batch, clock).await,
            answer => answer,
        }
    }

    async fn send_batch(&self, batch: &[Prepared], clock: Clock) -> Result<BatchAnswer, EngineError> {
        if self.read_only {
            return Err(EngineError::Unavailable("the log was opened read-only".into()));
        }
        let mut slot = self.writer.lock().await;
        let mut session = slot.take(&self.servers).await?;
        // Before the statement is sent, so that a future dropped midway leaves word too.
        slot.lost = Some(session.id);
        // Only now: it may have taken seconds to connect.
        let now = clock.now();
        let query = Columns::of(batch).bind(session.id, now - clock.offset(), now);
        let sent = tokio::time::timeout(ANSWER_TIMEOUT, query.fetch_all(&mut session.connection)).await;
        match sent {
            Ok(Ok(rows)) => {
                slot.lost = None;
                slot.session = Some(session);
                answer(batch, &rows)
            }
            Ok(Err(error)) => {
                if error::is_usable_after(&error) {
                    slot.session = Some(session);
                }
                let meaning = error::writing(error);
                if !matches!(meaning, EngineError::AnswerLost(_)) {
                    slot.lost = None;
                }
                Err(meaning)
            }
            Err(elapsed) => Err(EngineError::AnswerLost(elapsed.into())),
        }
    }

    pub async fn find_committed(&self, batch: &[Prepared]) -> Result<Vec<Option<Appended>>, EngineError> {
        let mut slot = self.writer.lock().await;
        let mut session = slot.take(&self.servers).await?;
        let (mut commands, mut types, mut ids, mut sequences) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for append in batch {
            // An append without a stream is never prepared; it would be found nowhere.
            let first = append.streams.first();
            commands.push(append.command_id);
            types.push(first.map(|stream| &*stream.stream.aggregate_type));
            ids.push(first.map(|stream| stream.stream.aggregate_id.as_str()));
            sequences.push(first.map(|stream| signed(stream.expected + 1)));
        }
        let lost = slot.lost.unwrap_or(Uuid::nil());
        let query = sqlx::query(FIND_COMMITTED).bind(lost).bind(commands).bind(types).bind(ids).bind(sequences);
        let sent = tokio::time::timeout(ANSWER_TIMEOUT, query.fetch_all(&mut session.connection)).await;
        // Asking twice changes nothing, so a failure here is only ever a reason to ask again.
        let rows = match sent {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => return Err(EngineError::Unavailable(error.into())),
            Err(elapsed) => return Err(EngineError::Unavailable(elapsed.into())),
        };
        slot.lost = None;
        slot.session = Some(session);
        let mut found = vec![None; batch.len()];
        for row in rows {
            let (place, append) = member(batch, &row).map_err(|error| corrupt_answer(&error))?;
            found[place] = Some(placed(&row, append).map_err(|error| corrupt_answer(&error))?);
        }
        Ok(found)
    }
}

/// The function's rows as one answer per member.
fn answer(batch: &[Prepared], rows: &[PgRow]) -> Result<BatchAnswer, EngineError> {
    // The statement is committed: if its answer can't be understood, its outcome has to be looked up.
    let understood = || -> Result<BatchAnswer, sqlx::Error> {
        let Some((summary, left_out)) = rows.split_last() else { return Err(sqlx::Error::RowNotFound) };
        let mut answers: Vec<Option<Result<Appended, Offence>>> = vec![None; batch.len()];
        for row in left_out {
            let (place, append) = member(batch, row)?;
            answers[place] = Some(left_out_because(row, append)?);
        }
        let recorded_at = summary.try_get("at_time")?;
        let mut head = Position::new(number(summary, "at_position")?);
        let answers = batch.iter().zip(answers).map(|(append, answer)| {
            answer.unwrap_or_else(|| {
                let first = head.next();
                head = Position::new(head.get() + events(append));
                Ok(Appended { first, last: head, recorded_at })
            })
        });
        Ok(answers.collect())
    };
    understood().map_err(|error| EngineError::AnswerLost(error.into()))
}

fn left_out_because(row: &PgRow, append: &Prepared) -> Result<Result<Appended, Offence>, sqlx::Error> {
    let rule: &str = row.try_get("rule")?;
    let name = || row.try_get::<String, _>("name");
    let stream = || Ok::<_, sqlx::Error>(StreamId::new(name()?, row.try_get::<String, _>("detail")?));
    let violation = match rule {
        "committed" => return placed(row, append).map(Ok),
        "key_exists" => return Ok(Err(Offence::KeyExists)),
        "stream_moved" => Violation::StreamMoved { stream: stream()?, expected: number(row, "number")? },
        "guard_moved" => Violation::GuardMoved { stream: stream()?, expected: number(row, "number")? },
        "claim_taken" => Violation::ClaimTaken { scope: name()? },
        "claim_not_held" => Violation::ClaimNotHeld { scope: name()? },
        "limit_exceeded" => Violation::LimitExceeded { scope: name()? },
        "request_repeated" => Violation::RequestRepeated,
        "key_destroyed" => {
            let tenant_id = name()?.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?;
            Violation::KeyDestroyed { tenant_id }
        }
        unknown => return Err(sqlx::Error::Decode(format!("the database named an unknown rule: {unknown}").into())),
    };
    Ok(Err(Offence::Rule(violation)))
}

fn member<'a>(batch: &'a [Prepared], row: &PgRow) -> Result<(usize, &'a Prepared), sqlx::Error> {
    let member: i32 = row.try_get("member")?;
    let place = usize::try_from(member - 1).unwrap_or(usize::MAX);
    let append = batch.get(place).ok_or_else(|| sqlx::Error::Decode(format!("there is no member {member}").into()))?;
    Ok((place, append))
}

/// An append's events stand one after the other.
fn placed(row: &PgRow, append: &Prepared) -> Result<Appended, sqlx::Error> {
    let first = number(row, "at_position")?;
    Ok(Appended {
        first: Position::new(first),
        last: Position::new(first + events(append) - 1),
        recorded_at: row.try_get("at_time")?,
    })
}

fn events(append: &Prepared) -> u64 {
    append.streams.iter().map(|stream| stream.events.len() as u64).sum()
}

fn number(row: &PgRow, column: &str) -> Result<u64, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn corrupt_answer(error: &sqlx::Error) -> EngineError {
    EngineError::Corrupt(error.to_string())
}
