//! Known browsers: browsers in which somebody has logged in before.
//!
//! A separate cookie identifies a known browser for 90 days after the last login, also after logout. Tries from a known
//! browser have their own count of failures, so that strangers who guess passwords, by name or from behind the same
//! proxy, cannot lock out the owner of the account. A known browser is forgotten when the password changes, when the
//! account is disabled or deleted, and when its owner removes the browser (rulings 62).

use std::net::IpAddr;
use std::time::Duration;

use super::account;
use super::sessions::{Ticket, USER_AGENT};
use crate::app::audit::Audit;
use crate::app::{Actor, App, Error, Result};
use crate::db;
use crate::db::credentials::DEVICES;
pub use crate::db::devices::Device;
use crate::domain::ids::UserId;

/// How long a browser is known after the last login.
pub const LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);
/// Maximum number of accounts that one browser is known for.
pub const PER_BROWSER: usize = 5;
/// Maximum number of known browsers per account.
const PER_USER: i64 = 20;

/// The content of the cookie: one secret id for each account that the browser is known for.
#[derive(Clone, Debug, Default)]
pub struct Presented(Vec<Ticket>);

impl Presented {
    /// Parses the value of the cookie; malformed entries are skipped.
    pub fn parse(text: &str) -> Self {
        Self(text.split('.').filter_map(Ticket::parse).take(PER_BROWSER).collect())
    }

    /// The value of the cookie.
    pub fn reveal(&self) -> String {
        self.0.iter().map(Ticket::reveal).collect::<Vec<_>>().join(".")
    }

    /// The digest of the first id. The id may be invented: the database is not read.
    pub fn first(&self) -> Option<String> {
        self.0.first().map(Ticket::digest)
    }

    /// Whether the cookie contains the id of `device`.
    pub fn is(&self, device: &Device) -> bool {
        self.0.iter().any(|ticket| ticket.digest() == device.id_hash)
    }

    /// The digest of the id by which the browser is known for `user`.
    pub(super) async fn known_to(&self, app: &App, user: &UserId) -> Result<Option<String>> {
        for digest in self.0.iter().map(Ticket::digest) {
            if db::devices::owner(&app.db, &digest, app.clock.now()).await?.as_ref() == Some(user) {
                return Ok(Some(digest));
            }
        }
        Ok(None)
    }
}

/// Stores the browser in which `user` has just logged in, and returns the new content of its cookie.
pub async fn remember(
    app: &App,
    user: &UserId,
    presented: &Presented,
    ip: Option<IpAddr>,
    user_agent: Option<&str>,
) -> Result<Presented> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let (mut own, mut others) = (None, Vec::new());
    for ticket in &presented.0 {
        match db::devices::owner(&mut tx, &ticket.digest(), now).await? {
            Some(owner) if owner == *user => own = Some(ticket.clone()),
            Some(owner) => others.push((owner, ticket.clone())),
            None => {}
        }
    }
    let own = own.map_or_else(Ticket::draw, Ok)?;
    let device = Device {
        id_hash: own.digest(),
        user_id: user.clone(),
        created: now,
        last_used: now,
        expires: now + LIFETIME,
        address: ip.map(|ip| ip.to_string()),
        user_agent: user_agent.map(|text| text.chars().take(USER_AGENT).collect()),
    };
    db::devices::put(&mut tx, &device).await?;
    DEVICES.keep_newest(&mut tx, "last_used_ms", user, &device.id_hash, PER_USER).await?;
    let beyond = others.split_off(others.len().min(PER_BROWSER - 1));
    for (owner, ticket) in beyond {
        DEVICES.end_one(&mut tx, &owner, &ticket.digest()).await?;
    }
    tx.commit().await?;
    Ok(Presented(std::iter::once(own).chain(others.into_iter().map(|(_, ticket)| ticket)).collect()))
}

/// The known browsers of the caller's account, last used first.
pub async fn list(app: &App, actor: &Actor) -> Result<Vec<Device>> {
    Ok(db::devices::of_user(&app.db, &actor.user_id(), app.clock.now()).await?)
}

/// The key of a known browser on pages: the first 16 characters of its digest.
pub fn key(device: &Device) -> &str {
    device.id_hash.get(..16).unwrap_or_default()
}

/// Removes one of the caller's known browsers by its key.
///
/// # Errors
/// [`Error::NotFound`] where the account has no such browser.
pub async fn forget(app: &App, actor: &Actor, wanted: &str) -> Result<()> {
    let missing = || Error::not_found("browser", wanted);
    let devices = list(app, actor).await?;
    let device = devices.iter().find(|device| key(device) == wanted).ok_or_else(missing)?;
    let user = account(app, &device.user_id).await?.user;
    let mut tx = app.db.begin().await?;
    if !DEVICES.end_one(&mut tx, &device.user_id, &device.id_hash).await? {
        return Err(missing());
    }
    Audit::new(app, actor, "user.forget_browser").user(&user).store(&mut tx).await?;
    Ok(tx.commit().await?)
}
