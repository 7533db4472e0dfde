//! Creating, changing and deleting accounts, and the links with which their owners choose a password.

use askama::Template;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use secrecy::ExposeSecret;

use super::{LinkKind, Row, SessionRow};
use crate::app::user_links::{self, Issued};
use crate::app::users::{self, Edit, Listed};
use crate::app::{Error, Result};
use crate::domain::device::Kind;
use crate::domain::ids::UserId;
use crate::domain::user::User;
use crate::web::auth::Admin;
use crate::web::filters;
use crate::web::form::{Refill, Typed};
use crate::web::page::Page;
use crate::web::session::RestoredForm;
use crate::web::shell::{Flash, Shell};

/// The page with the form of a new account.
#[derive(Template)]
#[template(path = "users/new.html")]
struct NewUser<'a> {
    shell: &'a Shell,
    form: Refill,
}

/// The page of a new link, which is shown only once.
#[derive(Template)]
#[template(path = "users/link.html")]
struct LinkPage<'a> {
    shell: &'a Shell,
    issued: &'a Issued,
    /// The whole URL, with the secret.
    url: String,
}

impl LinkPage<'_> {
    /// Whether the link is for the first password of the account.
    fn invites(&self) -> bool {
        self.issued.kind == LinkKind::Invite
    }
}

pub(super) async fn new(page: Page<Admin>, RestoredForm(restored): RestoredForm) -> Result<Response> {
    page.render(&NewUser { shell: &page.shell, form: Refill::fresh(restored.unwrap_or_default()) })
}

pub(super) async fn create(page: Page<Admin>, headers: HeaderMap, typed: Typed) -> Result<Response> {
    match user_links::invite(&page.app, &page.actor, typed.get("name"), typed.get("role")).await {
        Ok(issued) => link_page(&page, &headers, &issued),
        Err(Error::Invalid(errors)) => {
            page.refuse(&NewUser { shell: &page.shell, form: Refill::wrong(typed, errors) })
        }
        Err(other) => Err(other),
    }
}

fn link_page(page: &Page<Admin>, headers: &HeaderMap, issued: &Issued) -> Result<Response> {
    // Without a configured public address the URL uses the host of this request, which works at least for this admin.
    let url = format!("{}/invite/{}", page.web.site(page.via, headers), issued.token.expose_secret());
    page.answer(StatusCode::CREATED, &LinkPage { shell: &page.shell, issued, url })
}

pub(super) async fn make_link(
    page: Page<Admin>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response> {
    let id = UserId(id);
    match user_links::renew(&page.app, &page.actor, &id).await {
        Ok(issued) => link_page(&page, &headers, &issued),
        Err(refusal) => back(&page, &id, Typed::default(), refusal).await,
    }
}

pub(super) async fn revoke_link(page: Page<Admin>, Path(id): Path<String>) -> Result<Response> {
    let id = UserId(id);
    user_links::revoke(&page.app, &page.actor, &id).await?;
    let message = Flash::new("good", "The link is withdrawn: it opens nothing any more.");
    Ok(page.redirect_with(&format!("/users/{id}"), message).await)
}

/// The page of one account.
#[derive(Template)]
#[template(path = "users/edit.html")]
struct EditUser<'a> {
    shell: &'a Shell,
    row: Row,
    /// The sessions of the account.
    sessions: Vec<SessionRow>,
    form: Refill,
    /// The reason why the change was refused, as one sentence.
    refused: Option<String>,
}

impl EditUser<'_> {
    fn has_sessions_to_end(&self) -> bool {
        self.sessions.iter().any(|session| !session.current)
    }
}

pub(super) async fn show(
    page: Page<Admin>,
    Path(id): Path<String>,
    RestoredForm(restored): RestoredForm,
) -> Result<Response> {
    let user = users::get(&page.app, &page.actor, &UserId(id)).await?;
    let form = Refill::fresh(restored.unwrap_or_else(|| stored(&user)));
    filled(&page, user, form, None).await
}

/// The stored account as fields of the form.
fn stored(user: &User) -> Typed {
    let mut fields = vec![("role", user.role.as_str())];
    fields.extend(user.disabled.then_some(("disabled", "on")));
    Typed::of(fields)
}

