//! A person's way through the pages in headless Chromium: from the setup token to the audit log, on a host name that is
//! not localhost, at the root and under a sub-path.

use std::path::Path;
use std::time::Duration;

use docknap::clock::Clock;
use docknap::config::{BaseUrl, Config};
use docknap::lifecycle::{self, Serving};
use docknap::sim::World;
use thirtyfour::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::support::sim::Simulated;
use crate::support::wait;

mod first_run;

const PASSWORD: &str = "sleepy whales drift at night";
/// The name that the browser is told leads to this machine: plain http, and no secure context.
const HOST: &str = "nas.test";
/// A page may take this long on a machine under load.
const PATIENCE: Duration = Duration::from_secs(60);

/// A page of the site in a browser; both end with [`Visit::finish`].
struct Visit {
    driver: WebDriver,
    base: String,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<Result<(), lifecycle::StartError>>,
    home: tempfile::TempDir,
    _sim: Simulated,
}

impl Visit {
    async fn begin(path: &str) -> Self {
        let clock = Clock::system();
        let world =
            World::new().stack("media", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")));
        let sim = Simulated::start(clock.clone(), world).await;
        let home = tempfile::tempdir().expect("a data directory");
        // The port is part of the base URL, so it is chosen first.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .expect("a free port")
            .local_addr()
            .expect("bound")
            .port();
        let origin = format!("http://{HOST}:{port}");
        let config = Config {
            listen: ([127, 0, 0, 1], port).into(),
            data_dir: home.path().to_owned(),
            docker_host: sim.control.docker_host(),
            timezone: Some("UTC".to_owned()),
            base_url: Some(BaseUrl { https: false, origin: origin.clone(), path: path.to_owned() }),
            ..Config::default()
        };
        let stop = CancellationToken::new();
        let (started, up) = tokio::sync::oneshot::channel();
        let serving = Serving { config, clock, demo: false };
        let served = tokio::spawn(lifecycle::serve(serving, stop.clone(), |_| {
            let _ = started.send(());
        }));
        up.await.expect("it comes up");
        // The client of the driver asks for it, although it speaks plain http.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let driver = browser().await;
        Self { driver, base: format!("{origin}{path}"), stop, served, home, _sim: sim }
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

    async fn finish(self) {
        self.driver.quit().await.expect("the browser ends");
        self.stop.cancel();
        self.served.await.expect("it ends by itself").expect("in an orderly way");
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

async fn from_the_token_to_the_audit_log(path: &str) {
    let visit = Visit::begin(path).await;
    // Whoever comes first is led to the setup, and has to know the token.
    visit.goto("/").await;
    visit.type_into("#token", "not-the-token").await;
    visit.press("form button.primary").await;
    visit.find("#token[aria-invalid=true]").await;
    visit.type_into("#token", &setup_token(visit.home.path())).await;
    visit.press("form button.primary").await;
    visit.type_into("#name", "ada").await;
    visit.type_into("#password", PASSWORD).await;
    visit.press("form button.primary").await;

    // Docker answers, and the first nap can wait.
    visit.reads("DockNap reaches Docker").await;
    visit.goto("/").await;

    // The dashboard shows the stack as it is; its page offers a schedule.
    visit.reads("media").await;
    visit.press("#stacks a.main-link, #stacks a").await;
    visit.find("#containers").await;
    visit.reads("media-web-1").await;
    visit.press("a[href*='/schedules/new']").await;

    // Sleep hours are offered first, with what they mean beside them.
    visit.find("#window").await;
    visit.type_into("#window", "sleep Mon-Fri 23:00-07:00").await;
    visit.reads("40 h a week asleep").await;
    visit.press("label:has(#kind-cron)").await;

    // A wrong expression comes back with what was typed; a right one says what it means while it is typed.
    visit.find("#cron").await;
    visit.press("label:has(input[name=action][value=stop])").await;
    visit.type_into("#cron", "61 23 * * *").await;
    visit.press("button.primary[name=save]").await;
    visit.find("#cron[aria-invalid=true]").await;
    let kept = visit.find("#cron").await.prop("value").await.expect("a value");
    assert_eq!(kept.as_deref(), Some("61 23 * * *"));
    visit.type_into("#cron", "0 23 * * *").await;
    visit.reads("At 23:00").await;
    visit.press("button.primary[name=save]").await;
    wait::until("it is saved", PATIENCE, async || {
        let url = visit.driver.current_url().await.expect("an address");
        !url.path().ends_with("/new") && url.path().starts_with(&format!("{path}/"))
    })
    .await;

    // Run it now: the dialog lists what will happen; the run's page follows it to its end.
    visit.goto("/schedules").await;
    visit.press("a[href$='/run']").await;
    let plan = visit.text("dialog[open]").await;
    assert!(plan.contains("media-web-1") && plan.contains("media-db-1"), "{plan}");
    visit.press("dialog[open] button.danger, dialog[open] button.primary").await;
    visit.find("#run").await;
    visit.reads("Succeeded").await;
    visit.reads("media-db-1").await;

    // Both are on record.
    visit.goto("/audit").await;
    let audit = visit.text("main").await;
    assert!(audit.contains("ada") && audit.contains("media"), "{audit}");
    assert!(audit.contains("0 23 * * *"), "the new schedule's expression is in its row: {audit}");
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_token_to_the_audit_log_on_a_plain_http_host_name() {
    from_the_token_to_the_audit_log("").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_token_to_the_audit_log_under_a_sub_path() {
    from_the_token_to_the_audit_log("/nap").await;
}
