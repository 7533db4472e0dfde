//! The command line: parses the arguments, loads the settings, runs the command and maps its result to an exit code.
//!
//! Exit codes: 0 clean, 1 failure, 2 usage, 69 data directory or database unusable, 78 bad configuration.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Args as _, Command, FromArgMatches as _};

use crate::app::rules_file::Foreign;
use crate::config::table::{CONFIG_FILE, SETTINGS};
use crate::config::{Config, Given};
use crate::domain::permission::Role;
use crate::domain::text::chain;

mod backup;
mod demo;
pub mod explain;
mod healthcheck;
mod rules;
mod serve;
mod users;
mod version;

/// Exit code for a failed command.
const FAILURE: u8 = 1;
/// Exit code for a wrong command line; the same as clap's.
const USAGE: u8 = 2;
/// Exit code for an unusable data directory or database (`EX_UNAVAILABLE` of sysexits.h).
const UNUSABLE: u8 = 69;
/// Exit code for wrong settings (`EX_CONFIG` of sysexits.h).
const BAD_CONFIG: u8 = 78;

/// Error of a command, with its exit code.
#[derive(Debug)]
struct Failure {
    code: u8,
    error: anyhow::Error,
}

/// Result of a command.
type Outcome = Result<(), Failure>;

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { code: FAILURE, error: error.into() }
    }
}

impl Failure {
    fn new(code: u8, message: impl std::fmt::Display) -> Self {
        Self { code, error: anyhow::anyhow!("{message}") }
    }
}

/// Runs the command that `args` name; the first argument is the program's name.
pub fn run(args: Vec<OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => {
            // clap reports `--help` as an error too, with exit code 0.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    if let Some(("explain", matches)) = matches.subcommand() {
        return run_explain(matches);
    }
    match dispatch(&matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "docknap: {}", chain(failure.error.as_ref()));
            ExitCode::from(failure.code)
        }
    }
}

/// Runs `explain`, which prints its own one-line errors and uses neither settings nor database.
fn run_explain(matches: &ArgMatches) -> ExitCode {
    let args = match explain::ExplainArgs::from_arg_matches(matches) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    let zone = std::env::var("TZ").ok();
    let now = crate::clock::Clock::system().now();
    explain::run(
        &args,
        now,
        zone.as_deref().map(str::trim_end),
        &mut std::io::stdout(),
        &mut std::io::stderr(),
    )
    .into()
}

fn dispatch(matches: &ArgMatches) -> Outcome {
    match matches.subcommand() {
        None => serve::run(matches),
        Some(("serve", matches)) => serve::run(matches),
        Some(("healthcheck", matches)) => healthcheck::run(matches),
        Some(("backup", matches)) => backup::backup(matches),
        Some(("restore", matches)) => backup::restore(matches),
        Some((command @ ("export" | "import" | "diff"), matches)) => rules::run(command, matches),
        Some(("user", matches)) => users::run(matches),
        Some(("demo", matches)) => demo::run(matches),
        Some(("version", _)) => version::run(),
        Some((other, _)) => Err(Failure::new(USAGE, format!("`{other}` is not a command"))),
    }
}

fn command() -> Command {
    let file = |help: &'static str| Arg::new("file").value_name("FILE").required(true).help(help);
    let name = || Arg::new("name").value_name("NAME").required(true).help("The login name");
    let role = Arg::new("role")
        .long("role")
        .value_name("ROLE")
        .required(true)
        .value_parser(Role::ALL.map(Role::as_str))
        .help("What the account may do");
    let settings = setting_args();
    let demo: Vec<_> =
        settings.iter().filter(|arg| demo::SETTINGS.contains(&arg.get_id().as_str())).cloned().collect();
    Command::new("docknap")
        .about("Puts Docker stacks to sleep and wakes them again")
        .version(env!("CARGO_PKG_VERSION"))
        .args_conflicts_with_subcommands(true)
        .args(&settings)
        .subcommand(
            Command::new("serve")
                .about("Serves the page and keeps the schedules (the default)")
                .args(&settings),
        )
        .subcommand(
            Command::new("healthcheck")
                .about("Asks the running server whether it is well: exit 0 or 1")
                .args(&settings),
        )
        .subcommand(
            Command::new("backup")
                .about("Copies the database to FILE, an SQLite file, also while the server runs")
                .arg(file("Where the copy goes; replaced in one step when it exists"))
                .args(&settings),
        )
        .subcommand(
            Command::new("restore")
                .about("Puts a backup in the place of the database, SQLite or PostgreSQL; refused while the server runs")
                .arg(file("A file made by `docknap backup`"))
                .args(&settings),
        )
        .subcommands(rules_commands(&settings))
        .subcommand(
            Command::new("user")
                .about("Keeps accounts; passwords come by prompt or standard input")
                .subcommand_required(true)
                .subcommand(
                    Command::new("create").about("Makes an account").arg(name()).arg(role).args(&settings),
                )
                .subcommand(
                    Command::new("reset-password")
                        .about("Sets a password and ends every login of the account")
                        .arg(name())
                        .args(&settings),
                )
                .subcommand(
                    Command::new("unlock")
                        .about("Forgets wrong passwords, so that the next try is not held back")
                        .arg(name())
                        .args(&settings),
                ),
        )
        .subcommand(explain::ExplainArgs::augment_args(Command::new("explain")))
        .subcommand(
            Command::new("demo")
                .about("Serves with a simulated Docker and sample stacks, and forgets everything at the end")
                .args(&demo),
        )
        .subcommand(Command::new("version").about("Prints the version"))
}

