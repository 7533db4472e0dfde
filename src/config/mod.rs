//! The settings of DockNap: names, defaults and validation.
//!
//! [`Config::load`] is a pure function: command line, environment and file access are arguments, so tests do not
//! depend on the process's own. It reports all faults at once, so that a user can correct a settings file in one go.

mod hosts;
mod load;
mod parse;
pub mod table;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;

use crate::domain::ids::HostId;

pub use hosts::HostSetting;
pub use load::{Given, Loaded};

/// All settings, validated.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address and port of the HTTP server.
    pub listen: SocketAddr,
    /// The public address that users open in the browser.
    pub base_url: Option<BaseUrl>,
    /// Directory of the database file, the secret key and the setup token.
    pub data_dir: PathBuf,
    /// `postgres://…` or `sqlite:…`; `None` = `docknap.db` in the data directory.
    pub database_url: Option<SecretString>,
    /// The Engine's address, in the form of the docker CLI's `DOCKER_HOST`.
    pub docker_host: String,
    /// Whether to use TLS for a TCP Engine and verify its certificate.
    pub docker_tls_verify: bool,
    /// Directory of `ca.pem`, `cert.pem`, `key.pem`.
    pub docker_cert_path: Option<PathBuf>,
    /// Whether the Engine of `docker_host` is one of the hosts.
    pub local: bool,
    /// Whether labels of containers define schedules.
    pub labels: Labels,
    /// The hosts of the settings file.
    pub hosts: Vec<HostSetting>,
    /// IANA name of the time zone for schedules without one; `None` = the zone chosen at setup, else UTC.
    pub timezone: Option<String>,
    /// Name and password of the first admin, who is created while there is no user.
    pub admin: Option<FirstAdmin>,
    /// Networks of reverse proxies whose `X-Forwarded-*` headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Log filter, in the syntax of `tracing_subscriber`.
    pub log: String,
    /// Format of the log.
    pub log_format: LogFormat,
    /// The watched directory with rules files; `None` = none.
    pub rules_dir: Option<PathBuf>,
    /// Names of stacks and containers that DockNap never changes.
    pub protect: Vec<String>,
    /// Container operations that may run at the same time on one host.
    pub parallelism: usize,
    /// Days for which runs are kept.
    pub history_days: u32,
    /// Days for which audit rows are kept; 0 = for ever.
    pub audit_days: u32,
    /// Directory of the daily copies of the database; `None` = `backups` in the data directory.
    pub backup_dir: Option<PathBuf>,
    /// The number of daily copies that are kept; 0 = none are made.
    pub backup_keep: u32,
    /// Key that signs API logins; `None` = read from a file in the data directory.
    pub secret_key: Option<SecretString>,
    /// Minimum length of a password, in characters.
    pub password_min: usize,
    /// A login expires after this time without a request.
    pub session_idle: Duration,
    /// A login expires after this time in any case.
    pub session_max: Duration,
    /// The `Strict-Transport-Security` header of HTTPS responses.
    pub hsts: Hsts,
    /// Access to `/metrics`.
    pub metrics: Metrics,
    /// The origin of each setting that was set, by name; all others have their defaults.
    pub given: BTreeMap<&'static str, Origin>,
}

/// Where the value of a setting was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The text as written; empty for a secret.
    pub text: String,
    /// Such as `--listen`, `DOCKNAP_LISTEN` or ``` `listen` in ./docknap.toml ```.
    pub origin: String,
}

/// The use of schedules from labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    On,
    /// Labels define no schedule.
    Off,
    /// Only labels define schedules: those of pages and API are kept and do nothing.
    Only,
}

/// Access to `/metrics`.
#[derive(Clone, Debug)]
pub enum Metrics {
    /// The page does not exist.
    Off,
    /// Requests with this bearer token.
    Token(SecretString),
    /// Every request.
    Open,
}

/// The public address, split into its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// Whether the scheme is https.
    pub https: bool,
    /// Scheme, host and port in the form of a browser's `Origin` header (lower case, without a default port).
    pub origin: String,
    /// The base path: empty, or begins with a slash and ends without one.
    pub path: String,
}

/// Name and password of the first admin.
#[derive(Clone, Debug)]
pub struct FirstAdmin {
    pub name: String,
    /// Not yet checked against the password policy.
    pub password: SecretString,
}

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Readable text.
    Text,
    /// One JSON object per line.
    Json,
}

/// The `Strict-Transport-Security` header of HTTPS responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hsts {
    /// `max-age=31536000`.
    On,
    /// As `On`, and for subdomains too.
    Subdomains,
    /// No header.
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

/// An error in the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {message}")]
pub struct Fault {
    /// The setting, named as in the place where it was set (`--listen`, `DOCKNAP_LISTEN`, `listen in
    /// ./docknap.toml`).
    pub setting: String,
    /// What is wrong and what is expected. Never contains a secret.
    pub message: String,
}

impl Config {
    /// Whether a host comes from the settings; it has no row in the database.
    pub fn has_host(&self, id: &HostId) -> bool {
        self.local && *id == self.local_host() || self.hosts.iter().any(|host| host.id == id.as_str())
    }

    /// The base path of every link: empty, or begins with a slash and ends without one.
    pub fn base_path(&self) -> &str {
        self.base_url.as_ref().map_or("", |url| &url.path)
    }

    /// Id of the host that `DOCKER_HOST` names.
    pub fn local_host(&self) -> HostId {
        HostId::local()
    }

    /// Host name of the database server, if the database is reached over a network: a container of that name is never
    /// changed (rulings 13).
    pub fn database_host(&self) -> Option<String> {
        use secrecy::ExposeSecret;
        let url = self.database_url.as_ref()?.expose_secret();
        let authority = url.split_once("://")?.1.split(['/', '?']).next()?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = host.rsplit_once(':').map_or(host, |(name, _)| name);
        (url.starts_with("postgres") && !host.is_empty()).then(|| host.to_owned())
    }

    /// The SQLite file; `None` if the database is a server.
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
    /// The settings when nothing is set.
    fn default() -> Self {
        load::defaults()
    }
}
