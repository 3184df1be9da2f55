//! The process as the kernel sees it, under the names that Prometheus' own clients use.

use std::fs;
use std::time::SystemTime;

/// Clock ticks per second in `/proc`: the same on every Linux that this runs on.
const TICKS: f64 = 100.0;

/// What is known of this process. On a system without `/proc` nothing is.
#[derive(Debug, Default)]
pub struct Process {
    /// Memory that is in use, in bytes.
    pub resident_bytes: Option<u64>,
    /// Processor time so far, in seconds.
    pub cpu_seconds: Option<f64>,
    /// When it started, in seconds since 1970.
    pub started: Option<f64>,
    /// Open files and sockets.
    pub open_files: Option<usize>,
}

impl Process {
    /// As it is now.
    pub fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Self {
            resident_bytes: resident(&status),
            cpu_seconds: cpu(&stat),
            started: started(&stat),
            open_files: fs::read_dir("/proc/self/fd").ok().map(Iterator::count),
        }
    }
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// A field of `/proc/PID/stat` by its number in proc(5); the name in parentheses may hold anything.
fn field(stat: &str, number: usize) -> Option<f64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn cpu(stat: &str) -> Option<f64> {
    Some((field(stat, 14)? + field(stat, 15)?) / TICKS)
}

fn started(stat: &str) -> Option<f64> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs_f64();
    Some(now - uptime + field(stat, 22)? / TICKS)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::SystemTime;

    use super::Process;

    #[test]
    fn the_kernel_tells_what_is_asked() {
        let process = Process::now();
        assert!(process.resident_bytes.unwrap() > 1_000_000);
        assert!(process.cpu_seconds.unwrap() < 3_600.0);
        assert!(process.open_files.unwrap() >= 3);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((0.0..3_600.0).contains(&(now - process.started.unwrap() + 1.0)), "{process:?}");
    }
}
