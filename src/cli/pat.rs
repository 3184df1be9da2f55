//! `tenure pat`: personal access tokens of a running service, which is asked over HTTP like anybody else asks it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use tenure_aggregates::values::GroupId;
use tenure_aggregates::{AccessTokenId, Role, TenantId};

use super::block_on;

/// The token to ask with. Not an argument: those are seen by every user of the machine.
const TOKEN_VARIABLE: &str = "TENURE_TOKEN";
/// Where a service has its tokens.
const TOKENS: &str = "/api/v1/tokens";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to do with access tokens, and where.
#[derive(Args)]
pub struct Pat {
    /// The service's address.
    #[arg(
        long, global = true, env = "TENURE_URL", value_name = "URL", default_value = "http://127.0.0.1:7101",
        value_parser = address
    )]
    url: Url,
    #[command(subcommand)]
    command: PatCommand,
}

#[derive(Subcommand)]
enum PatCommand {
    /// Make a token, and print it on standard output and nothing else. It is never shown again.
    Create(Create),
    /// List tokens, the newest first: one's own, or those of the whole tree for an MSP's administrator.
    List,
    /// Revoke tokens, and with them those that were made with them: who bears one is refused from then on.
    Revoke {
        /// Their ids, as `list` shows them.
        #[arg(required = true)]
        ids: Vec<AccessTokenId>,
    },
}

#[derive(Args)]
struct Create {
    /// What it is for. No personal data.
    name: String,
    /// One's own role, or one that it holds.
    #[arg(long)]
    role: Role,
    /// The tenant that it acts in; one's own if left out.
    #[arg(long, value_name = "ID")]
    tenant: Option<TenantId>,
    /// A group that its bearer is in; may be given several times.
    #[arg(long = "group", value_name = "ID")]
    groups: Vec<GroupId>,
    /// Days until it expires, 1 to 365.
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    expires_in_days: u32,
}

fn address(text: &str) -> Result<Url, String> {
    let is_bare = |url: &Url| url.username().is_empty() && url.password().is_none() && url.query().is_none();
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && is_bare(url))
        .ok_or_else(|| "must be an address such as http://127.0.0.1:7101".to_owned())
}

impl Pat {
    /// Asks the service. Exit code 1 where it refuses or can't be reached, 2 without a token to ask with.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let token = std::env::var(TOKEN_VARIABLE).unwrap_or_default();
        if token.trim().is_empty() {
            eprintln!("tenure: {TOKEN_VARIABLE} is not set: it holds the token to ask {} with", self.url);
            return Ok(ExitCode::from(2));
        }
        let service = Service::at(self.url.clone(), token.trim())?;
        block_on(async {
            match &self.command {
                PatCommand::Create(create) => create.run(&service).await,
                PatCommand::List => list(&service).await,
                PatCommand::Revoke { ids } => revoke(&service, ids).await,
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    async fn run(&self, service: &Service) -> anyhow::Result<()> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            token: String,
            id: AccessTokenId,
            expires_utc: String,
        }
        let groups: Vec<&str> = self.groups.iter().map(GroupId::as_str).collect();
        let mut body = json!({
            "name": self.name,
            "role": self.role.as_str(),
            "groups": groups,
            "expiresInDays": self.expires_in_days,
        });
        if let Some(tenant) = self.tenant {
            body["tenantId"] = json!(tenant.to_string());
        }
        let answer = service.ask(Method::POST, TOKENS, Some(&body)).await?;
        let Created { token, id, expires_utc } = serde_json::from_value(answer.body)?;
        println!("{token}");
        eprintln!("Token {id}, good until {expires_utc}. It is not shown again.");
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    id: AccessTokenId,
    name: String,
    role: String,
    status: String,
    expires_utc: String,
    last_used_utc: Option<String>,
}

async fn list(service: &Service) -> anyhow::Result<()> {
    let columns = |id: &str, status: &str, role: &str, expires: &str, used: &str, name: &str| {
        println!("{id:<36}  {status:<8}  {role:<15}  {expires:<20}  {used:<20}  {name}");
    };
    let mut answer = service.ask(Method::GET, &format!("{TOKENS}?pageSize=200"), None).await?;
    columns("ID", "STATUS", "ROLE", "EXPIRES", "LAST USED", "NAME");
    loop {
        let lines: Vec<Line> = serde_json::from_value(answer.body)?;
        for Line { id, name, role, status, expires_utc, last_used_utc } in &lines {
            let used = last_used_utc.as_deref().map_or_else(|| "never".to_owned(), to_the_second);
            columns(&id.to_string(), status, role, &to_the_second(expires_utc), &used, name);
        }
        // Not until a page is empty: what the caller may not see any more is left out of pages.
        let Some(next) = answer.next else { return Ok(()) };
        answer = service.ask(Method::GET, &next, None).await?;
    }
}

/// The path in a `Link` header. Only one of these lists: the token goes nowhere else.
fn next_page(link: &str) -> Option<&str> {
    let (path, parameters) = link.strip_prefix('<')?.split_once('>')?;
    (path.starts_with(TOKENS) && parameters.contains("rel=\"next\"")).then_some(path)
}

/// A time without its fraction, as columns want it.
fn to_the_second(time: &str) -> String {
    time.split_once('.').map_or_else(|| time.to_owned(), |(seconds, _)| format!("{seconds}Z"))
}

async fn revoke(service: &Service, ids: &[AccessTokenId]) -> anyhow::Result<()> {
    for id in ids {
        let revoked = service.ask(Method::DELETE, &format!("{TOKENS}/{id}"), None).await;
        revoked.with_context(|| format!("the token {id} is not revoked"))?;
        eprintln!("Token {id} is revoked.");
    }
    Ok(())
}

/// A service, and the token that it is asked with.
struct Service {
    url: Url,
    token: SecretString,
    client: reqwest::Client,
}

struct Answer {
    /// JSON; null where there is none.
    body: Value,
    /// The path of the next page, if another follows.
    next: Option<String>,
}

impl Service {
    fn at(url: Url, token: &str) -> anyhow::Result<Self> {
        // What is on this machine is not asked through a proxy; and a token goes to nobody else than who was named.
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        let client = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none());
        let client = if is_here { client.no_proxy() } else { client };
        Ok(Self { url, token: SecretString::from(token), client: client.build()? })
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.url.as_str().trim_end_matches('/'));
        let mut request = self.client.request(method, url).bearer_auth(self.token.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(reqwest::Error::without_url);
        let answer = answer.with_context(|| format!("{} can't be asked", self.url))?;
        let status = answer.status();
        let link = answer.headers().get("link").and_then(|link| link.to_str().ok());
        let next = link.and_then(next_page).map(ToOwned::to_owned);
        let text = answer.text().await.with_context(|| format!("the answer of {} breaks off", self.url))?;
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        if !status.is_success() {
            let why = ["detail", "title"].iter().find_map(|member| body[*member].as_str());
            bail!("{} {}: {}", status.as_u16(), body["code"].as_str().unwrap_or("-"), why.unwrap_or("no reason given"));
        }
        Ok(Answer { body, next })
    }
}
