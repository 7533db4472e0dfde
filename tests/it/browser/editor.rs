//! The schedule editor under a person's hands: keys alone, the mouse, a phone.

use thirtyfour::prelude::*;

use super::{PATIENCE, Visit};
use crate::support::wait;

/// An editor with a rule of its own, for the stack there is.
async fn editor(window: &str) -> Visit {
    let visit = Visit::inside(super::media()).await;
    visit.reads("media").await;
    visit.press("#stacks a.main-link, #stacks a").await;
    let new = visit
        .find("a[href*='/schedules/new']")
        .await
        .attr("href")
        .await
        .expect("an address")
        .expect("a link");
    visit
        .goto(&format!("{new}&{}", serde_urlencoded::to_string([("window", window)]).expect("a query")))
        .await;
    visit.find(".week").await;
    visit
}

async fn text_is(visit: &Visit, text: &str) {
    wait::until(&format!("the text is {text}"), PATIENCE, async || {
        let Ok(field) = visit.driver.find(By::Css("#window")).await else { return false };
        field.prop("value").await.is_ok_and(|value| value.as_deref() == Some(text))
    })
    .await;
}

async fn cell(visit: &Visit, at: usize) -> WebElement {
    visit.find(&format!(".week input[value='{at}']")).await
}

async fn keys(visit: &Visit, key: Key, times: usize) {
    for _ in 0..times {
        visit.driver.action_chain().send_keys(key.clone()).perform().await.expect("keys");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_is_painted_and_saved_by_keys_alone() {
    let visit = editor("sleep Sat 00:00-24:00").await;
    // The whole week is one stop of the Tab key.
    let mut stops = 0;
    loop {
        keys(&visit, Key::Tab, 1).await;
        stops += 1;
        assert!(stops < 60, "the Tab key reaches the week");
        let at = visit.driver.active_element().await.expect("something has the focus");
        if at.attr("name").await.expect("an element").as_deref() == Some("w") {
            break;
        }
    }
    keys(&visit, Key::Right, 46).await;
    keys(&visit, Key::Space, 1).await;
    let painted = visit.driver.action_chain().key_down(Key::Shift).send_keys(Key::Right).key_up(Key::Shift);
    painted.perform().await.expect("keys");
    text_is(&visit, "sleep Mon 23:00-24:00; Sat 00:00-24:00").await;
    visit.reads("Asleep Monday from 23:00 to 24:00, and all Saturday").await;
    keys(&visit, Key::Enter, 1).await;
    visit.reads("is stored").await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mouse_paints_and_no_view_loses_what_another_was_given() {
    let visit = editor("sleep Sat 00:00-24:00").await;
    let mut chain =
        visit.driver.action_chain().move_to_element_center(&cell(&visit, 20).await).click_and_hold();
    for at in 21..24 {
        chain = chain.move_to_element_center(&cell(&visit, at).await);
    }
    chain.release().perform().await.expect("a drag");
    text_is(&visit, "sleep Mon 10:00-12:00; Sat 00:00-24:00").await;
    visit.press("label:has(#view-text)").await;
    visit.type_into("#window", "sleep Mon-Fri 22:15-06:00").await;
    visit.press("label:has(#view-sentence)").await;
    wait::until("the sentence follows", PATIENCE, async || {
        let Ok(from) = visit.driver.find(By::Id("sentence.from")).await else { return false };
        from.prop("value").await.is_ok_and(|value| value.as_deref() == Some("22:15"))
    })
    .await;
    visit.press("label:has(#view-week)").await;
    let row = visit.find("#row-0-to").await;
    assert_eq!(row.prop("value").await.expect("a value").as_deref(), Some("06:00"));
    text_is(&visit, "sleep Mon-Fri 22:15-06:00").await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_phone_days_are_columns_under_a_thumb() {
    let visit = editor("sleep Sat 00:00-24:00").await;
    visit.driver.set_window_rect(0, 0, 390, 844).await.expect("a phone");
    let (first, below, tuesday) = (cell(&visit, 0).await, cell(&visit, 1).await, cell(&visit, 48).await);
    let (first, below, tuesday) = (
        first.rect().await.expect("a box"),
        below.rect().await.expect("a box"),
        tuesday.rect().await.expect("a box"),
    );
    assert!((first.x - below.x).abs() < 1.0 && below.y > first.y, "half hours run down");
    assert!(tuesday.x > first.x && (tuesday.y - first.y).abs() < 1.0, "days run across");
    // The scroll bar of this browser takes 15 px, which a phone has to spare.
    assert!(first.width >= 37.0 && first.height >= 24.0, "{first:?}");
    let wide =
        visit.driver.execute("return document.documentElement.scrollWidth", vec![]).await.expect("a number");
    assert!(wide.convert::<u32>().expect("a number") <= 390, "nothing runs off the page");
    cell(&visit, 2).await.click().await.expect("it can be pressed");
    text_is(&visit, "sleep Mon 01:00-01:30; Sat 00:00-24:00").await;
    visit.finish().await;
}
