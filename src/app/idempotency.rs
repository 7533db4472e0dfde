//! Support for the `Idempotency-Key` header: a POST request that is repeated with the same key gets the response of the
//! first request and does not act a second time. [`once`] wraps the work of such a request.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use jiff::ToSpan;
use parking_lot::Mutex;

use super::{Actor, App, Error, Result};
use crate::db;

/// How long a response is kept, in hours.
const KEPT_HOURS: i64 = 24;
/// Maximum length of a key in bytes.
pub const MAX_KEY: usize = 255;

/// A stored response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// JSON text.
    pub body: String,
}

/// The keys (account and key) whose first request is in progress in this process. A key in progress in the database but
/// not here belongs to a request that was interrupted, for example by a restart.
#[derive(Clone, Debug, Default)]
pub struct AtWork(Arc<Mutex<HashSet<(String, String)>>>);

/// A key in progress; dropping the value ends that.
struct KeyInProgress(AtWork, (String, String));

impl AtWork {
    fn begin(&self, user: &str, key: &str) -> Option<KeyInProgress> {
        let entry = (user.to_owned(), key.to_owned());
        let fresh = self.0.lock().insert(entry.clone());
        fresh.then(|| KeyInProgress(self.clone(), entry))
    }
}

impl Drop for KeyInProgress {
    fn drop(&mut self) {
        self.0.0.lock().remove(&self.1);
    }
}

/// Runs `work` unless `key` was answered within the last 24 hours; then the stored response is returned. `request`
/// identifies the request: reuse of a key for a different request is an error.
///
/// # Errors
/// The errors of `work`, after which the key may be used again. [`Error::Conflict`] while the first request is in
/// progress; [`Error::Invalid`] where the key was used for a different request or is malformed.
pub async fn once(
    app: &App,
    actor: &Actor,
    key: Option<&str>,
    request: &str,
    work: impl Future<Output = Result<Answer>>,
) -> Result<Answer> {
    let (Some(key), Some(user)) = (key, actor.reference.id.as_deref()) else { return work.await };
    if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::field("Idempotency-Key", "use 1 to 255 visible ASCII characters"));
    }
    let now = app.clock.now();
    let since = now.checked_sub(KEPT_HOURS.hours()).unwrap_or(now);
    let stored = async || stored_response(db::idempotency::get(&app.db, user, key, since).await?, request);
    let Some(_working) = app.answering.begin(user, key) else { return stored().await };
    let mut tx = app.db.begin().await?;
    db::idempotency::forget_lost(&mut tx, user, key).await?;
    let free = db::idempotency::begin(&mut tx, user, key, request, since, now).await?;
    tx.commit().await?;
    if !free {
        return stored().await;
    }
    let answered = work.await;
    match &answered {
        Ok(answer) => {
            db::idempotency::answer(&app.db, user, key, i64::from(answer.status), &answer.body).await?;
        }
        Err(_) => db::idempotency::release(&app.db, user, key).await?,
    }
    answered
}

fn stored_response(stored: Option<db::idempotency::Answered>, request: &str) -> Result<Answer> {
    let at_work = || {
        Error::conflict(
            "idempotency_at_work",
            "the first request with this Idempotency-Key is still at work; ask again in a moment",
        )
    };
    let stored = stored.ok_or_else(at_work)?;
    if stored.request != request {
        return Err(Error::field("Idempotency-Key", "this key was used for another request; use a new one"));
    }
    match u16::try_from(stored.status) {
        Ok(status) if stored.status != db::idempotency::AT_WORK => Ok(Answer { status, body: stored.body }),
        _ => Err(at_work()),
    }
}
