//! The schedule form, with its preview beside it.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::fields::{Field, Fields};
use super::meaning::Meant;
use super::runs_now;
use super::week::Views;
use crate::app::history::{self, RunFilter};
use crate::app::schedules::{self as service, DryRun, ScheduleView};
use crate::app::{FieldError, Result, calendars, paging, stacks, zone};
use crate::domain::action::Action;
use crate::domain::ids::CalendarId;
use crate::domain::plan::PlannedStep;
use crate::domain::run::Run;
use crate::domain::schedule::Source;
use crate::domain::window::Phase;
use crate::web::auth::Needs;
use crate::web::page::Page;
use crate::web::pages::actions::Act;
use crate::web::pages::choices::{CRONS, Difference, Group, WINDOWS, targets};
use crate::web::shell::Shell;
use crate::web::view;
use crate::web::{error, filters};

/// The options for the longest delay after which a missed fire still runs, in seconds.
const CATCH_UPS: [i64; 6] = [0, 300, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600];

/// The number of runs below the form.
const RUNS: u32 = 10;

#[derive(Template)]
#[template(path = "schedules/form.html", blocks = ["form"])]
pub(super) struct ScheduleForm<'a> {
    shell: &'a Shell,
    stored: Option<&'a ScheduleView>,
    /// Why the schedule cannot be changed here. The form shows its fields all the same.
    read_only: Option<&'static str>,
    /// Whether the stored schedule is switched on. Also true for a new schedule.
    enabled: bool,
    f: Fields,
    /// The content of the views of the rule.
    v: Views,
    groups: Vec<Group>,
    calendars: Vec<(CalendarId, String)>,
    default_zone: String,
    meant: Meant,
    /// The results of a dry run, one for each edge of the rule.
    pub dry_runs: Vec<DryRun>,
    /// The differences from what another user stored meanwhile.
    differences: Vec<Difference>,
    /// Whether the form has changes that are not stored.
    pub dirty: bool,
    runs: Vec<Run>,
}

impl<'a> ScheduleForm<'a> {
    /// Builds the form around the fields `f`. The preview shows their meaning, or only `fault` if the views have an
    /// error.
    pub async fn new<R: Needs>(
        page: &'a Page<R>,
        mut f: Fields,
        stored: Option<&'a ScheduleView>,
        fault: Option<FieldError>,
    ) -> Result<Self> {
        let Page { app, actor, shell, .. } = page;
        let overview = stacks::overview(app, actor).await?;
        let default_zone = zone::default_zone(app).await?.name;
        let gone = stored.map(|view| view.target_name.as_str());
        let groups = targets(&overview, f.value("target"), gone);
        let calendars = calendars::names(app, actor).await?;
        let mut runs = Vec::new();
        if let Some(view) = stored {
            let filter = RunFilter { schedule: Some(view.schedule.id.clone()), ..RunFilter::default() };
            let newest = paging::Page { limit: RUNS, cursor: None };
            runs = history::list(app, actor, &filter, &newest).await?.items;
        }
        let meant = match fault {
            Some(fault) => {
                f.refuse(vec![fault.clone()]);
                Meant::refused(vec![fault])
            }
            None => Meant::of(page, &f, stored).await?,
        };
        Ok(Self {
            shell,
            read_only: match stored {
                Some(view) if view.schedule.source == Source::Label => {
                    Some("It comes from a label on the container and is changed there.")
                }
                Some(view) if view.schedule.source == Source::File => {
                    Some("It comes from a file in DOCKNAP_RULES_DIR and is changed there.")
                }
                Some(_) if !shell.can_operate() => Some("Operators and admins can change it."),
                _ => None,
            },
            stored,
            enabled: stored.is_none_or(|view| view.schedule.spec.enabled),
            v: Views::new(&f, shell.habits),
            f,
            groups,
            calendars,
            default_zone,
            meant,
            dry_runs: Vec::new(),
            differences: Vec::new(),
            dirty: false,
            runs,
        })
    }

    /// The same form with errors.
    pub fn refused(mut self, errors: Vec<FieldError>) -> Self {
        self.f.refuse(errors);
        self
    }

    /// The same form after another user stored the schedule. The entered values stay, and the differences are listed.
    pub fn stale(mut self, stored: &Fields) -> Self {
        self.differences = self.f.differences(stored, |field, value| self.words(field, value));
        self.f.set("rev", stored.value("rev"));
        self
    }

    /// The name of a target or a calendar. `None` for the other fields.
    fn words(&self, field: &Field, value: &str) -> Option<String> {
        let target = || self.groups.iter().flat_map(|group| &group.options).find(|one| one.value == value);
        let calendar = || self.calendars.iter().find(|(id, _)| id.as_str() == value);
        match field.label {
            "Target" => target().map(|target| target.label.clone()),
            "Calendar" => calendar().map(|(_, name)| view::shown_name(name)),
            _ => None,
        }
    }

    /// The date of the field `anchor`; today where none is set, so that a number of weeks alone is enough.
    fn anchor(&self) -> String {
        match self.f.value("anchor") {
            "" if self.f.value("every_weeks").is_empty() => self.shell.now.today().to_string(),
            typed => typed.to_owned(),
        }
    }

    /// The ways to bring it to another host: the last segment of the URL, the icon and the label.
    fn elsewhere(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        const WAYS: [(&str, &str, &str); 2] =
            [("copy", "copy", "Copy to another host"), ("move", "server", "Move to another host")];
        // What a label defines is changed there.
        if self.read_only.is_some() { &WAYS[..1] } else { &WAYS }
    }

    pub fn draft(&self) -> service::Draft {
        self.f.draft(self.stored.map(|view| &view.schedule.id))
    }

    /// The whole page, or only the form for htmx.
    pub fn answer<R: Needs>(&self, page: &Page<R>, status: StatusCode) -> Result<Response> {
        let text = if page.htmx.partial { self.as_form().render() } else { self.render() };
        Ok((status, Html(text.map_err(error::internal)?)).into_response())
    }

    /// The requests to Docker in a dry run, in order.
    fn calls(&self, run: &DryRun) -> Vec<String> {
        let call = |step: &PlannedStep| {
            let grace =
                run.stop_timeout_seconds.filter(|_| matches!(step.action, Action::Stop | Action::Restart));
            let grace = grace.map(|seconds| format!("?t={seconds}")).unwrap_or_default();
            format!("POST /containers/{}/{}{grace}", view::shown_name(&step.container), step.action)
        };
        run.plan.steps.iter().map(call).collect()
    }

    fn runs_now(&self, view: &ScheduleView) -> Vec<Act> {
        runs_now(view)
    }

    /// The label that defines the schedule.
    fn origin(&self) -> Option<String> {
        super::list::origin(self.stored?)
    }

    /// Why the schedule does nothing.
    fn off_reason(&self) -> Option<&str> {
        self.stored?.off_reason.as_deref()
    }

    /// Whether the next fire, or a sleep that has not ended, is skipped.
    fn is_skipping(&self, view: &ScheduleView) -> bool {
        service::is_skipping(&view.schedule, self.shell.now.at)
    }

    /// The offered delays, and the schedule's own one if it was set through the API.
    fn catch_ups(&self) -> Vec<i64> {
        let own = self.f.value("catch_up_seconds").trim().parse().ok();
        let own = own.filter(|seconds| !CATCH_UPS.contains(seconds));
        CATCH_UPS.into_iter().chain(own).collect()
    }

    fn is_catch_up(&self, seconds: &i64) -> bool {
        self.f.is("catch_up_seconds", &seconds.to_string())
    }
}
