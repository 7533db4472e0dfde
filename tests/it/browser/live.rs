//! Pages that keep themselves fresh, without a reload and without getting in anybody's way.

use std::time::Duration;

use super::{Visit, media};

/// Whether the stack's row says this.
fn row_says(word: &str) -> String {
    format!("return document.querySelector('#live').innerText.includes('{word}')")
}

/// The stream has begun.
const CONNECTED: &str = "return Boolean(document.body._htmx?.sse?.reader)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_shows_without_a_reload_and_moves_nothing_else() {
    let visit = Visit::inside(media()).await;
    visit.press("#live a[href*='/stacks/']").await;
    visit.reads("media-web-1").await;
    visit.until("the stream has begun", CONNECTED).await;
    // Somebody reads a question and types into it while the page behind it changes; the focus stays as well.
    visit.press("a[href$='/nap'], a[href$='/stop']").await;
    visit.find("dialog[open]").await;
    let script = "window.here = true; window.moved = 0; \
                  new PerformanceObserver((list) => list.getEntries().forEach((one) => window.moved += one.value)) \
                  .observe({type: 'layout-shift'}); \
                  window.typed = document.querySelector('dialog[open] input[type=text], dialog[open] button'); \
                  window.typed.focus(); if (window.typed.matches('input')) window.typed.value = 'half a sen'; \
                  return true";
    assert!(visit.ask::<bool>(script).await);
    visit.sim.kill("media-web-1").expect("it ends");
    visit.until("the page shows it", &row_says("1 of 2 up")).await;
    assert!(visit.ask::<bool>("return window.here === true").await, "it was not loaded anew");
    assert!(visit.ask::<bool>("return document.activeElement === window.typed").await, "the focus stays");
    assert!(
        visit
            .ask::<bool>("return !window.typed.matches('input') || window.typed.value === 'half a sen'")
            .await
    );

    // A link of the part that changes keeps the focus too.
    visit.keys("\u{e00c}").await;
    visit.ask::<bool>("document.querySelector('#live a[href*=\"/containers/\"]').focus(); window.moved = 0; return true").await;
    let focused: String = visit.ask("return document.activeElement.href").await;
    visit.sim.start("media-web-1").expect("it starts");
    visit.until("the page shows it", &row_says("2 of 2 up")).await;
    assert_eq!(visit.ask::<String>("return document.activeElement.href").await, focused);
    assert!(visit.ask::<f64>("return window.moved").await < 0.01, "nothing else moves");
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hidden_page_closes_its_stream_and_catches_up_when_it_is_shown() {
    let visit = Visit::inside(media()).await;
    visit.goto("/").await;
    visit.until("the stream has begun", CONNECTED).await;
    // What a browser says of a page behind another one.
    let hide = |hidden: bool| {
        format!(
            "Object.defineProperty(document, 'hidden', {{value: {hidden}, configurable: true}}); \
             document.dispatchEvent(new Event('visibilitychange')); return true"
        )
    };
    visit.ask::<bool>(&hide(true)).await;
    visit.until("the stream is closed", "return !document.body._htmx.sse.reader").await;
    visit.sim.kill("media-web-1").expect("it ends");
    visit.ask::<bool>(&hide(false)).await;
    visit.until("it catches up", &row_says("Partial")).await;
    visit.until("the stream is open again", CONNECTED).await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_stream_is_told_and_the_page_catches_up_when_it_is_back() {
    let visit = Visit::inside(media()).await;
    visit.goto("/").await;
    visit.until("the stream has begun", CONNECTED).await;
    assert!(visit.ask::<bool>("return document.querySelector('#not-live').hidden").await);
    visit.cable.send_replace(false);
    visit.reads("Not live since").await;
    visit.sim.kill("media-web-1").expect("it ends");
    visit.cable.send_replace(true);
    visit.until("it catches up", &row_says("Partial")).await;
    visit.until("it is live again", "return document.querySelector('#not-live').hidden").await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_whose_login_has_ended_leads_to_the_login() {
    let visit = Visit::inside(media()).await;
    visit.goto("/runs?state=attention").await;
    visit.until("the stream has begun", CONNECTED).await;
    // Longer than a session lasts that nobody uses; the page that refreshes itself does not count.
    visit.clock.advance(Duration::from_secs(9 * 3600));
    visit.find("#password").await;
    let url = visit.driver.current_url().await.expect("an address");
    assert_eq!((url.path(), url.query()), ("/login", Some("next=%2Fruns%3Fstate%3Dattention")));
    visit.finish().await;
}
