//! How many event streams are open.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::domain::ids::UserId;

/// Streams an account may have; the oldest makes room.
const PER_USER: usize = 5;

/// The streams that are open; one that is cancelled has ended.
#[derive(Debug, Default)]
pub struct Streams(Mutex<HashMap<UserId, VecDeque<CancellationToken>>>);

impl Streams {
    /// How many an account has.
    pub fn count(&self, user: &UserId) -> usize {
        let is_open = |stream: &&CancellationToken| !stream.is_cancelled();
        self.0.lock().get(user).map_or(0, |own| own.iter().filter(is_open).count())
    }

    /// One more for an account. Whoever holds it cancels it at its end, and ends where it is cancelled.
    pub fn open(&self, user: &UserId) -> CancellationToken {
        let mut streams = self.0.lock();
        streams.retain(|_, own| {
            own.retain(|stream| !stream.is_cancelled());
            !own.is_empty()
        });
        let own = streams.entry(user.clone()).or_default();
        if own.len() >= PER_USER
            && let Some(oldest) = own.pop_front()
        {
            oldest.cancel();
        }
        let stream = CancellationToken::new();
        own.push_back(stream.clone());
        stream
    }
}
