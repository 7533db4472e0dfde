//! Error messages for failures between DockNap and an Engine.
//!
//! The reader has a home server that half works and need not know Docker's internals: each message says what is wrong
//! and what to do next.

use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::path::Path;

use bollard::errors::Error;
use rustls::{AlertDescription, CertificateError};

use super::DockerError;
use super::certificates::{Facts, day};
use super::endpoint::{Endpoint, Transport};
use super::one_line::one_line;
use super::tls::{Origin, Tls};
use super::wire::{Stage, WireError};

/// Converts an error of bollard. `call` is method and path.
pub(super) fn error(endpoint: &Endpoint, call: &str, error: &Error) -> DockerError {
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            refusal(endpoint, call, *status_code, message)
        }
        Error::RequestTimeoutError => DockerError::TimedOut,
        Error::JsonDataError { message, .. } => DockerError::Unreachable {
            reason: format!(
                "{endpoint} answered {call} with something that is not Docker's: {}",
                one_line(message)
            ),
        },
        Error::APIVersionParseError {} => {
            DockerError::Version { message: format!("{endpoint} does not say which API version it speaks") }
        }
        other => DockerError::Unreachable { reason: unreachable(endpoint, other) },
    }
}

/// Converts an error response.
fn refusal(endpoint: &Endpoint, call: &str, status: u16, message: &str) -> DockerError {
    let lower = message.get(..message.floor_char_boundary(2_000)).unwrap_or_default().to_ascii_lowercase();
    let from_proxy = lower.trim_start().starts_with('<') || lower.trim().is_empty() || !lower.contains(' ');
    // The words of Go, and of nginx.
    if lower.contains("http request to an https server")
        || lower.contains("http request was sent to https port")
    {
        return DockerError::Unreachable {
            reason: format!("{endpoint} expects TLS: {}", how_to_use_tls(endpoint)),
        };
    }
    let text = || one_line(&without_markup(message));
    match status {
        400 if lower.contains("client version") || lower.contains("api version") => {
            DockerError::Version { message: format!("Docker and DockNap share no API version: {}", text()) }
        }
        // A refusal by an authorization plugin also has status 403, with its own message.
        403 if lower.contains("authorization denied") => DockerError::Refused { status, message: text() },
        403 | 405 => DockerError::ProxyRefused { call: call.to_owned() },
        404 if from_proxy => {
            DockerError::Refused { status, message: format!("{endpoint} does not know {call}") }
        }
        404 => DockerError::NotFound { message: text() },
        409 => DockerError::Conflict { message: text() },
        500.. => DockerError::Server { status, message: text() },
        _ => DockerError::Refused { status, message: text() },
    }
}

/// The message for a call without a response.
fn unreachable(endpoint: &Endpoint, error: &Error) -> String {
    if let Some(io) = io_error(error) {
        return match (io.get_ref().and_then(|inner| inner.downcast_ref::<WireError>()), endpoint.transport())
        {
            (Some(WireError::Lookup(_)), _) => lookup(endpoint),
            (Some(WireError::Tls(cause)), Transport::Tls { tls, .. }) => handshake(endpoint, tls, cause),
            (Some(WireError::Tls(cause)), _) => network(endpoint, cause),
            (Some(WireError::Certificates(faults)), _) => faults.clone(),
            (Some(WireError::Stalled(stage)), _) => stalled(endpoint, *stage),
            (None, Transport::Unix(path)) => socket(endpoint, path, io),
            (None, Transport::Plain { .. }) => network(endpoint, io),
            (None, Transport::Tls { tls, .. }) => after_handshake(endpoint, tls, io),
        };
    }
    let mut chain = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !chain.contains(&text) {
            chain = format!("{chain}: {text}");
        }
        source = cause.source();
    }
    match endpoint.transport() {
        Transport::Plain { .. } => format!(
            "{endpoint} does not speak Docker's plain protocol ({}); if it expects TLS, {}",
            one_line(&chain),
            how_to_use_tls(endpoint)
        ),
        Transport::Unix(_) | Transport::Tls { .. } => format!("{endpoint} broke off: {}", one_line(&chain)),
    }
}

