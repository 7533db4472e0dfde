//! `docknap demo`: the full program on a simulated Docker with sample stacks. All data is deleted when the command
//! ends.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::ArgMatches;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::{Failure, Outcome};
use crate::clock::Clock;
use crate::config::{Config, FirstAdmin};
use crate::lifecycle::{self, Serving};
use crate::sim::{Engine, demo};

/// Settings that apply in a demo; the demo chooses all others itself.
pub(super) const SETTINGS: &[&str] = &[
    "DOCKNAP_LISTEN",
    "DOCKNAP_BASE_URL",
    "TZ",
    "DOCKNAP_TRUSTED_PROXIES",
    "DOCKNAP_LOG",
    "DOCKNAP_LOG_FORMAT",
    "DOCKNAP_PARALLELISM",
];

pub(super) fn run(matches: &ArgMatches) -> Outcome {
    let config = super::load(matches)?;
    let home = TempDir::new(&config.data_dir)?;
    let password = random()?;
    let socket = home.0.join("docker.sock");
    let config = Config {
        data_dir: home.0.clone(),
        database_url: None,
        docker_host: format!("unix://{}", socket.display()),
        docker_tls_verify: false,
        docker_cert_path: None,
        admin: Some(FirstAdmin { name: "admin".to_owned(), password: SecretString::from(password.clone()) }),
        secret_key: None,
        ..config
    };
    super::block_on(async {
        let stop = CancellationToken::new();
        lifecycle::stop_on_signal(&stop).map_err(super::serve::failure)?;
        let clock = Clock::system();
        let engine = Engine::start(&socket, clock.clone(), demo::world())
            .await
            .context("the simulated Docker cannot start")?;
        let base = config.base_path().to_owned();
        let started = move |address: SocketAddr| print_welcome(address, &base, &password);
        let served = lifecycle::serve(Serving { config, clock, demo: true }, stop, started).await;
        engine.stop().await;
        served.map_err(super::serve::failure)
    })?
}

fn print_welcome(address: SocketAddr, base: &str, password: &str) {
    let host = if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    };
    // A write error is ignored: if the output is closed, the log still has the address.
    let _ = writeln!(
        std::io::stdout(),
        "\nDockNap demo: Docker is simulated; no container of this machine is touched.\n\n  \
         DockNap:     http://{host}{base}/\n  first login: admin / {password}\n\n\
         Ctrl-C ends it, and everything in it is forgotten.\n"
    );
}

/// Random text of 24 characters, for a password or a file name.
fn random() -> Result<String, Failure> {
    let mut bytes = [0; 18];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Temporary directory, removed on drop.
struct TempDir(PathBuf);

impl TempDir {
    /// Creates the directory in the system's temporary directory, or in the data directory if that fails: the container
    /// image has no temporary directory.
    fn new(data_dir: &Path) -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt;
        let name = format!("docknap-demo-{}", random()?);
        let make = |parent: &Path| {
            let path = parent.join(&name);
            std::fs::DirBuilder::new().mode(0o700).create(&path).map(|()| path)
        };
        make(&std::env::temp_dir())
            .or_else(|_| make(data_dir))
            .map(Self)
            .context("no temporary directory can be made")
            .map_err(Failure::from)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
