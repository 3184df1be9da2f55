//! The one thread whose connection writes and checkpoints `views.db`.
//!
//! Projectors take turns: a transaction owns the thread from its begin to its end, and ends by itself (rolled back) when
//! its owner goes away.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::store_error;
use crate::batch::StoreError;

type Call = Box<dyn FnOnce(&Connection) + Send>;
type Answer<T> = oneshot::Sender<rusqlite::Result<T>>;

enum Job {
    Call(Call),
    Transaction(Answer<()>, Receiver<Step>),
}

enum Step {
    Call(Call),
    Commit(Answer<()>),
    Rollback(Answer<()>),
}

/// The thread and the way to it.
pub(crate) struct Writer {
    jobs: Mutex<Option<Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub fn start(connection: Connection) -> std::io::Result<Self> {
        let (jobs, queue) = channel();
        let thread = std::thread::Builder::new().name("views-writer".to_owned()).spawn(move || {
            for job in queue {
                match job {
                    Job::Call(call) => call(&connection),
                    Job::Transaction(begun, steps) => transact(&connection, begun, &steps),
                }
            }
        })?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
    }

    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        let (steps, queue) = channel();
        let (answer, begun) = oneshot::channel();
        self.send(Job::Transaction(answer, queue))?;
        begun.await.map_err(|_| gone())?.map_err(store_error)?;
        Ok(Transaction { steps })
    }

    pub async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (call, answer) = answering(call);
        self.send(Job::Call(call))?;
        answer.await.map_err(|_| gone())?.map_err(store_error)
    }

    /// Waits until everything sent is done, and closes the file.
    pub fn close(&self) {
        if let Ok(mut jobs) = self.jobs.lock() {
            jobs.take();
        }
        if let Ok(mut thread) = self.thread.lock()
            && let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of views.db panicked");
        }
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.lock().map_err(|_| gone())?;
        jobs.as_ref().ok_or_else(gone)?.send(job).map_err(|_| gone())
    }
}

/// A transaction on the thread. Dropped before its end, it is rolled back.
pub(crate) struct Transaction {
    steps: Sender<Step>,
}

impl Transaction {
    pub async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (call, answer) = answering(call);
        self.steps.send(Step::Call(call)).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map_err(store_error)
    }

    pub async fn commit(self) -> Result<(), StoreError> {
        self.end(Step::Commit).await
    }

    pub async fn rollback(self) -> Result<(), StoreError> {
        self.end(Step::Rollback).await
    }

    async fn end(self, step: impl FnOnce(Answer<()>) -> Step) -> Result<(), StoreError> {
        let (answer, ended) = oneshot::channel();
        self.steps.send(step(answer)).map_err(|_| gone())?;
        ended.await.map_err(|_| gone())?.map_err(store_error)
    }
}

fn transact(connection: &Connection, begun: Answer<()>, steps: &Receiver<Step>) {
    let outcome = connection.execute_batch("begin immediate");
    let failed = outcome.is_err();
    if begun.send(outcome).is_err() || failed {
        rollback(connection);
        return;
    }
    loop {
        match steps.recv() {
            Ok(Step::Call(call)) => call(connection),
            Ok(Step::Commit(answer)) => {
                let committed = connection.execute_batch("commit");
                if committed.is_err() {
                    rollback(connection);
                }
                // Whoever asked may have gone; the transaction has ended all the same.
                let _ = answer.send(committed);
                return;
            }
            Ok(Step::Rollback(answer)) => {
                rollback(connection);
                let _ = answer.send(Ok(()));
                return;
            }
            Err(_) => {
                rollback(connection);
                return;
            }
        }
    }
}

fn rollback(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("rollback")
    {
        tracing::error!(%error, "views.db could not roll back");
    }
}

fn answering<T: Send + 'static>(
    call: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
) -> (Call, oneshot::Receiver<rusqlite::Result<T>>) {
    let (sender, receiver) = oneshot::channel();
    let call = Box::new(move |connection: &Connection| {
        // Whoever asked may have gone.
        let _ = sender.send(call(connection));
    });
    (call, receiver)
}

fn gone() -> StoreError {
    StoreError::unavailable(std::io::Error::other("views.db is closed"))
}
