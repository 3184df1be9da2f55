//! A rolling upgrade: instances of this release and one whose views are a version ahead, on one database.

use anyhow::ensure;
use futures::FutureExt;
use tenure_test_engines::PostgresCluster;

use crate::cell::Cell;
use crate::check::{self, Release};
use crate::client::Manners;
use crate::history::History;
use crate::load::Load;
use crate::scenario::{Run, Scenario, Tally};

/// Two releases side by side.
pub const ROLLING_UPGRADE: Scenario = Scenario {
    name: "rolling-upgrade",
    about: "an instance of a newer release builds its views beside two older ones', clients at all three, each in turn killed or stopped",
    rounds: |base| base / 10,
    run: |run| torment(run).boxed(),
};

/// The older release has so many instances, and the newer one the next.
const OLDER: usize = 2;

async fn torment(run: Run) -> anyhow::Result<Tally> {
    let cluster = tokio::task::block_in_place(PostgresCluster::start);
    let mut cell = Cell::postgres(&run.program, &cluster.url())?;
    let (mut tally, mut history) = (Tally::default(), History::default());
    let mut faults = run.random.child("faults");
    cell.start(OLDER).await?;
    let newer = cell.add(None);
    newer.set("TENURE_VIEWS_AHEAD", "1");
    newer.ready().await?;
    let access = cell.access().await?;
    for (name, rounds) in run.parts() {
        let manners = Manners { reads: 50, ..Manners::default() };
        let load = Load::start(&name, 8, &access, &run.random, manners)?;
        for _ in 0..rounds {
            tokio::time::sleep(faults.between(400, 1_000)).await;
            // One of the older ones goes while the newer one is taken back and comes again.
            let victim = faults.index(OLDER);
            tally.kills += u32::from(cell.instances[victim].kill9()?);
            if faults.chance(50) {
                tally.kills += u32::from(cell.instances[OLDER].kill9()?);
            } else {
                cell.instances[OLDER].stop().await?;
            }
            tokio::time::sleep(faults.between(0, 400)).await;
            // Ready means: the views have passed everything that was there at the start.
            cell.instances[OLDER].ready().await?;
            cell.instances[victim].ready().await?;
        }
        history.absorb(load.stop().await?);
        check::log(&cell, &history).await?;
        // With nobody at work both releases say the same.
        let difference = check::releases_differ(&cell).await?;
        ensure!(difference.is_empty(), "the releases' views differ: {}", difference.join("; "));
    }
    let [older, newer] = [check::dump(&cell, Release::Older).await?, check::dump(&cell, Release::Newer).await?];
    ensure!(newer.values().any(|rows| !rows.is_empty()), "the newer views hold nothing");
    ensure!(older.len() == newer.len(), "the newer release has other tables: {:?}", newer.keys());
    run.conclude(cell, &history, tally).await
}
