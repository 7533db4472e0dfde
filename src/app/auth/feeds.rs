//! Addresses from which calendar apps fetch the plan. The URL contains a secret token, because such apps send no other
//! credentials.
//!
//! The token gives access to the feed only, with the rights of a viewer whatever the role of its owner. It ends when it
//! is revoked, when its owner is disabled, deleted or gets another password, and when a backup is restored.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

pub use crate::db::feeds::Feed;

use super::{account, keys};
use crate::app::audit::Audit;
use crate::app::{Actor, App, Error, Result};
use crate::db;
use crate::domain::ids::FeedId;
use crate::domain::permission::{Permission, Role};
use crate::domain::text::hex;
use crate::domain::user::User;

/// Prefix of every token, by which a leaked token is recognised.
pub const PREFIX: &str = "dnc_";
/// Maximum number of addresses per account.
pub const PER_USER: i64 = 10;
/// Minimum time between two updates of the last use, because apps fetch the feed often.
const NOTED: Duration = Duration::from_secs(600);

/// Creates an address and returns its token, which is not stored and can be shown only now.
///
/// # Errors
/// [`Error::Conflict`] where the account has too many addresses; database errors.
pub async fn create(app: &App, actor: &Actor) -> Result<String> {
    actor.require(Permission::View)?;
    let user = account(app, &actor.user_id()).await?.user;
    let secret = keys::random::<32>().map_err(Error::internal)?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(secret));
    let now = app.clock.now();
    let id: FeedId = app.ids.next(now);
    let mut tx = app.db.begin().await?;
    if db::feeds::count(&mut tx, &user.id).await? >= PER_USER {
        return Err(Error::conflict(
            "too_many_feeds",
            format!("you have {PER_USER} calendar addresses; revoke one that is no longer used"),
        ));
    }
    db::feeds::insert(&mut tx, &id, &user.id, &digest(&token), now).await?;
    Audit::new(app, actor, "user.feed_create").user(&user).store(&mut tx).await?;
    tx.commit().await?;
    Ok(token)
}

/// The addresses of the caller's account, newest first.
pub async fn list(app: &App, actor: &Actor) -> Result<Vec<Feed>> {
    Ok(db::feeds::of_user(&app.db, &actor.user_id()).await?)
}

/// Revokes one of the caller's addresses.
///
/// # Errors
/// [`Error::NotFound`] where the account has no such address.
pub async fn revoke(app: &App, actor: &Actor, id: &FeedId) -> Result<()> {
    actor.require(Permission::View)?;
    let user = account(app, &actor.user_id()).await?.user;
    let mut tx = app.db.begin().await?;
    if !db::feeds::delete(&mut tx, &user.id, id).await? {
        return Err(Error::not_found("calendar address", id.as_str()));
    }
    Audit::new(app, actor, "user.feed_revoke").user(&user).store(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// The owner of a token, and the owner as an actor with the role of a viewer.
///
/// # Errors
/// [`Error::NotFound`] where the token is unknown or was revoked, or its owner is disabled; [`Error::TooManyTries`]
/// where the network has sent too many such tokens.
pub async fn verify(app: &App, token: &str, ip: Option<IpAddr>) -> Result<(User, Actor)> {
    if token.starts_with(PREFIX) {
        let digest = digest(token);
        if let Some(user) = db::feeds::find_user(&app.db, &digest).await?.filter(|user| !user.disabled) {
            let now = app.clock.now();
            db::feeds::used(&app.db, &digest, now, now - NOTED).await?;
            let actor = Actor { role: Role::Viewer, ..Actor::user(&user, ip) };
            return Ok((user, actor));
        }
    }
    app.auth.bad_bearers.refuse(ip, app.clock.monotonic())?;
    // The request's token is not repeated in the error: it may be a real secret with a typing error.
    Err(Error::not_found("calendar", "of this address"))
}

fn digest(token: &str) -> String {
    hex(&Sha256::digest(token))
}
