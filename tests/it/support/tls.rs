//! TLS in front of an Engine that listens on a socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use crate::support::pki::{Authority, Issued};

/// What a client did at a handshake.
#[derive(Debug)]
pub struct Visit {
    /// Whether it went on with an earlier session.
    pub resumed: bool,
    /// The certificate it showed.
    pub certificate: Option<Vec<u8>>,
}

impl Visit {
    /// Whether the client showed this certificate.
    pub fn shows(&self, certificate: &[u8]) -> bool {
        self.certificate.as_deref() == Some(certificate)
    }
}

/// A server that forwards TLS connections.
pub struct TlsServer {
    pub port: u16,
    visits: Arc<Mutex<Vec<Visit>>>,
}

impl TlsServer {
    /// Shows this certificate. With `clients` it demands a client certificate of that authority.
    pub async fn start(shown: &Issued, clients: Option<&Authority>, socket: &Path) -> Self {
        Self::with(shown, clients, rustls::DEFAULT_VERSIONS, socket).await
    }

    /// As [`TlsServer::start`], with TLS 1.2 alone.
    pub async fn start_old(shown: &Issued, clients: Option<&Authority>, socket: &Path) -> Self {
        Self::with(shown, clients, &[&rustls::version::TLS12], socket).await
    }

    async fn with(
        shown: &Issued,
        clients: Option<&Authority>,
        versions: &[&'static rustls::SupportedProtocolVersion],
        socket: &Path,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_file(authority.ca()).expect("PEM")).expect("an authority");
                let verifier =
                    rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let chain = CertificateDer::pem_file_iter(&shown.cert).expect("PEM").map(|one| one.expect("one"));
        let key = PrivateKeyDer::from_pem_file(&shown.key).expect("a key");
        let key = rustls::crypto::ring::sign::any_supported_type(&key).expect("a key of a known kind");
        // Unchecked, since some of these are wrong.
        let shown = SingleCertAndKey::from(CertifiedKey::new(chain.collect(), key));
        let config = builder.with_cert_resolver(Arc::new(shown));
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let visits = Arc::<Mutex<Vec<Visit>>>::default();
        let noted = Arc::clone(&visits);
        let port = serve(socket.to_owned(), move |stream, socket| {
            let (acceptor, noted) = (acceptor.clone(), Arc::clone(&noted));
            tokio::spawn(async move {
                let Ok(mut near) = acceptor.accept(stream).await else { return };
                let (_, session) = near.get_ref();
                let certificate = session.peer_certificates().and_then(|chain| chain.first());
                noted.lock().push(Visit {
                    resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
                    certificate: certificate.map(|certificate| certificate.to_vec()),
                });
                let Ok(mut far) = UnixStream::connect(socket).await else { return };
                // How it ends is the client's business.
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        })
        .await;
        Self { port, visits }
    }

    /// The address in the form of `DOCKER_HOST`.
    pub fn address(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }

    /// The handshakes since the last call of this function.
    pub fn visits(&self) -> Vec<Visit> {
        std::mem::take(&mut self.visits.lock())
    }
}

/// Forwards TCP connections to a socket, without TLS; the port.
pub async fn plain(socket: &Path) -> u16 {
    serve(socket.to_owned(), |mut near, socket| {
        tokio::spawn(async move {
            let Ok(mut far) = UnixStream::connect(socket).await else { return };
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        });
    })
    .await
}

async fn serve(socket: PathBuf, serve: impl Fn(TcpStream, PathBuf) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream, socket.clone());
        }
    });
    port
}
