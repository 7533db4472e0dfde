//! A POST that acts, sent again with the same `Idempotency-Key`, gets the answer of the first and acts no second time.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use jiff::ToSpan;
use parking_lot::Mutex;

use super::{Actor, App, Error, Result};
use crate::db;

/// How long an answer is kept, in hours.
const KEPT_HOURS: i64 = 24;
/// The longest key, in bytes.
pub const MAX_KEY: usize = 255;

/// An answer that can be given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON.
    pub body: String,
}

/// The keys whose first request this process is at work on. One that the database alone believes at work broke off.
#[derive(Clone, Debug, Default)]
pub struct AtWork(Arc<Mutex<HashSet<(String, String)>>>);

/// A key at work, until it is dropped.
struct Working(AtWork, (String, String));

impl AtWork {
    fn begin(&self, user: &str, key: &str) -> Option<Working> {
        let entry = (user.to_owned(), key.to_owned());
        let fresh = self.0.lock().insert(entry.clone());
        fresh.then(|| Working(self.clone(), entry))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.0.lock().remove(&self.1);
    }
}

/// Does `work` unless `key` has been answered in the last day. `request` tells one request from another: a key that
/// comes back with a different one is a mistake.
///
/// # Errors
/// What `work` answers, and then the key is free again. [`Error::Conflict`] where the first request is still at work;
/// [`Error::Invalid`] where the key was used for something else, or is no key.
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
    let stored = async || again(db::idempotency::get(&app.db, user, key, since).await?, request);
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

fn again(stored: Option<db::idempotency::Answered>, request: &str) -> Result<Answer> {
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
