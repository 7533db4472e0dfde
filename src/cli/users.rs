//! `docknap user …`: account management for a person with access to the machine. Passwords come only by prompt or by
//! standard input, since everybody on the machine can read a command line.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, bail};
use clap::ArgMatches;
use secrecy::SecretString;

use super::{FAILURE, Failure, Outcome, USAGE};
use crate::app::{self, Actor, App, auth, users};
use crate::clock::Clock;
use crate::lifecycle;

pub(super) fn run(matches: &ArgMatches) -> Outcome {
    let Some((command, matches)) = matches.subcommand() else {
        return Err(Failure::new(USAGE, "create, reset-password or unlock is needed"));
    };
    let config = super::load(matches)?;
    let name = matches.get_one::<String>("name").cloned().unwrap_or_default();
    let role = matches.try_get_one::<String>("role").ok().flatten().cloned().unwrap_or_default();
    let password = if command == "unlock" { None } else { Some(password()?) };
    super::block_on(async {
        let app = lifecycle::open_services(config, Clock::system()).await.map_err(super::serve::failure)?;
        let done = act(&app, command, name, role, password).await;
        app.db.close().await;
        let sentence = done.map_err(|error| Failure::new(FAILURE, error_text(&error)))?;
        writeln!(std::io::stdout(), "{sentence}")?;
        Ok(())
    })?
}

async fn act(
    app: &App,
    command: &str,
    name: String,
    role: String,
    password: Option<SecretString>,
) -> app::Result<String> {
    let actor = Actor::cli();
    match (command, password) {
        ("create", Some(password)) => {
            let user = users::create(app, &actor, &users::Draft { name, password, role }).await?;
            Ok(format!("made the account `{}` with the role {}", user.name, user.role))
        }
        ("reset-password", Some(password)) => {
            let user = users::by_name(app, &actor, &name).await?;
            users::reset_password(app, &actor, &user.id, &password).await?;
            Ok(format!("`{}` has a new password; every login of theirs has ended", user.name))
        }
        _ => {
            auth::unlock(app, &actor, &name).await?;
            Ok(format!("`{name}` may try to log in again at once"))
        }
    }
}

/// Error text that lists the error of every field instead of their number.
fn error_text(error: &app::Error) -> String {
    match error {
        app::Error::Invalid(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|field| format!("{}: {}", field.field, field.message)).collect();
            fields.join("; ")
        }
        other => other.to_string(),
    }
}

/// Reads a password: from a terminal by two prompts, otherwise as one line of standard input.
fn password() -> anyhow::Result<SecretString> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        let first = rpassword::prompt_password("New password: ").context("no password could be read")?;
        let second = rpassword::prompt_password("The same again: ").context("no password could be read")?;
        if first != second {
            bail!("the two passwords differ; nothing was changed");
        }
        return Ok(SecretString::from(first));
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line).context("no password could be read from standard input")?;
    let line = line.strip_suffix('\n').unwrap_or(&line);
    Ok(SecretString::from(line.strip_suffix('\r').unwrap_or(line)))
}