/// The innermost I/O error, if there is one.
fn io_error(error: &Error) -> Option<&io::Error> {
    if let Error::IOError { err } = error {
        return Some(err);
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return Some(io);
        }
        source = cause.source();
    }
    None
}

fn socket(endpoint: &Endpoint, path: &Path, error: &io::Error) -> String {
    let shown = path.display();
    match error.kind() {
        ErrorKind::NotFound if endpoint.origin() == Origin::Form => format!(
            "there is no socket at {shown} in DockNap's container: is it mounted there, and does what makes it run, \
             Docker or `ssh -L`?"
        ),
        ErrorKind::NotFound => format!(
            "there is no socket at {shown}: is Docker running, and is the socket mounted into DockNap's container \
             (volumes: /var/run/docker.sock:{shown})?"
        ),
        ErrorKind::PermissionDenied => permission(path),
        ErrorKind::ConnectionRefused if path.is_dir() => format!(
            "{shown} is a directory, not a socket: Docker made it because the socket was missing when DockNap's \
             container was created; remove the directory, start Docker, and re-create the container"
        ),
        ErrorKind::ConnectionRefused if endpoint.origin() == Origin::Form => {
            format!("nobody listens on {shown}: Docker is not running, or the `ssh -L` that forwards it")
        }
        ErrorKind::ConnectionRefused => format!("nobody listens on {shown}: Docker is not running"),
        _ => format!("{shown}: {error}"),
    }
}

/// The message for a socket that belongs to a group DockNap is not in, with the fix.
fn permission(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let shown = path.display();
    let owner = std::fs::metadata(path).map_or_else(
        |_| String::new(),
        |socket| format!(" (it belongs to user {}, group {})", socket.uid(), socket.gid()),
    );
    format!(
        "permission denied on {shown}{owner}. On the machine that runs Docker, run `echo DOCKER_GID=$(stat -c %g \
         {shown}) > .env` beside compose.yaml, then `docker compose up -d`: it puts DockNap into the socket's group. \
         On some NAS systems the socket belongs to group 0 (root); DOCKER_GID=0 is then right"
    )
}

/// What to set for TLS.
fn how_to_use_tls(endpoint: &Endpoint) -> &'static str {
    match endpoint.origin() {
        Origin::Environment => {
            "set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH to the directory with ca.pem, cert.pem and key.pem"
        }
        Origin::Form => "give the certificate of its authority, and a client certificate with its key",
    }
}

/// What the address is called where it is set.
fn address_setting(endpoint: &Endpoint) -> &'static str {
    match endpoint.origin() {
        Origin::Environment => "DOCKER_HOST",
        Origin::Form => "Address",
    }
}

fn lookup(endpoint: &Endpoint) -> String {
    let host = endpoint.host_name().unwrap_or_default();
    match endpoint.origin() {
        Origin::Environment => format!(
            "no machine or container is called `{host}`: check DOCKER_HOST, and that DockNap shares a network with \
             the socket proxy"
        ),
        Origin::Form => format!(
            "no machine or container is called `{host}`: check Address. A socket proxy has to share a network with \
             DockNap, and a machine whose name is not known here has its IP address"
        ),
    }
}

fn stalled(endpoint: &Endpoint, stage: Stage) -> String {
    match stage {
        Stage::Files => {
            "the certificate files cannot be read: the disk or share they are on does not answer".to_owned()
        }
        Stage::Lookup => format!(
            "the name `{}` is not found in time: the name server does not answer",
            endpoint.host_name().unwrap_or_default()
        ),
        Stage::Connect => format!(
            "{endpoint} does not answer: is that machine on, is the port right, and does a firewall let DockNap \
             through?"
        ),
        Stage::Handshake => format!(
            "{endpoint} takes connections, yet does not answer in TLS: is it the port on which Docker speaks TLS, and \
             does Docker there hang?"
        ),
    }
}

