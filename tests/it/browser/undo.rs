//! What is done at once can be taken back at once.

use super::{Visit, media};

async fn with_schedule() -> Visit {
    let visit = Visit::inside(media()).await;
    visit.goto("/schedules/new?window=sleep+22%3A00-06%3A00").await;
    visit.press("#target option[value^=stack]").await;
    visit.type_into("#name", "Nights").await;
    visit.press("#save button[value=off]").await;
    visit.reads("is stored").await;
    visit.arrives("/schedules").await;
    visit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_schedule_comes_back_from_the_corner() {
    let visit = with_schedule().await;
    visit.until("the stream has begun", "return Boolean(document.body._htmx?.sse?.reader)").await;
    visit.ask::<bool>("window.here = true; return true").await;
    visit.press("#schedules button[title=Delete]").await;
    let told = visit.text(".toast[data-seen]:not(#not-live)").await;
    assert!(told.contains("“Nights” is deleted."), "{told}");
    visit.count_is("#schedules tr[data-row]", 0).await;
    visit.press(".toast form button").await;
    visit.count_is("#schedules tr[data-row]", 1).await;
    visit.count_is("#toasts .toast", 0).await;
    assert!(visit.text("#schedules tbody").await.contains("Nights"));
    assert!(visit.ask::<bool>("return window.here === true").await, "it was not loaded anew");
    // Once more, and closed: it stays away.
    visit.press("#schedules button[title=Delete]").await;
    visit.press("#toasts .toast [data-close]").await;
    visit.count_is("#toasts .toast", 0).await;
    visit.driver.refresh().await.expect("it loads");
    visit.reads("No schedule yet").await;
    visit.goto("/audit").await;
    let log = visit.text("main").await;
    assert!(log.contains("Nights") && log.contains("took back the deletion of the schedule"), "{log}");
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_was_switched_off_is_switched_on_again() {
    let visit = with_schedule().await;
    visit.press(".switch").await;
    visit.find(".switch[aria-checked=true]").await;
    visit.press(".switch").await;
    visit.find(".switch[aria-checked=false]").await;
    let told = visit.text("#toasts .toast").await;
    assert!(told.contains("“Nights” is switched off."), "{told}");
    visit.press("#toasts .toast form button").await;
    visit.find(".switch[aria-checked=true]").await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_schedules_are_deleted_by_one_answer() {
    let visit = with_schedule().await;
    visit.press("#schedules a[title=Copy]").await;
    visit.arrives("/schedules/new").await;
    visit.press("#save button[value=off]").await;
    visit.arrives("/schedules").await;
    visit.count_is("#schedules tr[data-row]", 2).await;
    for name in ["Nights", "Nights (copy)"] {
        visit.press(&format!("[aria-label='Tick {name}']")).await;
    }
    visit.press("#bulk button[value=delete]").await;
    visit.reads("Delete 2 schedules?").await;
    visit.press("main button.danger").await;
    visit.arrives("/schedules").await;
    visit.reads("2 schedules deleted").await;
    visit.reads("No schedule yet").await;
    visit.finish().await;
}
