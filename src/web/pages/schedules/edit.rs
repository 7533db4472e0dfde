//! Making, changing and previewing a schedule.

use askama::Template as _;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::fields::Fields;
use super::form::{DryRunView, ScheduleForm, targets};
use super::meaning::{Meaning, Paused, PreviewView};
use super::views::Renewed;
use super::week::Views;
use crate::app::history::{self, RunFilter};
use crate::app::paging::Page;
use crate::app::schedules::{self as service, Saved, ScheduleView};
use crate::app::{Actor, Error, FieldError, Result, stacks, zone};
use crate::domain::ids::ScheduleId;
use crate::domain::schedule::Source;
use crate::web::auth::{Caller, Operator, Viewer};
use crate::web::form::Typed;
use crate::web::htmx::Htmx;
use crate::web::pages::{go, html, now};
use crate::web::session::Kept;
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::Choice;
use crate::web::{Web, error, view};
use crate::zones;

/// Runs under the form.
const RUNS: u32 = 10;

/// What an empty form begins with, as the URL says it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Begin {
    /// `stack/KEY` or `container/KEY`.
    target: String,
    /// The schedule it is a copy of.
    from: String,
    /// Sleep hours to begin with.
    window: String,
    /// A cron expression to begin with.
    cron: String,
}

/// The form around `fields`, with what they mean.
async fn filled(
    web: &Web,
    actor: &Actor,
    shell: Shell,
    fields: Fields,
    stored: Option<&ScheduleView>,
    fault: Option<&FieldError>,
) -> Result<ScheduleForm> {
    let overview = stacks::overview(&web.app, actor).await?;
    let default = zone::default_zone(&web.app).await?;
    let now = now(web, &shell);
    let groups = targets(&overview, &fields.target, stored.map(|view| view.target_name.as_str()));
    let preview = match fault {
        Some(fault) => PreviewView::refused(std::slice::from_ref(fault)),
        None => meaning(web, actor, &shell, &fields, stored).await?,
    };
    let calendars = calendars(web, actor, &fields).await?;
    let form = ScheduleForm::new(shell, fields, groups, default.name);
    let form = ScheduleForm { calendars, preview, ..form }.refused(fault.cloned().into_iter().collect());
    let Some(view) = stored else { return Ok(form) };
    let wanted = RunFilter { schedule: Some(view.schedule.id.clone()), ..RunFilter::default() };
    let runs = history::list(&web.app, actor, &wanted, &Page { limit: RUNS, cursor: None }).await?.items;
    Ok(ScheduleForm { runs, ..form.stored(view, &now) })
}

/// The calendars to choose from; empty where there is none.
async fn calendars(web: &Web, actor: &Actor, fields: &Fields) -> Result<Vec<Choice>> {
    let names = crate::app::calendars::names(&web.app, actor).await?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let none =
        Choice { value: String::new(), label: "None".to_owned(), chosen: fields.calendar_id.is_empty() };
    let some = names.into_iter().map(|(id, name)| Choice {
        chosen: id.as_str() == fields.calendar_id,
        value: id.to_string(),
        label: view::shown_name(&name),
    });
    Ok(std::iter::once(none).chain(some).collect())
}

/// What the fields mean, or what is wrong with them.
async fn meaning(
    web: &Web,
    actor: &Actor,
    shell: &Shell,
    fields: &Fields,
    stored: Option<&ScheduleView>,
) -> Result<PreviewView> {
    let id = stored.map(|view| &view.schedule.id);
    match service::preview(&web.app, actor, &fields.draft(id)).await {
        Ok(preview) => {
            let now = now(web, shell);
            let told = PreviewView::new(&preview, &now);
            let Some(view) = stored else { return Ok(told) };
            let zone = crate::domain::time::zone(&view.effective_timezone).unwrap_or(jiff::tz::TimeZone::UTC);
            Ok(told.beside(&service::marks(&view.schedule.spec.when, &zone, now.at), &now))
        }
        Err(Error::Invalid(errors)) => Ok(PreviewView::refused(&errors)),
        Err(other) => Err(other),
    }
}

/// The form as it was asked for: all of the page, or for htmx the form alone.
fn answer(htmx: &Htmx, status: StatusCode, form: &ScheduleForm) -> Result<Response> {
    let text = if htmx.partial { form.as_form().render() } else { form.render() };
    Ok((status, Html(text.map_err(error::internal)?)).into_response())
}

pub(super) async fn new(
    State(web): State<Web>,
    caller: Caller<Operator>,
    Query(begin): Query<Begin>,
    Kept(kept): Kept,
    shell: Shell,
) -> Result<Html<String>> {
    let fields = if let Some(typed) = kept {
        Fields::typed(&typed)
    } else if begin.from.is_empty() {
        Fields::beginning(begin.target, begin.window, begin.cron)
    } else {
        let view = service::get(&web.app, &caller.actor, &ScheduleId(begin.from)).await?;
        let fields = Fields::of(&view);
        let name = if fields.name.is_empty() { String::new() } else { format!("{} (copy)", fields.name) };
        Fields { rev: String::new(), name, ..fields }
    };
    html(&filled(&web, &caller.actor, shell, fields, None, None).await?)
}

/// The form as it was sent, its views in step, unless it is to be stored: then what a save may take.
struct Sent {
    fields: Fields,
    fault: Option<FieldError>,
}

impl Sent {
    fn new(typed: &Typed) -> Self {
        let mut fields = Fields::typed(typed);
        let fault = fields.settle().err();
        Self { fields, fault }
    }

    fn is_saved(&self) -> bool {
        self.fields.is_saved() && self.fault.is_none()
    }

