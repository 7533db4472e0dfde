//! `docknap backup` and `docknap restore`.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::ArgMatches;

use super::{Failure, Outcome};
use crate::app::backup;
use crate::clock::Clock;

pub(super) fn backup(matches: &ArgMatches) -> Outcome {
    let config = super::load(matches)?;
    let file = file(matches)?;
    super::block_on(backup::copy(&config, &Clock::system(), &file))?.context("no backup was made")?;
    writeln!(
        std::io::stdout(),
        "the database is copied to {}. Private keys of hosts in it open only with the secret key (secret.key in the data \
         directory, or DOCKNAP_SECRET_KEY): keep a copy of that too.",
        file.display()
    )?;
    Ok(())
}

pub(super) fn restore(matches: &ArgMatches) -> Outcome {
    let config = super::load(matches)?;
    let file = file(matches)?;
    super::block_on(backup::restore(&config, &Clock::system(), &file))?.context("nothing was restored")?;
    writeln!(
        std::io::stdout(),
        "the database is what {} holds; runs that were open in it are ended, everybody logs in again, and nothing \
         before now fires. Invite links and calendar addresses are withdrawn: make new ones. Passwords, roles and disabled \
         accounts are as they were in the copy.{}",
        file.display(),
        if config.database_file().is_some() {
            " The older database is kept with .before-restore after its name."
        } else {
            ""
        }
    )?;
    Ok(())
}

fn file(matches: &ArgMatches) -> Result<PathBuf, Failure> {
    matches
        .get_one::<String>("file")
        .map(PathBuf::from)
        .ok_or_else(|| Failure::new(super::USAGE, "a file is needed"))
}
