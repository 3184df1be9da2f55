//! `tenure billing resume`: only an operator can say whether a bill would be lost or doubled.

use anyhow::Context;
use clap::Args;
use tenure_event_log::Position;
use tenure_projections::export::{self, Order};

use crate::cli::{block_on, running_service, with_views};
use crate::config::Config;

/// Where a stopped export goes on.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Resume {
    /// Everything up to this position of the log counts as exported; 0 exports everything again.
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// Read the billing topic and go on after the last event in it.
    #[arg(long)]
    rescan: bool,
}

impl Resume {
    /// Leaves the order where the instance that exports finds it.
    pub fn run(&self, config: &Config) -> anyhow::Result<()> {
        let order = self.from.map_or(Order::Rescan, |position| Order::From(Position::new(position)));
        block_on(async {
            match running_service(config)? {
                Some(service) => {
                    let answer = service.post(format!("http://tenure/billing/resume/{order}")).send().await?;
                    if !answer.status().is_success() {
                        anyhow::bail!("{}", answer.text().await?);
                    }
                }
                None => {
                    with_views(config, async |views| {
                        export::order(views, order).await.context("the order can't be written down")
                    })
                    .await?;
                }
            }
            println!(
                "The order \"{order}\" is left for the instance that exports; it is carried out within seconds if that \
                 one is stopped. See /health/ready."
            );
            Ok(())
        })
    }
}
