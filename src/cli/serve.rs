//! `docknap serve`, also what runs without a command.

use clap::ArgMatches;

use super::{BAD_CONFIG, FAILURE, Failure, Outcome, UNUSABLE};
use crate::clock::Clock;
use crate::lifecycle::{self, StartError};

pub(super) fn run(matches: &ArgMatches) -> Outcome {
    let config = super::load(matches)?;
    super::block_on(lifecycle::serve(config, Clock::system()))?.map_err(failure)
}

pub(super) fn failure(error: StartError) -> Failure {
    let code = match &error {
        StartError::DataDir(_) | StartError::Database(_) => UNUSABLE,
        StartError::Setting(_) => BAD_CONFIG,
        StartError::System { .. } => FAILURE,
    };
    Failure { code, error: error.into() }
}
