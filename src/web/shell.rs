//! What surrounds every page: who is logged in, where they are, and what must be said on top.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};

use super::auth::Identity;
use super::htmx::Htmx;
use super::proxy::Via;
use super::session::{Session, cookie};
pub use super::toast::Toast as Flash;
use super::view::{self, Badge, Now};
use super::{Web, assets};
use crate::app::{overrides, zone};
use crate::domain::permission::{Permission, Role};
use crate::domain::user::Habits;

/// The cookie that remembers the theme: `light` or `dark`; without it the device decides.
pub const THEME_COOKIE: &str = "docknap_theme";

/// The cookie that keeps a theme in this browser, or that forgets it where there is none to keep. No script reads it.
pub fn theme_cookie(theme: Option<&str>, https: bool) -> HeaderValue {
    /// Seconds the choice is kept: browsers cut what is longer than 400 days.
    const KEPT: u32 = 365 * 24 * 3600;
    let (value, age) = match theme {
        Some("light") => ("light", KEPT),
        Some("dark") => ("dark", KEPT),
        _ => ("", 0),
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
    pub assets: String,
    /// `system`, `light` or `dark`.
    pub theme: String,
    /// Who is logged in.
    pub user: Option<ShellUser>,
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

/// Who is logged in.
#[derive(Clone, Debug)]
pub struct ShellUser {
    /// Their name.
    pub name: String,
    /// Their role.
    pub role: Role,
}

impl ShellUser {
    /// May start, stop and keep schedules.
    pub fn can_operate(&self) -> bool {
        self.role.allows(Permission::Operate)
    }

    /// May keep users.
    pub fn can_administer(&self) -> bool {
        self.role.allows(Permission::Administer)
    }
}

impl Shell {
    /// Whether the person may start, stop and keep schedules.
    pub fn can_operate(&self) -> bool {
        self.user.as_ref().is_some_and(ShellUser::can_operate)
    }

    /// Whether the person may keep users, calendars and settings.
    pub fn can_administer(&self) -> bool {
        self.user.as_ref().is_some_and(ShellUser::can_administer)
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
        let user = identity.who().map(|who| &who.user);
        let zone = match user.and_then(|user| user.timezone.clone()) {
            Some(zone) => zone,
            None => zone::default_zone(&web.app).await.map_or_else(|_| "UTC".to_owned(), |zone| zone.name),
        };
        let habits = user.map(|user| user.habits).unwrap_or_default();
        let theme =
            cookie(&parts.headers, THEME_COOKIE).or_else(|| user.and_then(|user| user.theme.as_deref()));
        let now = Now {
            at: web.app.clock.now(),
            zone: crate::domain::time::zone(&zone).unwrap_or(jiff::tz::TimeZone::UTC),
            habits,
        };
        Self {
            base: web.base().to_owned(),
            assets: assets::version().to_owned(),
            theme: theme.filter(|theme| matches!(*theme, "light" | "dark")).unwrap_or("system").to_owned(),
            user: user.map(|user| ShellUser { name: user.name.clone(), role: user.role }),
            here: here(parts.uri.path()),
            flash: None,
            insecure: !Via::of(&parts.extensions).is_private(),
            held: if user.is_some() { held(web, &now).await } else { None },
            demo: web.demo,
            zone,
            habits,
            now,
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// The surroundings of an answer to nobody in particular, without a look at the database.
    pub(super) fn bare(web: &Web, headers: &HeaderMap) -> Self {
        let theme = cookie(headers, THEME_COOKIE).filter(|theme| matches!(*theme, "light" | "dark"));
        Self {
            base: web.base().to_owned(),
            assets: assets::version().to_owned(),
            theme: theme.unwrap_or("system").to_owned(),
            demo: web.demo,
            zone: "UTC".to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            ..Self::default()
        }
    }

    /// The surroundings of an answer to somebody while the database may be away: asking it would take as long again.
    pub(super) fn without_storage(web: &Web, identity: &Identity, headers: &HeaderMap) -> Self {
        let user = identity.who().map(|who| &who.user);
        Self {
            user: user.map(|user| ShellUser { name: user.name.clone(), role: user.role }),
            habits: user.map(|user| user.habits).unwrap_or_default(),
            ..Self::bare(web, headers)
        }
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
            shell.flash = session.take_flash();
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
