//! The pages of accounts, for admins (ui 4.12): the list with the permissions of the roles, and the sessions of users.

use askama::Template;
use axum::response::Response;

use crate::app::Result;
use crate::app::user_links::{self, Link};
use crate::app::users::{self, Listed, Session};
use crate::domain::permission::{Permission, Role};
use crate::domain::user::LinkKind;
use crate::web::auth::{Admin, Needs};
use crate::web::filters;
use crate::web::page::Page;
use crate::web::routes::{Access, Routes};
use crate::web::shell::Shell;

mod edit;

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

/// A session of a user, as a row shows it.
pub(super) struct SessionRow {
    pub session: Session,
    /// Whether the request belongs to this session.
    pub current: bool,
    /// The path of the page that lists the session; the path of the form that ends the session begins with it.
    pub of: String,
}

impl SessionRow {
    pub fn new<R: Needs>(page: &Page<R>, session: Session, of: String) -> Self {
        Self { current: page.caller.session() == Some(&*session.id_hash), session, of }
    }

    pub fn key(&self) -> &str {
        users::session_key(&self.session)
    }
}

/// An account as a row shows it.
struct Row {
    listed: Listed,
    /// Whether the account belongs to the reader.
    own: bool,
    /// The open link with which the owner can choose a password.
    link: Option<Link>,
}

impl Row {
    fn new(page: &Page<Admin>, listed: Listed, links: &[Link]) -> Self {
        let link = links.iter().find(|link| link.user_id == listed.user.id).cloned();
        Self { own: listed.user.id == page.caller.user().id, listed, link }
    }
}

/// The rights in the table of roles, each with the permission behind it.
const RIGHTS: [(&str, Permission); 6] = [
    ("See stacks, schedules and runs", Permission::View),
    ("Start, stop, nap and wake", Permission::Operate),
    ("Keep schedules, overrides and locks", Permission::Operate),
    ("Keep calendars", Permission::Administer),
    ("Keep users", Permission::Administer),
    ("Read the whole audit log", Permission::Administer),
];

/// The page of all accounts.
#[derive(Template)]
#[template(path = "users/index.html")]
struct UsersPage<'a> {
    shell: &'a Shell,
    rows: Vec<Row>,
}

impl UsersPage<'_> {
    /// The rows of the table of roles: a right, and whether each role has it, weakest role first.
    fn rights(&self) -> [(&'static str, [bool; 3]); 6] {
        RIGHTS.map(|(what, needs)| (what, Role::ALL.map(|role| role.allows(needs))))
    }
}

async fn list(page: Page<Admin>) -> Result<Response> {
    let listed = users::list(&page.app, &page.actor).await?;
    let links = user_links::open(&page.app, &page.actor).await?;
    let rows = listed.into_iter().map(|one| Row::new(&page, one, &links)).collect();
    page.render(&UsersPage { shell: &page.shell, rows })
}
