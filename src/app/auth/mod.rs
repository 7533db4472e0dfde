//! Who somebody is: passwords, sessions of browsers, tokens of programs, and the first admin.

use std::time::Duration;

use super::audit::Audit;
use super::{Actor, App, Error, Result};
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{self, Db};
use crate::domain::ids::UserId;
use crate::domain::text::hex;
use crate::domain::user::User;

pub mod devices;
pub mod feeds;
pub mod flood;
mod keys;
mod login;
pub mod password;
pub(super) mod policy;
pub mod sessions;
pub mod setup;
pub mod tokens;

use flood::{BadBearers, TooOften};
pub use keys::KeyError;
use keys::Keys;
pub(super) use login::{forget_failures, prove_again};
pub use login::{login, unlock};
use password::{Cost, Hasher};
pub use policy::strength;
use setup::SetupToken;

/// What logging in takes: one of the [`super::Parts`].
#[derive(Debug)]
pub struct Auth {
    /// Hashes passwords, one at a time.
    pub hasher: Hasher,
    /// Holds back floods of tries without a proof.
    pub flood: TooOften,
    keys: Keys,
    setup: SetupToken,
    bad_bearers: BadBearers,
    instance: String,
}

/// Why [`Auth::open`] gave up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The secret key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database.
    #[error(transparent)]
    Db(#[from] db::DbError),
}

impl Auth {
    /// Reads, or at the first start makes, the secret key and the instance's id.
    ///
    /// # Errors
    /// Where the key file or the database cannot be read or written, or the system gives no random numbers.
    pub async fn open(
        db: &Db,
        config: &Config,
        clock: &Clock,
        cost: Cost,
    ) -> std::result::Result<Self, OpenError> {
        let keys = Keys::open(config)?;
        let instance = match db::settings::get(db, INSTANCE).await? {
            Some(instance) => instance,
            None => {
                let drawn = hex(&keys::random::<16>().map_err(KeyError::from)?);
                let mut tx = db.begin().await?;
                db::settings::put_new(&mut tx, INSTANCE, &drawn, clock.now()).await?;
                tx.commit().await?;
                // Another process may have been first.
                db::settings::get(db, INSTANCE).await?.unwrap_or(drawn)
            }
        };
        Ok(Self {
            hasher: Hasher::new(cost),
            flood: TooOften::unproven(),
            keys,
            setup: SetupToken::new(&config.data_dir),
            bad_bearers: BadBearers::default(),
            instance,
        })
    }

    /// Tells installations on one host apart: 32 hex digits, made at the first start.
    pub fn instance(&self) -> &str {
        &self.instance
    }
}

/// Failures of a name are forgotten this long after the first.
const NAME_MEMORY: Duration = Duration::from_secs(24 * 3600);
/// The settings key of the instance's id.
const INSTANCE: &str = "instance_id";
/// The account of this id, with its password's hash.
pub(super) async fn account(app: &App, id: &UserId) -> Result<db::users::Stored> {
    db::users::find(&app.db, id).await?.ok_or_else(|| Error::not_found("user", id.as_str()))
}

/// Writes down that somebody has logged out of a browser.
pub async fn logged_out(app: &App, actor: &Actor, user: &User) -> Result<()> {
    let mut tx = app.db.begin().await?;
    Audit::new(app, actor, "user.logout").user(user).store(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// Removes rows that have outlived their use: ended sessions and tokens, failures long past.
///
/// # Errors
/// Where the database refuses.
pub async fn prune(app: &App) -> Result<()> {
    let now = app.clock.now();
    db::credentials::prune(&app.db, "sessions", now - sessions::KEPT_AFTER_END).await?;
    for table in ["tokens", "user_links", "devices"] {
        db::credentials::prune(&app.db, table, now).await?;
    }
    db::login_failures::prune(&app.db, now - NAME_MEMORY).await?;
    Ok(())
}
