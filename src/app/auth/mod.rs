//! Authentication: passwords, browser sessions, API tokens, calendar addresses, and the creation of the first admin.

use std::time::Duration;

use secrecy::SecretString;

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

use flood::{AddressLimit, BadBearers};
use keys::Keys;
pub use keys::{KeyError, Sealed};
pub(super) use login::{check_own_password, forget_failures};
pub use login::{login, unlock};
use password::{Cost, Hasher};
pub use policy::strength;
use setup::SetupToken;

/// The parts of the application that authentication needs; one of the [`super::Parts`].
#[derive(Debug)]
pub struct Auth {
    /// Hashes passwords, one at a time.
    pub hasher: Hasher,
    /// Rate limit of tries without proof of identity.
    pub flood: AddressLimit,
    keys: Keys,
    setup: SetupToken,
    bad_bearers: BadBearers,
    instance: String,
}

/// The error of [`Auth::open`].
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The secret key is not available.
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Db(#[from] db::DbError),
}

impl Auth {
    /// Reads the secret key and the id of the installation; both are created at the first start.
    ///
    /// # Errors
    /// [`OpenError`] where the key file or the database cannot be read or written, or the operating system returns no
    /// random numbers.
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
                // Another process may have stored its id first.
                db::settings::get(db, INSTANCE).await?.unwrap_or(drawn)
            }
        };
        Ok(Self {
            hasher: Hasher::new(cost),
            flood: AddressLimit::per_address(),
            keys,
            setup: SetupToken::new(&config.data_dir),
            bad_bearers: BadBearers::default(),
            instance,
        })
    }

    /// Seals a secret for the database.
    ///
    /// # Errors
    /// Where the operating system returns no random numbers.
    pub fn seal(&self, text: &str) -> std::result::Result<String, KeyError> {
        self.keys.seal(text)
    }

    /// The secret of a text of [`Auth::seal`].
    ///
    /// # Errors
    /// [`Sealed`] where the text was sealed with another secret key, or is damaged.
    pub fn unseal(&self, sealed: &str) -> std::result::Result<SecretString, Sealed> {
        self.keys.unseal(sealed)
    }

    /// Id of the installation: 32 hexadecimal digits, created at the first start.
    pub fn instance(&self) -> &str {
        &self.instance
    }
}

/// Whether the secret key of the settings opens all these secrets; `None` where there is no secret key yet.
///
/// # Errors
/// Where the file with the secret key cannot be read.
pub(super) fn opens(config: &Config, sealed: &[&str]) -> std::result::Result<Option<bool>, KeyError> {
    let keys = Keys::existing(config)?;
    Ok(keys.map(|keys| sealed.iter().all(|sealed| keys.unseal(sealed).is_ok())))
}

/// How long failed logins of a name are counted, from the first failure on.
const NAME_MEMORY: Duration = Duration::from_secs(24 * 3600);
/// Settings key of the installation's id.
const INSTANCE: &str = "instance_id";

/// The account with this id, and its password hash.
///
/// # Errors
/// [`Error::NotFound`] where no account has this id.
pub(super) async fn account(app: &App, id: &UserId) -> Result<db::users::Stored> {
    db::users::find(&app.db, id).await?.ok_or_else(|| Error::not_found("user", id.as_str()))
}

/// Writes the audit row of a logout from a browser.
pub async fn logged_out(app: &App, actor: &Actor, user: &User) -> Result<()> {
    let mut tx = app.db.begin().await?;
    Audit::new(app, actor, "user.logout").user(user).store(&mut tx).await?;
    Ok(tx.commit().await?)
}

/// Deletes rows that are no longer needed: expired sessions, tokens, links and known browsers, and old login failures.
///
/// # Errors
/// Database errors.
pub async fn prune(app: &App) -> Result<()> {
    let now = app.clock.now();
    db::credentials::prune(&app.db, "sessions", now - sessions::KEPT_AFTER_END).await?;
    for table in ["tokens", "user_links", "devices"] {
        db::credentials::prune(&app.db, table, now).await?;
    }
    db::login_failures::prune(&app.db, now - NAME_MEMORY).await?;
    Ok(())
}
