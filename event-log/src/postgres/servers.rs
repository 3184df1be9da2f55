//! The servers of one database, of which one can be written: which one, that changes with a failover.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{fmt, io};

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Error, Executor};
use tokio::task::AbortHandle;

/// How long one of several servers may take to answer before the next one is asked.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// How often the server that a pool connects to is asked whether it can still be written.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// libpq's parameter that says which of several servers is meant.
const ATTRIBUTE: &str = "target_session_attrs";

/// The servers that a `postgres://` URL names. With `target_session_attrs=read-write`, or with several hosts
/// (`postgres://user:password@one:5432,other:5432/database`), each connection is to the one that can be written: a server
/// that is in recovery or read-only is passed over. Clones remember together which one it was last.
#[derive(Clone)]
pub struct PostgresServers {
    servers: Arc<[PgConnectOptions]>,
    is_chosen: bool,
    last: Arc<AtomicUsize>,
}

impl fmt::Debug for PostgresServers {
    /// Without the passwords, which the driver's options would show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = self.servers.iter().map(|options| format!("{}:{}", options.get_host(), options.get_port()));
        f.debug_tuple("PostgresServers").field(&places.collect::<Vec<_>>()).finish()
    }
}

/// Keeps a pool on the server that can be written for as long as a clone of it lives.
#[derive(Clone, Debug)]
pub struct ServerWatch(#[expect(dead_code, reason = "it is only there to be dropped")] Option<Arc<Aborting>>);

#[derive(Debug)]
struct Aborting(AbortHandle);

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl PostgresServers {
    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it, and never repeats it, since it may hold a password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        let is_asked_for = match query.split('&').find_map(|pair| pair.strip_prefix(ATTRIBUTE)?.strip_prefix('=')) {
            None | Some("any") => false,
            Some("read-write" | "primary") => true,
            Some(_) => return Err(format!("{ATTRIBUTE} must be read-write, primary or any")),
        };
        let addresses = Self::addresses(url);
        let servers = addresses
            .iter()
            .map(|address| match address.parse::<PgConnectOptions>() {
                Ok(options) => Ok(options.disable_statement_logging()),
                // The driver's message names the part that is wrong.
                Err(error) => Err(error.to_string()),
            })
            .collect::<Result<Arc<[_]>, _>>()?;
        // Alone, a URL without a host means this machine; among others, a slip of the pen.
        if addresses.len() > 1 && split(url).is_some_and(|url| url.hosts.split(',').any(str::is_empty)) {
            return Err("a host is missing between the commas".to_owned());
        }
        let is_chosen = is_asked_for || servers.len() > 1;
        Ok(Self { servers, is_chosen, last: Arc::default() })
    }

    /// The same URL for each host by itself, without the parameter that chooses among them.
    #[must_use]
    pub fn addresses(url: &str) -> Vec<String> {
        let Some(Split { before, hosts, path, query }) = split(url) else { return vec![url.to_owned()] };
        let others: Vec<_> = query.split('&').filter(|pair| !pair.is_empty() && !is_attribute(pair)).collect();
        let query = if others.is_empty() { String::new() } else { format!("?{}", others.join("&")) };
        hosts.split(',').map(|host| format!("{before}{host}{path}{query}")).collect()
    }

    /// Connects to the server that can be written, with `configure`d options.
    ///
    /// # Errors
    ///
    /// When there is none, the last server's answer.
    pub async fn connect(
        &self,
        configure: impl Fn(PgConnectOptions) -> PgConnectOptions,
    ) -> Result<PgConnection, Error> {
        self.find(configure).await.map(|(connection, _)| connection)
    }

    /// A pool of connections, made when they are needed, to the server that can be written.
    ///
    /// A pool does not notice by itself that its server has lost that part to another one: where there are several, it is
    /// asked four times a second.
    ///
    /// # Errors
    ///
    /// When none of several servers can be written at present.
    pub async fn pool(
        &self,
        pool: PgPoolOptions,
        configure: impl Fn(PgConnectOptions) -> PgConnectOptions + Send + 'static,
    ) -> Result<(PgPool, ServerWatch), Error> {
        if self.servers.len() == 1 {
            return Ok((pool.connect_lazy_with(configure(self.servers[0].clone())), ServerWatch(None)));
        }
        let (connection, server) = self.find(|options| options).await?;
        let pool = pool.connect_lazy_with(configure(self.servers[server].clone()));
        let (servers, followed) = (self.clone(), pool.clone());
        let watch = tokio::spawn(async move { servers.follow(&followed, connection, server, configure).await });
        Ok((pool, ServerWatch(Some(Arc::new(Aborting(watch.abort_handle()))))))
    }

    /// Refuses a connection to a server that follows another one: what it shows may be old. For a pool's
    /// `after_connect`, since a server may have changed its part since it was found.
    ///
    /// # Errors
    ///
    /// The server is in recovery, or the connection is broken.
    pub async fn refuse_standby(&self, connection: &mut PgConnection) -> Result<(), Error> {
        const REFUSE: &str =
            "do $$ begin if pg_is_in_recovery() then raise 'this server only follows another one'; end if; end $$";
        if self.is_chosen { connection.execute(REFUSE).await.map(drop) } else { Ok(()) }
    }

    async fn find(
        &self,
        configure: impl Fn(PgConnectOptions) -> PgConnectOptions,
    ) -> Result<(PgConnection, usize), Error> {
        if !self.is_chosen {
            return Ok((PgConnection::connect_with(&configure(self.servers[0].clone())).await?, 0));
        }
        let first = self.last.load(Ordering::Relaxed);
        let mut failure = Error::PoolTimedOut;
        for server in (0..self.servers.len()).map(|step| (first + step) % self.servers.len()) {
            let connecting = async {
                let mut connection = PgConnection::connect_with(&configure(self.servers[server].clone())).await?;
                if is_writable(&mut connection).await? { Ok(connection) } else { Err(read_only()) }
            };
            match tokio::time::timeout(ANSWERS_WITHIN, connecting).await {
                Ok(Ok(connection)) => {
                    self.last.store(server, Ordering::Relaxed);
                    return Ok((connection, server));
                }
                Ok(Err(error)) => failure = error,
                Err(_) => failure = Error::Io(io::ErrorKind::TimedOut.into()),
            }
        }
        Err(failure)
    }

    /// Keeps the pool's options on the server that can be written, until the pool is closed or this is aborted.
    async fn follow(
        &self,
        pool: &PgPool,
        connection: PgConnection,
        mut server: usize,
        configure: impl Fn(PgConnectOptions) -> PgConnectOptions,
    ) {
        let mut watched = Some(connection);
        while !pool.is_closed() {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Some(connection) = &mut watched
                && matches!(tokio::time::timeout(ANSWERS_WITHIN, is_writable(connection)).await, Ok(Ok(true)))
            {
                continue;
            }
            watched = None;
            // While there is none, the pool may as well go on trying the last one.
            if let Ok((connection, found)) = self.find(|options| options).await {
                watched = Some(connection);
                if found != server {
                    tracing::warn!(
                        host = self.servers[found].get_host(),
                        port = self.servers[found].get_port(),
                        "the database is written on another server from now on"
                    );
                    server = found;
                    pool.set_connect_options(configure(self.servers[found].clone()));
                }
            }
        }
    }
}

