//! Making, changing and removing an account, and the links with which its owner chooses a password.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, State};
use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Redirect, Response};
use secrecy::ExposeSecret;

use super::{Row, SessionRow};
use crate::app::user_links::{self, Issued};
use crate::app::users::{self, Edit, Listed};
use crate::app::{Error, Result};
use crate::domain::ids::UserId;
use crate::domain::user::{LinkKind, User};
use crate::web::Web;
use crate::web::auth::{Admin, Caller};
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::pages::{html, now};
use crate::web::proxy::Via;
use crate::web::session::Kept;
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::When;

/// The form of a new account.
#[derive(Template, Clone, Debug)]
#[template(path = "users/new.html")]
pub struct NewUser {
    pub shell: Shell,
    pub form: Refill,
}

/// A link that was just made, the only time it can be seen.
#[derive(Template, Clone, Debug)]
#[template(path = "users/link.html")]
pub struct LinkPage {
    pub shell: Shell,
    pub id: String,
    pub name: String,
    /// It is for the first password.
    pub invites: bool,
    /// The whole address.
    pub url: String,
    pub ends: When,
}

pub(super) async fn new(_: Caller<Admin>, Kept(kept): Kept, shell: Shell) -> Result<Response> {
    new_page(shell, Refill::fresh(kept.unwrap_or_default()))
}

pub(super) async fn create(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Extension(via): Extension<Via>,
    headers: HeaderMap,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    match user_links::invite(&web.app, &caller.actor, typed.get("name"), typed.get("role")).await {
        Ok(issued) => link_page(&web, via, &headers, shell, &issued),
        Err(Error::Invalid(errors)) => new_page(shell, Refill::wrong(typed, errors)),
        Err(other) => Err(other),
    }
}

fn new_page(shell: Shell, form: Refill) -> Result<Response> {
    let status = form.status();
    Ok((status, html(&NewUser { shell, form })?).into_response())
}

fn link_page(web: &Web, via: Via, headers: &HeaderMap, shell: Shell, issued: &Issued) -> Result<Response> {
    // Where no address is configured, the one in this admin's own address bar works for them at least.
    let own = || {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        format!("{}://{host}", if via.https { "https" } else { "http" })
    };
    let origin = web.app.config.base_url.as_ref().map_or_else(own, |base| base.origin.clone());
    let path = web.link(&format!("/invite/{}", issued.token.expose_secret()));
    let page = LinkPage {
        id: issued.user.id.to_string(),
        name: issued.user.name.clone(),
        invites: issued.kind == LinkKind::Invite,
        url: format!("{origin}{path}"),
        ends: now(web, &shell).when(issued.expires),
        shell,
    };
    Ok((StatusCode::CREATED, html(&page)?).into_response())
}

