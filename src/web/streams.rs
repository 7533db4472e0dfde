//! The open event streams of each account, which are limited in number.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::domain::ids::UserId;

/// The maximum number of streams of an account; one more closes the oldest.
const PER_USER: usize = 5;

/// The open streams by account, oldest first. A cancelled token means that its stream has ended.
#[derive(Debug, Default)]
pub struct Streams(Mutex<HashMap<UserId, VecDeque<CancellationToken>>>);

impl Streams {
    /// The number of open streams of an account.
    pub fn count(&self, user: &UserId) -> usize {
        let is_open = |stream: &&CancellationToken| !stream.is_cancelled();
        self.0.lock().get(user).map_or(0, |own| own.iter().filter(is_open).count())
    }

    /// Registers one more stream of an account. The holder cancels the token at the end of the stream, and ends the
    /// stream when the token is cancelled.
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