pub(super) async fn update(page: Page<Admin>, Path(id): Path<String>, typed: Typed) -> Result<Response> {
    let id = UserId(id);
    let edit = Edit {
        role: typed.get("role").to_owned(),
        disabled: typed.has("disabled"),
        rev: typed.filled("rev").and_then(|rev| rev.parse().ok()),
    };
    match users::update(&page.app, &page.actor, &id, &edit).await {
        Ok(user) => {
            Ok(page.redirect_with("/users", Flash::new("good", format!("{} is stored.", user.name))).await)
        }
        Err(refusal) => back(&page, &id, typed, refusal).await,
    }
}

/// The page with the form and its errors, if the refusal is one that the reader can correct.
async fn back(page: &Page<Admin>, id: &UserId, typed: Typed, refusal: Error) -> Result<Response> {
    let (errors, refused) = match refusal {
        Error::Invalid(errors) => (errors, None),
        Error::Conflict { message, .. } => (Vec::new(), Some(message)),
        Error::Stale { .. } => (
            Vec::new(),
            Some("somebody else changed this account in the meantime; this is how it is now".to_owned()),
        ),
        other => return Err(other),
    };
    let user = users::get(&page.app, &page.actor, id).await?;
    let form = if errors.is_empty() { Refill::fresh(stored(&user)) } else { Refill::wrong(typed, errors) };
    filled(page, user, form, refused).await
}

async fn filled(page: &Page<Admin>, user: User, form: Refill, refused: Option<String>) -> Result<Response> {
    let sessions = users::sessions(&page.app, &page.actor, &user.id).await?;
    let links = user_links::open(&page.app, &page.actor).await?;
    let status = if refused.is_some() { StatusCode::CONFLICT } else { form.status() };
    let of = format!("/users/{}", user.id);
    let listed = Listed {
        sessions: i64::try_from(sessions.len()).unwrap_or(i64::MAX),
        last_seen: sessions.iter().map(|session| session.last_seen).max().max(user.last_login),
        user,
    };
    let sessions = sessions.into_iter().map(|one| SessionRow::new(page, one, of.clone())).collect();
    let row = Row::new(page, listed, &links);
    page.answer(status, &EditUser { shell: &page.shell, row, sessions, form, refused })
}

pub(super) async fn end_sessions(page: Page<Admin>, Path(id): Path<String>) -> Result<Response> {
    let id = UserId(id);
    // The admin's own current session stays; the button ends the other ones.
    let keep = page.caller.session().filter(|_| page.caller.user().id == id);
    let ended = users::end_sessions(&page.app, &page.actor, &id, keep).await?;
    let text =
        if ended == 1 { "1 session has ended.".to_owned() } else { format!("{ended} sessions have ended.") };
    Ok(page.redirect_with(&format!("/users/{id}"), Flash::new("good", text)).await)
}

pub(super) async fn end_session(
    page: Page<Admin>,
    Path((id, key)): Path<(String, String)>,
) -> Result<Response> {
    let id = UserId(id);
    users::end_session(&page.app, &page.actor, &id, &key).await?;
    let message = Flash::new("good", "That browser is logged out.");
    Ok(page.redirect_with(&format!("/users/{id}"), message).await)
}

/// The page that asks for confirmation before an account is deleted.
#[derive(Template)]
#[template(path = "users/delete.html")]
struct DeleteUser<'a> {
    shell: &'a Shell,
    user: &'a User,
    /// The reason why the account cannot be deleted.
    refused: Option<String>,
}

pub(super) async fn confirm_delete(page: Page<Admin>, Path(id): Path<String>) -> Result<Response> {
    let user = users::get(&page.app, &page.actor, &UserId(id)).await?;
    page.render(&DeleteUser { shell: &page.shell, user: &user, refused: None })
}

pub(super) async fn delete(page: Page<Admin>, Path(id): Path<String>) -> Result<Response> {
    let user = users::get(&page.app, &page.actor, &UserId(id)).await?;
    match users::delete(&page.app, &page.actor, &user.id).await {
        Ok(()) => {
            Ok(page.redirect_with("/users", Flash::new("good", format!("{} is removed.", user.name))).await)
        }
        Err(Error::Conflict { message, .. }) => {
            let again = DeleteUser { shell: &page.shell, user: &user, refused: Some(message) };
            page.answer(StatusCode::CONFLICT, &again)
        }
        Err(other) => Err(other),
    }
}
