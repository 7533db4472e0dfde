//! Accounts: who has one, what they may do, and how they change their password.
//!
//! The last admin who can log in stays one. Whoever loses rights loses every session and token with them, at once.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::audit::{self, Object};
use super::auth::{self, record};
use super::{Actor, App, Error, FieldError, Result};
use crate::db;
use crate::db::credentials::Event;
pub use crate::db::sessions::Session;
use crate::domain::audit::{AuditDetail, Change};
use crate::domain::credential::{self, Strength, WeakPassword, check_name, name_key};
use crate::domain::ids::UserId;
use crate::domain::permission::{Permission, Role};
use crate::domain::user::User;

/// An account and how often it is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub user: User,
    /// Browsers that are logged in.
    pub sessions: i64,
    /// When one of them was last used, else the last login.
    pub last_seen: Option<Timestamp>,
}

/// A new account as it was typed.
#[derive(Clone, Debug)]
pub struct Draft {
    pub name: String,
    /// First password.
    pub password: SecretString,
    /// `viewer`, `operator` or `admin`.
    pub role: String,
}

/// What of an account an admin changes.
#[derive(Clone, Debug)]
pub struct Edit {
    /// `viewer`, `operator` or `admin`.
    pub role: String,
    /// Whether logins are refused.
    pub disabled: bool,
    /// The revision the admin saw; `None` = whatever it is.
    pub rev: Option<i64>,
}

/// Every account by name.
pub async fn list(app: &App, actor: &Actor) -> Result<Vec<Listed>> {
    actor.require(Permission::Administer)?;
    let counts = db::sessions::counts(&app.db, app.clock.now()).await?;
    let users = db::users::list(&app.db).await?;
    Ok(users
        .into_iter()
        .map(|user| {
            let open = counts.iter().find(|(id, ..)| *id == user.id);
            let last_seen = open.map(|(_, _, seen)| *seen).max(user.last_login);
            Listed { sessions: open.map_or(0, |(_, count, _)| *count), last_seen, user }
        })
        .collect())
}

/// One account.
pub async fn get(app: &App, actor: &Actor, id: &UserId) -> Result<User> {
    if actor.reference.id.as_deref() != Some(id.as_str()) {
        actor.require(Permission::Administer)?;
    }
    Ok(find(app, id).await?.user)
}

/// Someone's sessions, the last used first: one's own, or as an admin anyone's.
pub async fn sessions(app: &App, actor: &Actor, id: &UserId) -> Result<Vec<Session>> {
    if actor.reference.id.as_deref() != Some(id.as_str()) {
        actor.require(Permission::Administer)?;
    }
    Ok(db::sessions::list(&app.db, id, app.clock.now()).await?)
}

/// Adds an account.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] per field, also where the name is taken.
pub async fn create(app: &App, actor: &Actor, draft: &Draft) -> Result<User> {
    actor.require(Permission::Administer)?;
    let (checked, role) = (check(app, &draft.name, &draft.password), draft.role.parse::<Role>());
    let role = match (checked, role) {
        (Ok(()), Ok(role)) => role,
        (checked, role) => {
            let mut errors = match checked {
                Err(Error::Invalid(errors)) => errors,
                Err(other) => return Err(other),
                Ok(()) => Vec::new(),
            };
            errors.extend(role.err().map(|error| FieldError::new("role", error.to_string())));
            return Err(Error::Invalid(errors));
        }
    };
    let hash = app.auth.hasher.hash(&draft.password).await?;
    let now = app.clock.now();
    let user = User {
        id: app.ids.next(now),
        name: draft.name.trim().to_owned(),
        role,
        disabled: false,
        timezone: None,
        theme: None,
        habits: crate::domain::user::Habits::default(),
        password_set: now,
        last_login: None,
        rev: 1,
        created: now,
    };
    let mut tx = app.db.begin().await?;
    match db::users::insert(&mut tx, &user, &name_key(&user.name), &hash).await {
        Ok(()) => {}
        Err(error) if error.is_duplicate() => {
            return Err(Error::field("name", "somebody has this name already"));
        }
        Err(error) => return Err(error.into()),
    }
    let changes = vec![Change { field: "role".to_owned(), old: None, new: Some(role.to_string()) }];
    record_changes(&mut tx, app, actor, "user.create", &user, changes).await?;
    tx.commit().await?;
    Ok(user)
}

