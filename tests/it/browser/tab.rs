//! One browser: what a person sees, presses and types in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docknap::clock::Clock;
use serde_json::{Value, json};
use thirtyfour::error::WebDriverErrorInner;
use thirtyfour::prelude::*;

use super::PATIENCE;
use crate::support::wait::{self, PAUSE};

/// A browser, and the site it is for.
pub struct Tab {
    pub driver: WebDriver,
    pub base: String,
}

impl Tab {
    /// A new headless Chromium, to which every name under `.test` is this machine.
    pub async fn open(base: &str) -> Self {
        // The client of the driver asks for it, although it speaks plain http.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = std::env::var("DOCKNAP_TEST_WEBDRIVER_URL")
            .expect("DOCKNAP_TEST_WEBDRIVER_URL names no chromedriver; scripts/test starts one");
        let mut wanted = DesiredCapabilities::chrome();
        for argument in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-dev-shm-usage",
            "--window-size=1280,1200",
            "--host-resolver-rules=MAP *.test 127.0.0.1",
        ] {
            wanted.add_arg(argument).expect("an argument");
        }
        let driver = WebDriver::new(server, wanted).await.expect("chromedriver starts Chromium");
        Self { driver, base: base.to_owned() }
    }

    pub async fn close(self) {
        self.driver.quit().await.expect("the browser ends");
    }

    /// A command of Chromium's own protocol.
    pub async fn chromium(&self, command: &str, parameters: Value) -> Value {
        self.driver.cdp().send_raw(command, parameters).await.expect(command)
    }

    /// From now on no page runs a script.
    pub async fn without_scripts(&self) {
        self.chromium("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    }

    /// Logs in, from wherever the browser is.
    pub async fn log_in(&self, name: &str, password: &str) {
        self.goto("/login").await;
        self.type_into("#name", name).await;
        self.type_into("#password", password).await;
        self.press("form button.primary").await;
        self.find(".nav").await;
        self.arrives("/").await;
    }

    /// Waits until the page with this path is there.
    pub async fn arrives(&self, path: &str) {
        wait::until(&format!("it goes to {path}"), PATIENCE, async || {
            self.driver.current_url().await.is_ok_and(|url| url.path() == path)
        })
        .await;
        self.find("main h1").await;
    }

    /// Path and query of the address bar.
    pub async fn address(&self) -> String {
        let url = self.driver.current_url().await.expect("an address");
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    pub async fn goto(&self, path: &str) {
        self.driver.goto(format!("{}{path}", self.base)).await.expect("the page opens");
    }

    /// The first element of a selector, once there is one that shows.
    pub async fn find(&self, css: &str) -> WebElement {
        let clock = Clock::system();
        let give_up = clock.monotonic() + PATIENCE;
        loop {
            if let Ok(element) = self.driver.find(By::Css(css)).await
                && element.is_displayed().await.unwrap_or(false)
            {
                return element;
            }
            if clock.monotonic() > give_up {
                let page = self.driver.find(By::Tag("main")).await;
                let text = match page {
                    Ok(page) => page.text().await.unwrap_or_default(),
                    Err(error) => error.to_string(),
                };
                panic!("never: {css} shows on {}:\n{text}", self.address().await);
            }
            clock.sleep(PAUSE).await;
        }
    }

    pub async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.expect("text")
    }

    pub async fn type_into(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.expect("it can be cleared");
        field.send_keys(text).await.expect("it takes keys");
    }

    /// Presses an element, or the one that has taken its place meanwhile.
    pub async fn press(&self, css: &str) {
        wait::until(&format!("{css} can be pressed"), PATIENCE, async || {
            match self.find(css).await.click().await {
                Ok(()) => true,
                Err(error) if matches!(*error, WebDriverErrorInner::StaleElementReference(_)) => false,
                Err(error) => panic!("it can be pressed: {error}"),
            }
        })
        .await;
    }

    /// Waits until some text stands on the page.
    pub async fn reads(&self, text: &str) {
        wait::until(&format!("the page says {text:?}"), PATIENCE, async || {
            let Ok(body) = self.driver.find(By::Tag("body")).await else { return false };
            body.text().await.is_ok_and(|all| all.contains(text))
        })
        .await;
    }

    /// What a script on the page answers.
    pub async fn ask<T: serde::de::DeserializeOwned>(&self, script: &str) -> T {
        self.driver.execute(script, vec![]).await.expect("it runs").convert().expect("an answer of that kind")
    }

    /// Waits until a script on the page answers yes.
    pub async fn until(&self, what: &str, script: &str) {
        wait::until(what, PATIENCE, async || {
            self.driver.execute(script, vec![]).await.is_ok_and(|answer| answer.convert().unwrap_or(false))
        })
        .await;
    }

    /// Presses keys wherever the focus is. Between the question where that is and the keys a region may be swapped: the
    /// keys reach nothing then, and it is asked again.
    pub async fn keys(&self, keys: &str) {
        wait::until("something takes keys", PATIENCE, async || match self.driver.active_element().await {
            Ok(focus) => focus.send_keys(keys).await.is_ok(),
            Err(_) => false,
        })
        .await;
    }

    /// What axe-core finds on the page that keeps somebody out, in both themes: nothing.
    pub async fn axe(&self) {
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

    /// Waits until this many elements of a selector are there.
    pub async fn count_is(&self, css: &str, count: usize) {
        wait::until(&format!("{count} of {css}"), PATIENCE, async || {
            self.driver.find_all(By::Css(css)).await.is_ok_and(|all| all.len() == count)
        })
        .await;
    }

    /// Presses the Tab key until an element of this selector has the focus.
    pub async fn tab_to(&self, css: &str) {
        for _ in 0..80 {
            self.keys("\u{e004}").await;
            let at = self.driver.active_element().await.expect("something has the focus");
            let found = self.driver.find_all(By::Css(css)).await.expect("they are looked for");
            if found.iter().any(|one| one.element_id() == at.element_id()) {
                return;
            }
        }
        panic!("the Tab key never reaches {css} on {}", self.address().await);
    }

    /// Records from now on which elements move up or down. What stands on one line with a word that changes has to move
    /// along it, and the summary of all (`#now`) is drawn anew as a whole. Chrome's own mark for moves after an input is of no use: it covers half a second after each click.
    pub async fn watch_moves(&self) {
        let script = "window.moved = []; \
                      window.note = (all) => all.forEach((one) => \
                      one.sources.filter((from) => from.node && from.node.nodeType !== Node.TEXT_NODE \
                      && from.currentRect.y !== from.previousRect.y && !from.node.closest('#now')) \
                      .forEach(({node, currentRect: is, previousRect: was}) => window.moved.push(\
                      `${node.nodeName}#${node.id}.${node.className} by ${is.x - was.x} across, ${is.y - was.y} down, \
                      ${was.height} to ${is.height} high, in ${node.closest('[id]')?.id}: \
                      ${node.innerText?.slice(0, 80)}`))); \
                      window.watch = new PerformanceObserver((list) => window.note(list.getEntries())); \
                      window.watch.observe({type: 'layout-shift'}); return true";
        assert!(self.ask::<bool>(script).await);
    }

    /// What has moved since; nothing where all is well.
    pub async fn moves(&self) -> Vec<String> {
        // What was changed is told of once it is painted.
        let script = "const done = arguments[arguments.length - 1]; \
                      requestAnimationFrame(() => requestAnimationFrame(() => \
                      { window.note(window.watch.takeRecords()); done(window.moved); }))";
        self.driver.execute_async(script, vec![]).await.expect("it runs").convert().expect("a list")
    }

    /// What the page is by its own size: `phone` has a finger in place of a mouse.
    pub async fn size(&self, width: u32, height: u32, phone: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
        self.chromium("Emulation.setDeviceMetricsOverride", size).await;
        self.chromium("Emulation.setTouchEmulationEnabled", json!({"enabled": phone})).await;
    }

    /// The whole page as a PNG, however long it is.
    pub async fn picture(&self, width: u32, height: u32, phone: bool) -> Vec<u8> {
        self.size(width, height, phone).await;
        let still = "const done = arguments[arguments.length - 1]; \
                     const fades = document.getAnimations().filter((one) => one instanceof CSSTransition); \
                     Promise.allSettled(fades.map((one) => one.finished)) \
                     .then(() => requestAnimationFrame(() => done(document.documentElement.scrollHeight)))";
        let tall: u32 =
            self.driver.execute_async(still, vec![]).await.expect("it runs").convert().expect("a number");
        self.size(width, tall.max(height), phone).await;
        let shot = self.chromium("Page.captureScreenshot", json!({"format": "png"})).await;
        STANDARD.decode(shot["data"].as_str().expect("a picture")).expect("base64")
    }
}
