//! The frame around every page: the user, the navigation, and the notices on top.

use std::convert::Infallible;
use std::sync::Arc;

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
use crate::app::rulebook::RuleBook;
use crate::app::{App, overrides};
use crate::domain::group::Group;
use crate::domain::ids::HostId;
use crate::domain::permission::Permission;
use crate::domain::time;
use crate::domain::user::{Habits, User};

/// The cookie with the theme, `light` or `dark`; without it the device decides.
pub const THEME_COOKIE: &str = "docknap_theme";

/// The `Set-Cookie` header that stores a theme in the browser, or deletes it for the theme `system`. Scripts cannot
/// read the cookie.
pub fn theme_cookie(theme: &str, https: bool) -> HeaderValue {
    /// The lifetime of the cookie in seconds; browsers allow at most 400 days.
    const KEPT: u32 = 365 * 24 * 3600;
    let (value, age) = match theme_of(theme) {
        "system" => ("", 0),
        theme => (theme, KEPT),
    };
    let secure = if https { "; Secure" } else { "" };
    let text = format!("{THEME_COOKIE}={value}; Path=/; Max-Age={age}; SameSite=Lax; HttpOnly{secure}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// The frame of one page, as `templates/base.html` shows it.
#[derive(Clone, Debug, Default)]
pub struct Shell {
    /// The base path: empty, or with a leading slash and without a trailing one, such as `/docknap`.
    pub base: String,
    /// The version of the static files, so that browsers may cache them without limit.
    pub assets: &'static str,
    /// `system`, `light` or `dark`.
    pub theme: &'static str,
    /// The ids and names of all hosts.
    pub hosts: Vec<(HostId, String)>,
    /// The user; `None` without a login.
    pub user: Option<User>,
    /// The entry of the navigation that the page belongs to: `stacks`, `schedules`, `timeline`, `runs`, `report`,
    /// `audit`, `hosts`, `groups`, `users`, `settings`, `health`, `profile`; empty for none.
    pub here: &'static str,
    /// The message that the previous request has stored.
    pub flash: Option<Flash>,
    /// Whether the page came over plain http from another machine.
    pub insecure: bool,
    /// Whether Docker is simulated (demo mode).
    pub demo: bool,
    /// The override of everything, as a sentence: `Everything is held until 08:00 Sat: the move (by anna)`.
    pub held: Option<String>,
    /// With `DOCKNAP_LABELS=only`, how many schedules do nothing, as a sentence.
    pub unused: Option<String>,
    /// The IANA name of the time zone in which times are shown.
    pub zone: String,
    /// The reader's formats of times and weeks.
    pub habits: Habits,
    /// The instant of the response, with the reader's time zone and formats.
    pub now: Now,
    /// DockNap's version.
    pub version: &'static str,
    /// The rule book that the frame was made from; `None` where it could not be read.
    pub book: Option<Arc<RuleBook>>,
}

impl Shell {
    /// The name of a host, or the id of one that was deleted; `None` if the host is the only one, which need not be
    /// named, and for the empty host of a group.
    pub fn host_name<'a>(&'a self, id: &'a HostId) -> Option<&'a str> {
        match self.hosts.iter().find(|(host, _)| host == id) {
            Some(_) if self.hosts.len() == 1 => None,
            Some((_, name)) => Some(name),
            None => Some(id.as_str()).filter(|id| !id.is_empty()),
        }
    }

    /// Whether there is a host with this id.
    pub fn has_host(&self, id: &HostId) -> bool {
        self.hosts.iter().any(|(host, _)| host == id)
    }

    /// All groups, by name.
    pub fn groups(&self) -> &[Group] {
        self.book.as_ref().map_or(&[], |book| book.groups.as_slice())
    }

    /// The group with this id.
    pub fn group(&self, id: &str) -> Option<&Group> {
        self.groups().iter().find(|group| group.id.as_str() == id)
    }

    /// A name with its host, where there is more than one host.
    pub fn placed(&self, name: &str, host: &HostId) -> String {
        match self.host_name(host) {
            Some(host) => format!("{name} on {host}"),
            None => name.to_owned(),
        }
    }

    /// Whether the user may start, stop and change schedules.
    pub fn can_operate(&self) -> bool {
        self.may(Permission::Operate)
    }

    /// Whether the user may change users, calendars and settings.
    pub fn can_administer(&self) -> bool {
        self.may(Permission::Administer)
    }

    fn may(&self, permission: Permission) -> bool {
        self.user.as_ref().is_some_and(|user| user.role.allows(permission))
    }

    /// Whether the page belongs to this entry of the navigation.
    pub fn is_in(&self, entry: &str) -> bool {
        self.here == entry
    }

    /// Whether the page belongs to the entry "More", which a phone shows instead of several entries.
    pub fn is_in_more(&self) -> bool {
        ["profile", "timeline", "hosts", "groups", "audit", "users", "report", "settings", "health"]
            .contains(&self.here)
    }

    /// A sentence with its times of day in the reader's clock format.
    pub fn words(&self, sentence: &str) -> String {
        view::clocked(sentence, self.habits.clock)
    }

    /// The frame of a response, with the data that needs database queries.
    pub(super) async fn of(web: &Web, identity: &Identity, parts: &Parts) -> Self {
        let shell = Self::without_storage(web, identity, &parts.headers);
        let book = RuleBook::load(&web.app).await.ok();
        let own = shell.user.as_ref().and_then(|user| user.timezone.clone());
        let zone = own.or_else(|| Some(book.as_ref()?.zone.name.clone())).unwrap_or_else(|| "UTC".to_owned());
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
            held: shell.user.as_ref().and(book.as_ref()).and_then(|book| held(book, &now)),
            unused: shell.user.as_ref().and(book.as_ref()).and_then(|book| unused(book)),
            zone,
            now,
            book,
            ..shell
        }
    }

    /// The services for the request of this frame. A request that only reads goes by the frame's rule book.
    pub(super) fn app(&self, web: &Web, method: &Method) -> App {
        match &self.book {
            Some(book) if method.is_safe() => web.app.reading(Arc::clone(book)),
            _ => web.app.clone(),
        }
    }

    /// The frame of a response without database queries, for when the database may be unavailable and a query would
    /// only run into the next timeout.
    pub(super) fn without_storage(web: &Web, identity: &Identity, headers: &HeaderMap) -> Self {
        let user = identity.who().map(|who| who.user.clone());
        let habits = user.as_ref().map(|user| user.habits).unwrap_or_default();
        Self { user, habits, ..Self::bare(web, headers) }
    }

    /// The frame of a response without a user and without database queries.
    pub(super) fn bare(web: &Web, headers: &HeaderMap) -> Self {
        Self {
            hosts: web
                .app
                .hosts
                .all()
                .iter()
                .map(|host| (host.id().clone(), host.name().to_owned()))
                .collect(),
            base: web.base().to_owned(),
            assets: assets::version(),
            theme: theme_of(cookie(headers, THEME_COOKIE).unwrap_or_default()),
            demo: web.demo,
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
        // Only a whole page shows the message; part of a page or a rejected form leaves it for the next one.
        if parts.method == Method::GET && !Htmx::of(&parts.headers).partial {
            let Ok(session) = Session::from_request_parts(parts, web).await;
            shell.flash = session.take_flash().await;
        }
        Ok(shell)
    }
}

/// The override of everything as a sentence; `None` if there is none.
fn held(book: &RuleBook, now: &Now) -> Option<String> {
    let one = overrides::of_everything(book, now.at)?;
    let state = Badge::from(one.wanted).word.to_lowercase();
    Some(format!("Everything is {state} until {}: {}.", now.when(one.until).short, view::why_made(one, now)))
}

/// How many schedules do nothing because no label defines them; `None` if all act.
fn unused(book: &RuleBook) -> Option<String> {
    let count = usize::try_from(book.unused?).ok().filter(|count| *count > 0)?;
    let what = view::count(count, "schedule");
    let does = if count == 1 { "does" } else { "do" };
    Some(format!("DOCKNAP_LABELS is only: {what} that no label defines {does} nothing."))
}

/// The entry of the navigation that a path belongs to.
fn here(path: &str) -> &'static str {
    match path.trim_start_matches('/').split('/').next().unwrap_or_default() {
        "" | "stacks" | "containers" | "overrides" => "stacks",
        "schedules" | "calendars" => "schedules",
        "timeline" => "timeline",
        "runs" => "runs",
        "hosts" => "hosts",
        "groups" => "groups",
        "report" => "report",
        "audit" => "audit",
        "users" => "users",
        "settings" => "settings",
        "health" => "health",
        "profile" => "profile",
        _ => "",
    }
}
