//! Password hashing with Argon2id, one hash at a time.
//!
//! The serialization limits memory (19 MiB per hash) and the load of a flood of logins. The number of waiting requests
//! is limited too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use password_hash::phc::PasswordHash;
use password_hash::{PasswordHasher, PasswordVerifier};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;

use crate::app::{Error, Result};

/// The cost of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory: u32,
    /// Number of passes over the memory.
    pub passes: u32,
}

impl Cost {
    /// The minimum that OWASP recommends: 19 MiB, two passes, one lane.
    pub const OWASP: Self = Self { memory: 19 * 1024, passes: 2 };
    /// A minimal cost for tests that do not concern hashing.
    pub const TINY: Self = Self { memory: 8, passes: 1 };
}

/// Maximum number of waiting requests per kind; further ones are refused.
const WAITING: usize = 16;
/// Time after which a refused request should be repeated.
const COME_BACK: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Hasher {
    cost: Cost,
    turn: Arc<Semaphore>,
    /// Free places in the queue, one queue per [`Who`], so that strangers cannot fill the queue of known users.
    waiting: [Semaphore; 2],
    hashed: AtomicU64,
    /// A hash that no password matches, checked where there is no account.
    dummy: String,
}

/// The origin of a password check, as known before the check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Unknown.
    Stranger,
    /// A user who is logged in, or a known browser of the account.
    Known,
}

/// The result of a password check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the password is right.
    pub matches: bool,
    /// A new hash, where the password is right and the stored hash has a lower cost than the present one.
    pub rehashed: Option<String>,
}

impl Hasher {
    pub fn new(cost: Cost) -> Self {
        // The digest is all zeros, which no password hashes to. A random salt is not needed.
        let dummy = format!(
            "$argon2id$v=19$m={},t={},p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            cost.memory, cost.passes
        );
        Self {
            cost,
            turn: Arc::new(Semaphore::new(1)),
            waiting: [Semaphore::new(WAITING), Semaphore::new(WAITING)],
            hashed: AtomicU64::new(0),
            dummy,
        }
    }

    /// The hash for an account without a password: no password matches, and a check costs as much as any other.
    pub fn dummy_hash(&self) -> &str {
        &self.dummy
    }

    /// Number of hashes computed since the start.
    pub fn hashed(&self) -> u64 {
        self.hashed.load(Ordering::Relaxed)
    }

    /// The hash of a new password, in PHC format.
    ///
    /// # Errors
    /// [`Error::TooManyTries`] where too many requests are waiting; [`Error::Internal`] where the operating system
    /// returns no random salt.
    pub async fn hash(&self, password: &SecretString) -> Result<String> {
        let (cost, password) = (self.cost, password.clone());
        self.take_turn(Who::Known, move || hash(cost, &password)).await?
    }

    /// Checks a password against a stored hash. Without a stored hash a dummy is checked at the same cost, so that the
    /// time of the answer does not tell whether there is an account.
    ///
    /// # Errors
    /// [`Error::TooManyTries`] where too many requests are waiting.
    pub async fn verify(&self, who: Who, password: &SecretString, stored: Option<&str>) -> Result<Verdict> {
        let (cost, password) = (self.cost, password.clone());
        let stored = stored.unwrap_or(&self.dummy).to_owned();
        let (verdict, rehash) = self
            .take_turn(who, {
                let password = password.clone();
                move || check(cost, &password, &stored)
            })
            .await??;
        let rehashed = if rehash { Some(self.hash(&password).await?) } else { None };
        Ok(Verdict { matches: verdict, rehashed })
    }

    async fn take_turn<T: Send + 'static>(
        &self,
        who: Who,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let room = &self.waiting[who as usize];
        let _waiting = room.try_acquire().map_err(|_| Error::TooManyTries { retry_after: COME_BACK })?;
        let turn = Arc::clone(&self.turn).acquire_owned().await.map_err(Error::internal)?;
        self.hashed.fetch_add(1, Ordering::Relaxed);
        tokio::task::spawn_blocking(move || {
            // Held by the hash computation itself, so that a cancelled request does not let the next hash begin before
            // this one ends.
            let _turn = turn;
            work()
        })
        .await
        .map_err(Error::internal)
    }
}

