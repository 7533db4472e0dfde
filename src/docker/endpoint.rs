//! The address of an Engine and how to connect to it: as stored for a host, or for `local` read from the same settings
//! as the docker CLI uses, `DOCKER_HOST`, `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret as _, SecretString};

use super::certificates::{AddressFault, Certificate};
use super::one_line::one_line;
use super::tls::{Origin, Tls, TlsSource};

/// Docker's default socket.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// Default port of `tcp://` without TLS.
const PLAIN_PORT: u16 = 2375;
/// Default port of `tcp://` with TLS.
const TLS_PORT: u16 = 2376;

/// How to reach an Engine, as stored for a host.
#[derive(Clone, Debug)]
pub struct Address {
    /// `unix:///path` or `tcp://host:port`.
    pub endpoint: String,
    pub tls: Option<TlsSource>,
    /// `tcp://` may be used without TLS.
    pub insecure: bool,
}

/// The address of an Engine and how to connect to it. Creating one opens no connection.
#[derive(Clone)]
pub struct Endpoint {
    transport: Transport,
    /// Path prefix of every request, for an Engine behind a proxy; empty, or `/…` without a trailing slash.
    prefix: String,
    origin: Origin,
}

/// The kind of connection to an Engine.
#[derive(Clone)]
pub(super) enum Transport {
    /// A Unix socket.
    Unix(PathBuf),
    /// TCP without TLS.
    Plain { host: String, port: u16 },
    /// TCP with TLS, where the Engine shows a certificate and DockNap one if the Engine asks for it.
    Tls { host: String, port: u16, name: ServerName<'static>, tls: Arc<Tls> },
}

/// An address split into its parts.
enum Parts {
    Unix(PathBuf),
    Tcp { host: String, port: Option<u16>, prefix: String, https: bool },
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
        let prefixed = |message: String| format!("DOCKER_HOST: {message}");
        let parts = if given.is_empty() { Ok(Parts::Unix(DEFAULT_SOCKET.into())) } else { split(given) };
        let verify = tls_verify.is_some_and(|value| !value.is_empty());
        let parts = parts.map_err(prefixed)?;
        let tls = match &parts {
            Parts::Tcp { https, .. } if verify || *https => {
                let directory = match cert_path.filter(|path| !path.is_empty()) {
                    Some(path) => PathBuf::from(path),
                    None => {
                        let home = std::env::home_dir().filter(|home| home.is_absolute());
                        home.map(|home| home.join(".docker")).ok_or(
                            "DOCKER_TLS_VERIFY is set: DOCKER_CERT_PATH must name the directory with ca.pem, cert.pem \
                             and key.pem",
                        )?
                    }
                };
                let ca = directory.join("ca.pem");
                let identity = Some((directory.join("cert.pem"), directory.join("key.pem")));
                Some(TlsSource::Files { ca, identity })
            }
            _ => None,
        };
        let endpoint = Self::of_parts(parts, tls, Origin::Environment).map_err(prefixed)?;
        if let Some(tls) = endpoint.tls() {
            tls.load().map_err(|faults| join(&faults))?;
        }
        Ok(endpoint)
    }

    /// The endpoint of an address that is to be stored. Blocks while certificate files are read.
    ///
    /// # Errors
    /// All faults of all fields, also those of the certificates and of their dates at `now`.
    pub fn open(address: &Address, now: Timestamp) -> Result<Self, Vec<AddressFault>> {
        let endpoint = Self::stored(address);
        // Certificates are checked also where the address is wrong, so that all faults are told at once.
        let tls = match &endpoint {
            Ok(endpoint) => endpoint.tls().cloned(),
            Err(faults) if faults.iter().any(|fault| fault.field == "ca") => None,
            Err(_) => address
                .tls
                .clone()
                .map(|source| Arc::new(Tls::new(without_blank_identity(source), Origin::Form))),
        };
        let of_tls = tls.map_or_else(Vec::new, |tls| match tls.load() {
            Ok(()) => tls.out_of_date(now),
            Err(faults) => faults,
        });
        match endpoint {
            Ok(endpoint) if of_tls.is_empty() => Ok(endpoint),
            endpoint => Err(endpoint.err().unwrap_or_default().into_iter().chain(of_tls).collect()),
        }
    }

    /// The endpoint of an address that was stored before. Its certificates are read at each connection, so that what
    /// is wrong with them by then is a reason why the host cannot be reached and no more.
    ///
    /// # Errors
    /// All faults of the address itself.
    pub fn stored(address: &Address) -> Result<Self, Vec<AddressFault>> {
        let fault = |field, message: &str| vec![AddressFault::new(field, message)];
        let given = address.endpoint.trim();
        if given.is_empty() {
            let missing = "is missing; write tcp://NAME:PORT, or unix:///PATH of a socket";
            return Err(fault("endpoint", missing));
        }
        let parts = split(given).map_err(|message| fault("endpoint", &message))?;
        let tls = address.tls.clone().map(without_blank_identity);
        match (&parts, &tls) {
            (Parts::Unix(_), Some(_)) => Err(fault(
                "ca",
                "a socket has no TLS: remove the certificates, or write tcp://NAME:PORT as the address",
            )),
            (Parts::Tcp { https: true, .. }, None) => Err(fault(
                "ca",
                "https:// is TLS, which needs the certificate of the authority that signed the Engine's",
            )),
            (Parts::Tcp { .. }, None) if !address.insecure => Err(fault(
                "insecure",
                "without TLS, whoever reaches this port owns that machine, and whoever is on the way reads along. Give \
                 the certificates for TLS; or, for a socket proxy in a network of its own, allow it here",
            )),
            (Parts::Tcp { .. }, Some(_)) if address.insecure => Err(fault(
                "insecure",
                "certificates are given, so TLS is used: leave this out, or remove the certificates",
            )),
            _ => {
                let endpoint = Self::of_parts(parts, tls, Origin::Form);
                let endpoint = endpoint.map_err(|message| fault("endpoint", &message))?;
                endpoint.read_texts();
                Ok(endpoint)
            }
        }
    }

