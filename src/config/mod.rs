//! Settings: what they are called, what they default to, and what is wrong with them.
//!
//! [`Config::load`] is pure: command line, environment and a way to read files are arguments, so a test needs none of
//! the process's own. It reports every fault at once: whoever mends a settings file wants to do it in one go.

mod load;
mod parse;
pub mod table;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

pub use load::{Given, Loaded};

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to serve.
    pub listen: SocketAddr,
    /// The address people type.
    pub base_url: Option<BaseUrl>,
    /// Where the database file, the secret key and the setup token live.
    pub data_dir: PathBuf,
    /// `postgres://…` or `sqlite:…`; `None` = `docknap.db` in the data directory.
    pub database_url: Option<SecretString>,
    /// The Engine's address, as the docker CLI writes it.
    pub docker_host: String,
    /// Speak TLS to a tcp Engine and verify it.
    pub docker_tls_verify: bool,
    /// Directory of `ca.pem`, `cert.pem`, `key.pem`.
    pub docker_cert_path: Option<PathBuf>,
    /// IANA name of the zone used where a schedule names none; `None` = the zone chosen at setup, else UTC.
    pub timezone: Option<String>,
    /// Name and password of the first admin, made while there is no user.
    pub admin: Option<FirstAdmin>,
    /// Whose X-Forwarded-* is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What is logged, in `tracing_subscriber`'s filter syntax.
    pub log: String,
    /// The form of a log line.
    pub log_format: LogFormat,
    /// Stacks and containers never touched, by name.
    pub protect: Vec<String>,
    /// Container operations at once per host.
    pub parallelism: usize,
    /// Days a run is kept.
    pub history_days: u32,
    /// Days an audit row is kept; 0 = for ever.
    pub audit_days: u32,
    /// Signs API logins; `None` = the file in the data directory.
    pub secret_key: Option<SecretString>,
    /// Characters of the shortest password accepted.
    pub password_min: usize,
    /// A login ends after this long without a request.
    pub session_idle: Duration,
    /// A login ends after this long in any case.
    pub session_max: Duration,
    /// What https answers say about staying on https.
    pub hsts: Hsts,
    /// Who may read `/metrics`.
    pub metrics: Metrics,
    /// Where the settings that were given came from, by name; the others are defaults.
    pub given: BTreeMap<&'static str, Origin>,
}

/// Where one setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// As it was written; empty for a secret.
    pub text: String,
    /// `--listen`, `DOCKNAP_LISTEN`, ``` `listen` in ./docknap.toml ```.
    pub origin: String,
}

/// Who may read `/metrics`.
#[derive(Clone, Debug)]
pub enum Metrics {
    /// Nobody: there is no such page.
    Off,
    /// Whoever has this token.
    Token(SecretString),
    /// Everybody.
    Open,
}

/// The address people type, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// Whether it begins with https.
    pub https: bool,
    /// Scheme, host and port, as a browser's `Origin` header writes them (no default port, lower case).
    pub origin: String,
    /// The base path: empty, or begins with a slash and ends without one.
    pub path: String,
}

/// Name and password of the first admin.
#[derive(Clone, Debug)]
pub struct FirstAdmin {
    pub name: String,
    /// Password, held to the policy before it is used.
    pub password: SecretString,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What https answers say about staying on https.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hsts {
    /// `max-age=31536000`.
    On,
    /// The same, and for the subdomains too.
    Subdomains,
    /// Nothing.
    Off,
}

impl Hsts {
    /// The value of `Strict-Transport-Security`; `None` = no such header.
    pub fn header(self) -> Option<&'static str> {
        match self {
            Self::On => Some("max-age=31536000"),
            Self::Subdomains => Some("max-age=31536000; includeSubDomains"),
            Self::Off => None,
        }
    }
}

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {message}")]
pub struct Fault {
    /// The setting, as it was written where it was given (`--listen`, `DOCKNAP_LISTEN`, `listen in ./docknap.toml`).
    pub setting: String,
    /// What is wrong and what would be right. Never quotes a secret.
    pub message: String,
}

impl Config {
    /// The base path of every link: empty, or begins with a slash and ends without one.
    pub fn base_path(&self) -> &str {
        self.base_url.as_ref().map_or("", |url| &url.path)
    }

    /// The machine a database server runs on, where the database is reached over a network: a container of that name is
    /// never touched (rulings 13).
    pub fn database_host(&self) -> Option<String> {
        use secrecy::ExposeSecret;
        let url = self.database_url.as_ref()?.expose_secret();
        let authority = url.split_once("://")?.1.split(['/', '?']).next()?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
        (url.starts_with("postgres") && !host.is_empty()).then(|| host.to_owned())
    }

    /// The database file; `None` where the database is a server.
    pub fn database_file(&self) -> Option<PathBuf> {
        use secrecy::ExposeSecret;
        match &self.database_url {
            None => Some(self.data_dir.join("docknap.db")),
            Some(url) => url
                .expose_secret()
                .strip_prefix("sqlite:")
                .map(|path| PathBuf::from(path.strip_prefix("//").unwrap_or(path))),
        }
    }
}

impl Default for Config {
    /// What holds where nothing is set.
    fn default() -> Self {
        load::defaults()
    }
}
