//! The pages in headless Chromium, on a host name that is not localhost: a [`Visit`] is a site with a browser in front
//! of it, a [`Tab`] what a person sees, presses and types there.

mod access;
mod bulk;
mod editor;
mod filled;
mod first_run;
mod journey;
mod keys;
mod live;
mod needs;
mod pages;
mod people;
mod runs;
mod screenshots;
mod scriptless;
mod still;
pub mod tab;
mod undo;

use std::path::Path;
use std::time::Duration;

use docknap::clock::Clock;
use docknap::config::{BaseUrl, Config, FirstAdmin};
use docknap::db::Db;
use docknap::db::engine::Durability;
use docknap::lifecycle::{self, Serving};
use docknap::sim::{Control, World};
use docknap::web;
use secrecy::SecretString;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::app::TestApp;
use crate::support::sim::Simulated;
use tab::Tab;

const PASSWORD: &str = crate::support::app::PASSWORD;
/// The name that the browser is told leads to this machine: plain http, and no secure context.
const HOST: &str = "nas.test";
/// A page may take this long on a machine under load.
const PATIENCE: Duration = Duration::from_secs(60);

/// `media`: web depends on db.
fn media() -> World {
    World::new().stack("media", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")))
}

/// A site with a browser in front of it; both end with [`Visit::finish`].
struct Visit {
    tab: Tab,
    clock: Clock,
    /// The rest of the world.
    sim: Control,
    /// Whether the way between the browser and the site is open.
    cable: watch::Sender<bool>,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<()>,
    home: tempfile::TempDir,
    /// Ends with the visit.
    _engine: Box<dyn std::any::Any + Send>,
}

impl std::ops::Deref for Visit {
    type Target = Tab;

    fn deref(&self) -> &Tab {
        &self.tab
    }
}

impl Visit {
    /// Before the setup.
    async fn begin(path: &str) -> Self {
        Self::at(path, media(), None, async |_| ()).await
    }

    /// Logged in as `admin`.
    async fn inside(world: World) -> Self {
        Self::after(world, async |_| ()).await
    }

    /// The same with a past that was stored before the site came up.
    async fn after(world: World, past: impl AsyncFnOnce(&Db)) -> Self {
        let visit = Self::outside(world, past).await;
        visit.log_in("admin", PASSWORD).await;
        visit
    }

    /// There is an `admin`, but nobody has logged in.
    async fn outside(world: World, past: impl AsyncFnOnce(&Db)) -> Self {
        let admin = FirstAdmin { name: "admin".to_owned(), password: SecretString::from(PASSWORD) };
        Self::at("", world, Some(admin), past).await
    }

    async fn at(path: &str, world: World, admin: Option<FirstAdmin>, past: impl AsyncFnOnce(&Db)) -> Self {
        let clock = Clock::system();
        let sim = Simulated::start(clock.clone(), world).await;
        let home = tempfile::tempdir().expect("a data directory");
        let database =
            Db::open_sqlite(&home.path().join("docknap.db"), Durability::Off).await.expect("SQLite opens");
        past(&database).await;
        database.close().await;
        // The port is part of the base URL, so it is chosen first.
        let cable = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = format!("http://{HOST}:{}", cable.local_addr().expect("bound").port());
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            admin,
            data_dir: home.path().to_owned(),
            docker_host: sim.control.docker_host(),
            timezone: Some("UTC".to_owned()),
            base_url: Some(BaseUrl { https: false, origin: origin.clone(), path: path.to_owned() }),
            ..Config::default()
        };
        let stop = CancellationToken::new();
        let (started, up) = tokio::sync::oneshot::channel();
        let serving = Serving { config, clock: clock.clone(), demo: false };
        let serve = lifecycle::serve(serving, stop.clone(), |address| {
            let _ = started.send(address);
        });
        let served = tokio::spawn(async { serve.await.expect("it ends in an orderly way") });
        let address = up.await.expect("it comes up");
        let (plugged, open) = watch::channel(true);
        tokio::spawn(carry(cable, address, open));
        let tab = Tab::open(&format!("{origin}{path}")).await;
        let control = sim.control.clone();
        Self { tab, clock, sim: control, cable: plugged, stop, served, home, _engine: Box::new(sim) }
    }

    /// A site whose time stands still, at `localhost`: nothing warns of a connection that others could listen to.
    async fn over(test: TestApp) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://localhost:{}", listener.local_addr().expect("bound").port());
        let (app, router, clock) = (test.app.clone(), test.router.clone(), test.clock.clone());
        let stop = CancellationToken::new();
        let (stopped, time) = (stop.clone(), clock.clone());
        let served = tokio::spawn(async move {
            let ended = async {
                stopped.cancelled().await;
                app.vitals.stop();
            };
            tokio::join!(web::serve::serve(listener, router, time, Vec::new(), stopped.clone()), ended);
        });
        Self {
            tab: Tab::open(&base).await,
            clock,
            sim: test.bench().sim.clone(),
            cable: watch::channel(true).0,
            stop,
            served,
            home: tempfile::tempdir().expect("a directory"),
            _engine: Box::new(test),
        }
    }

    /// A second browser, which nobody has logged in with.
    async fn another(&self) -> Tab {
        Tab::open(&self.base).await
    }

    async fn finish(self) {
        self.tab.close().await;
        self.stop.cancel();
        self.served.await.expect("it ends by itself");
    }
}

/// Carries connections to the site while the way is open; those that are under way when it closes break.
async fn carry(cable: TcpListener, site: std::net::SocketAddr, open: watch::Receiver<bool>) {
    while let Ok((mut browser, _)) = cable.accept().await {
        let mut open = open.clone();
        tokio::spawn(async move {
            let carried = async {
                let mut site = TcpStream::connect(site).await?;
                tokio::io::copy_bidirectional(&mut browser, &mut site).await
            };
            tokio::select! {
                _ = open.wait_for(|open| !open) => {}
                _ = carried => {}
            }
        });
    }
}

fn setup_token(home: &Path) -> String {
    let file = home.join("setup-token");
    std::fs::read_to_string(&file).expect("the token is in the data directory").trim().to_owned()
}
