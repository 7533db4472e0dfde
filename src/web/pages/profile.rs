//! What a person sets for themselves, where they are logged in, and on a phone the way to what has no place in the bar.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::{Html, IntoResponse, Response};

use super::audit::deed;
use super::feeds::{self, FeedRow};
use super::users::SessionRow;
use crate::app::auth::devices::{self, Device, Presented};
use crate::app::{Error, FieldError, Result, profile, users, zone};

use crate::domain::audit::AuditRow;
use crate::domain::device;
use crate::domain::text::capital;
use crate::domain::user::{ClockFace, User, WeekStart};
use crate::web::Web;
use crate::web::auth::{Caller, Viewer};
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::htmx::Htmx;
use crate::web::proxy::Via;
use crate::web::routes::{Access, Routes};
use crate::web::session::{self, Kept, PageLogin};
use crate::web::shell::{Flash, Notes, Shell, theme_cookie};
use crate::web::view::{self, Choice, Now, When};

/// Rows of one's own in the log that are shown …
const LATELY: usize = 6;
/// … among so many: the ends of runs are no deeds of theirs.
const LOOKED_AT: u32 = 24;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/profile", Access::VIEWER, show)
        .post("/profile", Access::VIEWER, save)
        .post("/profile/password", Access::VIEWER, password)
        .post("/profile/sessions/end-others", Access::VIEWER, end_others)
        .post("/profile/sessions/{key}/end", Access::VIEWER, end_session)
        .post("/profile/browsers/{key}/forget", Access::VIEWER, forget_browser)
}

/// Something its reader did lately.
#[derive(Clone, Debug)]
pub struct Deed {
    /// `changed the schedule`
    pub deed: String,
    /// What it was done to.
    pub object: String,
    /// How it ended, where it was not simply done.
    pub outcome: Option<String>,
    pub when: When,
}

impl Deed {
    fn new(row: &AuditRow, now: &Now) -> Self {
        Self {
            deed: capital(&deed(&row.event)),
            object: view::shown_name(&row.object_name),
            outcome: (!matches!(row.outcome.as_str(), "ok" | "succeeded")).then(|| row.outcome.clone()),
            when: now.when(row.at),
        }
    }
}

/// A browser that is known from an earlier login.
#[derive(Clone, Debug)]
pub struct BrowserRow {
    /// What a form names it by.
    pub key: String,
    /// `Firefox on Linux`
    pub words: String,
    /// It is the one that asks.
    pub current: bool,
    /// Where somebody last logged in with it; may be empty.
    pub address: String,
    /// When that was.
    pub used: When,
    /// Until when it is known unless it is used.
    pub until: When,
}

impl BrowserRow {
    fn new(device: &Device, presented: &Presented, now: &Now) -> Self {
        Self {
            key: devices::key(device).to_owned(),
            words: device::device(device.user_agent.as_deref().unwrap_or_default()).words,
            current: presented.is(device),
            address: device.address.clone().unwrap_or_default(),
            used: now.when(device.last_used),
            until: now.when(device.expires),
        }
    }
}

/// One's own page.
#[derive(Template, Clone, Debug)]
#[template(path = "profile/show.html", blocks = ["password"])]
pub struct ProfilePage {
    pub shell: Shell,
    /// What is liked, and what is wrong with it.
    pub form: Refill,
    /// System, light, dark.
    pub themes: Vec<Choice>,
    /// 24 h, 12 h.
    pub clocks: Vec<Choice>,
    /// Monday, Sunday.
    pub weeks: Vec<Choice>,
    /// The zone where one's own is left empty.
    pub default_zone: String,
    /// How long a login lasts unused: `8 h`.
    pub idle: String,
    /// Where one is logged in.
    pub sessions: Vec<SessionRow>,
    /// Browsers that are known from earlier logins.
    pub browsers: Vec<BrowserRow>,
    /// What one did lately.
    pub lately: Vec<Deed>,
    /// What is wrong with the password form.
    pub errors: Vec<FieldError>,
    /// The shortest password, in characters.
    pub password_min: usize,
    /// Addresses for calendar apps.
    pub feeds: Vec<FeedRow>,
}

impl ProfilePage {
    /// One's own page around what is liked.
    pub fn new(shell: Shell, form: Refill, password_min: usize) -> Self {
        let choices = |name: &str, all: &[(&str, &str)]| {
            let choice = |(value, label): &(&str, &str)| Choice {
                value: (*value).to_owned(),
                label: (*label).to_owned(),
                chosen: form.value(name) == *value,
            };
            all.iter().map(choice).collect()
        };
        Self {
            themes: choices("theme", &[("system", "Device"), ("light", "Light"), ("dark", "Dark")]),
            clocks: choices(
                "clock",
                &[(ClockFace::H24.as_str(), "23:00"), (ClockFace::H12.as_str(), "11:00 pm")],
            ),
            weeks: choices(
                "week_start",
                &[(WeekStart::Monday.as_str(), "Monday"), (WeekStart::Sunday.as_str(), "Sunday")],
            ),
            default_zone: "UTC".to_owned(),
            idle: "8 h".to_owned(),
            sessions: Vec::new(),
            browsers: Vec::new(),
            lately: Vec::new(),
            errors: Vec::new(),
            password_min,
            feeds: Vec::new(),
            form,
            shell,
        }
    }

    /// What is wrong with a field of the password form.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }

    /// Whether there are sessions beside this one.
    pub fn has_others(&self) -> bool {
        self.sessions.iter().any(|session| !session.current)
    }
}

