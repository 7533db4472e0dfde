//! Accounts, for admins (ui 4.12): who has one, what the roles may do, and where people are logged in.

use askama::Template;
use axum::extract::State;
use axum::response::Html;

use super::{html, now};
use crate::app::Result;
use crate::app::user_links::{self, Link};
use crate::app::users::{self, Listed, Session};
use crate::domain::device::{self, Kind};
use crate::domain::ids::UserId;
use crate::domain::permission::{Permission, Role};
use crate::domain::user::LinkKind;
use crate::web::Web;
use crate::web::auth::{Admin, Caller};
use crate::web::filters;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;
use crate::web::view::{self, Now, When};

pub mod edit;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/users", Access::ADMIN, list)
        .get("/users/new", Access::ADMIN, edit::new)
        .post("/users", Access::ADMIN, edit::create)
        .get("/users/{id}", Access::ADMIN, edit::show)
        .post("/users/{id}", Access::ADMIN, edit::update)
        .post("/users/{id}/link", Access::ADMIN, edit::make_link)
        .post("/users/{id}/revoke-link", Access::ADMIN, edit::revoke_link)
        .post("/users/{id}/end-sessions", Access::ADMIN, edit::end_sessions)
        .post("/users/{id}/sessions/{key}/end", Access::ADMIN, edit::end_session)
        .get("/users/{id}/delete", Access::ADMIN, edit::confirm_delete)
        .post("/users/{id}/delete", Access::ADMIN, edit::delete)
}

/// A browser somebody is logged in with.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// `Firefox on Linux`
    pub words: String,
    pub icon: &'static str,
    /// All that the browser says of itself.
    pub agent: String,
    /// It is the one that asks.
    pub current: bool,
    /// Where it was last used from; may be empty.
    pub address: String,
    /// When it was last used.
    pub seen: When,
    /// When it began.
    pub since: When,
    /// Where a form is sent that ends it.
    pub end: String,
}

impl SessionRow {
    /// A session; `current` is the digest of the one that asks.
    pub fn new(session: &Session, current: Option<&str>, end: String, now: &Now) -> Self {
        let agent = session.user_agent.clone().unwrap_or_default();
        let device = device::device(&agent);
        Self {
            icon: match device.kind {
                Kind::Computer => "monitor",
                Kind::Phone => "smartphone",
            },
            words: device.words,
            agent: view::shown_name(&agent),
            current: current == Some(&*session.id_hash),
            address: session.address.clone().unwrap_or_default(),
            seen: now.when(session.last_seen),
            since: now.when(session.created),
            end,
        }
    }
}

/// A link that was made and not used.
#[derive(Clone, Debug)]
pub struct OpenLink {
    /// It is for the first password.
    pub invites: bool,
    pub ends: When,
}

impl OpenLink {
    fn find(links: &[Link], id: &UserId, now: &Now) -> Option<Self> {
        let link = links.iter().find(|link| link.user_id == *id)?;
        Some(Self { invites: link.kind == LinkKind::Invite, ends: now.when(link.expires) })
    }
}

/// An account as a row shows it.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: String,
    pub name: String,
    /// Its role.
    pub role: &'static str,
    /// Logins are refused.
    pub disabled: bool,
    /// It is the reader's own.
    pub own: bool,
    /// Nobody has chosen a password for it yet.
    pub invited: bool,
    /// A link with which one can be chosen.
    pub link: Option<OpenLink>,
    /// Browsers that are logged in.
    pub sessions: i64,
    /// When one of them was last used, else the last login.
    pub seen: Option<When>,
    pub created: When,
}

impl Row {
    fn new(listed: &Listed, links: &[Link], own: &UserId, now: &Now) -> Self {
        let user = &listed.user;
        Self {
            id: user.id.as_str().to_owned(),
            name: user.name.clone(),
            role: user.role.as_str(),
            disabled: user.disabled,
            own: user.id == *own,
            invited: user.is_invited(),
            link: OpenLink::find(links, &user.id, now),
            sessions: listed.sessions,
            seen: listed.last_seen.map(|at| now.when(at)),
            created: now.when(user.created),
        }
    }
}

/// What the roles may do, for the picture: a right, and whether viewer, operator and admin have it.
#[derive(Clone, Copy, Debug)]
pub struct Right {
    /// `Keep users`
    pub what: &'static str,
    /// Per role, weakest first.
    pub has: [bool; 3],
}

/// What people may want to know whether a role may do it.
const RIGHTS: [(&str, Permission); 6] = [
    ("See stacks, schedules and runs", Permission::View),
    ("Start, stop, nap and wake", Permission::Operate),
    ("Keep schedules, overrides and locks", Permission::Operate),
    ("Keep calendars", Permission::Administer),
    ("Keep users", Permission::Administer),
    ("Read the whole audit log", Permission::Administer),
];

fn rights() -> Vec<Right> {
    RIGHTS.map(|(what, needs)| Right { what, has: Role::ALL.map(|role| role.allows(needs)) }).into()
}

/// Everybody.
#[derive(Template, Clone, Debug)]
#[template(path = "users/index.html")]
pub struct UsersPage {
    pub shell: Shell,
    /// The accounts.
    pub rows: Vec<Row>,
    /// What the roles may do.
    pub rights: Vec<Right>,
}

async fn list(State(web): State<Web>, caller: Caller<Admin>, shell: Shell) -> Result<Html<String>> {
    let now = now(&web, &shell);
    let listed = users::list(&web.app, &caller.actor).await?;
    let links = user_links::open(&web.app, &caller.actor).await?;
    let rows = listed.iter().map(|one| Row::new(one, &links, &caller.user().id, &now)).collect();
    html(&UsersPage { shell, rows, rights: rights() })
}