/// Command-line flags: one for every setting of the table, and one for the settings file.
/// The commands for rules as files.
fn rules_commands(settings: &[Arg]) -> [Command; 3] {
    let file = |help: &'static str| Arg::new("file").value_name("FILE").help(help);
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let prune = || flag("prune", "Deletes what the sections of the file do not hold, except hosts");
    let from = || {
        let words = Foreign::ALL.map(|(_, word, _)| word);
        Arg::new("from")
            .long("from")
            .value_name("PROGRAM")
            .value_parser(words)
            .help("Reads another program's file")
    };
    let read = "A rules file in YAML or JSON; - for standard input";
    [
        Command::new("export")
            .about("Writes schedules, calendars, groups, locks, order and hosts as YAML, without secrets")
            .arg(file("Where the file goes; standard output without it"))
            .args(settings),
        Command::new("import")
            .about("Reads rules from FILE: all of them, or none where one is wrong")
            .arg(file(read).required(true))
            .arg(flag("dry-run", "Says what would change, and changes nothing"))
            .arg(prune())
            .arg(from())
            .args(settings),
        Command::new("diff")
            .about("Says what `import FILE` would change: exit 0 nothing, 1 something, 2 the file is wrong")
            .arg(file(read).required(true))
            .arg(prune())
            .arg(from())
            .args(settings),
    ]
}

fn setting_args() -> Vec<Arg> {
    let flag = |name: &str, long: String, help: String| {
        Arg::new(name.to_owned())
            .long(long)
            .value_name("VALUE")
            .help(help)
            .help_heading("Settings (each also a variable, see docs/settings.md)")
    };
    let mut args = vec![flag(CONFIG_FILE.name, "config".to_owned(), without_markdown(CONFIG_FILE.help))];
    for setting in SETTINGS {
        args.push(match setting.flag() {
            Some(long) => flag(setting.name, long, without_markdown(setting.help)),
            None => flag(
                &format!("{}_FILE", setting.name),
                format!("{}-file", setting.key().replace('_', "-")),
                format!("File that holds {}. {}", setting.name, without_markdown(setting.help)),
            ),
        });
    }
    args
}

/// Removes the Markdown from a help text.
fn without_markdown(help: &str) -> String {
    help.replace('`', "")
}

/// Loads the settings of a command; on errors the result is exit code 78 with one line per error.
fn load(matches: &ArgMatches) -> Result<Config, Failure> {
    let names =
        SETTINGS.iter().flat_map(|setting| [setting.name.to_owned(), format!("{}_FILE", setting.name)]);
    let flags = BTreeMap::from_iter(names.chain([CONFIG_FILE.name.to_owned()]).filter_map(|name| {
        let value = matches.try_get_one::<String>(&name).ok().flatten()?.clone();
        Some((name, value))
    }));
    let env =
        BTreeMap::from_iter(std::env::vars_os().map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        }));
    let loaded =
        Config::load(&Given { flags, env }, &|path| std::fs::read_to_string(path)).map_err(|faults| {
            let lines: Vec<_> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
            Failure::new(BAD_CONFIG, format!("the settings are not right:{}", lines.concat()))
        })?;
    crate::telemetry::init(&loaded.config);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(file) = &loaded.file {
        tracing::debug!(file = %file.display(), "settings file read");
    }
    Ok(loaded.config)
}

/// Runs `work` on a runtime with at most two threads: requests wait for the database, not for a processor, and each
/// thread costs memory.
fn block_on<F: Future>(work: F) -> Result<F::Output, Failure> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(2);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let output = runtime.block_on(work);
    // A call that hangs in a blocking thread must not prevent the end of the process.
    runtime.shutdown_background();
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_setting_has_a_flag_and_no_secret_has_one() {
        let matches = command()
            .try_get_matches_from(["docknap", "serve", "--listen", "[::1]:1", "--secret-key-file", "/k"])
            .expect("both are flags");
        let (_, matches) = matches.subcommand().expect("serve");
        assert_eq!(matches.get_one::<String>("DOCKNAP_LISTEN").map(String::as_str), Some("[::1]:1"));
        let refused = command().try_get_matches_from(["docknap", "--secret-key", "x"]);
        assert_eq!(refused.expect_err("a secret has no flag").exit_code(), 2);
    }
}
