//! What surrounds every page: who is logged in, where they are, and what must be said on top.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use jiff::tz::TimeZone;

use super::auth::Identity;
use super::htmx::Htmx;
use super::proxy::Via;
use super::session::{Session, cookie};
pub use super::toast::Toast as Flash;
use super::view::{self, Badge, Now};
use super::{Web, assets};
use crate::app::{overrides, zone};
use crate::domain::ids::HostId;
use crate::domain::permission::Permission;
use crate::domain::time;
use crate::domain::user::{Habits, User};

/// The cookie that remembers the theme: `light` or `dark`; without it the device decides.
pub const THEME_COOKIE: &str = "docknap_theme";

/// The cookie that keeps a theme in this browser, or that forgets it where there is none to keep. No script reads it.
pub fn theme_cookie(theme: &str, https: bool) -> HeaderValue {
    /// Seconds the choice is kept: browsers cut what is longer than 400 days.
    const KEPT: u32 = 365 * 24 * 3600;
    let (value, age) = match theme_of(theme) {
        "system" => ("", 0),
        theme => (theme, KEPT),
    };
    let secure = if https { "; Secure" } else { "" };
    let text = format!("{THEME_COOKIE}={value}; Path=/; Max-Age={age}; SameSite=Lax; HttpOnly{secure}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// The surroundings of one page, as `templates/base.html` shows them.
#[derive(Clone, Debug, Default)]
pub struct Shell {
    /// Base path without a trailing slash: empty, or such as `/docknap`.
    pub base: String,
    /// Changes with the static files, so that browsers may keep them for ever.
    pub assets: &'static str,
    /// `system`, `light` or `dark`.
    pub theme: &'static str,
    /// The host that DockNap was set up with: the audit log names none.
    pub host: Option<HostId>,
    /// Who is logged in.
    pub user: Option<User>,
    /// Which entry of the navigation the page belongs to: `stacks`, `schedules`, `timeline`, `runs`, `audit`, `users`,
    /// `profile`.
    pub here: &'static str,
    /// One message left by the request before.
    pub flash: Option<Flash>,
    /// The page came over plain http from another machine.
    pub insecure: bool,
    /// The Engine is the simulated one.
    pub demo: bool,
    /// What is wanted of everything for a while: `Everything is held until 08:00 Sat: the move (by anna)`.
    pub held: Option<String>,
    /// The zone in which times are shown.
    pub zone: String,
    /// How the reader wants times and weeks.
    pub habits: Habits,
    /// The instant of the answer, in the reader's zone and as they want times written.
    pub now: Now,
    /// DockNap's version.
    pub version: &'static str,
}

impl Shell {
    /// Whether the person may start, stop and keep schedules.
    pub fn can_operate(&self) -> bool {
        self.may(Permission::Operate)
    }

    /// Whether the person may keep users, calendars and settings.
    pub fn can_administer(&self) -> bool {
        self.may(Permission::Administer)
    }

    fn may(&self, permission: Permission) -> bool {
        self.user.as_ref().is_some_and(|user| user.role.allows(permission))
    }

    /// Whether the page belongs to that entry of the navigation.
    pub fn is_in(&self, entry: &str) -> bool {
        self.here == entry
    }

    /// On a phone, whether it belongs to what has no entry of its own there.
    pub fn is_in_more(&self) -> bool {
        ["profile", "timeline", "audit", "users", "report", "settings", "health"].contains(&self.here)
    }

    /// A sentence with its times as the reader writes them.
    pub fn words(&self, sentence: &str) -> String {
        view::clocked(sentence, self.habits.clock)
    }

    /// The surroundings of an answer to somebody.
    pub(super) async fn of(web: &Web, identity: &Identity, parts: &Parts) -> Self {
        let shell = Self::without_storage(web, identity, &parts.headers);
        let own = shell.user.as_ref().and_then(|user| user.timezone.clone());
        let zone = match own {
            Some(zone) => zone,
            None => zone::default_zone(&web.app).await.map_or_else(|_| "UTC".to_owned(), |zone| zone.name),
        };
        let now = Now {
            at: web.app.clock.now(),
            zone: time::zone(&zone).unwrap_or(TimeZone::UTC),
            habits: shell.habits,
        };
        let theme = cookie(&parts.headers, THEME_COOKIE);
        let theme = theme.or(shell.user.as_ref().and_then(|user| user.theme.as_deref())).map(theme_of);
        Self {
            theme: theme.unwrap_or(shell.theme),
            here: here(parts.uri.path()),
            insecure: !Via::of(&parts.extensions).is_private(),
            held: if shell.user.is_some() { held(web, &now).await } else { None },
            zone,
            now,
            ..shell
        }
    }

    /// The surroundings of an answer to somebody while the database may be away: asking it would take as long again.
    pub(super) fn without_storage(web: &Web, identity: &Identity, headers: &HeaderMap) -> Self {
        let user = identity.who().map(|who| who.user.clone());
        let habits = user.as_ref().map(|user| user.habits).unwrap_or_default();
        Self { user, habits, ..Self::bare(web, headers) }
    }

    /// The surroundings of an answer to nobody in particular, without a look at the database.
    pub(super) fn bare(web: &Web, headers: &HeaderMap) -> Self {
        Self {
            base: web.base().to_owned(),
            assets: assets::version(),
            theme: theme_of(cookie(headers, THEME_COOKIE).unwrap_or_default()),
            demo: web.demo,
            host: Some(web.app.hosts.local().id().clone()),
            zone: "UTC".to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            ..Self::default()
        }
    }
}

fn theme_of(text: &str) -> &'static str {
    match text {
        "light" => "light",
        "dark" => "dark",
        _ => "system",
    }
}

impl FromRequestParts<Web> for Shell {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, Infallible> {
        let identity = Identity::of(&parts.extensions);
        let mut shell = Self::of(web, &identity, parts).await;
        // Neither a part of a page nor a form that comes back shows a message: it waits for the next whole page.
        if parts.method == Method::GET && !Htmx::of(&parts.headers).partial {
            let Ok(session) = Session::from_request_parts(parts, web).await;
            shell.flash = session.take_flash().await;
        }
        Ok(shell)
    }
}

/// What is wanted of everything for a while, in a sentence.
async fn held(web: &Web, now: &Now) -> Option<String> {
    let one = overrides::of_everything(&web.app).await.ok()??;
    let state = Badge::from(one.wanted).word.to_lowercase();
    Some(format!("Everything is {state} until {}: {}.", now.when(one.until).short, view::why_made(&one, now)))
}

/// The entry of the navigation a path belongs to.
fn here(path: &str) -> &'static str {
    match path.trim_start_matches('/').split('/').next().unwrap_or_default() {
        "" | "stacks" | "containers" | "overrides" => "stacks",
        "schedules" | "calendars" => "schedules",
        "timeline" => "timeline",
        "runs" => "runs",
        "report" => "report",
        "audit" => "audit",
        "users" => "users",
        "settings" => "settings",
        "health" => "health",
        "profile" => "profile",
        _ => "",
    }
}