    /// The form again: what it means, with what it would do now where that was asked for.
    async fn again(
        self,
        web: &Web,
        actor: &Actor,
        htmx: &Htmx,
        shell: Shell,
        stored: Option<&ScheduleView>,
    ) -> Result<Response> {
        let Self { fields, fault } = self;
        let (is_saved, is_dry) = (fields.is_saved(), fields.save == "dry");
        let mut form = filled(web, actor, shell, fields, stored, fault.as_ref()).await?;
        form.dirty = true;
        let mut status = if is_saved { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        if is_dry && fault.is_none() {
            let draft = form.f.draft(stored.map(|view| &view.schedule.id));
            match service::dry_run(&web.app, actor, &draft).await {
                Ok(runs) => form.dry_runs = runs.into_iter().map(DryRunView::new).collect(),
                Err(Error::Invalid(errors)) => {
                    (form, status) = (form.refused(errors), StatusCode::UNPROCESSABLE_ENTITY);
                }
                Err(other) => return Err(other),
            }
        }
        answer(htmx, status, &form)
    }
}

pub(super) async fn create(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let sent = Sent::new(&typed);
    if !sent.is_saved() {
        return sent.again(&web, &caller.actor, &htmx, shell, None).await;
    }
    let fields = sent.fields;
    match service::create(&web.app, &caller.actor, &fields.draft(None), Source::Ui).await {
        Ok(saved) => Ok(stored(&web, &htmx, &notes, &saved).await),
        Err(Error::Invalid(errors)) => {
            let mut form = filled(&web, &caller.actor, shell, fields, None, None).await?.refused(errors);
            form.dirty = true;
            answer(&htmx, StatusCode::UNPROCESSABLE_ENTITY, &form)
        }
        Err(other) => Err(other),
    }
}

pub(super) async fn show(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Path(id): Path<String>,
    Kept(kept): Kept,
    shell: Shell,
) -> Result<Html<String>> {
    let view = service::get(&web.app, &caller.actor, &ScheduleId(id)).await?;
    let fields = kept.map_or_else(|| Fields::of(&view), |typed| Fields::typed(&typed));
    html(&filled(&web, &caller.actor, shell, fields, Some(&view), None).await?)
}

pub(super) async fn update(
    State(web): State<Web>,
    caller: Caller<Operator>,
    htmx: Htmx,
    notes: Notes,
    Path(id): Path<String>,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let id = ScheduleId(id);
    let sent = Sent::new(&typed);
    if !sent.is_saved() {
        let view = service::get(&web.app, &caller.actor, &id).await?;
        return sent.again(&web, &caller.actor, &htmx, shell, Some(&view)).await;
    }
    let fields = sent.fields;
    let draft = fields.draft(Some(&id));
    let (status, errors) =
        match service::update(&web.app, &caller.actor, &id, &draft, fields.revision()).await {
            Ok(saved) => return Ok(stored(&web, &htmx, &notes, &saved).await),
            Err(Error::Invalid(errors)) => (StatusCode::UNPROCESSABLE_ENTITY, errors),
            Err(Error::Stale { .. }) => (StatusCode::CONFLICT, Vec::new()),
            Err(other) => return Err(other),
        };
    let view = service::get(&web.app, &caller.actor, &id).await?;
    let mut form = filled(&web, &caller.actor, shell, fields, Some(&view), None).await?.refused(errors);
    form.dirty = true;
    if status == StatusCode::CONFLICT {
        form = form.stale(&Fields::of(&view));
    }
    answer(&htmx, status, &form)
}

/// To the list, with what there is to say about what was stored.
async fn stored(web: &Web, htmx: &Htmx, notes: &Notes, saved: &Saved) -> Response {
    let mut text = format!("“{}” is stored.", saved.view.title);
    for warning in &saved.warnings {
        text.push(' ');
        text.push_str(warning);
    }
    notes.leave(Flash::new(if saved.warnings.is_empty() { "good" } else { "warn" }, text)).await;
    go(web, htmx, "/schedules")
}

/// What the form means, refreshed as it is typed. The form may be that of a new schedule or, by `id`, of a stored one.
/// Asked for too often, the old one stays, marked as paused, and is asked for again (rulings 27).
pub(super) async fn preview(
    State(web): State<Web>,
    caller: Caller<Operator>,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    if web.previews.admit(&caller.user().id).is_err() {
        let to = [("hx-retarget", "#preview-paused"), ("hx-reswap", "innerHTML")];
        return Ok((StatusCode::TOO_MANY_REQUESTS, to, html(&Paused { shell })?).into_response());
    }
    let mut fields = Fields::typed(&typed);
    let stored = match typed.filled("id") {
        Some(id) => service::get(&web.app, &caller.actor, &ScheduleId::from(id)).await.ok(),
        None => None,
    };
    let (renewed, preview) = match fields.settle() {
        Ok(renewed) => (renewed, meaning(&web, &caller.actor, &shell, &fields, stored.as_ref()).await?),
        Err(fault) => (Renewed::default(), PreviewView::refused(&[fault])),
    };
    let (v, id) =
        (Views::renewing(&fields, renewed, shell.habits), stored.map(|view| view.schedule.id.to_string()));
    let enabled = typed.get("was") != "off";
    Ok(html(&Meaning { preview, enabled, id, v, f: fields, read_only: None, errors: Vec::new(), shell })?
        .into_response())
}

/// The zones there are, for the field that takes one.
pub(super) async fn zones(_: Caller<Viewer>, shell: Shell) -> Result<Html<String>> {
    html(&super::Zones { shell, zones: zones::chosen().names() })
}
