//! Addresses under which calendar apps fetch what is planned: a secret in the URL, since such apps send no other.
//!
//! It opens the feed and nothing else, with a viewer's rights whatever its owner's role is. It ends when it is revoked,
//! when its owner is disabled or deleted or gets another password, and when a backup is restored.

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

/// What every token begins with, so that one can be told apart where it should not be.
pub const PREFIX: &str = "dnc_";
/// Addresses one account may have.
pub const PER_USER: i64 = 10;
/// Being fetched is noted once in this time: apps ask again and again.
const NOTED: Duration = Duration::from_secs(600);

/// Makes an address and answers its token, which is shown this once.
///
/// # Errors
/// [`Error::Conflict`] where there are too many; where it cannot be stored.
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

/// One's own addresses, the newest first.
pub async fn list(app: &App, actor: &Actor) -> Result<Vec<Feed>> {
    Ok(db::feeds::of_user(&app.db, &actor.user_id()).await?)
}

/// Ends one of one's own addresses.
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

/// Who fetches, by the token of an address; never more than a viewer.
///
/// # Errors
/// [`Error::NotFound`] where the token is none of ours or was revoked; [`Error::TooManyTries`] where its network has
/// sent too many of those.
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
    // What was sent may be a secret with a slip in it: it is not repeated.
    Err(Error::not_found("calendar", "of this address"))
}

fn digest(token: &str) -> String {
    hex(&Sha256::digest(token))
}
