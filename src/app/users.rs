//! User accounts: list, create, change and delete them, change passwords, and end sessions.
//!
//! The last admin who can log in keeps that role. A loss of rights ends all sessions and tokens of the account at once.

use jiff::Timestamp;
use secrecy::SecretString;

use super::audit::Audit;
use super::auth::{self, account, policy};
use super::{Actor, App, Error, FieldError, Result};
use crate::db;
use crate::db::credentials::{Event, SESSIONS};
pub use crate::db::sessions::Session;
use crate::domain::audit::Change;
use crate::domain::credential::name_key;
use crate::domain::ids::UserId;
use crate::domain::permission::{Permission, Role};
use crate::domain::user::User;

/// An account with the figures that a list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub user: User,
    /// Number of sessions.
    pub sessions: i64,
    /// Last use of a session or last login, whichever is later.
    pub last_seen: Option<Timestamp>,
}

/// A new account as typed.
#[derive(Clone, Debug)]
pub struct Draft {
    pub name: String,
    pub password: SecretString,
    /// `viewer`, `operator` or `admin`.
    pub role: String,
}

/// The fields of an account that an admin changes.
#[derive(Clone, Debug)]
pub struct Edit {
    /// `viewer`, `operator` or `admin`.
    pub role: String,
    /// Whether logins are refused.
    pub disabled: bool,
    /// The revision that the admin edited; `None` = any.
    pub rev: Option<i64>,
}

/// Lists all accounts, ordered by name.
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

/// Reads one account: the caller's own or, for admins, any.
pub async fn get(app: &App, actor: &Actor, id: &UserId) -> Result<User> {
    actor.require_own(id)?;
    Ok(account(app, id).await?.user)
}

/// The sessions of an account, last used first: the caller's own or, for admins, any.
pub async fn sessions(app: &App, actor: &Actor, id: &UserId) -> Result<Vec<Session>> {
    actor.require_own(id)?;
    Ok(db::sessions::list(&app.db, id, app.clock.now()).await?)
}

/// Creates an account.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] with every field that is wrong, also for a name in use.
pub async fn create(app: &App, actor: &Actor, draft: &Draft) -> Result<User> {
    actor.require(Permission::Administer)?;
    let role = check(app, &draft.name, Some(&draft.password), &draft.role)?;
    let hash = app.auth.hasher.hash(&draft.password).await?;
    let now = app.clock.now();
    let user = User::new(app.ids.next(now), &draft.name, role, now);
    let mut tx = app.db.begin().await?;
    insert(&mut tx, &user, &hash).await?;
    let row = Audit::new(app, actor, "user.create").user(&user);
    row.changes(vec![first_role(role)]).store(&mut tx).await?;
    tx.commit().await?;
    Ok(user)
}

/// Validates name, password and role of a new account.
pub(super) fn check(app: &App, name: &str, password: Option<&SecretString>, role: &str) -> Result<Role> {
    let mut faults = policy::faults(app, name, password);
    match role.parse::<Role>() {
        Ok(role) if faults.is_empty() => return Ok(role),
        Ok(_) => {}
        Err(error) => faults.push(FieldError::new("role", error.to_string())),
    }
    Err(Error::Invalid(faults))
}

/// Stores an account.
///
/// # Errors
/// [`Error::Invalid`] for a name in use.
pub(super) async fn insert(tx: &mut db::Tx, user: &User, hash: &str) -> Result<()> {
    db::users::insert(tx, user, &name_key(&user.name), hash).await.map_err(|error| {
        if error.is_duplicate() {
            Error::field("name", "somebody has this name already")
        } else {
            error.into()
        }
    })
}

pub(super) fn first_role(role: Role) -> Change {
    Change::to("role", role.as_str())
}

/// Changes role and disabled state of an account. The change ends its sessions and tokens.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Invalid`]; [`Error::Stale`] where somebody changed the account
/// in the meantime; [`Error::Conflict`] where no other admin could log in.
pub async fn update(app: &App, actor: &Actor, id: &UserId, edit: &Edit) -> Result<User> {
    actor.require(Permission::Administer)?;
    let role: Role = edit
        .role
        .parse()
        .map_err(|error: crate::domain::permission::UnknownRole| Error::field("role", error.to_string()))?;
    let mut tx = app.db.begin().await?;
    db::users::lock_all(&mut tx).await?;
    let old = find_in(&mut tx, id).await?;
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
    let changes = Change::between([
        ("role", Some(old.role.to_string()), Some(role.to_string())),
        ("disabled", Some(old.disabled.to_string()), Some(edit.disabled.to_string())),
    ]);
    Audit::new(app, actor, "user.update").user(&new).changes(changes).store(&mut tx).await?;
    tx.commit().await?;
    Ok(User { rev: old.rev + 1, ..new })
}

