//! A simulated Engine for a test: its own socket in its own directory.

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

/// A simulated Engine that ends with the test.
pub struct Simulated {
    /// It ends when it is dropped.
    _engine: Engine,
    /// The rest of the world.
    pub control: Control,
    /// The clock it lives by.
    pub clock: Clock,
    _directory: TempDir,
}

impl Simulated {
    /// Starts one with the containers of `world`.
    pub async fn start(clock: Clock, world: World) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the socket");
        let engine = Engine::start(&directory.path().join("docker.sock"), clock.clone(), world)
            .await
            .expect("the simulated Engine starts");
        let control = engine.control();
        Self { _engine: engine, control, clock, _directory: directory }
    }

    /// A client of it, with a limit of 10 s for each call.
    pub fn client(&self) -> Docker {
        connect(&self.control.docker_host())
    }
}

/// A bollard client of `unix:///…` over connections as plain as can be, one for each call: the contract cases are not
/// to depend on the program's own.
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
