//! Links with which somebody chooses a password: the first one of an account, or another where the old is forgotten.
//!
//! An admin makes a link and hands it on; nobody but who opens it learns the password. A link works once, for a day. It
//! is withdrawn by the next one, and by whatever changes the account's rights or its password.

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

/// How long a link works.
pub const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);

/// A link that was made just now: the only time its token is known.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Whose password it is.
    pub user: User,
    /// What it is for.
    pub kind: LinkKind,
    /// The secret in it.
    pub token: SecretString,
    pub expires: Timestamp,
}

/// Adds an account without a password, and makes the link with which its owner chooses one.
///
/// # Errors
/// [`Error::Forbidden`]; [`Error::Invalid`] per field, also where the name is taken.
pub async fn invite(app: &App, actor: &Actor, name: &str, role: &str) -> Result<Issued> {
    actor.require(Permission::Administer)?;
    let role = check(app, name, None, role)?;
    let now = app.clock.now();
    let password_set = Timestamp::UNIX_EPOCH;
    let user = User { password_set, ..User::new(app.ids.next(now), name, role, now) };
    let mut tx = app.db.begin().await?;
    insert(&mut tx, &user, app.auth.hasher.nobodys()).await?;
    let issued = issue(&mut tx, app, user, LinkKind::Invite).await?;
    let row = Audit::new(app, actor, "user.invite").user(&issued.user);
    row.changes(vec![first_role(role)]).store(&mut tx).await?;
    tx.commit().await?;
    Ok(issued)
}

/// Makes a link for an account there is; one made before ends.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`]; [`Error::Conflict`] where logins to it are refused.
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

/// Withdraws the link of an account; where there is none, nothing changes.
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

/// The links that are good now.
pub async fn open(app: &App, actor: &Actor) -> Result<Vec<Link>> {
    actor.require(Permission::Administer)?;
    Ok(db::user_links::open(&app.db, app.clock.now()).await?)
}

/// Whose password the link with this token chooses, and what for.
///
/// # Errors
/// [`Error::NotFound`] for one that was used, withdrawn, is too old or never was: nobody learns which.
pub async fn look(app: &App, token: &str) -> Result<(User, LinkKind)> {
    let ticket = Ticket::parse(token).ok_or_else(gone)?;
    let (link, user) =
        db::user_links::find(&app.db, &ticket.digest(), app.clock.now()).await?.ok_or_else(gone)?;
    Ok((user, link.kind))
}

fn gone() -> Error {
    Error::not_found("link", "")
}

/// Uses a link: the password is chosen, the link and every login of before are over. Answers the account as it is then.
///
/// # Errors
/// As [`look`]; [`Error::Invalid`] naming the rule the password breaks: the link is good for another try then.
pub async fn accept(app: &App, token: &str, password: &SecretString, ip: Option<IpAddr>) -> Result<User> {
    let (user, kind) = match look(app, token).await {
        Err(error @ Error::NotFound { .. }) => {
            app.auth.flood.admit_from(ip)?;
            return Err(error);
        }
        found => found?,
    };
    policy::check_password(app, &user.name, password)?;
    let digest = Ticket::parse(token).ok_or_else(gone)?.digest();
    let hash = app.auth.hasher.hash(password).await?;
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    if !db::user_links::take(&mut tx, &digest, now).await?
        || !db::users::set_password(&mut tx, &user.id, &hash, now).await?
    {
        return Err(gone());
    }
    db::credentials::end(&mut tx, &user.id, Event::Password, None).await?;
    auth::forget_failures(&mut tx, &user).await?;
    db::users::logged_in(&mut tx, &user.id, now, None).await?;
    let actor = Actor::user(&user, ip);
    Audit::new(app, &actor, "user.use_link").user(&user).reason(kind.as_str()).store(&mut tx).await?;
    tx.commit().await?;
    Ok(account(app, &user.id).await?.user)
}
