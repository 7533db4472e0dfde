//! The address of an Engine and how to connect to it, read from the same settings as the docker CLI uses:
//! `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

/// Docker's default socket.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// Default port of `tcp://` without TLS.
const PLAIN_PORT: u16 = 2375;
/// Default port of `tcp://` with TLS.
const TLS_PORT: u16 = 2376;

/// The address of an Engine and how to connect to it. Creating one opens no connection.
#[derive(Clone)]
pub struct Endpoint {
    transport: Transport,
    /// Path prefix of every request, for an Engine behind a proxy; empty, or `/…` without a trailing slash.
    prefix: String,
}

/// The kind of connection to an Engine.
#[derive(Clone)]
pub(super) enum Transport {
    /// A Unix socket.
    Unix(PathBuf),
    /// TCP without TLS.
    Plain { host: String, port: u16 },
    /// TCP with TLS, where both sides present a certificate.
    Tls { host: String, port: u16, name: ServerName<'static>, config: Arc<ClientConfig> },
}

impl Endpoint {
    /// Reads `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH` as the docker CLI does: TLS is used if
    /// `DOCKER_TLS_VERIFY` is not empty, with `ca.pem`, `cert.pem` and `key.pem` from `DOCKER_CERT_PATH`, else from
    /// `.docker` in the home directory. Only the given CA is trusted. Empty values count as unset.
    ///
    /// # Errors
    /// A text for the user: which setting is wrong and what to change.
    pub fn from_values(
        docker_host: Option<&str>,
        tls_verify: Option<&str>,
        cert_path: Option<&str>,
    ) -> Result<Self, String> {
        let given = docker_host.map(str::trim).unwrap_or_default();
        let (scheme, rest) = match given.split_once("://") {
            _ if given.is_empty() => ("unix", ""),
            Some((scheme, rest)) => (scheme, rest),
            None if given.starts_with('/') => {
                return Err(format!("DOCKER_HOST `{given}` lacks its beginning; write unix://{given}"));
            }
            None => ("tcp", given),
        };
        let tls = tls_verify.is_some_and(|value| !value.is_empty());
        match scheme.to_ascii_lowercase().as_str() {
            "unix" => Self::unix(rest),
            "tcp" | "http" if !tls => Self::plain(rest),
            "tcp" | "http" | "https" => Self::tls(rest, cert_path),
            "ssh" => Err("DOCKER_HOST: ssh:// is not offered; use tcp:// with TLS, or forward the socket with \
                          `ssh -L /run/docknap/docker.sock:/var/run/docker.sock HOST` and name that with unix://"
                .to_owned()),
            "npipe" => Err("DOCKER_HOST: npipe:// is a named pipe of Windows, which DockNap cannot open; use \
                            unix:// or tcp://"
                .to_owned()),
            "fd" => Err("DOCKER_HOST: fd:// is for the daemon's own use; name its socket with unix://".to_owned()),
            other => Err(format!("DOCKER_HOST: `{other}://` is not a way to reach Docker; use unix:// or tcp://")),
        }
    }

    fn unix(path: &str) -> Result<Self, String> {
        let path = if path.is_empty() { DEFAULT_SOCKET } else { path };
        if !path.starts_with('/') {
            return Err(format!(
                "DOCKER_HOST: the path of the socket must begin with a slash: unix:///{path}"
            ));
        }
        Ok(Self { transport: Transport::Unix(PathBuf::from(path)), prefix: String::new() })
    }

    fn plain(rest: &str) -> Result<Self, String> {
        let (host, port, prefix) = authority(rest, PLAIN_PORT)?;
        Ok(Self { transport: Transport::Plain { host, port }, prefix })
    }

