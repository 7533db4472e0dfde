//! Links with which the owner of an account chooses a password: the first one after an invitation, or a new one after
//! the old was forgotten.
//!
//! An admin creates a link and passes it on; nobody but the person who opens the link learns the password. A link works
//! once and for 24 hours. A newer link, a change of the account's rights and a change of its password revoke it.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use super::audit::Audit;
use super::auth::sessions::Ticket;
use super::auth::{self, account, policy};
use super::users::{check, find_in, first_role, insert};
use super::{Actor, App, Error, Result};
use crate::db;
use crate::db::credentials::Event;
pub use crate::db::user_links::Link;
use crate::domain::ids::UserId;
use crate::domain::permission::Permission;
use crate::domain::user::{LinkKind, User};

/// How long a link is valid.
pub const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);

/// A new link. Its token is known only now, because the database stores only a digest.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Owner of the account.
    pub user: User,
    /// Purpose of the link.
    pub kind: LinkKind,
    /// Secret part of the link.
    pub token: SecretString,
    pub expires: Timestamp,
}

/// Creates an account without a password, and the link with which its owner chooses one.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] with every field that is wrong, also for a name in use.
pub async fn invite(app: &App, actor: &Actor, name: &str, role: &str) -> Result<Issued> {
    actor.require(Permission::Administer)?;
    let role = check(app, name, None, role)?;
    let now = app.clock.now();
    let password_set = Timestamp::UNIX_EPOCH;
    let user = User { password_set, ..User::new(app.ids.next(now), name, role, now) };
    let mut tx = app.db.begin().await?;
    insert(&mut tx, &user, app.auth.hasher.dummy_hash()).await?;
    let issued = issue(&mut tx, app, user, LinkKind::Invite).await?;
    let row = Audit::new(app, actor, "user.invite").user(&issued.user);
    row.changes(vec![first_role(role)]).store(&mut tx).await?;
    tx.commit().await?;
    Ok(issued)
}

/// Creates a link for an existing account; an earlier link is revoked.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::NotFound`]; [`Error::Conflict`] for a disabled account.
pub async fn renew(app: &App, actor: &Actor, id: &UserId) -> Result<Issued> {
    actor.require(Permission::Administer)?;
    let mut tx = app.db.begin().await?;
    db::users::lock_all(&mut tx).await?;
    let user = find_in(&mut tx, id).await?;
    if user.disabled {
        return Err(Error::conflict(
            "disabled",
            format!("{} is disabled; enable the account first", user.name),
        ));
    }
    let kind = if user.is_invited() { LinkKind::Invite } else { LinkKind::Reset };
    db::user_links::delete_all(&mut tx, id).await?;
    let issued = issue(&mut tx, app, user, kind).await?;
    Audit::new(app, actor, "user.make_link").user(&issued.user).reason(kind.as_str()).store(&mut tx).await?;
    tx.commit().await?;
    Ok(issued)
}

async fn issue(tx: &mut db::Tx, app: &App, user: User, kind: LinkKind) -> Result<Issued> {
    let ticket = Ticket::draw()?;
    let now = app.clock.now();
    let link = Link { user_id: user.id.clone(), kind, expires: now + GOOD_FOR };
    db::user_links::insert(tx, &ticket.digest(), &link, now).await?;
    Ok(Issued { user, kind, token: SecretString::from(ticket.reveal()), expires: link.expires })
}

/// Revokes the link of an account; nothing changes where there is none.
pub async fn revoke(app: &App, actor: &Actor, id: &UserId) -> Result<()> {
    actor.require(Permission::Administer)?;
    let user = account(app, id).await?.user;
    let mut tx = app.db.begin().await?;
    if db::user_links::delete_all(&mut tx, id).await? > 0 {
        Audit::new(app, actor, "user.revoke_link").user(&user).store(&mut tx).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// The valid links.
pub async fn open(app: &App, actor: &Actor) -> Result<Vec<Link>> {
    actor.require(Permission::Administer)?;
    Ok(db::user_links::open(&app.db, app.clock.now()).await?)
}

/// The account and the purpose of the link with this token.
///
/// # Errors
/// [`Error::NotFound`] where the link was used, revoked, has expired or never existed; the caller cannot tell which.
pub async fn look(app: &App, token: &str) -> Result<(User, LinkKind)> {
    let ticket = Ticket::parse(token).ok_or_else(no_such_link)?;
    let (link, user) =
        db::user_links::find(&app.db, &ticket.digest(), app.clock.now()).await?.ok_or_else(no_such_link)?;
    Ok((user, link.kind))
}

fn no_such_link() -> Error {
    Error::not_found("link", "")
}

/// Uses a link: stores the password, deletes the link and ends all earlier sessions and tokens of the account. Returns
/// the account after the change.
///
/// # Errors
/// As [`look`]; [`Error::TooManyTries`] for too many invalid tokens; [`Error::Invalid`] with the rule that the password
/// violates, after which the link remains valid.
pub async fn accept(app: &App, token: &str, password: &SecretString, ip: Option<IpAddr>) -> Result<User> {
    let (user, kind) = match look(app, token).await {
        Err(error @ Error::NotFound { .. }) => {
            app.auth.flood.admit_from(ip)?;
            return Err(error);
        }
        found => found?,
    };
    policy::check_password(app, &user.name, password)?;
    let digest = Ticket::parse(token).ok_or_else(no_such_link)?.digest();
    let hash = app.auth.hasher.hash(password).await?;
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    if !db::user_links::take(&mut tx, &digest, now).await?
        || !db::users::set_password(&mut tx, &user.id, &hash, now).await?
    {
        return Err(no_such_link());
    }
    db::credentials::end(&mut tx, &user.id, Event::Password, None).await?;
    auth::forget_failures(&mut tx, &user).await?;
    db::users::logged_in(&mut tx, &user.id, now, None).await?;
    let actor = Actor::user(&user, ip);
    Audit::new(app, &actor, "user.use_link").user(&user).reason(kind.as_str()).store(&mut tx).await?;
    tx.commit().await?;
    Ok(account(app, &user.id).await?.user)
}
