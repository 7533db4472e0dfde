//! Accounts, for admins (ui 4.12).

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};

use super::{html, now};
use crate::app::users::{self, Draft, Edit, Listed};
use crate::app::{Error, FieldError, Result};
use crate::domain::ids::UserId;
use crate::domain::permission::Role;
use crate::domain::user::User;
use crate::web::Web;
use crate::web::auth::{Admin, Caller};
use crate::web::form::{Refill, Typed};
use crate::web::routes::{Access, Routes};
use crate::web::session::Kept;
use crate::web::shell::{Flash, Notes, Shell};
use crate::web::view::{Now, Sampled, When};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/users", Access::ADMIN, list)
        .get("/users/new", Access::ADMIN, new)
        .post("/users", Access::ADMIN, create)
        .get("/users/{id}", Access::ADMIN, edit)
        .post("/users/{id}", Access::ADMIN, update)
        .post("/users/{id}/password", Access::ADMIN, reset_password)
        .post("/users/{id}/end-sessions", Access::ADMIN, end_sessions)
        .get("/users/{id}/delete", Access::ADMIN, confirm_delete)
        .post("/users/{id}/delete", Access::ADMIN, delete)
}

/// An account as a row shows it.
struct Row {
    id: String,
    name: String,
    role: &'static str,
    disabled: bool,
    /// It is the reader's own.
    own: bool,
    sessions: i64,
    last_login: Option<When>,
    created: When,
}

impl Row {
    fn new(listed: &Listed, own: &UserId, now: &Now) -> Self {
        let user = &listed.user;
        Self {
            id: user.id.as_str().to_owned(),
            name: user.name.clone(),
            role: user.role.as_str(),
            disabled: user.disabled,
            own: user.id == *own,
            sessions: listed.sessions,
            last_login: user.last_login.map(|at| now.when(at)),
            created: now.when(user.created),
        }
    }

    fn sample(name: &str, role: Role) -> Self {
        let now = Now::sample();
        Self {
            id: "0191".to_owned(),
            name: name.to_owned(),
            role: role.as_str(),
            disabled: role == Role::Viewer,
            own: role == Role::Admin,
            sessions: 2,
            last_login: (role != Role::Viewer).then(|| now.plus(-3600)),
            created: now.plus(-86_400),
        }
    }
}

#[derive(Template)]
#[template(path = "users/index.html")]
struct Index {
    shell: Shell,
    rows: Vec<Row>,
}

impl Sampled for Index {
    fn samples() -> Vec<Self> {
        let shell = || Shell { here: "users", ..Shell::sample() };
        let rows = vec![
            Row::sample("anna", Role::Admin),
            Row::sample("ben", Role::Operator),
            Row::sample("\"><x", Role::Viewer),
        ];
        vec![
            Self { shell: shell(), rows },
            Self { shell: shell(), rows: vec![Row::sample("anna", Role::Admin)] },
        ]
    }
}

async fn list(State(web): State<Web>, caller: Caller<Admin>, shell: Shell) -> Result<Html<String>> {
    let now = now(&web, &shell);
    let listed = users::list(&web.app, &caller.actor).await?;
    let rows = listed.iter().map(|one| Row::new(one, &caller.user().id, &now)).collect();
    html(&Index { shell, rows })
}

#[derive(Template)]
#[template(path = "users/new.html")]
struct New {
    shell: Shell,
    form: Refill,
    password_min: usize,
}

impl Sampled for New {
    fn samples() -> Vec<Self> {
        let page = |form| Self { shell: Shell { here: "users", ..Shell::sample() }, form, password_min: 15 };
        let wrong = vec![FieldError::new("name", "enter a name"), FieldError::new("password", "too short")];
        vec![page(Refill::default()), page(Refill::wrong(Typed::of([("role", "operator")]), wrong))]
    }
}

async fn new(State(web): State<Web>, _: Caller<Admin>, Kept(kept): Kept, shell: Shell) -> Result<Response> {
    new_page(&web, shell, Refill::fresh(kept.unwrap_or_default()))
}

async fn create(
    State(web): State<Web>,
    caller: Caller<Admin>,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let draft = Draft {
        name: typed.get("name").to_owned(),
        password: typed.secret("password"),
        role: typed.get("role").to_owned(),
    };
    match users::create(&web.app, &caller.actor, &draft).await {
        Ok(user) => {
            notes.leave(Flash::new("good", format!("{} can log in now.", user.name))).await;
            Ok(Redirect::to(&web.link("/users")).into_response())
        }
        Err(Error::Invalid(errors)) => new_page(&web, shell, Refill::wrong(typed, errors)),
        Err(other) => Err(other),
    }
}

