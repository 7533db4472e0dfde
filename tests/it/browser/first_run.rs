//! From `docker run` to the first nap, as somebody does it who has never seen DockNap: with the keyboard alone.

use super::{PASSWORD, PATIENCE, Visit, setup_token};
use crate::support::wait;
use thirtyfour::prelude::*;

/// Types into a field and presses Enter, as at a keyboard.
async fn enter(visit: &Visit, css: &str, text: &str) {
    visit.type_into(css, text).await;
    visit.find(css).await.send_keys(Key::Enter + "").await.expect("it takes keys");
}

async fn value(visit: &Visit, css: &str) -> String {
    visit.find(css).await.prop("value").await.expect("a value").unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_run_leads_from_the_token_to_a_saved_nap() {
    let visit = Visit::begin("").await;
    visit.goto("/").await;

    // The token: the button says why it does not go on, and wrong ones are counted down.
    enter(&visit, "#token", "").await;
    visit.reads("nter the token from the log").await;
    enter(&visit, "#token", "not-the-token").await;
    visit.reads("9 tries are left").await;
    enter(&visit, "#token", &setup_token(visit.home.path())).await;

    // The admin. What is typed is judged, and going back loses nothing but the password.
    visit.type_into("#name", "ada").await;
    visit.type_into("#password", "short").await;
    visit.reads("Not yet").await;
    visit.type_into("#password", PASSWORD).await;
    visit.reads("hard to guess").await;
    visit.press("button[name=back]").await;
    wait::until("the token is still there", PATIENCE, async || !value(&visit, "#token").await.is_empty())
        .await;
    visit.find("#token").await.send_keys(Key::Enter + "").await.expect("it takes keys");
    visit.find("#password").await;
    assert_eq!(value(&visit, "#name").await, "ada");
    enter(&visit, "#password", PASSWORD).await;

    // Docker: a tick for each call, and the whale is awake.
    visit.reads("DockNap reaches Docker").await;
    let ticks = visit.driver.find_all(By::Css(".ticks [data-state=succeeded]")).await.expect("ticks");
    assert_eq!(ticks.len(), 13);
    visit.find(".icon-whale-awake").await;
    visit.find("main a.primary").await.send_keys(Key::Enter + "").await.expect("it takes keys");

    // The first nap: what would happen follows what is picked; one press saves it.
    visit.reads("What would happen").await;
    visit.reads("media-web-1").await;
    visit.find("input[value=nights]").await;
    visit
        .driver
        .find(By::Css("input[value=nights]"))
        .await
        .expect("a rule")
        .send_keys(Key::Down + "")
        .await
        .expect("keys");
    visit.reads("118 h of a week asleep").await;
    visit
        .driver
        .find(By::Css("input[value=office]"))
        .await
        .expect("a rule")
        .send_keys(Key::Down + "")
        .await
        .expect("keys");
    visit.reads("48 h of a week asleep").await;
    let stacks = visit.text("#stacks").await;
    assert!(stacks.contains("media") && stacks.contains("2 containers"), "{stacks}");
    visit.find("#look button[value=off]").await.send_keys(Key::Enter + "").await.expect("it takes keys");
    visit.reads("is saved for media").await;
    visit.goto("/schedules").await;
    visit.reads("Weekends off").await;

    // It can be opened later, too.
    visit.goto("/welcome/nap").await;
    visit.reads("The first nap").await;
    visit.finish().await;
}
