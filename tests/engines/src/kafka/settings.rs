//! A broker's `server.properties`: what all test brokers have in common, where this one listens, what its test wants.

use std::fs;

use super::KafkaBroker;
use super::secured::Login;
use crate::cluster::free_port;
use crate::proxy::Proxy;

/// What every test broker is set to; scripts/with-kafka starts the shared one with it, too.
const COMMON: &str = include_str!("../../kafka/server.properties");

/// Where a broker listens on the loopback interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) plain: u16,
    pub(super) controller: u16,
    pub(super) proxied: u16,
    pub(super) secured: u16,
}

/// What a broker has besides its plain listener.
#[derive(Default)]
pub(super) struct Extras<'a> {
    pub(super) settings: &'a [(&'a str, &'a str)],
    pub(super) is_proxied: bool,
    pub(super) login: Option<Login<'a>>,
}

impl Ports {
    pub(super) fn free() -> Self {
        Self { plain: free_port(), controller: free_port(), proxied: free_port(), secured: free_port() }
    }
}

impl KafkaBroker {
    /// Writes the file. A later line wins over an earlier one.
    pub(super) fn configure(&self, extras: &Extras<'_>, proxy: Option<&Proxy>) {
        let Ports { plain, controller, proxied, secured } = self.ports;
        let mut listeners =
            vec![format!("PLAINTEXT://127.0.0.1:{plain}"), format!("CONTROLLER://127.0.0.1:{controller}")];
        let mut advertised = vec![format!("PLAINTEXT://127.0.0.1:{plain}")];
        let mut lines = vec![COMMON.to_owned()];
        if let Some(proxy) = proxy {
            listeners.push(format!("PROXIED://127.0.0.1:{proxied}"));
            advertised.push(format!("PROXIED://{}", proxy.url()));
        }
        if let Some(login) = &extras.login {
            listeners.push(format!("SECURED://localhost:{secured}"));
            advertised.push(format!("SECURED://localhost:{secured}"));
            lines.push(login.settings(self.directory.path()));
        }
        lines.push(format!("listeners={}", listeners.join(",")));
        lines.push(format!("advertised.listeners={}", advertised.join(",")));
        lines.push(format!("controller.quorum.voters=1@127.0.0.1:{controller}"));
        lines.push(format!("log.dirs={}", self.path("data").display()));
        lines.extend(extras.settings.iter().map(|(key, value)| format!("{key}={value}")));
        lines.push(String::new());
        fs::write(self.path("server.properties"), lines.join("\n")).expect("writing the broker's settings");
    }
}
