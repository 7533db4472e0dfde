//! Tokens for API clients: JWTs from the API's login that are valid for 12 h or until their database row is deleted
//! (rulings 22).
//!
//! HS256 is the only algorithm. `jsonwebtoken` uses the crypto provider in this file, so that no other algorithm is
//! compiled in. Role and state of the account are read from the database at every request, never from the token.

use std::net::IpAddr;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error as JwtError, ErrorKind};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::ExposeSecret;
use sha2::Sha256;

use super::Auth;
use crate::app::audit::Audit;
use crate::app::{Actor, App, Error, Result};
use crate::db;
use crate::domain::text::hex;
use crate::domain::user::User;

/// How long a token is valid.
pub const LIFETIME: Duration = Duration::from_secs(12 * 3600);
/// Maximum number of valid tokens per account; a further one replaces the oldest.
const PER_USER: i64 = 20;

/// A new token.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The token itself.
    pub token: String,
    pub expires: Timestamp,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Claims {
    sub: String,
    jti: String,
    iat: i64,
    exp: i64,
}

/// Creates a token for a user who has just logged in.
///
/// # Errors
/// [`Error::WrongCredentials`] where the password was changed or the account disabled since the login; database errors.
pub async fn issue(app: &App, user: &User, ip: Option<IpAddr>) -> Result<Issued> {
    let now = app.clock.now();
    let expires = now + LIFETIME;
    let jti: String = hex(&super::keys::random::<16>().map_err(Error::internal)?);
    let mut tx = app.db.begin().await?;
    if !db::users::hold(&mut tx, user).await? {
        return Err(Error::WrongCredentials);
    }
    let address = ip.map(|ip| ip.to_string());
    db::tokens::insert(&mut tx, &jti, &user.id, now, expires, address.as_deref()).await?;
    db::tokens::delete_oldest(&mut tx, &user.id, &jti, PER_USER, now).await?;
    tx.commit().await?;
    let claims =
        Claims { sub: user.id.as_str().to_owned(), jti, iat: now.as_second(), exp: expires.as_second() };
    let token = app.auth.sign(&claims)?;
    Ok(Issued { token, expires })
}

/// The account and the id of a token.
///
/// # Errors
/// [`Error::Unauthenticated`] where the token is invalid, has expired or was revoked, or its account is disabled;
/// [`Error::TooManyTries`] instead where the address has sent too many such tokens.
pub async fn verify(app: &App, token: &str, ip: Option<IpAddr>) -> Result<(User, String)> {
    let now = app.clock.now();
    if let Some(claims) = app.auth.read(token).filter(|claims| now.as_second() < claims.exp)
        && let Some(user) = db::tokens::find_user(&app.db, &claims.jti, now).await?
        && user.id.as_str() == claims.sub
        && !user.disabled
    {
        return Ok((user, claims.jti));
    }
    app.auth.bad_bearers.refuse(ip, app.clock.monotonic())?;
    Err(Error::Unauthenticated)
}

/// Revokes a token.
pub async fn revoke(app: &App, actor: &Actor, user: &User, jti: &str) -> Result<()> {
    let mut tx = app.db.begin().await?;
    if db::tokens::delete(&mut tx, jti).await? {
        Audit::new(app, actor, "user.logout").user(user).reason("API").store(&mut tx).await?;
    }
    Ok(tx.commit().await?)
}

impl Auth {
    fn sign(&self, claims: &Claims) -> Result<String> {
        install_provider();
        let key = EncodingKey::from_secret(self.keys.tokens.expose_secret());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).map_err(Error::internal)
    }

    /// The claims of a token with a valid signature. The caller compares the expiry with DockNap's clock.
    fn read(&self, token: &str) -> Option<Claims> {
        install_provider();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["sub", "exp"]);
        let key = DecodingKey::from_secret(self.keys.tokens.expose_secret());
        Some(jsonwebtoken::decode::<Claims>(token, &key, &validation).ok()?.claims)
    }
}

/// HS256 with the `hmac` crate.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| match algorithm {
        Algorithm::HS256 => Ok(Box::new(Hs256::new(key.as_bytes())?)),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    },
    verifier_factory: |algorithm, key| match algorithm {
        Algorithm::HS256 => Ok(Box::new(Hs256::new(key.try_get_as_bytes()?)?)),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    },
    // Needed for JWKs only, which DockNap does not use.
    key_utils: KeyUtils::new_unimplemented(),
};

fn install_provider() {
    // The call fails where a provider is installed already, which can only be this one.
    let _ = PROVIDER.install_default();
}

struct Hs256(Hmac<Sha256>);

impl Hs256 {
    fn new(key: &[u8]) -> std::result::Result<Self, JwtError> {
        Ok(Self(Hmac::new_from_slice(key).map_err(|_| ErrorKind::InvalidKeyFormat)?))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        Ok(self.0.clone().chain_update(message).finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], given: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        self.0.clone().chain_update(message).verify_slice(given).map_err(signature::Error::from_source)
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}
