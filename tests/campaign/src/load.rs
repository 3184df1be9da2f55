//! Several clients at work while something happens to the cell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use tokio::task::JoinHandle;

use crate::cell::Access;
use crate::client::{Client, Manners};
use crate::history::History;
use crate::random::Random;

/// Clients that work until [`Load::stop`].
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<History>>,
}

impl Load {
    /// Starts so many clients. `name` makes theirs distinct among several loads on one cell; it is one letter or two.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn start(
        name: &str,
        clients: usize,
        access: &Arc<Access>,
        random: &Random,
        manners: Manners,
    ) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..clients)
            .map(|number| {
                let client = Client::new(&format!("{name}{number}"), Arc::clone(access), random, manners)?;
                Ok(tokio::spawn(client.work(Arc::clone(&stop))))
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { stop, clients })
    }

    /// Lets each client finish the command that it has in hand, and takes over what they know.
    ///
    /// # Errors
    /// A client panicked.
    pub async fn stop(self) -> anyhow::Result<History> {
        self.stop.store(true, Ordering::Relaxed);
        let mut history = History::default();
        for client in self.clients {
            history.absorb(client.await.context("a client broke")?);
        }
        Ok(history)
    }
}