fn network(endpoint: &Endpoint, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            format!("nobody listens on {endpoint}: is Docker, or the socket proxy, running there?")
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => format!(
            "{endpoint} cannot be reached from here: check the network and {}",
            address_setting(endpoint)
        ),
        ErrorKind::TimedOut => format!("{endpoint} does not answer"),
        _ => format!("{endpoint}: {}", one_line(&error.to_string())),
    }
}

/// The message for a connection with TLS that failed after the handshake. With TLS 1.3 the server refuses a client
/// certificate only then.
fn after_handshake(endpoint: &Endpoint, tls: &Tls, error: &io::Error) -> String {
    if let Some(rustls::Error::AlertReceived(alert)) = rustls_error(error) {
        return format!("{endpoint} {}", alerted(endpoint, tls, *alert));
    }
    // A server that closes with something unread resets the connection, and its alert is lost.
    if breaks_off(error) && tls.was_asked() && !tls.has_answered() {
        return format!("{endpoint} breaks off: perhaps it {}", refuses_client(endpoint, tls));
    }
    network(endpoint, error)
}

/// The message for a TLS handshake that failed.
fn handshake(endpoint: &Endpoint, tls: &Tls, error: &io::Error) -> String {
    let text = one_line(&error.to_string());
    match rustls_error(error) {
        Some(rustls::Error::InvalidCertificate(wrong)) => {
            format!("{endpoint}: {} ({text})", server_certificate(endpoint, tls, wrong))
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            format!("{endpoint} {}", alerted(endpoint, tls, *alert))
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            let instead = match endpoint.origin() {
                Origin::Environment => "unset DOCKER_TLS_VERIFY, or use the port for TLS (2376)",
                Origin::Form => "use the port for TLS (2376 by custom)",
            };
            format!("{endpoint}: it does not speak TLS: {instead} ({text})")
        }
        Some(rustls::Error::PeerIncompatible(_)) => {
            format!(
                "{endpoint}: it and DockNap have no version or cipher of TLS in common, 1.2 or 1.3 ({text})"
            )
        }
        None if breaks_off(error) && tls.was_asked() => {
            format!("{endpoint} ends the handshake: perhaps it {}", refuses_client(endpoint, tls))
        }
        None if breaks_off(error) => {
            format!("{endpoint} ends the handshake: is it the port on which Docker speaks TLS?")
        }
        _ => {
            let given = if tls.has_identity() { &["ca", "cert", "key"][..] } else { &["ca"] };
            let given: Vec<_> = given.iter().map(|field| called(endpoint, tls, field)).collect();
            format!("{endpoint}: the handshake failed; check {} ({text})", given.join(", "))
        }
    }
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn breaks_off(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
    )
}

/// What messages call the certificate of a field.
fn called(endpoint: &Endpoint, tls: &Tls, field: &'static str) -> String {
    match endpoint.origin() {
        Origin::Environment => format!("{field}.pem"),
        Origin::Form => tls.label(field),
    }
}

