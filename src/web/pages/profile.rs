//! The profile page: a user's own preferences, password, sessions and known browsers. On a phone the page also links to
//! the pages that have no place in the navigation bar.

use askama::Template;
use axum::extract::Path;
use axum::http::header::SET_COOKIE;
use axum::response::Response;

use super::users::SessionRow;
use crate::app::auth::devices::{self, Device, Presented};
use crate::app::auth::feeds::{self, Feed};
use crate::app::{Error, Result, profile, users, zone};
use crate::domain::audit::AuditRow;
use crate::domain::device::Kind;
use crate::domain::user::User;
use crate::web::auth::Viewer;
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::session::RestoredForm;
use crate::web::shell::{Flash, Shell, theme_cookie};

/// The maximum number of the user's own audit rows that are shown …
const SHOWN_ROWS: usize = 6;
/// … and the number of rows read for that, since the ends of runs are left out.
const READ_ROWS: u32 = 24;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/profile", Access::VIEWER, show)
        .post("/profile", Access::VIEWER, save)
        .post("/profile/password", Access::VIEWER, password)
        .post("/profile/sessions/end-others", Access::VIEWER, end_others)
        .post("/profile/sessions/{key}/end", Access::VIEWER, end_session)
        .post("/profile/browsers/{key}/forget", Access::VIEWER, forget_browser)
}

/// The profile page.
#[derive(Template)]
#[template(path = "profile/show.html", blocks = ["password"])]
struct ProfilePage<'a> {
    shell: &'a Shell,
    /// The form of the preferences.
    form: Refill,
    /// The time zone that applies if the user has chosen none.
    default_zone: String,
    /// The idle timeout of a session, in seconds.
    idle: i64,
    /// The user's sessions.
    sessions: Vec<SessionRow>,
    /// The browsers known from earlier logins.
    browsers: Vec<Device>,
    presented: &'a Presented,
    /// The user's latest audit rows.
    lately: Vec<AuditRow>,
    /// The password form with its errors.
    password: Refill,
    /// The minimum length of a password, in characters.
    password_min: usize,
    /// The user's addresses for calendar apps.
    feeds: Vec<Feed>,
}

impl<'a> ProfilePage<'a> {
    async fn new(page: &'a Page<Viewer>, form: Refill, password: Refill) -> Result<Self> {
        let Page { app, actor, .. } = page;
        let sessions = users::sessions(app, actor, &page.caller.user().id).await?;
        let mut lately = profile::own_rows(app, actor, READ_ROWS).await?;
        lately.retain(|row| row.event != "run.finish");
        lately.truncate(SHOWN_ROWS);
        Ok(Self {
            shell: &page.shell,
            form,
            default_zone: zone::default_zone(app).await?.name,
            idle: i64::try_from(app.config.session_idle.as_secs()).unwrap_or(i64::MAX),
            sessions: sessions
                .into_iter()
                .map(|one| SessionRow::new(page, one, "/profile".to_owned()))
                .collect(),
            browsers: devices::list(app, actor).await?,
            presented: &page.presented,
            lately,
            password,
            password_min: app.config.password_min,
            feeds: feeds::list(app, actor).await?,
        })
    }

    /// Whether there are sessions besides the current one.
    fn has_others(&self) -> bool {
        self.sessions.iter().any(|session| !session.current)
    }
}

/// The stored preferences as fields of the form.
fn preferences(user: &User, shell: &Shell) -> Typed {
    let mut fields = vec![
        ("theme", shell.theme),
        ("clock", user.habits.clock.as_str()),
        ("week_start", user.habits.week_start.as_str()),
        ("timezone", user.timezone.as_deref().unwrap_or_default()),
    ];
    fields.extend(user.habits.keys.then_some(("keys", "on")));
    Typed::of(fields)
}

async fn show(page: Page<Viewer>, RestoredForm(restored): RestoredForm) -> Result<Response> {
    let form = Refill::fresh(restored.unwrap_or_else(|| preferences(page.caller.user(), &page.shell)));
    page.render(&ProfilePage::new(&page, form, Refill::default()).await?)
}

/// Stores the preferences. The theme is stored in this browser only, since a user may choose another one on a phone.
async fn save(page: Page<Viewer>, typed: Typed) -> Result<Response> {
    let draft = profile::Draft {
        timezone: typed.get("timezone").to_owned(),
        clock: typed.get("clock").to_owned(),
        week_start: typed.get("week_start").to_owned(),
        keys: typed.has("keys"),
    };
    match profile::save(&page.app, &page.actor, &draft).await {
        Ok(()) => {
            let message = Flash::new("good", "Saved. Every page looks like that from now on.");
            let mut response = page.redirect_with("/profile", message).await;
            let cookie = theme_cookie(typed.get("theme"), page.via.https);
            response.headers_mut().append(SET_COOKIE, cookie);
            Ok(response)
        }
        Err(Error::Invalid(errors)) => {
            page.refuse(&ProfilePage::new(&page, Refill::wrong(typed, errors), Refill::default()).await?)
        }
        Err(other) => Err(other),
    }
}

async fn end_session(page: Page<Viewer>, Path(key): Path<String>) -> Result<Response> {
    users::end_session(&page.app, &page.actor, &page.caller.user().id, &key).await?;
    Ok(page.redirect_with("/profile", Flash::new("good", "That browser is logged out.")).await)
}

async fn end_others(page: Page<Viewer>) -> Result<Response> {
    users::end_sessions(&page.app, &page.actor, &page.caller.user().id, page.caller.session()).await?;
    let message = Flash::new("good", "Every other browser and program is logged out.");
    Ok(page.redirect_with("/profile", message).await)
}

async fn forget_browser(page: Page<Viewer>, Path(key): Path<String>) -> Result<Response> {
    devices::forget(&page.app, &page.actor, &key).await?;
    let message = Flash::new("good", "That browser is forgotten. Who is logged in there stays so.");
    Ok(page.redirect_with("/profile", message).await)
}

async fn password(mut page: Page<Viewer>, typed: Typed) -> Result<Response> {
    let (current, new) = (typed.secret("current"), typed.secret("password"));
    match users::change_password(&page.app, &page.actor, &current, &new, page.caller.session()).await {
        Ok(()) => {
            // A session with a new id, whose stamp belongs to the new password (security: session).
            let user = users::get(&page.app, &page.actor, &page.caller.user().id).await?;
            page.session.log_in(&user).await?;
            let message =
                "Your password is changed. Your other logins and your calendar addresses have ended.";
            Ok(page.redirect_with("/profile", Flash::new("good", message)).await)
        }
        Err(Error::Invalid(errors)) => {
            let form = Refill::fresh(preferences(page.caller.user(), &page.shell));
            let shown = ProfilePage::new(&page, form, Refill::wrong(typed, errors)).await?;
            if page.htmx.partial { page.refuse(&shown.as_password()) } else { page.refuse(&shown) }
        }
        Err(other) => Err(other),
    }
}