    /// Reads certificates that are given as texts, so that pages show them before the first connection. What is wrong
    /// with them is told by the connection.
    fn read_texts(&self) {
        if let Transport::Tls { tls, .. } = &self.transport
            && tls.has_texts()
        {
            let _ = tls.load();
        }
    }

    /// A placeholder for a host that is never called.
    pub fn nowhere() -> Self {
        let transport = Transport::Unix(PathBuf::from("/dev/null"));
        Self { transport, prefix: String::new(), origin: Origin::Form }
    }

    fn of_parts(parts: Parts, tls: Option<TlsSource>, origin: Origin) -> Result<Self, String> {
        let (transport, prefix) = match (parts, tls) {
            (Parts::Unix(path), _) => (Transport::Unix(path), String::new()),
            (Parts::Tcp { host, port, prefix, .. }, None) => {
                (Transport::Plain { host, port: port.unwrap_or(PLAIN_PORT) }, prefix)
            }
            (Parts::Tcp { host, port, prefix, .. }, Some(source)) => {
                let name = ServerName::try_from(host.clone())
                    .map_err(|_| format!("`{host}` cannot be the name in a certificate"))?;
                let tls = Arc::new(Tls::new(source, origin));
                (Transport::Tls { host, port: port.unwrap_or(TLS_PORT), name, tls }, prefix)
            }
        };
        Ok(Self { transport, prefix, origin })
    }

    /// The certificates in use, with the one the Engine showed last; none without TLS, or before the first look.
    pub fn certificates(&self) -> Vec<Certificate> {
        self.tls().map_or_else(Vec::new, |tls| tls.certificates())
    }

    pub(super) fn tls(&self) -> Option<&Arc<Tls>> {
        match &self.transport {
            Transport::Tls { tls, .. } => Some(tls),
            Transport::Unix(_) | Transport::Plain { .. } => None,
        }
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin
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

/// The faults in one line.
pub(super) fn join(faults: &[AddressFault]) -> String {
    faults.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>().join("; ")
}

/// A form sends an empty certificate and an empty key where none is meant.
fn without_blank_identity(source: TlsSource) -> TlsSource {
    match source {
        TlsSource::Texts { ca, identity } => {
            let typed = |(cert, key): &(String, SecretString)| {
                !cert.trim().is_empty() || !key.expose_secret().trim().is_empty()
            };
            TlsSource::Texts { ca, identity: identity.filter(typed) }
        }
        files @ TlsSource::Files { .. } => files,
    }
}

/// Splits an address, or says what is wrong with it.
fn split(given: &str) -> Result<Parts, String> {
    let (scheme, rest) = match given.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None if given.starts_with('/') => {
            return Err(format!("`{given}` lacks its beginning; write unix://{given}"));
        }
        None => ("tcp".to_owned(), given),
    };
    match scheme.as_str() {
        "unix" if rest.is_empty() => Ok(Parts::Unix(DEFAULT_SOCKET.into())),
        "unix" if rest.starts_with('/') => Ok(Parts::Unix(rest.into())),
        "unix" => Err(format!("the path of the socket must begin with a slash: unix:///{rest}")),
        "tcp" | "http" | "https" => {
            let (host, port, prefix) = authority(rest)?;
            Ok(Parts::Tcp { host, port, prefix, https: scheme == "https" })
        }
        "ssh" => Err("ssh:// is not offered; use tcp:// with TLS, or forward the socket with \
                      `ssh -L /run/docknap/docker.sock:/var/run/docker.sock HOST` and name that with unix://"
            .to_owned()),
        "npipe" => {
            Err("npipe:// is a named pipe of Windows, which DockNap cannot open; use unix:// or tcp://"
                .to_owned())
        }
        "fd" => Err("fd:// is for the daemon's own use; name its socket with unix://".to_owned()),
        other => Err(format!("`{}://` is not a way to reach Docker; use unix:// or tcp://", one_line(other))),
    }
}

/// Splits the text after `tcp://` into host, port and path.
fn authority(rest: &str) -> Result<(String, Option<u16>, String), String> {
    let wrong = |what: &str| format!("{what} in `tcp://{}`; write tcp://NAME:PORT", one_line(rest));
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
        None | Some("") => None,
        Some(port) => {
            Some(port.parse().ok().filter(|port| *port != 0).ok_or_else(|| wrong("the port is wrong"))?)
        }
    };
    Ok((host.to_owned(), port, prefix.to_owned()))
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