pub(super) async fn make_link(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Extension(via): Extension<Via>,
    headers: HeaderMap,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Response> {
    let id = UserId(id);
    match user_links::renew(&web.app, &caller.actor, &id).await {
        Ok(issued) => link_page(&web, via, &headers, shell, &issued),
        Err(refusal) => back(&web, &caller, shell, &id, Typed::default(), refusal).await,
    }
}

pub(super) async fn revoke_link(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Path(id): Path<String>,
    notes: Notes,
) -> Result<Redirect> {
    let id = UserId(id);
    user_links::revoke(&web.app, &caller.actor, &id).await?;
    notes.leave(Flash::new("good", "The link is withdrawn: it opens nothing any more.")).await;
    Ok(Redirect::to(&web.link(&format!("/users/{id}"))))
}

/// One account.
#[derive(Template, Clone, Debug)]
#[template(path = "users/edit.html")]
pub struct EditUser {
    pub shell: Shell,
    pub row: Row,
    /// Where it is logged in.
    pub sessions: Vec<SessionRow>,
    /// The revision the form was made from.
    pub rev: i64,
    pub form: Refill,
    /// What could not be done as things are, in one sentence.
    pub refused: Option<String>,
}

impl EditUser {
    /// Whether there are sessions to end.
    pub fn has_sessions_to_end(&self) -> bool {
        self.sessions.iter().any(|session| !session.current)
    }
}

pub(super) async fn show(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Path(id): Path<String>,
    Kept(kept): Kept,
    shell: Shell,
) -> Result<Response> {
    let user = users::get(&web.app, &caller.actor, &UserId(id)).await?;
    let form = Refill::fresh(kept.unwrap_or_else(|| stored(&user)));
    page(&web, &caller, shell, &user, form, None).await
}

/// The form of an account nobody has touched.
fn stored(user: &User) -> Typed {
    let mut fields = vec![("role", user.role.as_str())];
    fields.extend(user.disabled.then_some(("disabled", "on")));
    Typed::of(fields)
}

pub(super) async fn update(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Path(id): Path<String>,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let id = UserId(id);
    let edit = Edit {
        role: typed.get("role").to_owned(),
        disabled: typed.has("disabled"),
        rev: typed.filled("rev").and_then(|rev| rev.parse().ok()),
    };
    match users::update(&web.app, &caller.actor, &id, &edit).await {
        Ok(user) => {
            notes.leave(Flash::new("good", format!("{} is stored.", user.name))).await;
            Ok(Redirect::to(&web.link("/users")).into_response())
        }
        Err(refusal) => back(&web, &caller, shell, &id, typed, refusal).await,
    }
}

/// The form again, where something is wrong with it that its reader can put right.
async fn back(
    web: &Web,
    caller: &Caller<Admin>,
    shell: Shell,
    id: &UserId,
    typed: Typed,
    refusal: Error,
) -> Result<Response> {
    let (errors, refused) = match refusal {
        Error::Invalid(errors) => (errors, None),
        Error::Conflict { message, .. } => (Vec::new(), Some(message)),
        Error::Stale { .. } => (
            Vec::new(),
            Some("somebody else changed this account in the meantime; this is how it is now".to_owned()),
        ),
        other => return Err(other),
    };
    let user = users::get(&web.app, &caller.actor, id).await?;
    let form = if errors.is_empty() {
        Refill { typed: stored(&user), errors }
    } else {
        Refill::wrong(typed, errors)
    };
    page(web, caller, shell, &user, form, refused).await
}

async fn page(
    web: &Web,
    caller: &Caller<Admin>,
    shell: Shell,
    user: &User,
    form: Refill,
    refused: Option<String>,
) -> Result<Response> {
    let now = now(web, &shell);
    let sessions = users::sessions(&web.app, &caller.actor, &user.id).await?;
    let links = user_links::open(&web.app, &caller.actor).await?;
    let listed = Listed {
        user: user.clone(),
        sessions: i64::try_from(sessions.len()).unwrap_or(i64::MAX),
        last_seen: sessions.iter().map(|session| session.last_seen).max().max(user.last_login),
    };
    let rows = sessions.iter().map(|session| {
        let end = format!("/users/{}/sessions/{}/end", user.id, users::session_key(session));
        SessionRow::new(session, caller.session(), end, &now)
    });
    let page = EditUser {
        row: Row::new(&listed, &links, &caller.user().id, &now),
        sessions: rows.collect(),
        rev: user.rev,
        form,
        refused,
        shell,
    };
    let status = if page.refused.is_some() { StatusCode::CONFLICT } else { page.form.status() };
    Ok((status, html(&page)?).into_response())
}

pub(super) async fn end_sessions(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Path(id): Path<String>,
    notes: Notes,
) -> Result<Redirect> {
    let id = UserId(id);
    // One's own session stays: the button is for the others.
    let keep = caller.session().filter(|_| caller.user().id == id);
    let ended = users::end_sessions(&web.app, &caller.actor, &id, keep).await?;
    let text =
        if ended == 1 { "1 session has ended.".to_owned() } else { format!("{ended} sessions have ended.") };
    notes.leave(Flash::new("good", text)).await;
    Ok(Redirect::to(&web.link(&format!("/users/{id}"))))
}

pub(super) async fn end_session(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Path((id, key)): Path<(String, String)>,
    notes: Notes,
) -> Result<Redirect> {
    let id = UserId(id);
    users::end_session(&web.app, &caller.actor, &id, &key).await?;
    notes.leave(Flash::new("good", "That browser is logged out.")).await;
    Ok(Redirect::to(&web.link(&format!("/users/{id}"))))
}

/// The question before an account is removed.
#[derive(Template, Clone, Debug)]
#[template(path = "users/delete.html")]
pub struct DeleteUser {
    pub shell: Shell,
    pub id: String,
    pub name: String,
    /// Why it cannot be done.
    pub refused: Option<String>,
}

pub(super) async fn confirm_delete(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Html<String>> {
    let user = users::get(&web.app, &caller.actor, &UserId(id)).await?;
    html(&DeleteUser { shell, id: user.id.0, name: user.name, refused: None })
}

pub(super) async fn delete(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Path(id): Path<String>,
    notes: Notes,
    shell: Shell,
) -> Result<Response> {
    let user = users::get(&web.app, &caller.actor, &UserId(id)).await?;
    match users::delete(&web.app, &caller.actor, &user.id).await {
        Ok(()) => {
            notes.leave(Flash::new("good", format!("{} is removed.", user.name))).await;
            Ok(Redirect::to(&web.link("/users")).into_response())
        }
        Err(Error::Conflict { message, .. }) => {
            let page = DeleteUser { shell, id: user.id.0, name: user.name, refused: Some(message) };
            Ok((StatusCode::CONFLICT, html(&page)?).into_response())
        }
        Err(other) => Err(other),
    }
}
