//! Keys that do something by themselves.

use super::{PATIENCE, Visit, media};
use crate::support::wait;

/// Waits until the page with this path is there.
async fn arrives(visit: &Visit, path: &str) {
    wait::until(&format!("it goes to {path}"), PATIENCE, async || {
        visit.driver.current_url().await.is_ok_and(|url| url.path() == path)
    })
    .await;
    visit.find("main h1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_go_where_their_list_says() {
    let visit = Visit::inside(media()).await;
    for (keys, path) in
        [("gs", "/schedules"), ("ge", "/runs"), ("ga", "/audit"), ("gd", "/"), ("n", "/schedules/new")]
    {
        visit.keys(keys).await;
        arrives(&visit, path).await;
    }
    // Whoever types means the letter.
    visit.type_into("#name", "gs").await;
    assert_eq!(visit.ask::<String>("return document.querySelector('#name').value").await, "gs");
    visit.goto("/").await;
    visit.keys("?").await;
    let list = visit.text("dialog[open]").await;
    assert!(list.contains("Schedules") && list.contains("Search"), "{list}");
    visit.keys("\u{e00c}").await;
    visit.until("the list is closed", "return !document.querySelector('dialog[open]')").await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_walked_and_asked_for_by_keys() {
    let visit = Visit::inside(media()).await;
    visit.goto("/").await;
    visit.keys("j").await;
    visit
        .until("the first row has the focus", "return Boolean(document.activeElement.closest('[data-row]'))")
        .await;
    visit.keys("s").await;
    let question = visit.text("dialog[open]").await;
    assert!(question.contains("media"), "{question}");
    visit.finish().await;
}
