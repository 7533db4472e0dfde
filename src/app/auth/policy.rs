//! The rules for names and passwords of accounts.

use secrecy::{ExposeSecret, SecretString};

use crate::app::{App, Error, FieldError, Result};
use crate::domain::credential::{self, Strength, WeakPassword, check_name};

/// The errors in the name of a new account, and in its password where one is given.
pub fn faults(app: &App, name: &str, password: Option<&SecretString>) -> Vec<FieldError> {
    let name_fault = check_name(name).err().map(|error| FieldError::new("name", error.to_string()));
    let weak = password.and_then(|password| strength(app, name, password).err());
    name_fault.into_iter().chain(weak.map(|error| FieldError::new("password", error.to_string()))).collect()
}

/// Checks a new password of the account `name`.
///
/// # Errors
/// [`Error::Invalid`] for `password` with the rule that it violates.
pub fn check_password(app: &App, name: &str, password: &SecretString) -> Result<()> {
    strength(app, name, password).map(drop).map_err(|error| Error::field("password", error.to_string()))
}

/// The strength of a password for the account `name`.
///
/// # Errors
/// [`WeakPassword`] where the password would be refused.
pub fn strength(
    app: &App,
    name: &str,
    password: &SecretString,
) -> std::result::Result<Strength, WeakPassword> {
    let host = app.config.base_url.as_ref().and_then(|url| {
        let host = url.origin.split_once("://")?.1;
        Some(host.rsplit_once(':').map_or(host, |(host, _)| host))
    });
    let words: Vec<&str> = std::iter::once(name.trim()).chain(host).collect();
    credential::strength(password.expose_secret(), app.config.password_min, &words)
}
