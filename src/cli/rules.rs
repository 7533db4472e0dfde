//! `docknap export`, `docknap import` and `docknap diff`: rules as files, beside a running server too.

use std::io::{Read as _, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::ArgMatches;

use super::{FAILURE, Failure, Outcome, USAGE};
use crate::app::rules_file::{self, Document, Foreign, MAX_BYTES, Plan};
use crate::app::{self, Actor, App, FieldError, hosts};
use crate::clock::Clock;
use crate::lifecycle;

/// How long a command waits for the Engines, whose containers the names in a file mean.
const GLANCE: Duration = Duration::from_secs(3);

pub(super) fn run(command: &str, matches: &ArgMatches) -> Outcome {
    let config = super::load(matches)?;
    let text = |name: &str| matches.try_get_one::<String>(name).ok().flatten().cloned();
    let flag = |name: &str| matches.try_get_one::<bool>(name).ok().flatten().copied().unwrap_or(false);
    let (file, from) = (text("file"), text("from"));
    let task = match (command, file) {
        ("export", file) => Task::Export(file),
        // The rules of a watched directory are compared with the stored rules of files.
        ("diff", Some(directory)) if Path::new(&directory).is_dir() => Task::Compare(directory),
        (command, Some(file)) => {
            let document = document(&file, from.as_deref())?;
            let dry_run = command == "diff" || flag("dry-run");
            Task::Import { document, file, dry_run, prune: flag("prune"), is_diff: command == "diff" }
        }
        (_, None) => return Err(Failure::new(USAGE, "a file is needed")),
    };
    super::block_on(async {
        let app = lifecycle::open_services(config, Clock::system()).await;
        let app = app.map_err(|error| no_difference(super::serve::failure(error), command == "diff"))?;
        let done = task.act(&app).await;
        app.db.close().await;
        done
    })?
}

enum Task {
    Export(Option<String>),
    Compare(String),
    Import { document: Document, file: String, dry_run: bool, prune: bool, is_diff: bool },
}

impl Task {
    async fn act(self, app: &App) -> Outcome {
        let actor = Actor::cli();
        match self {
            Self::Export(file) => {
                let yaml = rules_file::export(app, &actor).await?.to_yaml();
                match file.filter(|file| file != "-") {
                    Some(file) => {
                        std::fs::write(&file, yaml).with_context(|| format!("{file} cannot be written"))?;
                    }
                    None => std::io::stdout().write_all(yaml.as_bytes())?,
                }
                Ok(())
            }
            Self::Compare(directory) => {
                hosts::glance(app, GLANCE).await;
                let plan = rules_file::compare(app, &actor, Path::new(&directory)).await;
                let plan = plan.map_err(|error| no_difference(failure(&directory, error), true))?;
                tell(&plan)?;
                differs(&directory, &plan)
            }
            Self::Import { document, file, dry_run, prune, is_diff } => {
                hosts::glance(app, GLANCE).await;
                let plan = rules_file::plan(app, &actor, &document, prune).await;
                let plan = plan.map_err(|error| no_difference(failure(&file, error), is_diff))?;
                tell(&plan)?;
                if !dry_run {
                    rules_file::apply(app, &actor, &plan).await.map_err(|error| failure(&file, error))?;
                }
                if is_diff { differs(&file, &plan) } else { Ok(()) }
            }
        }
    }
}

/// Fails where a plan changes something.
fn differs(file: &str, plan: &Plan) -> Outcome {
    if plan.is_empty() {
        return Ok(());
    }
    Err(Failure::new(FAILURE, format!("{file} differs from what is stored")))
}

/// Prints a plan.
fn tell(plan: &Plan) -> anyhow::Result<()> {
    let mut to = std::io::stdout().lock();
    for step in &plan.steps {
        writeln!(to, "{}", step.sentence())?;
    }
    for warning in &plan.warnings {
        writeln!(to, "note: {warning}")?;
    }
    writeln!(to, "{}", plan.sentence())?;
    Ok(())
}

/// Reads a file, or standard input for `-`.
fn document(file: &str, from: Option<&str>) -> Result<Document, Failure> {
    let mut text = String::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let read = if file == "-" {
        std::io::stdin().lock().take(limit).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(limit).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::new(USAGE, format!("{file} cannot be read: {error}")))?;
    if text.len() > MAX_BYTES {
        return Err(Failure::new(USAGE, format!("{file} holds more than 1 MiB; split it")));
    }
    let Some(from) = from else {
        return Document::read(&text).map_err(|faults| faulty(file, &faults));
    };
    let foreign = Foreign::parse(from).ok_or_else(|| Failure::new(USAGE, "use crontab or ofelia"))?;
    let (document, left) = foreign.read(&text);
    for line in left {
        writeln!(std::io::stdout(), "not understood, {line}")?;
    }
    Ok(document)
}

/// A failure of a comparison has another exit code than a difference.
fn no_difference(failure: Failure, is_diff: bool) -> Failure {
    if is_diff && failure.code == FAILURE { Failure { code: USAGE, ..failure } } else { failure }
}

fn failure(file: &str, error: app::Error) -> Failure {
    match error {
        app::Error::Invalid(faults) => faulty(file, &faults),
        other => other.into(),
    }
}

/// One line for each fault.
fn faulty(file: &str, faults: &[FieldError]) -> Failure {
    let lines = faults.iter().map(|fault| format!("{file}: {}: {}", fault.field, fault.message));
    Failure::new(USAGE, lines.collect::<Vec<_>>().join("\ndocknap: "))
}
