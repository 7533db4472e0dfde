//! Browser sessions. The cookie holds 256 random bits, the database their SHA-256.
//!
//! A session ends 8 h after its last use, 7 days after its start (both configurable), at logout, and when its account
//! is disabled, deleted, or gets another password or role. The row of an expired session is kept for a day, so that a
//! form submitted late can be restored after the next login.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretBox};
use sha2::{Digest, Sha256};

use super::keys;
use crate::app::{App, Error, Result};
use crate::db;
use crate::db::credentials::SESSIONS;
use crate::db::sessions::Session;
use crate::domain::ids::UserId;
use crate::domain::text::hex;
use crate::domain::user::User;

/// Maximum number of sessions per account; a further login ends the oldest.
const PER_USER: i64 = 10;
/// Minimum time between two updates of the last use: a busy page must not write at every request (rulings 31).
const SEEN_EVERY: Duration = Duration::from_secs(60);
/// How long the row of an expired session is kept, with the form that was submitted too late.
pub const KEPT_AFTER_END: Duration = Duration::from_secs(24 * 3600);
/// Maximum number of characters kept of a browser's `User-Agent`.
pub(super) const USER_AGENT: usize = 200;

/// The secret session id in a cookie. Devices and links use the same form.
#[derive(Debug)]
pub struct Ticket(SecretBox<[u8; 32]>);

impl Clone for Ticket {
    fn clone(&self) -> Self {
        Self(SecretBox::new(Box::new(*self.0.expose_secret())))
    }
}

impl Ticket {
    /// A new random ticket.
    ///
    /// # Errors
    /// [`Error::Internal`] where the operating system returns no random numbers.
    pub fn draw() -> Result<Self> {
        let bytes = keys::random().map_err(Error::internal)?;
        Ok(Self(SecretBox::new(Box::new(bytes))))
    }

    /// Parses the value of a cookie; `None` where the text is not a ticket.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        Some(Self(SecretBox::new(Box::new(bytes))))
    }

    /// The value of the cookie.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.expose_secret())
    }

    /// The first half of the ticket as a number: the session id that tower-sessions uses.
    pub fn number(&self) -> i128 {
        let (half, _) = self.0.expose_secret().split_at(16);
        half.iter().fold(0, |number, byte| (number << 8) | i128::from(*byte))
    }

    /// The SHA-256 of the ticket in hexadecimal: the key of the database row.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.0.expose_secret()))
    }
}

/// The result of looking up a session cookie.
#[derive(Debug)]
pub enum Opened {
    /// A valid session.
    Live(Session, User),
    /// An expired session, or one of a disabled account.
    Ended(Session),
    /// No such session.
    Unknown,
}

/// Looks up a session. `active` says whether the request was caused by a person, as opposed to a page that refreshes
/// itself; only such requests count as use.
pub async fn open(app: &App, ticket: &Ticket, active: bool, ip: Option<IpAddr>) -> Result<Opened> {
    let now = app.clock.now();
    let Some((session, user)) = db::sessions::find(&app.db, &ticket.digest()).await? else {
        return Ok(Opened::Unknown);
    };
    let end = ends(app, session.created, session.last_seen);
    if end <= now || user.disabled {
        return Ok(Opened::Ended(session));
    }
    if active && session.last_seen + SEEN_EVERY <= now {
        let ip = ip.map(|ip| ip.to_string());
        let expires = ends(app, session.created, now);
        db::sessions::touch(&app.db, &session.id_hash, now, expires, ip.as_deref()).await?;
    }
    Ok(Opened::Live(session, user))
}

/// Whether the session with this digest is valid, for event streams, which check every 30 s (rulings 24). The check
/// does not count as use.
pub async fn is_live(app: &App, digest: &str) -> Result<bool> {
    let found = db::sessions::find(&app.db, digest).await?;
    let now = app.clock.now();
    Ok(found
        .is_some_and(|(session, user)| !user.disabled && ends(app, session.created, session.last_seen) > now))
}

/// The end of a session that began at `created` and was last used at `seen`.
fn ends(app: &App, created: jiff::Timestamp, seen: jiff::Timestamp) -> jiff::Timestamp {
    (seen + app.config.session_idle).min(created + app.config.session_max)
}

/// Begins a session of `user` and ends the account's oldest sessions beyond ten.
pub async fn begin(
    app: &App,
    user: &UserId,
    data: &str,
    ip: Option<IpAddr>,
    user_agent: Option<&str>,
) -> Result<Ticket> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let ticket = loop {
        let ticket = Ticket::draw()?;
        let session = Session {
            id_hash: ticket.digest(),
            user_id: user.clone(),
            data: data.to_owned(),
            kept_form: None,
            created: now,
            last_seen: now,
            expires: ends(app, now, now),
            address: ip.map(|ip| ip.to_string()),
            user_agent: user_agent.map(|text| text.chars().take(USER_AGENT).collect()),
        };
        if db::sessions::insert(&mut tx, &session).await? {
            break ticket;
        }
    };
    SESSIONS.keep_newest(&mut tx, "created_ms", user, &ticket.digest(), PER_USER).await?;
    tx.commit().await?;
    Ok(ticket)
}

/// Replaces the page data of a session.
pub async fn save(app: &App, ticket: &Ticket, data: &str) -> Result<()> {
    Ok(db::sessions::set_data(&app.db, &ticket.digest(), data).await?)
}

/// Stores a form that was submitted with an expired session.
pub async fn keep_form(app: &App, ticket: &Ticket, form: &str) -> Result<()> {
    Ok(db::sessions::keep_form(&app.db, &ticket.digest(), form).await?)
}

/// Ends a session.
pub async fn end(app: &App, ticket: &Ticket) -> Result<()> {
    Ok(db::sessions::delete(&app.db, &ticket.digest()).await?)
}
