//! An Engine behind TCP with TLS, where both sides show a certificate.

use std::path::Path;
use std::sync::Arc;

use docknap::clock::Clock;
use docknap::docker::{Endpoint, Settings};
use docknap::domain::inventory::{ContainerState, Inventory};
use docknap::sim::World;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, UnixStream};

use crate::support::pki::openssl;
use crate::support::sim::Simulated;
use crate::support::watched::{Watched, settings};

/// An authority (`ca.pem`) and certificates of it for a server and a client, in directories of their own.
pub fn certificates(directory: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(directory, &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=ca -days 2"));
    for (name, extension) in
        [("server", "subjectAltName=IP:127.0.0.1,DNS:engine.test"), ("client", "extendedKeyUsage=clientAuth")]
    {
        let home = directory.join(name);
        std::fs::create_dir(&home).expect("a directory");
        std::fs::copy(directory.join("ca.pem"), home.join("ca.pem")).expect("copied");
        std::fs::write(home.join("ext"), extension).expect("written");
        openssl(&home, &format!("req {key} -keyout key.pem -out request.pem -subj /CN={name}"));
        openssl(
            &home,
            "x509 -req -in request.pem -CA ../ca.pem -CAkey ../ca.key -CAcreateserial -out cert.pem -days 2 -extfile ext",
        );
    }
}

/// Forwards TLS connections to a socket; the port.
pub async fn forward(home: &Path, socket: &Path) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for ca in CertificateDer::pem_file_iter(home.join("ca.pem")).expect("PEM") {
        roots.add(ca.expect("a certificate")).expect("an authority");
    }
    let clients =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .expect("a verifier");
    let chain =
        CertificateDer::pem_file_iter(home.join("cert.pem")).expect("PEM").map(|one| one.expect("one"));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(clients)
        .with_single_cert(chain.collect(), PrivateKeyDer::from_pem_file(home.join("key.pem")).expect("a key"))
        .expect("a server");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let socket = socket.to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, socket) = (acceptor.clone(), socket.clone());
            tokio::spawn(async move {
                let Ok(mut near) = acceptor.accept(stream).await else { return };
                let Ok(mut far) = UnixStream::connect(socket).await else { return };
                // How it ends is the client's business.
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    port
}

fn tls(docker_host: &str, cert_path: &Path) -> Result<Settings, String> {
    let endpoint = Endpoint::from_values(Some(docker_host), Some("1"), cert_path.to_str())?;
    Ok(Settings { endpoint, ..settings("unix:///unused") })
}

#[tokio::test]
async fn tls_with_client_certificates_connects_and_says_what_is_wrong() {
    let directory = tempfile::tempdir().expect("a directory");
    certificates(directory.path());
    let sim = Simulated::start(Clock::system(), World::new().many(1, 3)).await;
    let port = forward(&directory.path().join("server"), sim.control.socket()).await;
    let address = format!("tcp://127.0.0.1:{port}");
    let client = directory.path().join("client");

    let watched = Watched::with(tls(&address, &client).expect("the files are right"), Clock::system());
    assert_eq!(watched.connected().await.containers.len(), 3);
    sim.control.stop("stack-0001-svc-01-1").expect("it stops");
    let stopped = |inventory: &Inventory| {
        inventory.by_name("stack-0001-svc-01-1").is_some_and(|one| one.state == ContainerState::Exited)
    };
    watched.until("the event comes through", stopped).await;

    let plain = Watched::new(&address, Clock::system()).unreachable().await;
    assert!(plain.contains("DOCKER_TLS_VERIFY=1"), "{plain}");
    let name = tls(&format!("tcp://localhost:{port}"), &client).expect("the files are right");
    let name = Watched::with(name, Clock::system()).unreachable().await;
    assert!(name.contains("another name"), "{name}");

    let stranger = directory.path().join("stranger");
    std::fs::create_dir(&stranger).expect("a directory");
    certificates(&stranger);
    let unknown = tls(&address, &stranger.join("client")).expect("the files are right");
    let unknown = Watched::with(unknown, Clock::system()).unreachable().await;
    assert!(unknown.contains("was not signed by ca.pem"), "{unknown}");

    let visitor = stranger.join("client");
    std::fs::copy(directory.path().join("ca.pem"), visitor.join("ca.pem")).expect("copied");
    let refused = tls(&address, &visitor).expect("the files are right");
    let refused = Watched::with(refused, Clock::system()).unreachable().await;
    assert!(refused.contains("does not accept cert.pem"), "{refused}");

    std::fs::copy(stranger.join("client/key.pem"), client.join("key.pem")).expect("copied");
    let mixed = tls(&address, &client).expect_err("another key");
    assert!(mixed.contains("do not belong together"), "{mixed}");
    std::fs::remove_file(client.join("key.pem")).expect("removed");
    let missing = tls(&address, &client).expect_err("no key");
    assert!(missing.contains("key.pem does not exist"), "{missing}");
}