fn new_page(web: &Web, shell: Shell, form: Refill) -> Result<Response> {
    let status = form.status();
    let page = New { shell, form, password_min: web.app.config.password_min };
    Ok((status, html(&page)?).into_response())
}

#[derive(Template)]
#[template(path = "users/edit.html")]
struct EditPage {
    shell: Shell,
    row: Row,
    rev: i64,
    form: Refill,
    /// What could not be done as things are, in one sentence.
    refused: Option<String>,
    password_min: usize,
}

impl Sampled for EditPage {
    fn samples() -> Vec<Self> {
        let page = |role: Role, errors: Vec<FieldError>, refused: Option<&str>| Self {
            shell: Shell { here: "users", ..Shell::sample() },
            row: Row::sample("anna", role),
            rev: 3,
            form: Refill::wrong(Typed::of([("role", role.as_str())]), errors),
            refused: refused.map(str::to_owned),
            password_min: 15,
        };
        vec![
            page(Role::Admin, Vec::new(), Some("anna is the last admin; make somebody else one first")),
            page(Role::Viewer, vec![FieldError::new("password", "too short")], None),
        ]
    }
}

async fn edit(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Path(id): Path<String>,
    Kept(kept): Kept,
    shell: Shell,
) -> Result<Response> {
    let id = UserId(id);
    let user = users::get(&web.app, &caller.actor, &id).await?;
    let form = Refill::fresh(kept.unwrap_or_else(|| stored(&user)));
    edit_page(&web, &caller, shell, &user, form, None).await
}

/// The form of an account nobody has touched.
fn stored(user: &User) -> Typed {
    let mut fields = vec![("role", user.role.as_str())];
    fields.extend(user.disabled.then_some(("disabled", "on")));
    Typed::of(fields)
}

async fn update(
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

async fn reset_password(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Path(id): Path<String>,
    notes: Notes,
    shell: Shell,
    typed: Typed,
) -> Result<Response> {
    let id = UserId(id);
    match users::reset_password(&web.app, &caller.actor, &id, &typed.secret("password")).await {
        Ok(()) => {
            notes
                .leave(Flash::new("good", "The password is set and every session of the account has ended."))
                .await;
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
    let form = if errors.is_empty() || !typed.has("role") {
        Refill { typed: stored(&user), errors }
    } else {
        Refill::wrong(typed, errors)
    };
    edit_page(web, caller, shell, &user, form, refused).await
}

async fn edit_page(
    web: &Web,
    caller: &Caller<Admin>,
    shell: Shell,
    user: &User,
    form: Refill,
    refused: Option<String>,
) -> Result<Response> {
    let sessions = users::sessions(&web.app, &caller.actor, &user.id).await?.len();
    let listed = Listed { user: user.clone(), sessions: i64::try_from(sessions).unwrap_or(i64::MAX) };
    let row = Row::new(&listed, &caller.user().id, &now(web, &shell));
    let status = if refused.is_some() { StatusCode::CONFLICT } else { form.status() };
    let page =
        EditPage { shell, row, rev: user.rev, form, refused, password_min: web.app.config.password_min };
    Ok((status, html(&page)?).into_response())
}

async fn end_sessions(
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

#[derive(Template)]
#[template(path = "users/delete.html")]
struct DeletePage {
    shell: Shell,
    id: String,
    name: String,
    /// Why it cannot be done.
    refused: Option<String>,
}

impl Sampled for DeletePage {
    fn samples() -> Vec<Self> {
        let page = |refused: Option<&str>| Self {
            shell: Shell { here: "users", ..Shell::sample() },
            id: "0191".to_owned(),
            name: "anna".to_owned(),
            refused: refused.map(str::to_owned),
        };
        vec![page(None), page(Some("anna is the last admin; make somebody else one first"))]
    }
}

async fn confirm_delete(
    State(web): State<Web>,
    caller: Caller<Admin>,
    Path(id): Path<String>,
    shell: Shell,
) -> Result<Html<String>> {
    let user = users::get(&web.app, &caller.actor, &UserId(id)).await?;
    html(&DeletePage { shell, id: user.id.0, name: user.name, refused: None })
}

async fn delete(
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
            let page = DeletePage { shell, id: user.id.0, name: user.name, refused: Some(message) };
            Ok((StatusCode::CONFLICT, html(&page)?).into_response())
        }
        Err(other) => Err(other),
    }
}
