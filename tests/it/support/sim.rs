//! A simulated Engine for a test: its own socket in its own directory.

use bollard::{API_DEFAULT_VERSION, Docker};
use docknap::clock::Clock;
use docknap::sim::{Control, Engine, World};
use tempfile::TempDir;

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

/// A bollard client of `unix:///…`.
pub fn connect(host: &str) -> Docker {
    Docker::connect_with_unix(host, 60, API_DEFAULT_VERSION).expect("a client of the unix socket")
}
