//! The log: one line per event, on standard error, in UTC.

use std::io::IsTerminal;

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Config, LogFormat};

/// Starts the log according to the settings. Further calls have no effect, so tests may call it too.
pub fn init(config: &Config) {
    let filter: Targets =
        config.log.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let layer = tracing_subscriber::fmt::layer()
        // RFC 3339 in UTC regardless of TZ, so that logs of several machines can be compared.
        .with_timer(SystemTime)
        .with_writer(std::io::stderr)
        // Such errors are reported on standard error, which panics if that is closed.
        .log_internal_errors(false);
    let layer = match config.log_format {
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).boxed(),
        LogFormat::Text => {
            let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            layer.with_ansi(coloured).boxed()
        }
    };
    let _ = tracing_subscriber::registry().with(layer).with(filter).try_init();
}
