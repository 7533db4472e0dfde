//! Schedules of other programs as a rules file.

use std::collections::HashSet;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::document::Document;
use crate::domain::import::{Found, Job, Left, crontab, ofelia};
use crate::domain::text::hex;

/// A program whose schedules can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    Crontab,
    Ofelia,
}

impl Foreign {
    /// All of them: the word of the command line and a name for a person.
    pub const ALL: [(Self, &'static str, &'static str); 2] =
        [(Self::Crontab, "crontab", "A crontab"), (Self::Ofelia, "ofelia", "Ofelia: INI file or labels")];

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known, _)| *known == word).map(|(foreign, ..)| foreign)
    }

    /// The schedules of a text, and a sentence about each line that is not understood.
    pub fn read(self, text: &str) -> (Document, Vec<String>) {
        let Found { mut jobs, left } = match self {
            Self::Crontab => crontab::read(text),
            Self::Ofelia => ofelia::read(text),
        };
        // A line that is there twice is one schedule.
        let mut seen = HashSet::new();
        jobs.retain(|job| {
            let target = (job.target_type, job.target.clone(), job.services.clone());
            !job.name.is_empty() || seen.insert((target, key(job)))
        });
        let lines: Vec<usize> = jobs.iter().map(|job| job.line).collect();
        let document = Document::of_schedules(jobs.into_iter().map(item).collect(), &lines);
        let said = |Left { line, text, why }| format!("line {line}: {why}: {text}");
        (document, left.into_iter().map(said).collect())
    }
}

/// The key of a job without a name: made from all that it says, so that it never is that of another schedule.
fn key(job: &Job) -> String {
    let says = (&job.cron, &job.timezone);
    let digest = Sha256::digest(format!("{says:?}"));
    format!("{}-{}", job.action.as_str(), hex(digest.get(..4).unwrap_or_default()))
}

fn item(job: Job) -> Map<String, Value> {
    let key = if job.name.is_empty() { key(&job) } else { String::new() };
    let mut fields = Map::new();
    let mut set = |name: &str, text: String| {
        if !text.is_empty() {
            fields.insert(name.to_owned(), Value::String(text));
        }
    };
    set("key", key);
    set("name", job.name);
    set("target_type", job.target_type.as_str().to_owned());
    set("target_id", job.target);
    set("action", job.action.as_str().to_owned());
    set("cron", job.cron);
    set("timezone", job.timezone.unwrap_or_default());
    if !job.services.is_empty() {
        let services = job.services.into_iter().map(Value::String).collect();
        fields.insert("services".to_owned(), Value::Array(services));
    }
    fields
}