/// What is wrong with the certificate that the Engine shows.
fn server_certificate(endpoint: &Endpoint, tls: &Tls, wrong: &CertificateError) -> String {
    use CertificateError as Wrong;
    let server = tls.server();
    let its = server.as_ref().map_or_else(
        || "its certificate".to_owned(),
        |server| format!("its certificate (`{}`, signed by `{}`)", server.subject, server.issuer),
    );
    let host = endpoint.host_name().unwrap_or_default();
    let kind = if host.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
    let again = format!("let the authority sign one with subjectAltName={kind}:{host}");
    match wrong {
        Wrong::UnknownIssuer | Wrong::BadSignature => {
            let authorities = tls.authorities();
            let namesake = server.as_ref().is_some_and(|server| authorities.contains(&server.issuer));
            let advice = if namesake {
                "the two authorities have one name, and each has a key of its own: was the authority made anew?"
            } else {
                "give the certificate of the authority that signed it"
            };
            let ca = called(endpoint, tls, "ca");
            format!("{its} was not signed by {ca} ({}): {advice}", quoted(&authorities))
        }
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => {
            match server.map(|server| server.hosts).filter(|hosts| !hosts.is_empty()) {
                Some(hosts) => format!(
                    "{its} is for another name than the one in {}: for {}, not for `{host}`. Use one of its names, or \
                     {again}",
                    address_setting(endpoint),
                    quoted(&hosts)
                ),
                None => format!("{its} is for no name at all, since it has no subjectAltName: {again}"),
            }
        }
        Wrong::Expired | Wrong::ExpiredContext { .. } => {
            let when = server.map_or_else(String::new, |server| format!(" on {}", day(server.not_after)));
            format!(
                "{its} is not valid now, it expired{when}: renew it on that machine, or set the clock here"
            )
        }
        Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
            let when =
                server.map_or_else(String::new, |server| format!(" before {}", day(server.not_before)));
            format!("{its} is not valid{when}: set the clock here, or renew it on that machine")
        }
        Wrong::InvalidPurpose | Wrong::InvalidPurposeContext { .. } => {
            format!("{its} is not for servers: let the authority sign one with extendedKeyUsage=serverAuth")
        }
        _ => match server.as_ref() {
            Some(Facts { is_authority: true, .. }) => format!(
                "{its} is the one of an authority itself, as `openssl req -x509` makes it: let the authority sign one \
                 for the server"
            ),
            Some(Facts { hosts, .. }) if hosts.is_empty() => {
                format!("{its} is for no name at all, since it has no subjectAltName: {again}")
            }
            _ => format!(
                "{its} cannot be verified: let the authority sign one with SHA-256 and a key of RSA (2048 bits or \
                 more) or ECDSA (P-256 or P-384)"
            ),
        },
    }
}

/// What the Engine says in an alert, as the end of a sentence about it.
fn alerted(endpoint: &Endpoint, tls: &Tls, alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let of_client = match alert {
        Alert::NoCertificate
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::DecryptError
        | Alert::CertificateRequired => true,
        Alert::HandshakeFailure => tls.was_asked(),
        _ => false,
    };
    if of_client {
        let when = if alert == Alert::CertificateExpired && tls.has_identity() {
            "; by its clock that one has expired"
        } else {
            ""
        };
        format!("{}{when} ({alert:?})", refuses_client(endpoint, tls))
    } else {
        match alert {
            Alert::ProtocolVersion | Alert::HandshakeFailure | Alert::InsufficientSecurity => {
                format!("and DockNap have no version or cipher of TLS in common, 1.2 or 1.3 ({alert:?})")
            }
            Alert::UnrecognisedName => {
                format!("is not called `{}` ({alert:?})", endpoint.host_name().unwrap_or_default())
            }
            _ => format!("ends the connection in TLS ({alert:?})"),
        }
    }
}

/// Why the Engine may refuse DockNap, as the end of a sentence about the Engine.
fn refuses_client(endpoint: &Endpoint, tls: &Tls) -> String {
    if !tls.has_identity() {
        return "demands a client certificate: give one with its key, signed by the authority that the Engine trusts \
                (its --tlscacert)"
            .to_owned();
    }
    let (ca, cert) = (called(endpoint, tls, "ca"), called(endpoint, tls, "cert"));
    match tls.client() {
        Some((client, is_of_ca)) => {
            let but = if is_of_ca { "" } else { &format!(" and not by {ca}") };
            format!(
                "does not accept {cert} (`{}`, signed by `{}`{but}): its --tlscacert must name the authority that \
                 signed it",
                client.subject, client.issuer
            )
        }
        None => format!("does not accept {cert}"),
    }
}