/// Deletes an account with its sessions and tokens. Its rows in the audit log stay.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Conflict`] where no other admin could log in.
pub async fn delete(app: &App, actor: &Actor, id: &UserId) -> Result<()> {
    actor.require(Permission::Administer)?;
    let mut tx = app.db.begin().await?;
    db::users::lock_all(&mut tx).await?;
    let user = find_in(&mut tx, id).await?;
    require_other_admin(&mut tx, &user).await?;
    db::credentials::end(&mut tx, id, Event::Delete, None).await?;
    db::schedules::leave(&mut tx, id).await?;
    db::users::delete(&mut tx, id).await?;
    Audit::new(app, actor, "user.delete").user(&user).store(&mut tx).await?;
    Ok(tx.commit().await?)
}

async fn require_other_admin(tx: &mut db::Tx, user: &User) -> Result<()> {
    if user.role == Role::Admin && !user.disabled && db::users::other_admins(tx, &user.id).await? == 0 {
        return Err(Error::conflict(
            "last_admin",
            format!("{} is the last admin; make somebody else one first", user.name),
        ));
    }
    Ok(())
}

/// Sets the password of an account, as an admin or from the command line, and ends its sessions and tokens.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Invalid`] with the rule that the password violates.
pub async fn reset_password(app: &App, actor: &Actor, id: &UserId, password: &SecretString) -> Result<()> {
    actor.require(Permission::Administer)?;
    let user = account(app, id).await?.user;
    set_password(app, actor, &user, password, None, "user.reset_password").await
}

/// The account with this name, for the command line.
pub async fn by_name(app: &App, actor: &Actor, name: &str) -> Result<User> {
    actor.require(Permission::Administer)?;
    let stored = db::users::find_by_name(&app.db, &name_key(name)).await?;
    Ok(stored.ok_or_else(|| Error::not_found("user", name))?.user)
}

/// Changes the caller's own password. All other sessions and all tokens of the account end; `keep` is the digest of the
/// session to keep.
///
/// # Errors
/// [`Error::Invalid`] for `current` where the old password is wrong, or for `password` with the rule that the new one
/// violates; [`Error::TooManyTries`].
pub async fn change_password(
    app: &App,
    actor: &Actor,
    current: &SecretString,
    password: &SecretString,
    keep: Option<&str>,
) -> Result<()> {
    let stored = account(app, &actor.user_id()).await?;
    if !auth::check_own_password(app, &stored, current).await? {
        let mut tx = app.db.begin().await?;
        let row = Audit::new(app, actor, "user.change_password").user(&stored.user);
        row.outcome("refused").reason("wrong password").store(&mut tx).await?;
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
    policy::check_password(app, &user.name, password)?;
    let hash = app.auth.hasher.hash(password).await?;
    let mut tx = app.db.begin().await?;
    if !db::users::set_password(&mut tx, &user.id, &hash, app.clock.now()).await? {
        return Err(Error::not_found("user", &*user.name));
    }
    db::credentials::end(&mut tx, &user.id, Event::Password, keep).await?;
    auth::forget_failures(&mut tx, user).await?;
    Audit::new(app, actor, event).user(user).store(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// The key of a session on pages: the first 16 characters of its digest, enough to tell the sessions of an account
/// apart.
pub fn session_key(session: &Session) -> &str {
    session.id_hash.get(..16).unwrap_or_default()
}

/// Ends one session by its key: the caller's own or, for admins, any.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`] where the account has no such session.
pub async fn end_session(app: &App, actor: &Actor, id: &UserId, key: &str) -> Result<()> {
    let missing = || Error::not_found("session", key);
    let sessions = sessions(app, actor, id).await?;
    let session = sessions.iter().find(|session| session_key(session) == key).ok_or_else(missing)?;
    let user = account(app, id).await?.user;
    let mut tx = app.db.begin().await?;
    if !SESSIONS.end_one(&mut tx, id, &session.id_hash).await? {
        return Err(missing());
    }
    Audit::new(app, actor, "user.end_session").user(&user).store(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// Ends all sessions and tokens of an account except the session `keep`: the caller's own or, for admins, any. Returns
/// the number of ended sessions.
pub async fn end_sessions(app: &App, actor: &Actor, id: &UserId, keep: Option<&str>) -> Result<u64> {
    actor.require_own(id)?;
    let user = account(app, id).await?.user;
    let mut tx = app.db.begin().await?;
    let ended = db::credentials::end(&mut tx, id, Event::SignOut, keep).await?;
    Audit::new(app, actor, "user.end_sessions").user(&user).store(&mut tx).await?;
    tx.commit().await?;
    Ok(ended)
}

pub(super) async fn find_in(tx: &mut db::Tx, id: &UserId) -> Result<User> {
    let stored = db::users::find(tx, id).await?;
    Ok(stored.ok_or_else(|| Error::not_found("user", id.as_str()))?.user)
}
