//! What is done when its time has come: deletion after the retention, usage at the end of each month.
//!
//! Deadlines are a view of the log, and what is due is an ordinary command. So it is safe to do it late, after a downtime,
//! and safe on several instances: the second one is refused by the aggregate.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use tenure_aggregates::tenant::{self, Command, MonthlyUsage};
use tenure_event_log::{Clock, Position};
use tenure_projections::deadlines::{self, Deadline, Due};
use tenure_projections::{QueryError, Views, usage};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::dispatch::{CommandContext, CommandError, Dispatcher, Precondition, Scope};

/// How often the scheduler looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Deadlines that are taken at once, and commands of them that are under way together.
const DEADLINES_PER_LOOK: u32 = 500;
const TOGETHER: usize = 64;
/// A month counts as over this much later: instances' clocks may differ by 2 s, and an append that was stamped in the month
/// may have waited for the log's head for 10 s.
const GRACE: TimeDelta = TimeDelta::seconds(20);
/// How long the views may take to pass the log's head before the scheduler looks again.
const VIEWS_WITHIN: Duration = Duration::from_secs(10);

/// The task that watches the deadlines.
pub struct Scheduler {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Why a look at the deadlines was broken off.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error("the views can't be read")]
    Views(#[from] QueryError),
    #[error("the log can't be read")]
    Log(#[from] tenure_event_log::ReadError),
}

impl Scheduler {
    /// Begins to watch.
    #[must_use]
    pub fn start(dispatcher: Dispatcher, views: Views, clock: Clock) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let work = Work { dispatcher, views, clock };
            loop {
                // Nothing is lost by breaking off: commands under way go on in tasks of their own.
                let looked = tokio::select! {
                    _ = stopped.wait_for(|stop| *stop) => return,
                    looked = work.look() => looked,
                };
                let more = looked.unwrap_or_else(|interrupted| {
                    tracing::warn!(error = %interrupted, "deadlines are looked at again later");
                    false
                });
                let pause = if more { Duration::ZERO } else { LOOK_EVERY };
                tokio::select! {
                    _ = stopped.wait_for(|stop| *stop) => return,
                    () = tokio::time::sleep(pause) => {}
                }
            }
        });
        Self { stop, task }
    }

    /// Ends the watching; a command under way is finished by the dispatcher.
    pub async fn stop(self) {
        let _nobody_listens = self.stop.send(true);
        let _panicked = self.task.await;
    }
}

struct Work {
    dispatcher: Dispatcher,
    views: Views,
    clock: Clock,
}

impl Work {
    /// Does what is due. True if there may be more right now.
    async fn look(&self) -> Result<bool, Interrupted> {
        let now = self.clock.now() - GRACE;
        let due = deadlines::due(&self.views, now, DEADLINES_PER_LOOK).await?;
        if due.is_empty() {
            return Ok(false);
        }
        // Month-end counts are those of the views: let them see everything that was recorded in the month.
        let head = self.dispatcher.head().await?;
        if !self.views.wait_for(head, VIEWS_WITHIN).await {
            tracing::warn!(due = due.len(), "deadlines wait for views that are behind or stopped");
            return Ok(false);
        }
        let done: Vec<_> =
            stream::iter(due).map(|deadline| self.meet(deadline)).buffer_unordered(TOGETHER).collect().await;
        let last = done.into_iter().flatten().max();
        match last {
            Some(position) => Ok(self.views.wait_for(position, VIEWS_WITHIN).await),
            None => Ok(false),
        }
    }

    /// Does one thing; the position of its event, if there was anything left to do.
    async fn meet(&self, deadline: Deadline) -> Option<Position> {
        let make: Box<dyn Fn(DateTime<Utc>) -> Command + Send + Sync> = match deadline.due {
            Due::Deletion => {
                let release_short_code = self.dispatcher.settings().release_short_codes;
                Box::new(move |at| Command::Delete { release_short_code, at })
            }
            Due::MonthlyUsage { period } => {
                let counts = match usage::at_month_end(&self.views, deadline.tenant_id, period).await {
                    Ok(counts) => counts.unwrap_or_default(),
                    Err(error) => {
                        tracing::warn!(tenant.id = %deadline.tenant_id, %error, "usage waits");
                        return None;
                    }
                };
                let usage = MonthlyUsage {
                    period,
                    user_count: counts.users,
                    resource_count: counts.resources,
                    grant_count: counts.grants,
                };
                Box::new(move |at| Command::RecordMonthlyUsage { usage, at })
            }
        };
        let context = CommandContext::of_service("scheduler");
        let outcome =
            self.dispatcher.on_tenant(Scope::Cell, deadline.tenant_id, Precondition::Any, context, make).await;
        match outcome {
            Ok(outcome) => outcome.position,
            Err(CommandError::Tenant(refusal)) if was_done(&refusal) => None,
            Err(error) => {
                tracing::warn!(tenant.id = %deadline.tenant_id, due = ?deadline.due, %error, "a deadline waits");
                None
            }
        }
    }
}

/// Whether a refusal only says that another instance, or a restore, came first.
const fn was_done(refusal: &tenant::Error) -> bool {
    matches!(
        refusal,
        tenant::Error::NotDeprovisioning { .. }
            | tenant::Error::UsageAlreadyRecorded { .. }
            | tenant::Error::RetentionRunning { .. }
            | tenant::Error::PeriodAfterDeletion { .. }
    )
}
