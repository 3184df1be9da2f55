//! `bench/EXPORT.md`.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Measured, Options};
use crate::report::{commit, machine};

/// Events per second that the export reaches at least.
const FLOOR: f64 = 50_000.0;
/// The share of a plain producer's rate that it aims for.
const AIM: f64 = 0.7;
/// 99 of 100 events are visible after so many milliseconds at most.
const VISIBLE_MS: f64 = 300.0;

/// So many in that time, per second.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub fn rate(events: usize, time: Duration) -> f64 {
    events as f64 / time.as_secs_f64()
}

/// The page.
#[expect(clippy::cast_precision_loss, reason = "bytes and microseconds are far below 2^52")]
pub fn markdown(all: &[Measured], options: &Options) -> String {
    let mut page = String::new();
    // Writing to a String can't fail.
    let _ = writeln!(
        page,
        "# The billing export, measured\n\nMeasured by `make bench-export` on {date} at commit {commit}: {machine}. \
         Service, database, a single Kafka\nbroker, consumer and load generator share the cores. The log was filled through \
         its own appends: customers that are\nsuspended and reinstated in turn, neighbours in the log being different \
         customers. The views had caught up before the\nexport began. The plain producer is idempotent, has the export's \
         settings but no transactions, and sends the very records\nthat a read-committed consumer found in the topic, in \
         the log's order, to a topic of its own in the same run.\n",
        date = chrono::Utc::now().format("%Y-%m-%d"),
        commit = commit(),
        machine = machine(),
    );
    let _ = writeln!(
        page,
        "| | floor, aim |{}",
        all.iter().fold(String::new(), |row, one| row + &format!(" {} |", one.label))
    );
    let _ = writeln!(page, "|---|---|{}", "---|".repeat(all.len()));
    let mut row = |what: &str, bound: &str, value: &dyn Fn(&Measured) -> String| {
        let values = all.iter().fold(String::new(), |row, one| row + &format!(" {} |", value(one)));
        let _ = writeln!(page, "| {what} | {bound} |{values}");
    };
    let verdict = |holds: bool| if holds { "" } else { " **missed**" };
    let megabytes = |bytes: u64| format!("{:.0}", bytes as f64 / 1e6);
    row("billing events", "", &|one| one.events.to_string());
    row("bytes of a record, without Kafka's framing", "", &|one| (one.bytes / one.events).to_string());
    row("partitions", "", &|one| one.partitions.to_string());
    row("exported, events/s", &format!("{FLOOR:.0}"), &|one| {
        let rate = rate(one.events, one.exported_in);
        format!("{rate:.0}{}", verdict(rate >= FLOOR))
    });
    row("plain idempotent producer, events/s", "", &|one| format!("{:.0}", rate(one.events, one.plain_in)));
    row("export / plain producer", &AIM.to_string(), &|one| {
        let ratio = one.plain_in.as_secs_f64() / one.exported_in.as_secs_f64();
        format!("{ratio:.2}{}", verdict(ratio >= AIM))
    });
    row("transactions", "", &|one| one.transactions.to_string());
    row("service's memory, MB: at the first events, at most, at the end", "flat", &|one| {
        one.memory.map(megabytes).join(", ")
    });
    row("CPU of an exported event, us: service + database", "", &|one| {
        let [service, database, _] = one.cpu.map(|seconds| seconds * 1e6 / one.events as f64);
        format!("{service:.1} + {database:.1}")
    });
    let steady = format!("steady commands over HTTP, per second, for {} s", options.steady_seconds);
    row(&steady, &options.rate.to_string(), &|one| format!("{:.0}", one.steady.per_second));
    row("events seen by a read-committed consumer meanwhile", "", &|one| one.steady.events.to_string());
    let ms = |us: u64| us as f64 / 1e3;
    row("visible after, ms: p50", "", &|one| format!("{:.0}", ms(one.steady.visible_us[0])));
    row("visible after, ms: p99", &format!("{VISIBLE_MS:.0}"), &|one| {
        let p99 = ms(one.steady.visible_us[1]);
        format!("{p99:.0}{}", verdict(p99 < VISIBLE_MS))
    });
    row("visible after, ms: the last one", "", &|one| format!("{:.0}", ms(one.steady.visible_us[2])));
    row("filling the log, s", "", &|one| format!("{:.0}", one.filled_in.as_secs_f64()));
    page.push_str(
        "\nVisible after: from the command's own time stamp (`ce_time`), which is earlier than its commit, until the \
         consumer has the\nevent in its hands. [README.md](README.md) says how the rest is measured.\n",
    );
    page
}
