//! What the schedule form means, beside it: in words, with the instants to come.

use askama::Template;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::fields::Fields;
use super::week::Views;
use crate::app::schedules::{self as service, Preview, ScheduleView};
use crate::app::{Error, FieldError, Result};
use crate::domain::window::Phase;
use crate::web::auth::Needs;
use crate::web::filters;
use crate::web::page::Page;
use crate::web::pages::choices::{CRONS, WINDOWS};
use crate::web::picture::{Ahead, RuleWeek};
use crate::web::shell::Shell;

/// What the form means, or what is wrong where that cannot be told.
#[derive(Default)]
pub(super) struct Meant {
    pub preview: Option<Preview>,
    pub faults: Vec<FieldError>,
    /// What it does in a week.
    pub week: Option<RuleWeek>,
    /// What the stored rule does in a week, where that is something else.
    pub before: Option<RuleWeek>,
    /// Of a window: the coming 24 hours.
    pub today: Option<Ahead>,
}

impl Meant {
    /// What the fields mean, beside what is stored.
    pub async fn of<R: Needs>(page: &Page<R>, f: &Fields, stored: Option<&ScheduleView>) -> Result<Self> {
        let now = &page.shell.now;
        let draft = f.draft(stored.map(|view| &view.schedule.id));
        let preview = match service::preview(&page.app, &page.actor, &draft).await {
            Ok(preview) => preview,
            Err(Error::Invalid(errors)) => return Ok(Self::refused(errors)),
            Err(other) => return Err(other),
        };
        let week = RuleWeek::of(&preview.week, "This rule in a week", now);
        let before = stored.and_then(|view| {
            let marks = service::marks(&view.schedule.spec.when, &view.zone(), now.at);
            RuleWeek::of(&marks, "The stored rule in a week", now)
        });
        let before = before.filter(|before| week.as_ref().is_some_and(|week| before.path != week.path));
        let today = preview.today.as_deref().map(Ahead::of);
        Ok(Self { preview: Some(preview), faults: Vec::new(), week, before, today })
    }

    pub fn refused(faults: Vec<FieldError>) -> Self {
        Self { faults, ..Self::default() }
    }

    /// The containers that saving a window puts to sleep at once.
    pub fn naps_now(&self) -> &[String] {
        let now = self.preview.as_ref().and_then(|preview| preview.now.as_ref());
        now.map_or(&[], |now| &now.will_stop)
    }

    /// How long a window sleeps: `56 h a week asleep, 33 %`.
    pub fn share(&self, minutes: &i64) -> String {
        const WEEK: i64 = 7 * 24 * 60;
        let hours = match minutes % 60 {
            0 => format!("{} h", minutes / 60),
            rest => format!("{} h {rest} min", minutes / 60),
        };
        format!("{hours} a week asleep, {}\u{a0}%", (minutes * 100 + WEEK / 2) / WEEK)
    }

    /// An instant in the schedule's own zone. Beside the word of an edge there is less room; the line below has it in
    /// full.
    #[expect(clippy::ref_option, reason = "a template hands a field over")]
    pub fn local(&self, shell: &Shell, preview: &Preview, at: &Timestamp, begins: &Option<Phase>) -> String {
        let zone = crate::domain::time::zone(&preview.zone).unwrap_or(TimeZone::UTC);
        let form = if begins.is_some() { "%a %-d %b, %H:%M" } else { "%a %-d %b %Y, %H:%M %Z" };
        shell.now.format(&at.to_zoned(zone), form)
    }
}

/// The part of the form that is refreshed as it is typed.
#[derive(Template)]
#[template(path = "schedules/meaning.html")]
pub(super) struct Meaning<'a> {
    pub shell: &'a Shell,
    pub stored: Option<&'a ScheduleView>,
    /// Never: what is sent in parts can be changed.
    pub read_only: Option<&'static str>,
    /// The stored schedule is switched on, or there is none yet.
    pub enabled: bool,
    pub f: Fields,
    pub v: Views,
    pub meant: Meant,
}

/// Says that the preview is not of what is typed now, and asks for it in a moment.
#[derive(Template)]
#[template(path = "schedules/paused.html")]
pub(super) struct Paused<'a> {
    pub shell: &'a Shell,
}

/// The zones there are, as the choices of a field.
#[derive(Template)]
#[template(path = "schedules/_zones.html")]
pub(super) struct Zones {
    /// IANA names.
    pub zones: Vec<String>,
}
