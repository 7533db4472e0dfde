//! The secret key of the installation, from the settings or from the file `secret.key`, and the keys derived from it.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::Sha256;

use crate::config::Config;
use crate::files;

/// The file with the secret key, in the data directory.
const FILE: &str = "secret.key";

/// Length of a nonce of `XChaCha20`, in bytes.
const NONCE: usize = 24;

/// The reason why the secret key is not available.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{}", files::words(path, error))]
    File { path: PathBuf, error: std::io::Error },
    /// The file holds fewer than 32 characters.
    #[error("{} holds fewer than 32 characters; remove it and every program has to log in again", .0.display())]
    TooShort(PathBuf),
    /// The operating system returned no random numbers.
    #[error("the operating system gives no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// `N` random bytes from the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// Keys derived from the secret key, one per purpose.
#[derive(Debug)]
pub(super) struct Keys {
    /// Signs the tokens of the API.
    pub(super) tokens: SecretBox<[u8; 32]>,
    /// Seals secrets in the database.
    secrets: SecretBox<[u8; 32]>,
}

/// The reason why a sealed secret cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the stored secret cannot be read: it was stored under another secret key (secret.key); enter it again"
)]
pub struct Sealed;

impl Keys {
    pub(super) fn open(config: &Config) -> Result<Self, KeyError> {
        Ok(Self::of(&match &config.secret_key {
            Some(secret) => secret.clone(),
            None => from_file(&config.data_dir.join(FILE))?,
        }))
    }

    /// As [`Keys::open`], but `None` where there is no secret key yet.
    pub(super) fn existing(config: &Config) -> Result<Option<Self>, KeyError> {
        let is_there = config.secret_key.is_some() || config.data_dir.join(FILE).exists();
        is_there.then(|| Self::open(config)).transpose()
    }

    fn of(secret: &SecretString) -> Self {
        let derive = |purpose: &str| {
            let mut key = Box::new([0; 32]);
            // HKDF fails only for lengths beyond 255 digests.
            Hkdf::<Sha256>::new(None, secret.expose_secret().as_bytes())
                .expand(purpose.as_bytes(), &mut *key)
                .expect("32 bytes are less than 255 digests");
            SecretBox::new(key)
        };
        Self {
            tokens: derive("docknap api login tokens, 1"),
            secrets: derive("docknap secrets in the database, 1"),
        }
    }

    /// Seals a secret for the database: base64 of a random nonce and the text, encrypted and authenticated with
    /// XChaCha20-Poly1305.
    pub(super) fn seal(&self, text: &str) -> Result<String, KeyError> {
        let nonce = random::<NONCE>()?;
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), text.as_bytes());
        // Encryption fails only for texts of more than 256 GiB.
        let sealed = sealed.expect("the text is short");
        Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// The secret of a text of [`Keys::seal`].
    pub(super) fn unseal(&self, sealed: &str) -> Result<SecretString, Sealed> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| Sealed)?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE>().ok_or(Sealed)?;
        let text = self.cipher().decrypt(&XNonce::from(*nonce), text).map_err(|_| Sealed)?;
        String::from_utf8(text).map(SecretString::from).map_err(|_| Sealed)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.secrets.expose_secret().into())
    }
}

/// The secret key in `path`; a new one is created where the file does not exist.
fn from_file(path: &std::path::Path) -> Result<SecretString, KeyError> {
    let failed = |error| KeyError::File { path: path.to_owned(), error };
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().len() >= 32 => Ok(SecretString::from(text.trim())),
        Ok(_) => Err(KeyError::TooShort(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let text = URL_SAFE_NO_PAD.encode(random::<32>()?);
            write_private(path, &text, true).map_err(failed)?;
            Ok(SecretString::from(text))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file that only its owner can read, atomically: other processes see the old or the new content, never half
/// of it. With `keep`, an existing file is an error.
pub(super) fn write_private(path: &std::path::Path, text: &str, keep: bool) -> std::io::Result<()> {
    let draft = path.with_extension("new");
    let _ = std::fs::remove_file(&draft);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    if keep && path.exists() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_can_read_it() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let config = Config { data_dir: home.path().to_owned(), ..Config::default() };
        let first = Keys::open(&config).expect("it is made");
        let again = Keys::open(&config).expect("it is read");
        assert_eq!(first.tokens.expose_secret(), again.tokens.expose_secret());
        let mode =
            std::fs::metadata(home.path().join("secret.key")).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_sealed_secret_is_read_by_its_own_key_alone() {
        let keys = |secret: &str| {
            let config = Config { secret_key: Some(SecretString::from(secret)), ..Config::default() };
            Keys::open(&config).expect("the settings have one")
        };
        let (keys, other) = (keys(&"a".repeat(40)), keys(&"b".repeat(40)));
        let sealed = keys.seal("-----BEGIN PRIVATE KEY-----").expect("random numbers");
        assert_ne!(
            sealed,
            keys.seal("-----BEGIN PRIVATE KEY-----").expect("random numbers"),
            "the nonce is new"
        );
        let read = keys.unseal(&sealed).expect("it is ours");
        assert_eq!(read.expose_secret(), "-----BEGIN PRIVATE KEY-----");
        assert_eq!(other.unseal(&sealed).err(), Some(Sealed));
        let mut changed = sealed.clone().into_bytes();
        changed[40] = if changed[40] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).expect("base64");
        for damaged in [&*changed, "", "AAAA", "%", &sealed[..sealed.len() - 4]] {
            assert_eq!(keys.unseal(damaged).err(), Some(Sealed), "{damaged}");
        }
    }

    #[test]
    fn a_key_that_could_be_guessed_is_refused() {
        let home = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(home.path().join("secret.key"), "short\n").expect("it can be written");
        let config = Config { data_dir: home.path().to_owned(), ..Config::default() };
        assert!(matches!(Keys::open(&config), Err(KeyError::TooShort(_))));
    }

    #[test]
    fn a_secret_from_the_settings_wins_over_the_file() {
        let config = |secret: &str| Config {
            data_dir: "/nonexistent".into(),
            secret_key: Some(SecretString::from(secret)),
            ..Config::default()
        };
        let [a, b] = ["a".repeat(40), "b".repeat(40)]
            .map(|secret| Keys::open(&config(&secret)).expect("no file is needed"));
        assert_ne!(a.tokens.expose_secret(), b.tokens.expose_secret());
    }
}
