//! The log: one line a fact, on standard error, in UTC.

use std::io::IsTerminal;
use std::net::IpAddr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::config::{Config, LogFormat};

/// Starts the log as the settings say. A second call changes nothing, so a test may make it too.
pub fn init(config: &Config) {
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // RFC 3339 in UTC, whatever TZ says: two machines' logs can be laid side by side.
        .with_timer(SystemTime)
        .with_writer(std::io::stderr);
    let _ = match config.log_format {
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
        LogFormat::Text => {
            let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(coloured).try_init()
        }
    };
}

/// The fixed line for a login that failed; docs/security.md shows the fail2ban filter that reads it. The name is
/// quoted and escaped, so it can neither end the line nor look like an address.
pub fn login_failed(name: &str, address: Option<IpAddr>) {
    let address = address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    let name: String = name.chars().take(64).collect();
    tracing::warn!(target: "docknap::auth", "login failed from {address} for {name:?}");
}