/// At most five names in quotes.
fn quoted(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(5).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Removes HTML tags, so that a proxy's error page reads as a sentence.
fn without_markup(text: &str) -> String {
    if !text.trim_start().starts_with('<') {
        return text.to_owned();
    }
    let mut plain = String::new();
    let mut inside = false;
    for c in text.chars().take(4_000) {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                plain.push(' ');
            }
            _ if !inside => plain.push(c),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::from_values(Some(text), None, None).expect("an endpoint")
    }

    fn answered(status_code: u16, message: &str) -> DockerError {
        let answer = Error::DockerResponseServerError { status_code, message: message.to_owned() };
        error(&endpoint("unix:///run/x.sock"), "POST /containers/x/stop", &answer)
    }

    fn failed(docker_host: &str, kind: ErrorKind) -> String {
        let failure = Error::IOError { err: kind.into() };
        error(&endpoint(docker_host), "GET /_ping", &failure).to_string()
    }

    #[test]
    fn responses_become_the_messages_of_semantics_6() {
        let html =
            "<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>";
        assert_eq!(answered(403, html).to_string(), "not allowed by the proxy: POST /containers/x/stop");
        for message in ["No such container: x", "network shop_default not found"] {
            assert_eq!(answered(404, message), DockerError::NotFound { message: message.to_owned() });
            assert_eq!(answered(404, message).to_string(), format!("Docker refused: {message}"));
        }
        assert_eq!(
            answered(409, "cannot start a paused container, try unpause instead"),
            DockerError::Conflict {
                message: "cannot start a paused container, try unpause instead".to_owned()
            }
        );
        assert!(matches!(
            answered(500, "Container x is not paused"),
            DockerError::Server { status: 500, .. }
        ));
        assert!(matches!(
            answered(400, "client version 1.99 is too new. Maximum supported API version is 1.41"),
            DockerError::Version { .. }
        ));
        assert!(matches!(
            answered(403, "authorization denied by plugin x: no"),
            DockerError::Refused { status: 403, .. }
        ));
        let bad_gateway = answered(502, "<html><h1>502 Bad Gateway</h1></html>");
        assert_eq!(bad_gateway.to_string(), "Docker failed: 502 Bad Gateway");
        assert!(bad_gateway.is_retryable());
        assert!(!answered(500, "x y").is_retryable());
        assert!(!answered(403, html).is_retryable());
    }

    #[test]
    fn permission_denied_shows_the_exact_command() {
        let text = failed("unix:///var/run/docker.sock", ErrorKind::PermissionDenied);
        assert!(text.contains("echo DOCKER_GID=$(stat -c %g /var/run/docker.sock) > .env"), "{text}");
        assert!(text.contains("group 0"), "{text}");
    }

    #[test]
    fn each_failure_has_a_message_with_its_fix() {
        assert!(failed("unix:///nowhere/docker.sock", ErrorKind::NotFound).contains("no socket at /nowhere"));
        assert!(failed("unix:///nowhere", ErrorKind::ConnectionRefused).contains("Docker is not running"));
        assert!(failed("unix:///tmp", ErrorKind::ConnectionRefused).contains("is a directory"));
        assert!(
            failed("tcp://proxy:1", ErrorKind::ConnectionRefused).contains("nobody listens on tcp://proxy:1")
        );
        let lookup = io::Error::new(ErrorKind::NotFound, WireError::Lookup(ErrorKind::Other.into()));
        let text =
            error(&endpoint("tcp://proxy:1"), "GET /_ping", &Error::IOError { err: lookup }).to_string();
        assert!(text.contains("called `proxy`"), "{text}");
        let https = answered(400, "Client sent an HTTP request to an HTTPS server.");
        assert!(https.to_string().contains("DOCKER_TLS_VERIFY=1"), "{https}");
    }
}
