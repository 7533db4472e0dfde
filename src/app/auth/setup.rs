//! The first admin: made by whoever can read the log or the data directory, or named in the settings.
//!
//! As long as there is no account, a token stands in the file `setup-token` and in the log. Without it a stranger who
//! finds the page first would own the host.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::{keys, policy};
use crate::app::audit::Audit;
use crate::app::{Actor, App, Error, FieldError, Result, zone};
use crate::config::FirstAdmin;
use crate::db;
use crate::domain::credential;
use crate::domain::permission::Role;
use crate::domain::user::User;
use crate::files;

/// Wrong tokens after which a new one is written.
pub const WRONG_TOKENS: u32 = 10;
/// What a token is made of: no letter that looks like a digit.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The file and the count of wrong tries.
#[derive(Debug)]
pub(super) struct SetupToken {
    path: PathBuf,
    wrong: Mutex<u32>,
}

impl SetupToken {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self { path: data_dir.join("setup-token"), wrong: Mutex::new(0) }
    }

    fn read(&self) -> Option<SecretString> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        let text = plain(&text);
        (text.len() >= 20).then(|| SecretString::from(text))
    }

    /// Writes a new token and tells the log.
    fn renew(&self) -> Result<()> {
        let bytes = keys::random::<20>().map_err(Error::internal)?;
        let letters: Vec<u8> = bytes.iter().map(|byte| LETTERS[usize::from(byte % 32)]).collect();
        let groups: Vec<&str> =
            letters.chunks(5).filter_map(|group| std::str::from_utf8(group).ok()).collect();
        let token = groups.join("-");
        keys::write_private(&self.path, &token, false)
            .map_err(|error| Error::Internal(files::words(&self.path, &error).into()))?;
        announce_token(&token, &self.path);
        Ok(())
    }
}

fn announce_token(token: &str, path: &Path) {
    tracing::warn!(
        "there is no account yet: open the page and enter the setup token {token} (also in {})",
        path.display()
    );
}

/// A token without what people add when they copy it.
fn plain(token: &str) -> String {
    token.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

/// Whether nobody has an account yet.
pub async fn is_due(app: &App) -> Result<bool> {
    Ok(db::users::count(&app.db).await? == 0)
}

/// At the start: makes the admin the settings name, or writes the setup token and tells the log, where there is no
/// account yet.
///
/// # Errors
/// [`Error::Invalid`] naming the rule where the settings' name or password breaks the policy.
pub async fn prepare(app: &App) -> Result<()> {
    if !is_due(app).await? {
        let _ = std::fs::remove_file(&app.auth.setup.path);
        return Ok(());
    }
    if let Some(FirstAdmin { name, password }) = &app.config.admin {
        create(app, &Actor::cli(), name, password, None, None).await?;
        tracing::info!("made the first admin, as the settings say");
        return Ok(());
    }
    match app.auth.setup.read() {
        Some(token) => announce_token(token.expose_secret(), &app.auth.setup.path),
        None => app.auth.setup.renew()?,
    }
    Ok(())
}

/// Checks a setup token.
///
/// # Errors
/// [`Error::Invalid`] saying how many tries are left; [`Error::TooManyTries`] where a flood of wrong ones comes from
/// `ip`; [`Error::Conflict`] where there is an account already.
pub async fn check_token(app: &App, token: &str, ip: Option<IpAddr>) -> Result<()> {
    if !is_due(app).await? {
        return Err(done());
    }
    let setup = &app.auth.setup;
    if plain(token).is_empty() {
        return Err(Error::field("token", "enter the token from the log"));
    }
    // Held while comparing: tries at once are counted one after the other.
    let mut wrong = setup.wrong.lock().await;
    let Some(expected) = setup.read() else {
        setup.renew()?;
        return Err(Error::field("token", "the setup token was missing; a new one is in the log"));
    };
    if same_secret(&plain(token), &expected) {
        return Ok(());
    }
    app.auth.flood.admit_from(ip)?;
    *wrong += 1;
    if *wrong >= WRONG_TOKENS {
        *wrong = 0;
        setup.renew()?;
        return Err(Error::field("token", "that was wrong ten times; a new token is in the log"));
    }
    let left = WRONG_TOKENS - *wrong;
    let tries = if left == 1 { "1 try is".to_owned() } else { format!("{left} tries are") };
    Err(Error::field("token", format!("this is not the token; {tries} left before a new one is written")))
}

/// What the first-run page asks for.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The setup token.
    pub token: String,
    /// The admin's login name.
    pub name: String,
    /// The admin's password.
    pub password: SecretString,
    /// Zone used where a schedule names none; empty = UTC.
    pub timezone: String,
    /// `light`, `dark`, or anything else = as the device says.
    pub theme: String,
}

/// Makes the first admin, calling from `ip`, and ends the setup.
///
/// # Errors
/// [`Error::Invalid`] per field; [`Error::Conflict`] where there is an account already.
pub async fn run(app: &App, draft: &Draft, ip: Option<IpAddr>) -> Result<User> {
    check_token(app, &draft.token, ip).await?;
    let timezone = draft.timezone.trim();
    if !timezone.is_empty()
        && let Err(error) = crate::domain::time::zone(timezone)
    {
        let mut errors = vec![FieldError::new("timezone", error.to_string())];
        errors.extend(policy::faults(app, &draft.name, Some(&draft.password)));
        return Err(Error::Invalid(errors));
    }
    let actor = Actor::stranger(draft.name.trim(), ip);
    let theme = Some(draft.theme.as_str()).filter(|theme| matches!(*theme, "light" | "dark"));
    create(app, &actor, &draft.name, &draft.password, Some(timezone).filter(|zone| !zone.is_empty()), theme)
        .await
}

fn done() -> Error {
    Error::conflict("setup_done", "there is an account already; log in")
}

/// Makes the admin in one transaction with the check that there is nobody yet.
async fn create(
    app: &App,
    actor: &Actor,
    name: &str,
    password: &SecretString,
    timezone: Option<&str>,
    theme: Option<&str>,
) -> Result<User> {
    let faults = policy::faults(app, name, Some(password));
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let hash = app.auth.hasher.hash(password).await?;
    let now = app.clock.now();
    let theme = theme.map(str::to_owned);
    let user = User { theme, ..User::new(app.ids.next(now), name, Role::Admin, now) };
    let mut tx = app.db.begin().await?;
    db::users::lock_all(&mut tx).await?;
    if db::users::count(&mut tx).await? > 0 {
        return Err(done());
    }
    db::users::insert(&mut tx, &user, &credential::name_key(&user.name), &hash).await?;
    if let Some(timezone) = timezone {
        db::settings::put(&mut tx, zone::KEY, timezone, now).await?;
    }
    Audit::new(app, actor, "user.create").user(&user).reason("first admin").store(&mut tx).await?;
    tx.commit().await?;
    let _ = std::fs::remove_file(&app.auth.setup.path);
    Ok(user)
}

/// Compares two secrets in a time that depends on their lengths only.
fn same_secret(a: &str, b: &SecretString) -> bool {
    use subtle::ConstantTimeEq;
    a.as_bytes().ct_eq(b.expose_secret().as_bytes()).into()
}
