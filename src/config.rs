//! Settings: what they are called, what they default to, and what is wrong with them.

use std::path::PathBuf;

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the database file, the secret key and the setup token live.
    pub data_dir: PathBuf,
    /// IANA name of the zone used where a schedule names none; `None` = the zone chosen at setup, else UTC.
    pub timezone: Option<String>,
    /// Stacks and containers never touched, by name.
    pub protect: Vec<String>,
    /// Container operations at once per host.
    pub parallelism: usize,
    /// Days a run is kept.
    pub history_days: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            timezone: None,
            protect: Vec::new(),
            parallelism: 16,
            history_days: 365,
        }
    }
}
