//! The pages in headless Chromium, on a host name that is not localhost: what a [`Visit`] sees, presses and types.

mod access;
mod editor;
mod first_run;
mod journey;
mod keys;
mod live;

use std::path::Path;
use std::time::Duration;

use docknap::clock::Clock;
use docknap::config::{BaseUrl, Config, FirstAdmin};
use docknap::lifecycle::{self, Serving};
use docknap::sim::{Control, World};
use secrecy::SecretString;
use thirtyfour::prelude::*;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::support::sim::Simulated;
use crate::support::wait;

const PASSWORD: &str = "sleepy whales drift at night";
/// The name that the browser is told leads to this machine: plain http, and no secure context.
const HOST: &str = "nas.test";
/// A page may take this long on a machine under load.
const PATIENCE: Duration = Duration::from_secs(60);

/// `media`: web depends on db.
fn media() -> World {
    World::new().stack("media", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")))
}

/// A page of the site in a browser; both end with [`Visit::finish`].
struct Visit {
    driver: WebDriver,
    base: String,
    clock: Clock,
    /// The rest of the world.
    sim: Control,
    /// Whether the way between the browser and the site is open.
    cable: watch::Sender<bool>,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<Result<(), lifecycle::StartError>>,
    home: tempfile::TempDir,
    _sim: Simulated,
}

impl Visit {
    /// Before the setup.
    async fn begin(path: &str) -> Self {
        Self::at(path, media(), None).await
    }

    /// Logged in as `admin`.
    async fn inside(world: World) -> Self {
        let admin = FirstAdmin { name: "admin".to_owned(), password: SecretString::from(PASSWORD) };
        let visit = Self::at("", world, Some(admin)).await;
        visit.goto("/login").await;
        visit.type_into("#name", "admin").await;
        visit.type_into("#password", PASSWORD).await;
        visit.press("form button.primary").await;
        wait::until("the login is over", PATIENCE, async || {
            visit.driver.current_url().await.is_ok_and(|url| url.path() != "/login")
        })
        .await;
        visit.goto("/").await;
        visit.find(".nav").await;
        visit
    }

    async fn at(path: &str, world: World, admin: Option<FirstAdmin>) -> Self {
        let clock = Clock::system();
        let sim = Simulated::start(clock.clone(), world).await;
        let home = tempfile::tempdir().expect("a data directory");
        // The port is part of the base URL, so it is chosen first.
        let cable = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = cable.local_addr().expect("bound").port();
        let origin = format!("http://{HOST}:{port}");
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
        let served = tokio::spawn(lifecycle::serve(serving, stop.clone(), |address| {
            let _ = started.send(address);
        }));
        let address = up.await.expect("it comes up");
        let (plugged, open) = watch::channel(true);
        tokio::spawn(carry(cable, address, open));
        // The client of the driver asks for it, although it speaks plain http.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let driver = browser().await;
        let control = sim.control.clone();
        let base = format!("{origin}{path}");
        Self { driver, base, clock, sim: control, cable: plugged, stop, served, home, _sim: sim }
    }

    async fn goto(&self, path: &str) {
        self.driver.goto(format!("{}{path}", self.base)).await.expect("the page opens");
    }

    /// The first element of a selector, once there is one that shows.
    async fn find(&self, css: &str) -> WebElement {
        let found = std::cell::RefCell::new(None);
        wait::until(&format!("{css} shows on {:?}", self.driver.current_url().await), PATIENCE, async || {
            let Ok(element) = self.driver.find(By::Css(css)).await else { return false };
            let shows = element.is_displayed().await.unwrap_or(false);
            *found.borrow_mut() = Some(element);
            shows
        })
        .await;
        found.into_inner().expect("it was found")
    }

    async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.expect("text")
    }

    async fn type_into(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.expect("it can be cleared");
        field.send_keys(text).await.expect("it takes keys");
    }

    async fn press(&self, css: &str) {
        self.find(css).await.click().await.expect("it can be pressed");
    }

    /// Waits until some text stands on the page.
    async fn reads(&self, text: &str) {
        wait::until(&format!("the page says {text:?}"), PATIENCE, async || {
            let Ok(body) = self.driver.find(By::Tag("body")).await else { return false };
            body.text().await.is_ok_and(|all| all.contains(text))
        })
        .await;
    }

    /// What a script on the page answers.
    async fn ask<T: serde::de::DeserializeOwned>(&self, script: &str) -> T {
        self.driver.execute(script, vec![]).await.expect("it runs").convert().expect("an answer of that kind")
    }

    /// Waits until a script on the page answers yes.
    async fn until(&self, what: &str, script: &str) {
        wait::until(what, PATIENCE, async || {
            self.driver.execute(script, vec![]).await.is_ok_and(|answer| answer.convert().unwrap_or(false))
        })
        .await;
    }

    /// Presses keys wherever the focus is.
    async fn keys(&self, keys: &str) {
        self.driver.active_element().await.expect("something").send_keys(keys).await.expect("it takes keys");
    }

    /// What axe-core finds on the page that keeps somebody out, in both themes: nothing.
    async fn axe(&self) {
        let file = std::env::var("DOCKNAP_TEST_AXE")
            .expect("DOCKNAP_TEST_AXE names no axe.min.js; scripts/test fetches it");
        let source = std::fs::read_to_string(file).expect("axe-core reads");
        // What fades from one theme to the other has no colour yet.
        let look = "const done = arguments[arguments.length - 1]; \
                    const fades = document.getAnimations().filter((one) => one instanceof CSSTransition); \
                    Promise.allSettled(fades.map((one) => one.finished)) \
                    .then(() => axe.run({resultTypes: ['violations']})) \
                    .then((found) => done(found.violations \
                    .filter((one) => ['serious', 'critical'].includes(one.impact)) \
                    .map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(' | ')}`)))";
        for theme in ["light", "dark"] {
            let set = format!("document.documentElement.dataset.theme = '{theme}'");
            self.driver.execute(set, vec![]).await.expect("the theme changes");
            self.driver.execute(source.as_str(), vec![]).await.expect("axe-core loads");
            let found: Vec<String> =
                self.driver.execute_async(look, vec![]).await.expect("it looks").convert().expect("a list");
            let page = self.driver.current_url().await.expect("an address");
            assert!(found.is_empty(), "{page}, {theme}: {found:#?}");
        }
    }

    async fn finish(self) {
        self.driver.quit().await.expect("the browser ends");
        self.stop.cancel();
        self.served.await.expect("it ends by itself").expect("in an orderly way");
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

/// A headless Chromium to which every name under `.test` is this machine.
async fn browser() -> WebDriver {
    let server = std::env::var("DOCKNAP_TEST_WEBDRIVER_URL")
        .expect("DOCKNAP_TEST_WEBDRIVER_URL names no chromedriver; scripts/test starts one");
    let mut wanted = DesiredCapabilities::chrome();
    for argument in [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-dev-shm-usage",
        "--window-size=1280,900",
        "--host-resolver-rules=MAP *.test 127.0.0.1",
    ] {
        wanted.add_arg(argument).expect("an argument");
    }
    WebDriver::new(server, wanted).await.expect("chromedriver starts Chromium")
}

fn setup_token(home: &Path) -> String {
    let file = home.join("setup-token");
    std::fs::read_to_string(&file).expect("the token is in the data directory").trim().to_owned()
}