async fn is_writable(connection: &mut PgConnection) -> Result<bool, Error> {
    let read_only: String = sqlx::query_scalar("show transaction_read_only").fetch_one(connection).await?;
    Ok(read_only == "off")
}

fn read_only() -> Error {
    Error::Io(io::Error::other("the server is in recovery or read-only"))
}

/// A URL in pieces, as far as they matter here: the standard knows only one host.
struct Split<'a> {
    /// The scheme, and who connects.
    before: &'a str,
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
}

fn split(url: &str) -> Option<Split<'_>> {
    let authority = url.find("://")? + 3;
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |length| authority + length);
    let hosts = url[authority..end].rfind('@').map_or(authority, |at| authority + at + 1);
    let (path, query) = url[end..].split_once('?').unwrap_or((&url[end..], ""));
    Some(Split { before: &url[..hosts], hosts: &url[hosts..end], path, query })
}

fn is_attribute(pair: &str) -> bool {
    pair.split_once('=').is_some_and(|(name, _)| name == ATTRIBUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_hosts_become_an_address_each() {
        let url = "postgres://u:p@one:5433,[::1]/db?target_session_attrs=read-write&sslmode=disable";
        let each = ["postgres://u:p@one:5433/db?sslmode=disable", "postgres://u:p@[::1]/db?sslmode=disable"];
        assert_eq!(PostgresServers::addresses(url), each);
        let servers = PostgresServers::parse(url).unwrap();
        assert!(servers.is_chosen);
        let places: Vec<_> = servers.servers.iter().map(|options| (options.get_host(), options.get_port())).collect();
        assert_eq!((places[0], places[1].1), (("one", 5433), 5432));
    }

    #[test]
    fn one_host_is_taken_as_it_is_unless_asked_otherwise() {
        let is_chosen = |url| PostgresServers::parse(url).map(|servers| servers.is_chosen);
        assert_eq!(is_chosen("postgres://one/db"), Ok(false));
        assert_eq!(is_chosen("postgres://one/db?target_session_attrs=any"), Ok(false));
        assert_eq!(is_chosen("postgres://one/db?target_session_attrs=primary"), Ok(true));
        assert_eq!(is_chosen("postgres:///db?host=/run/postgresql"), Ok(false));
    }

    #[test]
    fn what_names_no_writable_server_is_refused() {
        for url in ["postgres://one,other/db?target_session_attrs=standby", "postgres://one,/db", "postgres://one:x/db"]
        {
            let refused = PostgresServers::parse(url);
            assert!(refused.as_ref().is_err_and(|reason| !reason.contains("db")), "{url}: {refused:?}");
        }
    }
}