fn argon2(cost: Cost) -> Result<Argon2<'static>> {
    let params = Params::new(cost.memory, cost.passes, 1, None)
        .map_err(|error| Error::Internal(error.to_string().into()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(cost: Cost, password: &SecretString) -> Result<String> {
    let hash = argon2(cost)?
        .hash_password(password.expose_secret().as_bytes())
        .map_err(|error| Error::Internal(error.to_string().into()))?;
    Ok(hash.to_string())
}

/// Whether the password is right, and whether its hash has a lower cost than `cost`.
fn check(cost: Cost, password: &SecretString, stored: &str) -> Result<(bool, bool)> {
    let stored = PasswordHash::new(stored).map_err(|error| Error::Internal(error.to_string().into()))?;
    let matches = argon2(cost)?.verify_password(password.expose_secret().as_bytes(), &stored).is_ok();
    let params = Params::try_from(&stored).ok();
    let cheaper = params.is_none_or(|params| params.m_cost() < cost.memory || params.t_cost() < cost.passes);
    Ok((matches, matches && cheaper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_right_or_wrong_and_hashed_anew_when_it_was_cheap() {
        let [right, wrong] = ["correct horse", "incorrect horse"].map(SecretString::from);
        let cheap = Hasher::new(Cost::TINY);
        let stored = cheap.hash(&right).await.expect("hashes");
        assert!(stored.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{stored}");
        assert_ne!(stored, cheap.hash(&right).await.expect("hashes"), "the salt differs");
        let verdict = cheap.verify(Who::Stranger, &right, Some(&stored)).await.expect("checks");
        assert_eq!(verdict, Verdict { matches: true, rehashed: None });
        assert!(!cheap.verify(Who::Stranger, &wrong, Some(&stored)).await.expect("checks").matches);

        let dear = Hasher::new(Cost { memory: 16, passes: 2 });
        let verdict = dear.verify(Who::Stranger, &right, Some(&stored)).await.expect("checks");
        let rehashed = verdict.rehashed.expect("it was cheap");
        assert!(verdict.matches && rehashed.starts_with("$argon2id$v=19$m=16,t=2,p=1$"), "{rehashed}");
        assert_eq!(dear.verify(Who::Stranger, &wrong, Some(&stored)).await.expect("checks").rehashed, None);
    }

    #[tokio::test]
    async fn without_an_account_one_hash_is_computed_all_the_same() {
        let hasher = Hasher::new(Cost::TINY);
        let verdict =
            hasher.verify(Who::Stranger, &SecretString::from("anything"), None).await.expect("checks");
        assert_eq!((verdict.matches, hasher.hashed()), (false, 1));
    }

    #[tokio::test]
    async fn those_who_wait_are_bounded() {
        let hasher = Arc::new(Hasher::new(Cost::TINY));
        let first = Arc::clone(&hasher.turn).acquire_owned().await.expect("the turn is free");
        let waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                let hasher = Arc::clone(&hasher);
                tokio::spawn(async move {
                    hasher.verify(Who::Stranger, &SecretString::from("x"), None).await.is_ok()
                })
            })
            .collect();
        while hasher.waiting[Who::Stranger as usize].available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = hasher.verify(Who::Stranger, &SecretString::from("x"), None).await;
        assert!(matches!(refused, Err(Error::TooManyTries { .. })));
        let known = {
            let hasher = Arc::clone(&hasher);
            tokio::spawn(
                async move { hasher.verify(Who::Known, &SecretString::from("x"), None).await.is_ok() },
            )
        };
        drop(first);
        assert!(known.await.expect("it does not panic"), "strangers do not fill the room of the others");
        for one in waiting {
            assert!(one.await.expect("it does not panic"));
        }
    }
}