    fn tls(rest: &str, cert_path: Option<&str>) -> Result<Self, String> {
        let (host, port, prefix) = authority(rest, TLS_PORT)?;
        let directory = match cert_path.filter(|path| !path.is_empty()) {
            Some(path) => PathBuf::from(path),
            None => std::env::home_dir().filter(|home| home.is_absolute()).map(|home| home.join(".docker")).ok_or(
                "DOCKER_TLS_VERIFY is set: DOCKER_CERT_PATH must name the directory with ca.pem, cert.pem and \
                 key.pem",
            )?,
        };
        let name = ServerName::try_from(host.clone())
            .map_err(|_| format!("DOCKER_HOST: `{host}` cannot be the name in a certificate"))?;
        let config = Arc::new(tls_config(&directory)?);
        Ok(Self { transport: Transport::Tls { host, port, name, config }, prefix })
    }

    /// Host name or address of an Engine that is reached over a network. A container of that name is a socket proxy
    /// and protected.
    pub fn host_name(&self) -> Option<&str> {
        match &self.transport {
            Transport::Unix(_) => None,
            Transport::Plain { host, .. } | Transport::Tls { host, .. } => Some(host),
        }
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }
}

/// Formats the address as a value of `DOCKER_HOST`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.transport {
            Transport::Unix(path) => write!(f, "unix://{}", path.display()),
            Transport::Plain { host, port } | Transport::Tls { host, port, .. } if host.contains(':') => {
                write!(f, "tcp://[{host}]:{port}{}", self.prefix)
            }
            Transport::Plain { host, port } | Transport::Tls { host, port, .. } => {
                write!(f, "tcp://{host}:{port}{}", self.prefix)
            }
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if matches!(self.transport, Transport::Tls { .. }) { " with TLS" } else { "" };
        write!(f, "Endpoint({self}{tls})")
    }
}

/// Splits the text after `tcp://` into host, port and path.
fn authority(rest: &str, default_port: u16) -> Result<(String, u16, String), String> {
    let wrong = |what: &str| format!("DOCKER_HOST: {what} in `tcp://{rest}`; write tcp://NAME:PORT");
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let prefix = path.trim_end_matches('/');
    if !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._~%".contains(&byte)) {
        return Err(wrong("the path cannot be understood"));
    }
    let (host, port) = if let Some(inner) = authority.strip_prefix('[') {
        let (host, port) = inner.split_once(']').ok_or_else(|| wrong("a `]` is missing"))?;
        (host, port.strip_prefix(':'))
    } else {
        match authority.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => {
                return Err(wrong("an IPv6 address stands in square brackets"));
            }
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.contains('@') {
        return Err(wrong("a user name has no use"));
    }
    if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(wrong("the name of the machine is missing"));
    }
    if host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err() {
        return Err(wrong("what stands in square brackets is no IPv6 address"));
    }
    let port = match port {
        None | Some("") => default_port,
        Some(port) => {
            port.parse().ok().filter(|port| *port != 0).ok_or_else(|| wrong("the port is wrong"))?
        }
    };
    Ok((host.to_owned(), port, prefix.to_owned()))
}

fn tls_config(directory: &Path) -> Result<ClientConfig, String> {
    let ca = directory.join("ca.pem");
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&ca)? {
        roots.add(certificate).map_err(|error| {
            format!("{}: not a certificate that can vouch for others ({error})", ca.display())
        })?;
    }
    let cert = directory.join("cert.pem");
    let chain = certificates(&cert)?;
    let key_path = directory.join("key.pem");
    let key = private_key(&key_path)?;
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| {
            format!("{} and {} do not belong together ({error})", cert.display(), key_path.display())
        })
}

/// Reads one of the three certificate files. Checking for a missing file here gives a clear message; otherwise the
/// TLS handshake fails later without saying why.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!(
            "{} does not exist; DOCKER_CERT_PATH must name the directory with ca.pem, cert.pem and key.pem",
            path.display()
        ),
        ErrorKind::PermissionDenied => {
            format!("{} may not be read; DockNap runs as user 65532 in its image", path.display())
        }
        _ => format!("{} cannot be read: {error}", path.display()),
    })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{} is not PEM text: {error}", path.display()))?;
    if found.is_empty() {
        return Err(format!("{} holds no certificate (-----BEGIN CERTIFICATE-----)", path.display()));
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        if text.windows(21).any(|part| part == b"ENCRYPTED PRIVATE KEY") {
            format!(
                "{} is encrypted; DockNap cannot ask for its passphrase, so store it plain",
                path.display()
            )
        } else if matches!(error, pem::Error::NoItemsFound) {
            format!("{} holds no private key (-----BEGIN PRIVATE KEY-----)", path.display())
        } else {
            format!("{} is not a private key: {error}", path.display())
        }
    })
}

