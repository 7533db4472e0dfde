//! Sessions of browsers: 256 random bits in a cookie, their SHA-256 in the database.
//!
//! A session ends 8 h after its last use, 7 d after it began, at logout, and when its account is disabled, removed, or
//! gets another password or role. A row that has run out is kept for a day, for the form its owner may still be typing.

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

/// Sessions one account may have; the oldest makes room.
const PER_USER: i64 = 10;
/// How often the last use is written down: a busy page must not write at each request (rulings 31).
const SEEN_EVERY: Duration = Duration::from_secs(60);
/// A session that has run out is kept this long, with the form that was sent too late.
pub const KEPT_AFTER_END: Duration = Duration::from_secs(24 * 3600);
/// Characters of what a browser calls itself that are kept.
pub(super) const USER_AGENT: usize = 200;

/// The id in a cookie.
#[derive(Debug)]
pub struct Ticket(SecretBox<[u8; 32]>);

impl Clone for Ticket {
    fn clone(&self) -> Self {
        Self(SecretBox::new(Box::new(*self.0.expose_secret())))
    }
}

impl Ticket {
    /// A new one.
    ///
    /// # Errors
    /// [`Error::Internal`] where the system gives no random numbers.
    pub fn draw() -> Result<Self> {
        let bytes = keys::random().map_err(Error::internal)?;
        Ok(Self(SecretBox::new(Box::new(bytes))))
    }

    /// The one in a cookie's value; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        Some(Self(SecretBox::new(Box::new(bytes))))
    }

    /// The cookie's value.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.expose_secret())
    }

    /// Half of the ticket as a number: the id of tower-sessions.
    pub fn number(&self) -> i128 {
        let (half, _) = self.0.expose_secret().split_at(16);
        half.iter().fold(0, |number, byte| (number << 8) | i128::from(*byte))
    }

    /// What the database knows it by.
    pub fn digest(&self) -> String {
        hex(&Sha256::digest(self.0.expose_secret()))
    }
}

/// What a cookie stands for.
#[derive(Debug)]
pub enum Opened {
    /// Somebody who is logged in.
    Live(Session, User),
    /// Somebody who was.
    Ended(Session),
    /// Nobody.
    Unknown,
}

/// Looks a cookie up. `active` says that a person did something, rather than a page that refreshes itself.
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

/// Whether the session with this digest is still good: what an event stream asks every 30 s (rulings 24). It does not
/// count as a use.
pub async fn is_live(app: &App, digest: &str) -> Result<bool> {
    let found = db::sessions::find(&app.db, digest).await?;
    let now = app.clock.now();
    Ok(found
        .is_some_and(|(session, user)| !user.disabled && ends(app, session.created, session.last_seen) > now))
}

/// When a session begun at `created` and used at `seen` ends.
fn ends(app: &App, created: jiff::Timestamp, seen: jiff::Timestamp) -> jiff::Timestamp {
    (seen + app.config.session_idle).min(created + app.config.session_max)
}

/// Begins a session of `user` and ends the oldest of those beyond ten.
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

/// Replaces what pages keep in a session.
pub async fn save(app: &App, ticket: &Ticket, data: &str) -> Result<()> {
    Ok(db::sessions::set_data(&app.db, &ticket.digest(), data).await?)
}

/// Keeps a form that was sent with a session that had run out.
pub async fn keep_form(app: &App, ticket: &Ticket, form: &str) -> Result<()> {
    Ok(db::sessions::keep_form(&app.db, &ticket.digest(), form).await?)
}

/// Ends a session.
pub async fn end(app: &App, ticket: &Ticket) -> Result<()> {
    Ok(db::sessions::delete(&app.db, &ticket.digest()).await?)
}
