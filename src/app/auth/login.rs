//! Login by name and password, with limits on failed tries.
//!
//! Failures are counted in the database and timed by DockNap's own clock (rulings 23). Per name, existing or not, each
//! try after the fifth failure has to wait 1, 2, 4 … 60 s. After twenty failures within an hour, an address may only
//! try names without a failure, one per 5 s. A known browser has its own count ([`super::devices`]), and so has a
//! logged-in user. No answer reveals whether a name exists.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::NAME_MEMORY;
use super::devices::Presented;
use super::flood::network;
use super::password::Who;
use crate::app::audit::Audit;
use crate::app::metrics::Login;
use crate::app::{Actor, App, Error, Result};
use crate::db;
use crate::domain::credential;
use crate::domain::text::hex;
use crate::domain::user::User;

/// Failures per name without a wait.
const FREE_FAILURES: i64 = 4;
/// Maximum wait between two tries of a name.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Failures per address within [`ADDRESS_MEMORY`] without a restriction.
const ADDRESS_FAILURES: i64 = 20;
/// How long failures of an address are counted. After [`ADDRESS_FAILURES`] the address may only try names that have not
/// failed.
const ADDRESS_MEMORY: Duration = Duration::from_secs(3600);
/// Minimum time between two tries of a restricted address.
const ADDRESS_PACE: Duration = Duration::from_secs(5);

/// Checks name and password from the address `ip`, and returns the account. `presented` is the browser's cookie of
/// known accounts.
///
/// A wrong password, an unknown name and a disabled account get the same answer, after the computation of one password
/// hash each.
///
/// # Errors
/// [`Error::WrongCredentials`]; [`Error::TooManyTries`] where the password was not checked.
pub async fn login(
    app: &App,
    name: &str,
    password: &SecretString,
    ip: Option<IpAddr>,
    presented: &Presented,
) -> Result<User> {
    let outcome = checked_login(app, name, password, ip, presented).await;
    match &outcome {
        Ok(_) => app.vitals.counters.login(Login::Ok),
        Err(Error::TooManyTries { .. }) => app.vitals.counters.login(Login::Refused),
        Err(_) => app.vitals.counters.login(Login::Failed),
    }
    outcome
}

async fn checked_login(
    app: &App,
    name: &str,
    password: &SecretString,
    ip: Option<IpAddr>,
    presented: &Presented,
) -> Result<User> {
    let now = app.clock.now();
    let stored = match credential::check_name(name) {
        Ok(name) => db::users::find_by_name(&app.db, &credential::name_key(name)).await?,
        Err(_) => None,
    };
    let device = match &stored {
        Some(stored) => presented.known_to(app, &stored.user.id).await?,
        None => None,
    };
    let (who, tries) = match device {
        Some(device) => (Who::Known, Tries::by_key(format!("device:{device}"))),
        None => {
            app.auth.flood.admit_from(ip)?;
            (Who::Stranger, Tries::of(name, ip))
        }
    };
    let restricts = tries.count(app).await?;

    let hash = stored.as_ref().map(|stored| &*stored.password_hash);
    let verdict = match app.auth.hasher.verify(who, password, hash).await {
        Ok(verdict) => verdict,
        Err(error) => {
            // The password was not checked, so this is not a failure.
            tries.uncount(app).await?;
            return Err(error);
        }
    };

    let stored = match stored {
        Some(stored) if verdict.matches && !stored.user.disabled => stored,
        other => {
            if let (true, Some(ip)) = (restricts, ip) {
                tracing::warn!(
                    target: "docknap::login",
                    "{ADDRESS_FAILURES} logins failed from {ip} within an hour: from there only names that have not \
                     failed may be tried now, one per {} s", ADDRESS_PACE.as_secs()
                );
            }
            return refuse(app, other.as_ref().map(|stored| &stored.user), ip).await;
        }
    };
    let actor = Actor::user(&stored.user, ip);
    let mut tx = app.db.begin().await?;
    tries.clear(&mut tx).await?;
    let rehashed = verdict.rehashed.as_deref().map(|new| (&*stored.password_hash, new));
    db::users::logged_in(&mut tx, &stored.user.id, now, rehashed).await?;
    Audit::new(app, &actor, "user.login").user(&stored.user).store(&mut tx).await?;
    tx.commit().await?;
    Ok(stored.user)
}

/// Logs a failed login and returns [`Error::WrongCredentials`]. `known` is the account with that name, if any.
async fn refuse(app: &App, known: Option<&User>, ip: Option<IpAddr>) -> Result<User> {
    let address = ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
    // The line has a fixed form for fail2ban. The typed name is written to neither log unless an account has that name,
    // because people sometimes type their password there.
    tracing::warn!(target: "docknap::login", "login failed from {address}");
    let mut tx = app.db.begin().await?;
    let (id, name, reason) = match known {
        Some(user) if user.disabled => (Some(user.id.as_str()), &*user.name, "wrong password, or disabled"),
        Some(user) => (Some(user.id.as_str()), &*user.name, "wrong password"),
        None => (None, "(unknown)", "unknown name"),
    };
    let row = Audit::new(app, &Actor::stranger(name, ip), "user.login").object("user", id, name);
    row.outcome("refused").reason(reason).store(&mut tx).await?;
    tx.commit().await?;
    Err(Error::WrongCredentials)
}

/// The keys under which a try is counted.
struct Tries {
    name: String,
    address: Option<String>,
}

impl Tries {
    /// The keys for a try without proof of identity: name and address.
    fn of(name: &str, ip: Option<IpAddr>) -> Self {
        Self { name: name_tries(name), address: ip.map(|ip| format!("address:{}", network(ip))) }
    }