pub struct Address {
    pub endpoint: String,
    pub tls: Option<TlsSource>,
    pub insecure: bool,
}
pub enum TlsSource {
    Files { ca: PathBuf, identity: Option<(PathBuf, PathBuf)> },
    Texts { ca: String, identity: Option<(String, secrecy::SecretString)> },
}
pub struct AddressFault {
    pub field: &'static str,
    pub message: String,
}
#[derive(Clone, Debug)]
pub struct Certificate {
    pub subject: String,
    pub not_after: jiff::Timestamp,
}
impl Endpoint {
    pub fn open(address: &Address, _now: jiff::Timestamp) -> Result<Self, Vec<AddressFault>> {
        Self::from_values(Some(&address.endpoint), None, None)
            .map_err(|message| vec![AddressFault { field: "endpoint", message }])
    }
    pub fn unusable(address: &str, _reason: String) -> Self {
        Self { transport: Transport::Unix(PathBuf::from(address)), prefix: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(docker_host: &str) -> Result<String, String> {
        Endpoint::from_values(Some(docker_host), None, None).map(|endpoint| endpoint.to_string())
    }

    #[test]
    fn reads_docker_host_as_the_cli_does() {
        for (given, expected) in [
            ("", "unix:///var/run/docker.sock"),
            ("unix://", "unix:///var/run/docker.sock"),
            ("unix:///run/user/1000/docker.sock", "unix:///run/user/1000/docker.sock"),
            ("tcp://proxy:2375", "tcp://proxy:2375"),
            ("tcp://proxy", "tcp://proxy:2375"),
            ("http://proxy:80/docker/", "tcp://proxy:80/docker"),
            ("proxy:2375", "tcp://proxy:2375"),
            ("tcp://[::1]:2375", "tcp://[::1]:2375"),
            ("TCP://proxy:1", "tcp://proxy:1"),
        ] {
            assert_eq!(shown(given), Ok(expected.to_owned()), "{given}");
        }
        let unset = Endpoint::from_values(None, None, None).expect("the default");
        assert_eq!(unset.to_string(), "unix:///var/run/docker.sock");
        assert_eq!(unset.host_name(), None);
        let proxy =
            Endpoint::from_values(Some("tcp://proxy:2375"), Some(""), None).expect("an empty value is unset");
        assert_eq!(proxy.host_name(), Some("proxy"));
    }

    #[test]
    fn refuses_unsupported_values_with_an_explanation() {
        for (given, word) in [
            ("ssh://user@nas", "ssh://"),
            ("npipe:////./pipe/docker_engine", "Windows"),
            ("fd://", "fd://"),
            ("ftp://x", "ftp://"),
            ("/var/run/docker.sock", "write unix:///var/run/docker.sock"),
            ("unix://run/docker.sock", "unix:///run/docker.sock"),
            ("tcp://", "missing"),
            ("tcp://:2375", "missing"),
            ("tcp://proxy:0", "port"),
            ("tcp://proxy:99999", "port"),
            ("tcp://user@proxy:1", "user name"),
            ("tcp://::1:2375", "square brackets"),
            ("tcp://proxy:1/a b", "path"),
        ] {
            let error = shown(given).expect_err(given);
            assert!(error.contains(word), "{given}: {error}");
        }
    }

    #[test]
    fn names_the_certificate_file_that_is_wrong() {
        let directory = tempfile::tempdir().expect("a directory");
        let tls = || {
            Endpoint::from_values(Some("tcp://engine"), Some("1"), directory.path().to_str())
                .expect_err("no files")
        };
        assert!(tls().contains("ca.pem does not exist"), "{}", tls());
        std::fs::write(directory.path().join("ca.pem"), "hello").expect("written");
        assert!(tls().contains("ca.pem holds no certificate"), "{}", tls());
    }
}