/// Changes role and state of an account. Losing either ends its sessions and tokens.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`], [`Error::Invalid`]; [`Error::Stale`] where somebody was faster;
/// [`Error::Conflict`] where nobody would be left who can log in as an admin.
pub async fn update(app: &App, actor: &Actor, id: &UserId, edit: &Edit) -> Result<User> {
    actor.require(Permission::Administer)?;
    let role: Role = edit
        .role
        .parse()
        .map_err(|error: crate::domain::permission::UnknownRole| Error::field("role", error.to_string()))?;
    let mut tx = app.db.begin().await?;
    db::users::lock_all(&mut tx).await?;
    let old =
        db::users::find_in(&mut tx, id).await?.ok_or_else(|| Error::not_found("user", id.as_str()))?.user;
    if edit.rev.is_some_and(|rev| rev != old.rev) {
        return Err(Error::Stale { current_rev: old.rev });
    }
    if role == old.role && edit.disabled == old.disabled {
        return Ok(old);
    }
    if role != Role::Admin || edit.disabled {
        require_other_admin(&mut tx, &old).await?;
    }
    let new = User { role, disabled: edit.disabled, ..old.clone() };
    if !db::users::update(&mut tx, &new, app.clock.now()).await? {
        return Err(Error::Stale { current_rev: old.rev });
    }
    let event = if edit.disabled { Event::Disable } else { Event::Role };
    db::credentials::end(&mut tx, id, event, None).await?;
    let changes = [
        ("role", old.role.to_string(), role.to_string()),
        ("disabled", old.disabled.to_string(), edit.disabled.to_string()),
    ];
    let changes = changes
        .into_iter()
        .filter(|(_, old, new)| old != new)
        .map(|(field, old, new)| Change { field: field.to_owned(), old: Some(old), new: Some(new) })
        .collect();
    record_changes(&mut tx, app, actor, "user.update", &new, changes).await?;
    tx.commit().await?;
    Ok(User { rev: old.rev + 1, ..new })
}

/// Removes an account with its sessions and tokens. What it did stays in the audit log.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] where nobody would be left who can log in as an
/// admin.
pub async fn delete(app: &App, actor: &Actor, id: &UserId) -> Result<()> {
    actor.require(Permission::Administer)?;
    let mut tx = app.db.begin().await?;
    db::users::lock_all(&mut tx).await?;
    let user =
        db::users::find_in(&mut tx, id).await?.ok_or_else(|| Error::not_found("user", id.as_str()))?.user;
    require_other_admin(&mut tx, &user).await?;
    db::credentials::end(&mut tx, id, Event::Delete, None).await?;
    db::schedules::leave(&mut tx, id).await?;
    db::users::delete(&mut tx, id).await?;
    record(&mut tx, app, actor, "user.delete", &user, "ok", None).await?;
    Ok(tx.commit().await?)
}

async fn require_other_admin(tx: &mut db::Tx, user: &User) -> Result<()> {
    if user.role == Role::Admin && !user.disabled && db::users::other_admins(tx, &user.id).await? == 0 {
        return Err(Error::Conflict {
            code: "last_admin",
            message: format!("{} is the last admin; make somebody else one first", user.name),
        });
    }
    Ok(())
}

/// Gives an account a new password, as an admin or from the command line, and ends its sessions and tokens.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Invalid`] naming the rule it breaks.
pub async fn reset_password(app: &App, actor: &Actor, id: &UserId, password: &SecretString) -> Result<()> {
    actor.require(Permission::Administer)?;
    let user = find(app, id).await?.user;
    set_password(app, actor, &user, password, None, "user.reset_password").await
}

/// The account with this name, for the command line.
pub async fn by_name(app: &App, actor: &Actor, name: &str) -> Result<User> {
    actor.require(Permission::Administer)?;
    let stored = db::users::find_by_name(&app.db, &name_key(name)).await?;
    Ok(stored.ok_or_else(|| Error::not_found("user", name))?.user)
}

/// Changes one's own password. Every other session and every token of the account ends; `keep` is the digest of the
/// session that asks.
///
/// # Errors
/// [`Error::Invalid`] on `current` where the old password is wrong, on `password` naming the rule it breaks;
/// [`Error::TooManyTries`].
pub async fn change_password(
    app: &App,
    actor: &Actor,
    current: &SecretString,
    password: &SecretString,
    keep: Option<&str>,
) -> Result<()> {
    let id = UserId::from(actor.reference.id.clone().unwrap_or_default());
    let stored = find(app, &id).await?;
    if !auth::prove_again(app, &stored, current).await? {
        let mut tx = app.db.begin().await?;
        record(&mut tx, app, actor, "user.change_password", &stored.user, "refused", Some("wrong password"))
            .await?;
        tx.commit().await?;
        return Err(Error::field("current", "this is not your password"));
    }
    set_password(app, actor, &stored.user, password, keep, "user.change_password").await
}