/// What somebody likes, as the form holds it.
fn liked(user: &User, shell: &Shell) -> Typed {
    let mut fields = vec![
        ("theme", shell.theme.as_str()),
        ("clock", user.habits.clock.as_str()),
        ("week_start", user.habits.week_start.as_str()),
        ("timezone", user.timezone.as_deref().unwrap_or_default()),
    ];
    fields.extend(user.habits.keys.then_some(("keys", "on")));
    Typed::of(fields)
}

/// The page with all there is to show.
async fn page(
    web: &Web,
    caller: &Caller<Viewer>,
    presented: &Presented,
    shell: Shell,
    form: Refill,
) -> Result<ProfilePage> {
    let now = super::now(web, &shell);
    let sessions = users::sessions(&web.app, &caller.actor, &caller.user().id).await?;
    let sessions = sessions.iter().map(|one| {
        let end = format!("/profile/sessions/{}/end", users::session_key(one));
        SessionRow::new(one, caller.session(), end, &now)
    });
    let sessions = sessions.collect();
    let browsers = devices::list(&web.app, &caller.actor).await?;
    let browsers = browsers.iter().map(|one| BrowserRow::new(one, presented, &now)).collect();
    let lately = profile::own_rows(&web.app, &caller.actor, LOOKED_AT).await?;
    Ok(ProfilePage {
        default_zone: zone::default_zone(&web.app).await?.name,
        idle: view::span(i64::try_from(web.app.config.session_idle.as_secs()).unwrap_or(i64::MAX)),
        sessions,
        browsers,
        feeds: feeds::rows(web, &caller.actor, &shell).await?,
        lately: lately
            .iter()
            .filter(|row| row.event != "run.finish")
            .take(LATELY)
            .map(|row| Deed::new(row, &now))
            .collect(),
        ..ProfilePage::new(shell, form, web.app.config.password_min)
    })
}

async fn show(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Extension(presented): Extension<Presented>,
    Kept(kept): Kept,
    shell: Shell,
) -> Result<Html<String>> {
    let form = Refill::fresh(kept.unwrap_or_else(|| liked(caller.user(), &shell)));
    super::html(&page(&web, &caller, &presented, shell, form).await?)
}

/// Stores what somebody likes; the theme in this browser only: a phone may want another than the desk.
#[expect(clippy::too_many_arguments, reason = "each is a part of the request")]
async fn save(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Extension(via): Extension<Via>,
    Extension(presented): Extension<Presented>,
    htmx: Htmx,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let draft = profile::Draft {
        timezone: typed.get("timezone").to_owned(),
        clock: typed.get("clock").to_owned(),
        week_start: typed.get("week_start").to_owned(),
        keys: typed.has("keys"),
    };
    match profile::save(&web.app, &caller.actor, &draft).await {
        Ok(()) => {
            notes.leave(Flash::new("good", "Saved. Every page looks like that from now on.")).await;
            let mut response = super::go(&web, &htmx, "/profile");
            let cookie = theme_cookie(Some(typed.get("theme")), via.https);
            response.headers_mut().append(SET_COOKIE, cookie);
            Ok(response)
        }
        Err(Error::Invalid(errors)) => {
            let form = Refill::wrong(typed, errors);
            let page = page(&web, &caller, &presented, shell, form).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, super::html(&page)?).into_response())
        }
        Err(other) => Err(other),
    }
}

async fn end_session(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    notes: Notes,
    Path(key): Path<String>,
) -> Result<Response> {
    users::end_session(&web.app, &caller.actor, &caller.user().id, &key).await?;
    notes.leave(Flash::new("good", "That browser is logged out.")).await;
    Ok(super::go(&web, &htmx, "/profile"))
}

async fn end_others(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    notes: Notes,
) -> Result<Response> {
    users::end_sessions(&web.app, &caller.actor, &caller.user().id, caller.session()).await?;
    notes.leave(Flash::new("good", "Every other browser and program is logged out.")).await;
    Ok(super::go(&web, &htmx, "/profile"))
}

async fn forget_browser(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    notes: Notes,
    Path(key): Path<String>,
) -> Result<Response> {
    devices::forget(&web.app, &caller.actor, &key).await?;
    notes.leave(Flash::new("good", "That browser is forgotten. Who is logged in there stays so.")).await;
    Ok(super::go(&web, &htmx, "/profile"))
}

async fn password(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    Extension(presented): Extension<Presented>,
    mut login: PageLogin,
    htmx: Htmx,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let (current, new) = (typed.secret("current"), typed.secret("password"));
    match users::change_password(&web.app, &caller.actor, &current, &new, caller.session()).await {
        Ok(()) => {
            // A session with a new id, whose stamp is that of the new password (security: session).
            let user = users::get(&web.app, &caller.actor, &caller.user().id).await?;
            session::log_in(&mut login, user).await?;
            let flash = Flash::new(
                "good",
                "Your password is changed. Your other logins and your calendar addresses have ended.",
            );
            Notes::of(&login.session).leave(flash).await;
            Ok(super::go(&web, &htmx, "/profile"))
        }
        Err(Error::Invalid(errors)) => {
            let form = Refill::fresh(liked(caller.user(), &shell));
            let page = ProfilePage { errors, ..page(&web, &caller, &presented, shell, form).await? };
            let page = if htmx.partial { super::html(&page.as_password())? } else { super::html(&page)? };
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
        Err(other) => Err(other),
    }
}
