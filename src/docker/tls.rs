//! The TLS side of a connection to an Engine: certificates from files, which are read at each connection, or from
//! texts, and what the Engine showed last.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::certificates::{
    self, AddressFault, Certificate, CertificateRole, Facts, MAX_TEXT, PemText, authorities,
};

/// Where the certificates of a connection come from.
#[derive(Clone, Debug)]
pub enum TlsSource {
    /// Files, read at each connection, so that a renewed certificate is used without a restart.
    Files {
        ca: PathBuf,
        /// Certificate and key of DockNap; an Engine with `--tls` alone asks for none.
        identity: Option<(PathBuf, PathBuf)>,
    },
    /// PEM texts.
    Texts { ca: String, identity: Option<(String, SecretString)> },
}

/// The TLS side of an endpoint.
pub(super) struct Tls {
    source: Arc<TlsSource>,
    origin: Origin,
    provider: Arc<CryptoProvider>,
    current: Mutex<Option<Arc<Material>>>,
    /// Held while files are read, so that a file system that hangs costs one thread.
    reading: Arc<tokio::sync::Mutex<()>>,
    server: Arc<Server>,
}

/// What the Engine showed at the last full handshake.
#[derive(Debug, Default)]
struct Server {
    certificate: Mutex<Option<(Vec<u8>, Facts)>>,
    /// Whether it asked for a client certificate.
    asked: AtomicBool,
    /// Whether it answered a call since the certificates last changed.
    answered: AtomicBool,
}

/// Where an endpoint comes from, which decides what messages call its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// `DOCKER_HOST` and its companions.
    Environment,
    /// The settings of a host: page, API or file.
    Form,
}

/// Certificates and key, read and checked.
struct Material {
    /// SHA-256 of the texts.
    digest: [u8; 32],
    config: Arc<ClientConfig>,
    ca: Vec<Facts>,
    client: Vec<Facts>,
    /// Whether an authority of `ca` signed the client certificate; it need not.
    client_is_of_ca: bool,
}

/// A text as it was read, or why there is none.
type Text = Result<Vec<u8>, AddressFault>;

/// The texts as they were read.
struct Texts {
    ca: Text,
    /// Certificate and key.
    identity: Option<(Text, Text)>,
}

impl Tls {
    /// Reads nothing yet.
    pub(super) fn new(source: TlsSource, origin: Origin) -> Self {
        Self {
            source: Arc::new(source),
            origin,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            current: Mutex::default(),
            reading: Arc::default(),
            server: Arc::default(),
        }
    }

    /// Whether the certificates are given as texts, so that reading them does not block.
    pub(super) fn has_texts(&self) -> bool {
        matches!(*self.source, TlsSource::Texts { .. })
    }

    /// Reads and checks the certificates, except for their dates. Blocks while files are read.
    pub(super) fn load(&self) -> Result<(), Vec<AddressFault>> {
        self.take(&read(&self.source, self.origin)).map(drop)
    }

    /// All faults of dates at `now` in what was read last.
    pub(super) fn out_of_date(&self, now: Timestamp) -> Vec<AddressFault> {
        self.current.lock().as_ref().map_or_else(Vec::new, |material| self.dates(material, now))
    }

