//! The key of the cell: 32 random bytes in a file, from which every other secret of the log hangs.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use secrecy::zeroize::Zeroizing;
use sha2::Sha256;
use uuid::Uuid;

use super::cipher::{self, KeyBytes, WrappingKey};

type HmacSha256 = Hmac<Sha256>;

/// Nobody but the owner writes the file, and nobody but owner and group reads it.
const FORBIDDEN_MODE: u32 = 0o037;

/// Wraps every tenant's key. Whoever has it and the database reads everything; without it nothing personal is readable.
#[derive(Clone)]
pub struct MasterKey {
    bytes: Arc<KeyBytes>,
}

/// Why a master key's file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// It can't be read or made.
    #[error("the master key {} can't be read or made", path.display())]
    File {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It does not hold 32 bytes.
    #[error("the master key {} does not hold exactly 32 bytes", path.display())]
    WrongLength {
        /// Where it is.
        path: PathBuf,
    },
    /// Others may read it, or the group may write it.
    #[error("the master key {} is open to others (mode {mode:03o}): set it to 600", path.display())]
    TooOpen {
        /// Where it is.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl MasterKey {
    /// A new random key that is in no file.
    #[must_use]
    pub fn generate() -> Self {
        Self { bytes: Arc::new(cipher::random_key()) }
    }

    /// Reads the key from `path`: exactly 32 bytes, not readable for others, not writable for the group.
    ///
    /// # Errors
    ///
    /// If the file is absent, is not 32 bytes long, or is open to others.
    pub fn load(path: &Path) -> Result<Self, MasterKeyError> {
        let failed = |source| MasterKeyError::File { path: path.to_path_buf(), source };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & FORBIDDEN_MODE != 0 {
            return Err(MasterKeyError::TooOpen { path: path.to_path_buf(), mode });
        }
        let mut content = Zeroizing::new(Vec::with_capacity(64));
        file.take(64).read_to_end(&mut content).map_err(failed)?;
        let bytes: &[u8; 32] =
            content.as_slice().try_into().map_err(|_| MasterKeyError::WrongLength { path: path.to_path_buf() })?;
        Ok(Self { bytes: Arc::new(Zeroizing::new(*bytes)) })
    }

    /// Reads the key from `path`; makes one there, mode 600, if the file is absent. Of several processes that do so at
    /// once, one makes it and all get the same.
    ///
    /// # Errors
    ///
    /// As [`Self::load`], or if the file can't be made.
    pub fn load_or_create(path: &Path) -> Result<Self, MasterKeyError> {
        let failed = |source| MasterKeyError::File { path: path.to_path_buf(), source };
        if !path.try_exists().map_err(failed)? {
            match Self::generate().save_new(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
                _ => {}
            }
        }
        Self::load(path)
    }

    /// Writes the key to a new file at `path`, mode 600, flushed. Written aside and then linked: whoever sees the file sees
    /// all of it, and nobody's key is ever replaced.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] if there is a file, or what the system said when it could not be made.
    pub fn save_new(&self, path: &Path) -> io::Result<()> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let aside = directory.join(format!(".master-key-{}", Uuid::now_v7()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        let linked = file
            .write_all(self.bytes.as_slice())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::hard_link(&aside, path));
        fs::remove_file(&aside)?;
        linked.and_then(|()| File::open(directory)?.sync_all())
    }

    /// Tells master keys apart without revealing anything of them: the log remembers which one it was sealed with.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = self.derive(b"tenure fingerprint v1");
        URL_SAFE_NO_PAD.encode(&digest[..16])
    }

    pub(super) fn wrapping_key(&self) -> WrappingKey {
        WrappingKey::new(&self.derive(b"tenure key wrapping v1"))
    }

    pub(super) fn blinder(&self) -> Blinder {
        Blinder(keyed(&self.derive(b"tenure blinding v1")))
    }

    /// HMAC as a key derivation: the master key is uniformly random, so one step of HKDF is enough.
    fn derive(&self, purpose: &[u8]) -> KeyBytes {
        Zeroizing::new(keyed(&self.bytes).chain_update(purpose).finalize().into_bytes().into())
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// Turns personal values into names that reveal nothing and are the same each time.
pub(super) struct Blinder(HmacSha256);

impl Blinder {
    pub fn blind(&self, scope: &str, value: &str) -> String {
        let parts = Zeroizing::new(cipher::bind(&[scope.as_bytes(), value.as_bytes()]));
        URL_SAFE_NO_PAD.encode(self.0.clone().chain_update(parts.as_slice()).finalize().into_bytes())
    }
}

fn keyed(key: &KeyBytes) -> HmacSha256 {
    HmacSha256::new_from_slice(key.as_slice()).expect("HMAC takes a key of any length")
}
