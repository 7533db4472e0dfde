//! Schedules of other programs as a rules file.

use serde_json::{Map, Value};

use super::document::Document;
use crate::domain::import::{Found, Job, Left, crontab, ofelia};

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
        let Found { jobs, left } = match self {
            Self::Crontab => crontab::read(text),
            Self::Ofelia => ofelia::read(text),
        };
        let lines: Vec<usize> = jobs.iter().map(|job| job.line).collect();
        let document = Document::of_schedules(jobs.into_iter().map(item).collect(), &lines);
        let said = |Left { line, text, why }| format!("line {line}: {why}: {text}");
        (document, left.into_iter().map(said).collect())
    }
}

fn item(job: Job) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut set = |name: &str, text: String| {
        if !text.is_empty() {
            fields.insert(name.to_owned(), Value::String(text));
        }
    };
    set("name", job.name);
    set("target_type", job.target_type.as_str().to_owned());
    set("target_id", job.target);
    set("action", job.action.as_str().to_owned());
    set("cron", job.cron);
    set("timezone", job.timezone.unwrap_or_default());
    fields
}
