//! `docknap version`.

use std::io::Write;

use super::Outcome;

pub(super) fn run() -> Outcome {
    writeln!(std::io::stdout(), "docknap {}", env!("CARGO_PKG_VERSION"))?;
    writeln!(std::io::stdout(), "time zones {}", crate::zones::chosen())?;
    Ok(())
}