    /// The configuration for a connection, by what the files hold now. It stays the same one while they do, which
    /// lets TLS resume its sessions.
    pub(super) async fn config(&self, now: Timestamp) -> Result<Arc<ClientConfig>, Vec<AddressFault>> {
        let texts = match &*self.source {
            TlsSource::Files { .. } => {
                let (turn, source, origin) =
                    (Arc::clone(&self.reading).lock_owned().await, Arc::clone(&self.source), self.origin);
                let read = tokio::task::spawn_blocking(move || {
                    let _turn = turn;
                    read(&source, origin)
                });
                read.await.map_err(|_| {
                    vec![AddressFault::new("ca", "the certificate files were not read: DockNap ends")]
                })?
            }
            TlsSource::Texts { .. } => read(&self.source, self.origin),
        };
        // A resumed session skips the certificate, which has ended by now: a new configuration resumes none.
        if self.server.certificate.lock().as_ref().is_some_and(|(_, server)| now > server.not_after) {
            *self.current.lock() = None;
        }
        let material = self.take(&texts)?;
        let faults = self.dates(&material, now);
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Arc::clone(&material.config))
    }

    /// The material for these texts: the current one if they are the same.
    fn take(&self, texts: &Texts) -> Result<Arc<Material>, Vec<AddressFault>> {
        let digest = texts.digest();
        if let Some(current) = self.current.lock().as_ref().filter(|current| current.digest == digest) {
            return Ok(Arc::clone(current));
        }
        let material = Arc::new(self.build(texts, digest)?);
        self.server.answered.store(false, Ordering::Relaxed);
        *self.current.lock() = Some(Arc::clone(&material));
        Ok(material)
    }

    fn build(&self, texts: &Texts, digest: [u8; 32]) -> Result<Material, Vec<AddressFault>> {
        let public = matches!(*self.source, TlsSource::Texts { .. });
        let pem = |field, text: &'_ Text| match text {
            Ok(bytes) => Ok(PemText { field, label: self.label(field), bytes: bytes.clone(), public }),
            Err(fault) => Err(fault.clone()),
        };
        let ca = pem("ca", &texts.ca).and_then(|ca| authorities(&ca));
        let identity = texts
            .identity
            .as_ref()
            .map(|(cert, key)| certificates::identity(pem("cert", cert), pem("key", key), &self.provider));
        let (roots, ca, identity) = match (ca, identity.transpose()) {
            (Ok((roots, ca)), Ok(identity)) => (roots, ca, identity),
            (ca, identity) => {
                return Err(ca.err().into_iter().chain(identity.err().unwrap_or_default()).collect());
            }
        };
        let (client_key, client) = identity.unzip();
        let roots = Arc::new(roots);
        let setup = |error: &dyn std::fmt::Display| {
            vec![AddressFault::new("ca", format!("TLS cannot be set up: {error}"))]
        };
        let client_is_of_ca = client_key.as_ref().is_some_and(|key: &CertifiedKey| {
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&self.provider))
                .build()
                .is_ok_and(|verifier| {
                    // Dates are another question.
                    let valid = client
                        .as_ref()
                        .and_then(|client| client.first())
                        .map_or(0, |client| u64::try_from(client.not_after.as_second()).unwrap_or(0));
                    let valid = UnixTime::since_unix_epoch(Duration::from_secs(valid));
                    verifier.verify_client_cert(&key.cert[0], &key.cert[1..], valid).is_ok()
                })
        });
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
            .build()
            .map_err(|error| setup(&error))?;
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| setup(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Noting { verifier, server: Arc::clone(&self.server) }))
            .with_client_cert_resolver(Arc::new(Identity {
                key: client_key.map(SingleCertAndKey::from),
                server: Arc::clone(&self.server),
            }));
        Ok(Material {
            digest,
            config: Arc::new(config),
            ca,
            client: client.unwrap_or_default(),
            client_is_of_ca,
        })
    }

    fn dates(&self, material: &Material, now: Timestamp) -> Vec<AddressFault> {
        let mut faults = Vec::new();
        // A bundle may hold the authority of yesterday, or of tomorrow, beside the one in use.
        if !material.ca.iter().any(|one| one.out_of_date(now).is_none())
            && let Some(what) = material.ca.first().and_then(|one| one.out_of_date(now))
        {
            faults.push(AddressFault::new("ca", format!("{} {what}", self.label("ca"))));
        }
        if let Some(what) = material.client.iter().find_map(|one| one.out_of_date(now)) {
            faults.push(AddressFault::new("cert", format!("{} {what}", self.label("cert"))));
        }
        faults
    }

    /// What messages call the certificate of a field.
    pub(super) fn label(&self, field: &'static str) -> String {
        let path = match &*self.source {
            TlsSource::Files { ca, .. } if field == "ca" => Some(ca),
            TlsSource::Files { identity: Some((cert, _)), .. } if field == "cert" => Some(cert),
            TlsSource::Files { identity: Some((_, key)), .. } if field == "key" => Some(key),
            _ => None,
        };
        path.map_or_else(|| called(field).to_owned(), |path| path.display().to_string())
    }

    /// Whether a client certificate is given.
    pub(super) fn has_identity(&self) -> bool {
        match &*self.source {
            TlsSource::Files { identity, .. } => identity.is_some(),
            TlsSource::Texts { identity, .. } => identity.is_some(),
        }
    }

    /// Whether the Engine asked for a client certificate at the last full handshake.
    pub(super) fn was_asked(&self) -> bool {
        self.server.asked.load(Ordering::Relaxed)
    }

    /// Notes that the Engine answered a call, so that it accepts the client certificate.
    pub(super) fn note_answer(&self) {
        self.server.answered.store(true, Ordering::Relaxed);
    }

    /// Whether the Engine answered a call since the certificates last changed.
    pub(super) fn has_answered(&self) -> bool {
        self.server.answered.load(Ordering::Relaxed)
    }

    /// The client certificate, and whether an authority of the CA text signed it.
    pub(super) fn client(&self) -> Option<(Facts, bool)> {
        let current = self.current.lock();
        let material = current.as_ref()?;
        Some((material.client.first()?.clone(), material.client_is_of_ca))
    }

    /// The names of the authorities.
    pub(super) fn authorities(&self) -> Vec<String> {
        let current = self.current.lock();
        current
            .as_ref()
            .map_or_else(Vec::new, |material| material.ca.iter().map(|one| one.subject.clone()).collect())
    }

    /// The certificate that the Engine showed at the last full handshake, also if it was refused.
    pub(super) fn server(&self) -> Option<Facts> {
        self.server.certificate.lock().as_ref().map(|(_, facts)| facts.clone())
    }

    /// The certificates in use: of several authorities the one that signed the Engine's certificate, or else the one
    /// that lasts longest.
    pub(super) fn certificates(&self) -> Vec<Certificate> {
        let server = self.server();
        let mut found = Vec::new();
        if let Some(material) = self.current.lock().as_ref() {
            let signed = |one: &&Facts| server.as_ref().is_some_and(|server| server.is_issued_by(one));
            let signers = material.ca.iter().filter(signed).max_by_key(|one| one.not_after);
            let ca = signers.or_else(|| material.ca.iter().max_by_key(|one| one.not_after));
            found.extend(ca.map(|one| one.shown_as(CertificateRole::Ca)));
            found.extend(material.client.iter().map(|one| one.shown_as(CertificateRole::Client)));
        }
        found.extend(server.map(|server| server.shown_as(CertificateRole::Server)));
        found
    }
}

