//! CPU time and memory of the processes of a run, as Linux tells them in `/proc`.

use std::fs;

/// Clock ticks per second in `/proc`; Linux shows users 100 on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// Whose CPU time is told apart.
#[derive(Clone, Copy, Debug, Default)]
pub struct Processes {
    /// The service.
    pub service: Option<u32>,
    /// The database server's first process, the parent of all others.
    pub database: Option<u32>,
}

/// Seconds of CPU that service, database server and load generator (this process and what it ran) have used so far.
pub type Cpu = [f64; 3];

impl Processes {
    /// CPU used so far.
    pub fn cpu(&self) -> Cpu {
        let own = |id: u32| stat(id).map_or(0.0, |stat| stat.own);
        let database = self.database.map_or(0.0, |postmaster| {
            let ended = stat(postmaster).map_or(0.0, |stat| stat.own + stat.ended_children);
            ended + children(postmaster).into_iter().map(own).sum::<f64>()
        });
        let load = stat(std::process::id()).map_or(0.0, |stat| stat.own + stat.ended_children);
        [self.service.map_or(0.0, own), database, load]
    }

    /// Resident memory of the service, in bytes.
    pub fn memory(&self) -> u64 {
        let Some(id) = self.service else { return 0 };
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kilobytes.unwrap_or_default() * 1024
    }
}

/// What was spent between two looks.
pub fn spent(before: Cpu, after: Cpu) -> Cpu {
    [after[0] - before[0], after[1] - before[1], after[2] - before[2]]
}

/// The process whose child this one is.
pub fn parent(id: u32) -> Option<u32> {
    Some(stat(id)?.parent)
}

struct Stat {
    parent: u32,
    own: f64,
    ended_children: f64,
}

/// Fields of `/proc/ID/stat` (proc(5)), counted after the command's name, which may hold anything.
fn stat(id: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let seconds = |index: usize| Some(fields.get(index)?.parse::<f64>().ok()? / TICKS_PER_SECOND);
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: seconds(11)? + seconds(12)?,
        ended_children: seconds(13)? + seconds(14)?,
    })
}

fn children(id: u32) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|process| parent(*process) == Some(id)).collect()
}
