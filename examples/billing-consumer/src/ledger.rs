//! What is processed already, by event id. Kafka delivers an event again when the consumer dies between processing it and
//! committing its offset; whoever bills keeps the ids with the bills, in one transaction. Here a file is both.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::event::BillingEvent;

/// A line for each processed event, beginning with its id. Without a file it is forgotten with the process.
pub struct Ledger {
    ids: HashSet<String>,
    file: Option<File>,
}

impl Ledger {
    pub fn open(path: Option<&Path>) -> io::Result<Self> {
        let Some(path) = path else { return Ok(Self { ids: HashSet::new(), file: None }) };
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        // A line that a crash cut off was never entered: its event comes again.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        let ids = text[..whole].lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
        Ok(Self { ids, file: Some(file) })
    }

    /// Enters an event; false when it is there already.
    pub fn enter(&mut self, event: &BillingEvent) -> io::Result<bool> {
        if self.ids.contains(&event.id) {
            return Ok(false);
        }
        if let Some(file) = &mut self.file {
            let BillingEvent { id, kind, tenant, position, time } = event;
            file.write_all(format!("{id} {kind} {tenant} {position} {time}\n").as_bytes())?;
        }
        self.ids.insert(event.id.clone());
        Ok(true)
    }

    /// Returns when everything that was entered is on disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }
}
