//! The log: one line a fact, on standard error, in UTC.

use std::io::IsTerminal;

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
        .with_writer(std::io::stderr)
        // It would say so on standard error too, and panic where that is closed.
        .log_internal_errors(false);
    let _ = match config.log_format {
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
        LogFormat::Text => {
            let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(coloured).try_init()
        }
    };
}
