//! A tenant's people, who ask an instance who they are and are let in or not.

use std::time::Duration;

use anyhow::Context;
use reqwest::StatusCode;

use crate::cell::Cell;

/// How a tenant's people are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reception {
    /// They are let in.
    LetIn,
    /// They are turned away for what their tenant is.
    TurnedAway,
    /// Nobody knows at the moment.
    NotNow,
}

/// Somebody of a tenant.
#[derive(Clone, Debug)]
pub struct Person {
    token: String,
    http: reqwest::Client,
}

impl Person {
    /// Somebody who holds this token, and waits so long for an answer.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn new(token: String, patience: Duration) -> anyhow::Result<Self> {
        Ok(Self { token, http: reqwest::Client::builder().no_proxy().timeout(patience).build()? })
    }

    /// Asks an instance of the cell, by its number.
    ///
    /// # Errors
    /// There is no such instance.
    pub async fn ask(&self, cell: &Cell, instance: usize) -> anyhow::Result<Reception> {
        let url = &cell.instances.get(instance).context("no such instance")?.url;
        Ok(self.ask_at(url).await)
    }

    /// Asks the instance at this address.
    pub async fn ask_at(&self, url: &str) -> Reception {
        let asked = self.http.get(format!("{url}/api/v1/me")).bearer_auth(&self.token).send().await;
        match asked.map(|answer| answer.status()) {
            Ok(StatusCode::OK) => Reception::LetIn,
            Ok(StatusCode::FORBIDDEN) => Reception::TurnedAway,
            Ok(_) | Err(_) => Reception::NotNow,
        }
    }
}
