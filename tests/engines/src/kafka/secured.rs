//! A listener as production brokers have it: TLS, and a name with a password (SASL).

use std::fs;
use std::path::{Path, PathBuf};

use super::KafkaBroker;
use super::settings::Extras;

/// The server's certificate and its key, as Kafka reads them from one file.
const KEY_STORE: &str = "key-store.pem";
const CERTIFICATE: &str = "certificate.pem";
const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";

/// Who may use the listener. Neither part may hold a quote, a comma or a bracket: they go into Kafka's own notations.
pub(super) struct Login<'a> {
    user: &'a str,
    password: &'a str,
}

impl KafkaBroker {
    /// As [`KafkaBroker::start`], with a second listener that asks for TLS and for this user (`SASL_SSL`, by `PLAIN` or
    /// `SCRAM-SHA-512`). Letters and digits only, in both.
    ///
    /// # Panics
    ///
    /// When Kafka's programs are not at hand, or fail.
    pub async fn start_secured(user: &str, password: &str) -> Self {
        let login = Some(Login { user, password });
        Self::make(&Extras { login, ..Extras::default() }).await.0
    }

    /// Where the secured listener takes connections, under the name in its certificate.
    #[must_use]
    pub fn secured_bootstrap(&self) -> String {
        format!("localhost:{}", self.ports.secured)
    }

    /// The file with the certificate to trust (`ssl.ca.location`), for brokers with a secured listener.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.path(CERTIFICATE)
    }
}

impl Login<'_> {
    /// The listener's lines of `server.properties`. Makes the certificate when there is none yet.
    pub(super) fn settings(&self, directory: &Path) -> String {
        let key_store = directory.join(KEY_STORE);
        if !key_store.exists() {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]);
            let made = made.expect("a certificate");
            let both = made.key_pair.serialize_pem() + &made.cert.pem();
            fs::write(&key_store, both).expect("writing the key");
            fs::write(directory.join(CERTIFICATE), made.cert.pem()).expect("writing the certificate");
        }
        let Self { user, password } = self;
        let listener = "listener.name.secured.";
        format!(
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512\n\
             {listener}ssl.keystore.type=PEM\n\
             {listener}ssl.keystore.location={}\n\
             {listener}plain.sasl.jaas.config={PLAIN} required user_{user}=\"{password}\";\n\
             {listener}scram-sha-512.sasl.jaas.config={SCRAM} required;\n",
            key_store.display(),
        )
    }

    /// The user as one of the metadata log's first records.
    pub(super) fn scram(&self) -> String {
        format!("SCRAM-SHA-512=[name={},password={}]", self.user, self.password)
    }
}
