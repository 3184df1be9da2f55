//! Looks up what a domain's owner has published, to prove that an account's domain is its own.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::RData;
use tenure_aggregates::link::Proof;
use tenure_aggregates::values::{DnsChallenge, DomainName};

/// What stands before the challenge in the TXT record.
const PREFIX: &str = "nb-verification=";
/// Questions beyond the first, each after a part of the whole time.
const RETRIES: u32 = 1;

/// Asks a name server for proofs. Nothing is remembered: who has just published a record can be proven at once.
#[derive(Clone)]
pub struct DomainProofs {
    /// `None` if there is no name server to ask, and why.
    resolver: Result<TokioResolver, String>,
    within: Duration,
}

impl DomainProofs {
    /// Asks this server, or else those of the system, for no longer than `within`.
    #[must_use]
    pub fn asking(server: Option<SocketAddr>, within: Duration) -> Self {
        let mut builder = match server {
            Some(server) => Ok(TokioResolver::builder_with_config(only(server), TokioRuntimeProvider::default())),
            None => TokioResolver::builder_tokio(),
        };
        if let Ok(builder) = &mut builder {
            patient_for(within, builder.options_mut());
        }
        let resolver = builder.and_then(hickory_resolver::ResolverBuilder::build);
        let resolver = resolver.map_err(|error| {
            tracing::warn!(%error, "no domain can be proven: there is no name server to ask");
            "there is no name server to ask".to_owned()
        });
        Self { resolver, within }
    }

    /// Looks for the challenge among the domain's TXT records. A record's strings are read as one; CNAMEs are followed.
    pub async fn look_up(&self, domain: &DomainName, challenge: &DnsChallenge) -> Proof {
        let failed = |reason: &str| Proof::LookupFailed { reason: reason.to_owned() };
        let resolver = match &self.resolver {
            Ok(resolver) => resolver,
            Err(reason) => return failed(reason),
        };
        let expected = format!("{PREFIX}{challenge}");
        // With the root's dot: no search list is tried.
        let asked = resolver.txt_lookup(format!("{domain}."));
        let Ok(answer) = tokio::time::timeout(self.within, asked).await else {
            return failed(&format!("no answer within {} ms", self.within.as_millis()));
        };
        let found = match answer {
            Ok(found) => found,
            Err(error) if error.is_no_records_found() => return Proof::Missing,
            Err(error) => return failed(&reason(&error)),
        };
        let is_proof = |data: &RData| match data {
            RData::TXT(text) => text.txt_data.concat() == expected.as_bytes(),
            _ => false,
        };
        if found.answers().iter().any(|record| is_proof(&record.data)) { Proof::Found } else { Proof::Missing }
    }
}

/// The one server, over UDP, and over TCP for what does not fit.
fn only(server: SocketAddr) -> ResolverConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = server.port();
    }
    let mut name_server = NameServerConfig::udp_and_tcp(server.ip());
    name_server.connections = connections;
    ResolverConfig::from_name_servers(vec![name_server])
}

fn patient_for(within: Duration, options: &mut ResolverOpts) {
    options.timeout = within / (RETRIES + 1);
    options.attempts = RETRIES as usize;
    options.cache_size = 0;
    options.edns0 = true;
}

/// In words for whoever asked; nothing of the answer but its code.
fn reason(error: &NetError) -> String {
    match error {
        NetError::Dns(DnsError::ResponseCode(code)) => format!("the name server answered {code}"),
        NetError::Timeout => "the name server did not answer in time".to_owned(),
        NetError::Truncated => "the name server's answer was cut off".to_owned(),
        other => {
            tracing::info!(error = %other, "a domain could not be looked up");
            "the name server can't be asked".to_owned()
        }
    }
}