async fn set_password(
    app: &App,
    actor: &Actor,
    user: &User,
    password: &SecretString,
    keep: Option<&str>,
    event: &str,
) -> Result<()> {
    check_secret(app, &user.name, password)?;
    let hash = app.auth.hasher.hash(password).await?;
    let mut tx = app.db.begin().await?;
    if !db::users::set_password(&mut tx, &user.id, &hash, app.clock.now()).await? {
        return Err(Error::not_found("user", &*user.name));
    }
    db::credentials::end(&mut tx, &user.id, Event::Password, keep).await?;
    auth::forget_failures(&mut tx, user).await?;
    record(&mut tx, app, actor, event, user, "ok", None).await?;
    Ok(tx.commit().await?)
}

/// What pages name a session by: enough of its digest to tell it from the others of its owner.
pub fn session_key(session: &Session) -> &str {
    session.id_hash.get(..16).unwrap_or_default()
}

/// Ends one session of someone by its key: one's own, or as an admin anyone's.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`] where this account has no such session.
pub async fn end_session(app: &App, actor: &Actor, id: &UserId, key: &str) -> Result<()> {
    let missing = || Error::not_found("session", key);
    let sessions = sessions(app, actor, id).await?;
    let session = sessions.iter().find(|session| session_key(session) == key).ok_or_else(missing)?;
    let user = find(app, id).await?.user;
    let mut tx = app.db.begin().await?;
    if !db::sessions::delete_of(&mut tx, id, &session.id_hash).await? {
        return Err(missing());
    }
    record(&mut tx, app, actor, "user.end_session", &user, "ok", None).await?;
    Ok(tx.commit().await?)
}

/// Ends someone's sessions and tokens: one's own but for `keep`, or as an admin anyone's. Answers how many sessions.
pub async fn end_sessions(app: &App, actor: &Actor, id: &UserId, keep: Option<&str>) -> Result<u64> {
    if actor.reference.id.as_deref() != Some(id.as_str()) {
        actor.require(Permission::Administer)?;
    }
    let user = find(app, id).await?.user;
    let mut tx = app.db.begin().await?;
    let ended = db::credentials::end(&mut tx, id, Event::SignOut, keep).await?;
    record(&mut tx, app, actor, "user.end_sessions", &user, "ok", None).await?;
    tx.commit().await?;
    Ok(ended)
}

pub(super) async fn find(app: &App, id: &UserId) -> Result<db::users::Stored> {
    db::users::find(&app.db, id).await?.ok_or_else(|| Error::not_found("user", id.as_str()))
}

/// Checks name and password of a new account against the policy.
pub(super) fn check(app: &App, name: &str, password: &SecretString) -> Result<()> {
    let mut errors = Vec::new();
    if let Err(error) = check_name(name) {
        errors.push(FieldError::new("name", error.to_string()));
    }
    if let Err(Error::Invalid(others)) = check_secret(app, name, password) {
        errors.extend(others);
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

pub(super) fn check_secret(app: &App, name: &str, password: &SecretString) -> Result<()> {
    strength(app, name, password).map(drop).map_err(|error| Error::field("password", error.to_string()))
}

/// How hard a password of the account `name` is to guess.
///
/// # Errors
/// [`WeakPassword`] where it would be refused.
pub fn strength(
    app: &App,
    name: &str,
    password: &SecretString,
) -> std::result::Result<Strength, WeakPassword> {
    let host = app.config.base_url.as_ref().and_then(|url| {
        let host = url.origin.split_once("://")?.1;
        Some(host.rsplit_once(':').map_or(host, |(host, _)| host))
    });
    let words: Vec<&str> = std::iter::once(name.trim()).chain(host).collect();
    credential::strength(password.expose_secret(), app.config.password_min, &words)
}

async fn record_changes(
    tx: &mut db::Tx,
    app: &App,
    actor: &Actor,
    event: &str,
    user: &User,
    changes: Vec<Change>,
) -> Result<()> {
    let object = Object { kind: "user", id: Some(user.id.as_str()), name: &user.name };
    audit::record(tx, app, actor, event, object, "ok", AuditDetail { changes, ..AuditDetail::default() })
        .await
}
