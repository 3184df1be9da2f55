//! The views as rules, on both engines, over a real log. Each test has a deployment of its own.

#![expect(clippy::unwrap_used, reason = "what is in the way of a test has to stop it")]

/// Runs each test on SQLite and on `PostgreSQL`.
macro_rules! on_both_engines {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(crate::deployment::Deployment::sqlite().await).await;
                }
            )*
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(crate::deployment::Deployment::postgres().await).await;
                }
            )*
        }
    };
}

mod access_tokens;
mod billing;
mod contract;
mod crashes;
mod deadlines;
mod deployment;
mod directory;
mod export;
mod failures;
mod killed_server;
mod links;
mod lost_builds;
mod plans;
mod rebuilds;
mod reconciliation;
mod several_instances;
mod tables;
mod transactions;
mod usage;
mod world;
