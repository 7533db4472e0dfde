//! Schedules of other programs: lines that start and stop containers become jobs, everything else is listed with the
//! reason. Pure functions; what they find is checked like any other schedule.

use super::action::Action;
use super::cron::Cron;
use super::target::TargetType;

mod command;
pub mod crontab;
pub mod ofelia;

/// A schedule that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The line, counted from 1.
    pub line: usize,
    /// The name in the other program; may be empty.
    pub name: String,
    pub target_type: TargetType,
    pub target: String,
    /// The services of a stack that are meant; empty where all are.
    pub services: Vec<String>,
    pub action: Action,
    pub cron: String,
    pub timezone: Option<String>,
}

/// A line that is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub line: usize,
    /// The line, or its beginning.
    pub text: String,
    /// Why it is left out.
    pub why: String,
}

/// What was found in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub jobs: Vec<Job>,
    pub left: Vec<Left>,
}

impl Found {
    fn leave(&mut self, line: usize, text: &str, why: impl Into<String>) {
        /// The most characters of a line that are repeated.
        const SHOWN: usize = 120;
        let text = text.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
        self.left.push(Left { line, text, why: why.into() });
    }

    /// Adds the jobs of a command that runs at `cron`, or says why there are none.
    fn add(&mut self, (line, text): (usize, &str), name: &str, cron: &str, zone: Option<&str>, shell: &str) {
        if let Err(error) = Cron::parse(cron) {
            return self.leave(line, text, format!("its time is not understood: {}: {error}", error.field));
        }
        match command::read(shell) {
            Ok(deeds) => self.jobs.extend(deeds.into_iter().map(|deed| Job {
                line,
                name: name.to_owned(),
                target_type: deed.target_type,
                target: deed.target,
                services: deed.services,
                action: deed.action,
                cron: cron.to_owned(),
                timezone: zone.map(str::to_owned),
            })),
            Err(why) => self.leave(line, text, why),
        }
    }
}
