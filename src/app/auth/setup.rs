//! Creation of the first admin: by somebody with access to the log or the data directory, or from the settings.
//!
//! While there is no account, the file `setup-token` and the log contain a token that the setup page requires. Without
//! it, the first stranger to find the page could take over the host.

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

/// Number of wrong tokens after which a new token is created.
pub const WRONG_TOKENS: u32 = 10;
/// Characters of a token: no letters that look like digits.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The file of the setup token and the number of wrong tries.
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
        let text = normalized(&text);
        (text.len() >= 20).then(|| SecretString::from(text))
    }

    /// Writes a new token to the file and the log.
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

/// A token in lower case without separators and spaces, as people may copy it.
fn normalized(token: &str) -> String {
    token.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

/// Whether there is no account yet.
pub async fn is_due(app: &App) -> Result<bool> {
    Ok(db::users::count(&app.db).await? == 0)
}

/// Runs at the start. Where there is no account, creates the admin from the settings, or writes the setup token to the
/// file and the log.
///
/// # Errors
/// [`Error::Invalid`] where the name or password in the settings violates a rule.
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
/// [`Error::Invalid`] with the number of tries that are left; [`Error::TooManyTries`] where `ip` has sent too many
/// wrong tokens; [`Error::Conflict`] where there is an account already.
pub async fn check_token(app: &App, token: &str, ip: Option<IpAddr>) -> Result<()> {
    if !is_due(app).await? {
        return Err(setup_done());
    }
    let setup = &app.auth.setup;
    if normalized(token).is_empty() {
        return Err(Error::field("token", "enter the token from the log"));
    }
    // Held during the comparison, so that simultaneous tries are counted one by one.
    let mut wrong = setup.wrong.lock().await;
    let Some(expected) = setup.read() else {
        setup.renew()?;
        return Err(Error::field("token", "the setup token was missing; a new one is in the log"));
    };
    if same_secret(&normalized(token), &expected) {
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

/// The fields of the setup page.
#[derive(Clone, Debug)]
pub struct Draft {
    pub token: String,
    /// The admin's login name.
    pub name: String,
    /// The admin's password.
    pub password: SecretString,
    /// The default time zone; empty = UTC.
    pub timezone: String,
    /// `light`, `dark`, or anything else = the setting of the device.
    pub theme: String,
}

/// Creates the first admin from the address `ip`, and ends the setup.
///
/// # Errors
/// [`Error::Invalid`] with every field that is wrong; [`Error::Conflict`] where there is an account already.
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

fn setup_done() -> Error {
    Error::conflict("setup_done", "there is an account already; log in")
}

/// Creates the admin in the same transaction as the check that there is no account.
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
        return Err(setup_done());
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
