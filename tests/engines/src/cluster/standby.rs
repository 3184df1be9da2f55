//! Copies of a server: a second one that follows it and can take its place, and one that a base backup is restored to.

use std::fs;

use super::{PostgresCluster, free_port, signal};

/// What only a server with standbys has; a copy of the server must not take it along.
const FILE: &str = "synchronous.conf";

impl PostgresCluster {
    /// Makes a streaming standby of this server.
    ///
    /// # Panics
    ///
    /// When the server can't be copied, or the copy does not start.
    #[must_use]
    pub fn standby(&self) -> Self {
        self.standby_at(free_port())
    }

    /// As [`PostgresCluster::standby`], on a port where for example a server was that has ended.
    ///
    /// # Panics
    ///
    /// When the server can't be copied, or the copy does not start there.
    #[must_use]
    pub fn standby_at(&self, port: u16) -> Self {
        self.copied_to(port, &["--write-recovery-conf"])
    }

    /// A server of its own on a base backup of this one.
    ///
    /// # Panics
    ///
    /// When the server can't be copied, or the copy does not start.
    #[must_use]
    pub fn base_backup(&self) -> Self {
        self.copied_to(free_port(), &[])
    }

    fn copied_to(&self, port: u16, further: &[&str]) -> Self {
        let mut copy = Self::unmade(None);
        copy.port = port;
        let copied = copy
            .program("pg_basebackup")
            .arg(format!("--dbname=postgres://tenure@127.0.0.1:{}/postgres", self.port))
            .args(["--wal-method=stream", "--checkpoint=fast", "--no-sync"])
            .args(further)
            .arg("--pgdata")
            .arg(copy.data())
            .output()
            .expect("running pg_basebackup");
        assert!(copied.status.success(), "pg_basebackup failed: {}", String::from_utf8_lossy(&copied.stderr));
        drop(fs::remove_file(copy.data().join(FILE)));
        assert!(copy.launch(), "the copy does not start: {}", copy.log());
        copy
    }

    /// From here on a commit is only answered when a standby has it on disk, too.
    ///
    /// # Panics
    ///
    /// When the configuration can't be written.
    pub fn wait_for_standbys(&self) {
        let data = self.data();
        fs::write(data.join(FILE), "synchronous_standby_names = '*'\n").expect("writing the configuration");
        let main = data.join("postgresql.conf");
        let mut text = fs::read_to_string(&main).expect("reading the configuration");
        if !text.contains(FILE) {
            text.push_str("\ninclude_if_exists 'synchronous.conf'\n");
            fs::write(main, text).expect("writing the configuration");
        }
        let server = self.server.as_ref().expect("a running server");
        signal("HUP", &[server.id().to_string()]);
    }

    /// Makes a standby a server that can be written.
    ///
    /// # Panics
    ///
    /// When it can't be.
    pub fn promote(&self) {
        let promoted = self.program("pg_ctl").args(["promote", "-w", "-D"]).arg(self.data()).output();
        let promoted = promoted.expect("running pg_ctl");
        assert!(promoted.status.success(), "pg_ctl failed: {}", String::from_utf8_lossy(&promoted.stderr));
    }
}
