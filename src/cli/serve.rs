//! `docknap serve`, which is also the default without a command.

use clap::ArgMatches;
use tokio_util::sync::CancellationToken;

use super::{BAD_CONFIG, FAILURE, Failure, Outcome, UNUSABLE};
use crate::clock::Clock;
use crate::lifecycle::{self, Serving, StartError};

pub(super) fn run(matches: &ArgMatches) -> Outcome {
    let config = super::load(matches)?;
    super::block_on(async {
        let stop = CancellationToken::new();
        lifecycle::stop_on_signal(&stop)?;
        lifecycle::serve(Serving { config, clock: Clock::system(), demo: false }, stop, |_| ()).await
    })?
    .map_err(failure)
}

pub(super) fn failure(error: StartError) -> Failure {
    let code = match &error {
        StartError::DataDir(_) | StartError::Database(_) | StartError::Key(_) => UNUSABLE,
        StartError::Setting(_) => BAD_CONFIG,
        StartError::System { .. } => FAILURE,
    };
    Failure { code, error: error.into() }
}
