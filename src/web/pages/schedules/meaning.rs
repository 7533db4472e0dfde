//! The preview beside the schedule form: the rule in words, its next instants, and charts.

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

/// The preview, or the errors of the form if it has no meaning yet.
#[derive(Default)]
pub(super) struct Meant {
    pub preview: Option<Preview>,
    pub faults: Vec<FieldError>,
    /// The chart of the rule in a week.
    pub week: Option<RuleWeek>,
    /// The chart of the stored rule in a week. `None` if it is the same.
    pub before: Option<RuleWeek>,
    /// The chart of the coming 24 hours. Only for a window.
    pub today: Option<Ahead>,
}

impl Meant {
    /// The preview of the fields, compared with the stored schedule.
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

    /// The containers that are put to sleep at once when the window is stored.
    pub fn naps_now(&self) -> &[String] {
        let now = self.preview.as_ref().and_then(|preview| preview.now.as_ref());
        now.map_or(&[], |now| &now.will_stop)
    }

    /// The sleep time of a window from minutes per week, as in `56 h a week asleep, 33 %`.
    pub fn share(&self, minutes: &i64) -> String {
        const WEEK: i64 = 7 * 24 * 60;
        let hours = match minutes % 60 {
            0 => format!("{} h", minutes / 60),
            rest => format!("{} h {rest} min", minutes / 60),
        };
        format!("{hours} a week asleep, {}\u{a0}%", (minutes * 100 + WEEK / 2) / WEEK)
    }

    /// An instant in the schedule's time zone. The short form without year and zone is for edges, whose label takes up
    /// space in the row.
    #[expect(clippy::ref_option, reason = "a template hands a field over")]
    pub fn local(&self, shell: &Shell, preview: &Preview, at: &Timestamp, begins: &Option<Phase>) -> String {
        let zone = crate::domain::time::zone(&preview.zone).unwrap_or(TimeZone::UTC);
        let form = if begins.is_some() { "%a %-d %b, %H:%M" } else { "%a %-d %b %Y, %H:%M %Z" };
        shell.now.format(&at.to_zoned(zone), form)
    }
}

/// The parts of the form that are refreshed while the user types.
#[derive(Template)]
#[template(path = "schedules/meaning.html")]
pub(super) struct Meaning<'a> {
    pub shell: &'a Shell,
    pub stored: Option<&'a ScheduleView>,
    /// Always `None`: only a form that can be changed sends requests for a preview.
    pub read_only: Option<&'static str>,
    /// Whether the stored schedule is switched on. Also true for a new schedule.
    pub enabled: bool,
    pub f: Fields,
    pub v: Views,
    pub meant: Meant,
}

/// The note that the preview is out of date. It requests the preview again after a short delay.
#[derive(Template)]
#[template(path = "schedules/paused.html")]
pub(super) struct Paused<'a> {
    pub shell: &'a Shell,
}

/// The known time zones, as options of the time zone field.
#[derive(Template)]
#[template(path = "schedules/_zones.html")]
pub(super) struct Zones {
    /// IANA names.
    pub zones: Vec<String>,
}
