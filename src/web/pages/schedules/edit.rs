//! The handlers that show, create, update and preview a schedule.

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::fields::Fields;
use super::form::ScheduleForm;
use super::meaning::{Meaning, Meant, Paused, Zones};
use super::views::Renewed;
use super::week::Views;
use crate::app::schedules::{self as service, Saved, ScheduleView};
use crate::app::{Error, FieldError, Result};
use crate::domain::ids::ScheduleId;
use crate::domain::schedule::Source;
use crate::web::auth::{Operator, Viewer};
use crate::web::form::Typed;
use crate::web::page::Page;
use crate::web::session::RestoredForm;
use crate::web::shell::Flash;
use crate::zones;

/// The query parameters that fill a new form.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Begin {
    /// `stack/KEY` or `container/KEY`.
    target: String,
    /// The id of the schedule to copy.
    from: String,
    /// A sleep window, as in `sleep 23:00-07:00`.
    window: String,
    /// A cron expression.
    cron: String,
}

pub(super) async fn new(
    page: Page<Operator>,
    Query(begin): Query<Begin>,
    RestoredForm(restored): RestoredForm,
) -> Result<Response> {
    let fields = if let Some(typed) = restored {
        Fields::typed(typed)
    } else if begin.from.is_empty() {
        Fields::beginning(&begin.target, &begin.window, &begin.cron)
    } else {
        Fields::copy_of(&service::get(&page.app, &page.actor, &ScheduleId(begin.from)).await?)
    };
    page.render(&ScheduleForm::new(&page, fields, None, None).await?)
}

pub(super) async fn show(
    page: Page<Viewer>,
    Path(id): Path<ScheduleId>,
    RestoredForm(restored): RestoredForm,
) -> Result<Response> {
    let view = service::get(&page.app, &page.actor, &id).await?;
    let fields = restored.map_or_else(|| Fields::of(&view), Fields::typed);
    page.render(&ScheduleForm::new(&page, fields, Some(&view), None).await?)
}

pub(super) async fn create(page: Page<Operator>, typed: Typed) -> Result<Response> {
    save(&page, None, typed).await
}

pub(super) async fn update(
    page: Page<Operator>,
    Path(id): Path<ScheduleId>,
    typed: Typed,
) -> Result<Response> {
    save(&page, Some(&id), typed).await
}

async fn save(page: &Page<Operator>, id: Option<&ScheduleId>, typed: Typed) -> Result<Response> {
    let (app, actor) = (&page.app, &page.actor);
    let stored = async || match id {
        Some(id) => service::get(app, actor, id).await.map(Some),
        None => Ok(None),
    };
    let mut fields = Fields::typed(typed);
    let fault = fields.settle().err();
    if !fields.is_saved() || fault.is_some() {
        return again(page, fields, fault, stored().await?.as_ref()).await;
    }
    let draft = fields.draft(id);
    let saved = match id {
        Some(id) => service::update(app, actor, id, &draft, fields.revision()).await,
        None => service::create(app, actor, &draft, Source::Ui).await,
    };
    let (status, errors) = match saved {
        Ok(saved) => return Ok(to_list(page, &saved).await),
        Err(Error::Invalid(errors)) => (StatusCode::UNPROCESSABLE_ENTITY, errors),
        Err(Error::Stale { .. }) => (StatusCode::CONFLICT, Vec::new()),
        Err(other) => return Err(other),
    };
    let stored = stored().await?;
    let mut form = ScheduleForm::new(page, fields, stored.as_ref(), None).await?.refused(errors);
    form.dirty = true;
    if let (StatusCode::CONFLICT, Some(view)) = (status, &stored) {
        form = form.stale(&Fields::of(view));
    }
    form.answer(page, status)
}

/// The form again with its views synchronized. It shows the preview and, for a dry run, the steps that would run now.
async fn again(
    page: &Page<Operator>,
    fields: Fields,
    fault: Option<FieldError>,
    stored: Option<&ScheduleView>,
) -> Result<Response> {
    let (is_saved, is_dry) = (fields.is_saved(), fields.value("save") == "dry" && fault.is_none());
    let mut form = ScheduleForm::new(page, fields, stored, fault).await?;
    form.dirty = true;
    let mut status = if is_saved { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    if is_dry {
        match service::dry_run(&page.app, &page.actor, &form.draft()).await {
            Ok(runs) => form.dry_runs = runs,
            Err(Error::Invalid(errors)) => {
                (form, status) = (form.refused(errors), StatusCode::UNPROCESSABLE_ENTITY);
            }
            Err(other) => return Err(other),
        }
    }
    form.answer(page, status)
}

/// Redirects to the list with a message about the stored schedule and its warnings.
async fn to_list(page: &Page<Operator>, saved: &Saved) -> Response {
    let tone = if saved.warnings.is_empty() { "good" } else { "warn" };
    let mut sentences = vec![format!("“{}” is stored.", saved.view.title)];
    sentences.extend_from_slice(&saved.warnings);
    page.redirect_with("/schedules", Flash::new(tone, sentences.join(" "))).await
}

/// The preview, refreshed while the user types. The form belongs to a new schedule or, with the field `id`, to a stored
/// one. Above the rate limit the response is 429: the old preview stays, is marked as paused, and is requested again
/// (rulings 27).
pub(super) async fn preview(page: Page<Operator>, typed: Typed) -> Result<Response> {
    if page.web.previews.admit(&page.caller.user().id).is_err() {
        let to = [("hx-retarget", "#preview-paused"), ("hx-reswap", "innerHTML")];
        let paused = page.render(&Paused { shell: &page.shell })?;
        return Ok((StatusCode::TOO_MANY_REQUESTS, to, paused).into_response());
    }
    let stored = match typed.filled("id") {
        Some(id) => service::get(&page.app, &page.actor, &ScheduleId::from(id)).await.ok(),
        None => None,
    };
    let mut f = Fields::typed(typed);
    let (renewed, meant) = match f.settle() {
        Ok(renewed) => (renewed, Meant::of(&page, &f, stored.as_ref()).await?),
        Err(fault) => (Renewed::default(), Meant::refused(vec![fault])),
    };
    page.render(&Meaning {
        shell: &page.shell,
        stored: stored.as_ref(),
        read_only: None,
        enabled: f.value("was") != "off",
        v: Views::renewing(&f, renewed, page.shell.habits),
        f,
        meant,
    })
}

/// The known time zones, as options of the time zone field.
pub(super) async fn zones(page: Page<Viewer>) -> Result<Response> {
    page.render(&Zones { zones: zones::chosen().names() })
}
