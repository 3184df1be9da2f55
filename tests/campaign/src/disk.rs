//! Disks and files that can't be written. A small disk that can be filled and made read-only is a tmpfs, which only root
//! may mount.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, ensure};
use tempfile::TempDir;

/// A mounted disk; unmounted and removed with the value.
#[derive(Debug)]
pub struct SmallDisk {
    place: TempDir,
}

impl SmallDisk {
    /// Mounts one of so many megabytes, where every user may write.
    ///
    /// # Errors
    /// Nothing may be mounted here: the process is not root, or its container does not allow it.
    pub fn mount(megabytes: u32) -> anyhow::Result<Self> {
        let place = tempfile::Builder::new().prefix("tenure-disk-").tempdir()?;
        let size = format!("size={megabytes}m,mode=1777");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tenure"]).arg(place.path()).output();
        let mounted = mounted.context("running mount")?;
        ensure!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr).trim());
        Ok(Self { place })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Takes up all the room that there is, again and again while others make some.
    ///
    /// # Errors
    /// The disk can't be written for another reason than that it is full.
    pub fn fill(&self) -> anyhow::Result<()> {
        let mut file = File::options().create(true).append(true).open(self.filler())?;
        // Down to single bytes, so that nobody else finds a gap.
        for size in [1 << 20, 1 << 12, 1] {
            let zeros = vec![0; size];
            loop {
                match file.write_all(&zeros) {
                    Ok(()) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Makes room again.
    ///
    /// # Errors
    /// The filling can't be removed.
    pub fn free(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.filler())?)
    }

    /// Makes it read-only, or writable again. Fails while somebody has a file open for writing.
    ///
    /// # Errors
    /// It is in use.
    pub fn set_read_only(&self, read_only: bool) -> anyhow::Result<()> {
        let option = if read_only { "remount,ro" } else { "remount,rw" };
        let mounted = Command::new("mount").args(["-o", option]).arg(self.path()).output()?;
        ensure!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr).trim());
        Ok(())
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

/// Files that can't be written while it lives, by whoever has them open either: the immutable attribute, which only root
/// may set, and not on every file system. It stands for one that turned read-only because of an error.
#[derive(Debug)]
pub struct Unwritable {
    files: Vec<PathBuf>,
}

impl Unwritable {
    /// These files, of which those that are not there are left out.
    ///
    /// # Errors
    /// The attribute can't be set here.
    pub fn new(files: impl IntoIterator<Item = PathBuf>) -> anyhow::Result<Self> {
        let unwritable = Self { files: files.into_iter().filter(|file| file.exists()).collect() };
        let changed = unwritable.chattr("+i")?;
        ensure!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr).trim());
        Ok(unwritable)
    }

    fn chattr(&self, change: &str) -> anyhow::Result<Output> {
        Command::new("chattr").arg(change).args(&self.files).output().context("running chattr")
    }
}

impl Drop for Unwritable {
    fn drop(&mut self) {
        match self.chattr("-i") {
            Ok(changed) if changed.status.success() => {}
            failed => eprintln!("{:?} are left immutable: {failed:?}", self.files),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: somebody may still be about to leave it.
        match Command::new("umount").arg("-l").arg(self.path()).status() {
            Ok(status) if status.success() => {}
            failed => eprintln!("{} is left mounted: {failed:?}", self.path().display()),
        }
    }
}
