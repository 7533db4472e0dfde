//! A simulated Engine for one test, on its own socket.

use std::path::PathBuf;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use docknap::clock::Clock;
use docknap::sim::{Control, Engine, World};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderValue};
use hyper::{Response, Uri};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::UnixStream;

/// A simulated Engine that ends when the value is dropped.
pub struct Simulated {
    /// Dropping it ends the Engine.
    _engine: Engine,
    /// Control of the Engine and its containers.
    pub control: Control,
    /// The Engine's clock.
    pub clock: Clock,
    _directory: TempDir,
}

impl Simulated {
    /// Starts an Engine with the containers of `world`.
    pub async fn start(clock: Clock, world: World) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the socket");
        let engine = Engine::start(&directory.path().join("docker.sock"), clock.clone(), world)
            .await
            .expect("the simulated Engine starts");
        let control = engine.control();
        Self { _engine: engine, control, clock, _directory: directory }
    }

    /// A bollard client of the Engine.
    pub fn client(&self) -> Docker {
        connect(&self.control.docker_host())
    }
}

/// A bollard client of `unix:///…` that opens one plain connection per call, so that the contract tests do not depend
/// on DockNap's own connection code.
pub fn connect(host: &str) -> Docker {
    let socket = PathBuf::from(host.strip_prefix("unix://").expect("a unix socket"));
    let transport = move |request: BollardRequest| exchange(socket.clone(), request);
    Docker::connect_with_custom_transport(transport, Some("http://docker"), 60, API_DEFAULT_VERSION)
        .expect("it connects to nothing yet")
}

async fn exchange(socket: PathBuf, mut request: BollardRequest) -> Result<Response<Incoming>, Error> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    *request.uri_mut() = path.parse::<Uri>()?;
    request.headers_mut().insert(HOST, HeaderValue::from_static("docker"));
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}
