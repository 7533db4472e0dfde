//! What the schedule form means, beside it: in words, with the instants to come.

use askama::Template;

use super::fields::Fields;
use super::week::Views;
use crate::app::FieldError;
use crate::app::schedules::{Mark, Preview};
use crate::domain::guard::Guard;
use crate::domain::window::Mood;
use crate::web::filters;
use crate::web::picture::{Ahead, RuleWeek};
use crate::web::shell::Shell;
use crate::web::view::{self, Badge, Now, When};

/// What the form means, beside it.
#[derive(Clone, Debug, Default)]
pub struct PreviewView {
    /// In a sentence; empty where it cannot be told.
    pub meaning: String,
    /// The zone it is read in.
    pub zone: String,
    /// The instants to come.
    pub fires: Vec<Fire>,
    /// What to know; whole sentences.
    pub warnings: Vec<String>,
    /// What the next clock changes do to it.
    pub notes: Vec<String>,
    /// How long a window sleeps: `56 h a week asleep, 33 %`; empty for the other kinds.
    pub share: String,
    /// How long its guard may hold it back, and for what; empty without one.
    pub guard: String,
    /// The containers that saving a window puts to sleep at once.
    pub naps_now: Vec<String>,
    /// What is wrong, where nothing can be told.
    pub faults: Vec<String>,
    /// What it does in a week.
    pub week: Option<RuleWeek>,
    /// What the stored rule does in a week, where that is something else.
    pub before: Option<RuleWeek>,
    /// Of a window: the coming 24 hours.
    pub today: Option<Ahead>,
}

/// One instant to come.
#[derive(Clone, Debug)]
pub struct Fire {
    /// In the schedule's own zone: `Fri 27 Nov 2026, 23:00 CET`.
    pub local: String,
    /// How far off, and in full.
    pub when: When,
    /// For a window: what begins.
    pub begins: Option<Badge>,
}

/// `56 h a week asleep, 33 %`.
fn share(minutes: i64) -> String {
    const WEEK: i64 = 7 * 24 * 60;
    let hours = match minutes % 60 {
        0 => format!("{} h", minutes / 60),
        rest => format!("{} h {rest} min", minutes / 60),
    };
    format!("{hours} a week asleep, {}\u{a0}%", (minutes * 100 + WEEK / 2) / WEEK)
}

impl PreviewView {
    /// What the service told.
    pub fn new(preview: &Preview, now: &Now) -> Self {
        let zone = crate::domain::time::zone(&preview.zone).unwrap_or(jiff::tz::TimeZone::UTC);
        Self {
            meaning: now.words(&preview.meaning),
            zone: preview.zone.clone(),
            fires: preview
                .next
                .iter()
                .map(|next| Fire {
                    // Beside the word of an edge there is less room; the line below has it in full.
                    local: match next.state {
                        Some(_) => now.format(&next.at.to_zoned(zone.clone()), "%a %-d %b, %H:%M"),
                        None => now.format(&next.at.to_zoned(zone.clone()), "%a %-d %b %Y, %H:%M %Z"),
                    },
                    when: now.when(next.at),
                    begins: next.state.map(|state| match state {
                        Mood::Asleep => Badge::ASLEEP,
                        Mood::Awake => Badge::AWAKE,
                    }),
                })
                .collect(),
            share: preview.asleep_minutes.map(share).unwrap_or_default(),
            guard: preview.guard.as_ref().map(Guard::sentence).unwrap_or_default(),
            naps_now: preview
                .now
                .iter()
                .flat_map(|now| &now.will_stop)
                .map(|name| view::shown_name(name))
                .collect(),
            warnings: preview.warnings.iter().map(|text| now.words(text)).collect(),
            notes: preview.dst_notes.iter().map(|text| now.words(text)).collect(),
            faults: Vec::new(),
            week: RuleWeek::of(&preview.week, "This rule in a week", now),
            before: None,
            today: preview.today.as_deref().map(Ahead::of),
        }
    }

    /// The same beside what is stored.
    #[must_use]
    pub fn beside(mut self, stored: &[Mark], now: &Now) -> Self {
        let before = RuleWeek::of(stored, "The stored rule in a week", now);
        let path = |picture: &Option<RuleWeek>| picture.as_ref().map(|picture| picture.path.clone());
        self.before = before.clone().filter(|_| self.week.is_some() && path(&before) != path(&self.week));
        self
    }

    pub fn refused(errors: &[FieldError]) -> Self {
        Self { faults: errors.iter().map(|error| error.message.clone()).collect(), ..Self::default() }
    }
}

/// The part of the form that is refreshed as it is typed.
#[derive(Template, Clone, Debug)]
#[template(path = "schedules/meaning.html")]
pub struct Meaning {
    pub shell: Shell,
    /// What it means.
    pub preview: PreviewView,
    /// The stored schedule's id.
    pub id: Option<String>,
    /// The stored schedule is switched on, or there is none yet.
    pub enabled: bool,
    /// What the fields hold, the views that follow included.
    pub f: Fields,
    /// What those views show.
    pub v: Views,
    /// Never: what is sent in parts can be changed.
    pub read_only: Option<String>,
    /// None: a view that follows another says what can be stored.
    pub errors: Vec<FieldError>,
}

impl Meaning {
    /// What is wrong with a field of a view that follows.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

/// Says that the preview is not of what is typed now, and asks for it in a moment.
#[derive(Template, Clone, Debug)]
#[template(path = "schedules/paused.html")]
pub struct Paused {
    pub shell: Shell,
}