    /// The key for a try from a known browser or a logged-in user; failures by strangers do not count there.
    fn by_key(key: String) -> Self {
        Self { name: key, address: None }
    }

    /// Counts a try before the password is checked. Returns whether this try, if it fails, makes the address
    /// restricted. A refused try is not counted: its transaction is rolled back.
    async fn count(&self, app: &App) -> Result<bool> {
        let now = app.clock.now();
        let mut tx = app.db.begin().await?;
        let name = db::login_failures::count(&mut tx, &self.name, now, now - NAME_MEMORY).await?;
        if name.blocked_until > now {
            return Err(too_many(now, name.blocked_until));
        }
        if name.failures > FREE_FAILURES {
            let doublings = u32::try_from(name.failures - FREE_FAILURES - 1).unwrap_or(u32::MAX).min(6);
            let wait = Duration::from_secs(1 << doublings).min(LONGEST_WAIT);
            db::login_failures::block(&mut tx, &self.name, now + wait).await?;
        }
        let mut restricts = false;
        if let Some(key) = &self.address {
            let address = db::login_failures::count(&mut tx, key, now, now - ADDRESS_MEMORY).await?;
            restricts = address.failures == ADDRESS_FAILURES;
            if address.failures > ADDRESS_FAILURES {
                if name.failures > 1 {
                    return Err(too_many(now, address.since + ADDRESS_MEMORY));
                }
                if address.blocked_until > now {
                    return Err(too_many(now, address.blocked_until));
                }
                db::login_failures::block(&mut tx, key, now + ADDRESS_PACE).await?;
            }
        }
        tx.commit().await?;
        Ok(restricts)
    }

    /// Clears the count after a correct password.
    async fn clear(&self, tx: &mut db::Tx) -> Result<()> {
        db::login_failures::clear(tx, &self.name).await?;
        if let Some(address) = &self.address {
            // Of the address's count only this try is removed: a user must not gain more tries by logging in to their
            // own account.
            db::login_failures::uncount(tx, address, ADDRESS_FAILURES).await?;
        }
        Ok(())
    }

    async fn uncount(&self, app: &App) -> Result<()> {
        let mut tx = app.db.begin().await?;
        db::login_failures::uncount(&mut tx, &self.name, FREE_FAILURES + 1).await?;
        if let Some(address) = &self.address {
            db::login_failures::uncount(&mut tx, address, ADDRESS_FAILURES).await?;
        }
        Ok(tx.commit().await?)
    }
}

/// Checks the password of a logged-in user. Failures are counted per account, which stops somebody who guesses in a
/// stolen session; failed logins by strangers do not count.
///
/// # Errors
/// [`Error::TooManyTries`].
pub(in crate::app) async fn check_own_password(
    app: &App,
    stored: &db::users::Stored,
    password: &SecretString,
) -> Result<bool> {
    let tries = Tries::by_key(format!("user:{}", stored.user.id.as_str()));
    tries.count(app).await?;
    let verdict = match app.auth.hasher.verify(Who::Known, password, Some(&stored.password_hash)).await {
        Ok(verdict) => verdict,
        Err(error) => {
            tries.uncount(app).await?;
            return Err(error);
        }
    };
    if verdict.matches {
        let mut tx = app.db.begin().await?;
        tries.clear(&mut tx).await?;
        tx.commit().await?;
    }
    Ok(verdict.matches)
}

fn too_many(now: jiff::Timestamp, until: jiff::Timestamp) -> Error {
    let left = Duration::try_from(until.duration_since(now)).unwrap_or_default();
    // Whole seconds, rounded up, so that a client that waits as long as requested is not too early.
    let whole = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    Error::TooManyTries { retry_after: Duration::from_secs(whole.max(1)) }
}

/// The key of a name's count: a digest, because people sometimes type their password as the name.
fn name_tries(name: &str) -> String {
    format!("name:{}", &hex(&Sha256::digest(credential::name_key(name)))[..32])
}

/// Deletes the failures of an account, after a new password or when an admin unlocks the account.
pub(in crate::app) async fn forget_failures(tx: &mut db::Tx, user: &User) -> Result<()> {
    db::login_failures::clear(tx, &name_tries(&user.name)).await?;
    db::login_failures::clear(tx, &format!("user:{}", user.id.as_str())).await?;
    Ok(())
}

/// Deletes the failures of an account and of every address; for `docknap user unlock`.
pub async fn unlock(app: &App, actor: &Actor, name: &str) -> Result<()> {
    actor.require(crate::domain::permission::Permission::Administer)?;
    let stored = db::users::find_by_name(&app.db, &credential::name_key(name)).await?;
    let stored = stored.ok_or_else(|| Error::not_found("user", name))?;
    let mut tx = app.db.begin().await?;
    forget_failures(&mut tx, &stored.user).await?;
    db::login_failures::clear_addresses(&mut tx).await?;
    Audit::new(app, actor, "user.unlock").user(&stored.user).store(&mut tx).await?;
    Ok(tx.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up_to_whole_seconds() {
        let wait = |ms| match too_many(
            jiff::Timestamp::UNIX_EPOCH,
            jiff::Timestamp::UNIX_EPOCH + Duration::from_millis(ms),
        ) {
            Error::TooManyTries { retry_after } => retry_after.as_secs(),
            _ => unreachable!("only one kind is made"),
        };
        assert_eq!([wait(0), wait(1), wait(1000), wait(1001)], [1, 1, 1, 2]);
    }
}
