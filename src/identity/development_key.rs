//! The key that `tenure token` signs with: made once per data directory, trusted in development mode only.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use ed25519_dalek::{Signer, SigningKey};
use secrecy::zeroize::Zeroizing;
use serde_json::json;
use sha2::{Digest, Sha256};
use tenure_aggregates::values::Groups;
use tenure_aggregates::{Role, TenantId};

/// The issuer of tokens signed with a development key. No other key may sign for it, and it signs for no other.
pub const ISSUER: &str = "tenure-development";
/// The audience of tokens signed with a development key.
pub const AUDIENCE: &str = "tenure";
/// How the subjects begin that tokens get which name none.
pub const SUBJECT_PREFIX: &str = "development-";

/// The key can't be made or read.
#[derive(Debug, thiserror::Error)]
pub enum DevelopmentKeyError {
    /// The file or its directory can't be used.
    #[error("the development key {} can't be used", path.display())]
    File {
        /// The key's file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The file holds no Ed25519 private key in PKCS #8.
    #[error("{} holds no Ed25519 private key", path.display())]
    Malformed {
        /// The key's file.
        path: PathBuf,
    },
}

/// What a development token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// What the bearer is.
    pub role: Role,
    /// In which tenant.
    pub tenant: TenantId,
    /// Who the bearer is; `development-ROLE` if nobody in particular.
    pub subject: Option<String>,
    /// The groups that the bearer is in.
    pub groups: Groups,
    /// The present, from the service's clock.
    pub now: DateTime<Utc>,
    /// How long the token is valid.
    pub expires_in: TimeDelta,
}

/// An Ed25519 key pair of a data directory.
pub struct DevelopmentKey {
    key: SigningKey,
    kid: String,
}

impl DevelopmentKey {
    /// Reads the key, or makes it (mode 0600, in a directory of mode 0700 if that is missing too). Of several processes
    /// that make it at once, one wins and all get the same key.
    ///
    /// # Errors
    /// The file or the directory can't be used, or holds something else.
    pub fn load_or_create(path: &Path) -> Result<Self, DevelopmentKeyError> {
        let failed = |source| DevelopmentKeyError::File { path: path.to_owned(), source };
        match fs::read_to_string(path) {
            Ok(pem) => {
                let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
                if mode & 0o077 != 0 {
                    tracing::warn!(path = %path.display(), "other users of this machine can read the development key");
                }
                Self::from_pem(&Zeroizing::new(pem), path)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Self::create(path).map_err(failed)?;
                let pem = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
                Self::from_pem(&pem, path)
            }
            Err(error) => Err(failed(error)),
        }
    }

    fn create(path: &Path) -> std::io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let key = SigningKey::generate(&mut rand::rngs::OsRng);
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(std::io::Error::other)?;
        // Written beside, then linked: nobody ever reads half a key, and a link does not replace another's.
        let draft = directory.join(format!(".development.key.{}", uuid::Uuid::now_v7().simple()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        let written = file.write_all(pem.as_bytes()).and_then(|()| file.sync_all());
        let linked = written.and_then(|()| fs::hard_link(&draft, path));
        fs::remove_file(&draft)?;
        match linked {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    fn from_pem(pem: &str, path: &Path) -> Result<Self, DevelopmentKeyError> {
        let key =
            SigningKey::from_pkcs8_pem(pem).map_err(|_| DevelopmentKeyError::Malformed { path: path.to_owned() })?;
        let fingerprint = Sha256::digest(key.verifying_key().as_bytes());
        let kid = format!("development-{}", URL_SAFE_NO_PAD.encode(fingerprint.get(..9).unwrap_or_default()));
        Ok(Self { key, kid })
    }

    /// The key's id, which its tokens name.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// A signed token.
    #[must_use]
    pub fn sign(&self, request: &TokenRequest) -> String {
        let subject = request.subject.clone().unwrap_or_else(|| format!("{SUBJECT_PREFIX}{}", request.role));
        let issued = request.now.timestamp();
        self.sign_claims(&json!({
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "role": request.role.as_str(),
            "tenant": request.tenant.to_string(),
            "groups": request.groups,
            "iat": issued,
            "nbf": issued,
            "exp": issued.saturating_add(request.expires_in.num_seconds()),
            "jti": uuid::Uuid::now_v7().to_string(),
        }))
    }

    pub(super) fn sign_claims(&self, claims: &serde_json::Value) -> String {
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": self.kid });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes()).to_bytes());
        format!("{message}.{signature}")
    }
}