fn called(field: &'static str) -> &'static str {
    match field {
        "ca" => "the certificate of the authority",
        "cert" => "the client certificate",
        _ => "the private key of the client certificate",
    }
}

impl Texts {
    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let identity = self.identity.iter().flat_map(|(cert, key)| [cert, key]);
        for text in std::iter::once(&self.ca).chain(identity) {
            // What could not be read is never the same as what was.
            let text = text.as_deref().unwrap_or_default();
            digest.update(text.len().to_be_bytes());
            digest.update(text);
        }
        digest.finalize().into()
    }
}

fn read(source: &TlsSource, origin: Origin) -> Texts {
    match source {
        TlsSource::Texts { ca, identity } => Texts {
            ca: given("ca", ca),
            identity: identity
                .as_ref()
                .map(|(cert, key)| (given("cert", cert), given("key", key.expose_secret()))),
        },
        TlsSource::Files { ca, identity } => Texts {
            ca: file("ca", ca, origin),
            identity: identity
                .as_ref()
                .map(|(cert, key)| (file("cert", cert, origin), file("key", key, origin))),
        },
    }
}

/// A text that was typed, or why there is none.
fn given(field: &'static str, text: &str) -> Text {
    if text.trim().is_empty() {
        let why = match field {
            "ca" => "is missing: TLS needs the certificate of the authority that signed the Engine's",
            "cert" => "is missing: a key is of use only with its certificate",
            _ => "is missing: a client certificate is of use only with its private key",
        };
        return Err(AddressFault::new(field, format!("{} {why}", called(field))));
    }
    Ok(text.as_bytes().to_vec())
}

/// Reads a file, or says why not: otherwise the handshake fails later without saying so.
fn file(field: &'static str, path: &Path, origin: Origin) -> Text {
    let fault = |what: String| AddressFault::new(field, format!("{} {what}", path.display()));
    let open = || {
        // What is not a file, such as a pipe, may have no end.
        if !std::fs::metadata(path)?.is_file() {
            return Ok(None);
        }
        let mut text = Vec::new();
        let limit = u64::try_from(MAX_TEXT).unwrap_or(u64::MAX) + 1;
        std::fs::File::open(path)?.take(limit).read_to_end(&mut text)?;
        Ok(Some(text))
    };
    match open() {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(fault("is not a file".to_owned())),
        Err(error) => Err(fault(match (std::io::Error::kind(&error), origin) {
            (std::io::ErrorKind::NotFound, Origin::Environment) => {
                "does not exist; DOCKER_CERT_PATH must name the directory with ca.pem, cert.pem and key.pem"
                    .to_owned()
            }
            (std::io::ErrorKind::NotFound, Origin::Form) => {
                "does not exist; write the path as DockNap sees it in its container".to_owned()
            }
            (std::io::ErrorKind::PermissionDenied, _) => {
                "may not be read; DockNap runs as user 65532 in its image".to_owned()
            }
            _ => format!("cannot be read: {error}"),
        })),
    }
}

/// Checks the Engine's certificate as rustls does, and notes it: rustls tells only what is wrong with it.
#[derive(Debug)]
struct Noting {
    verifier: Arc<WebPkiServerVerifier>,
    server: Arc<Server>,
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        {
            let mut noted = self.server.certificate.lock();
            if noted.as_ref().is_none_or(|(der, _)| der != end_entity.as_ref()) {
                *noted = Facts::read(end_entity).map(|facts| (end_entity.to_vec(), facts));
            }
        }
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Shows DockNap's certificate, if it has one, and notes that the Engine asked for it.
#[derive(Debug)]
struct Identity {
    key: Option<SingleCertAndKey>,
    server: Arc<Server>,
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.server.asked.store(true, Ordering::Relaxed);
        self.key.as_ref()?.resolve(hints, schemes)
    }

    fn has_certs(&self) -> bool {
        self.key.is_some()
    }
}
