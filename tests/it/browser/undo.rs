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

const ENTER: &str = "\u{e007}";

/// `media` and `shop`, both awake, as the first page shows them live.
async fn on_the_first_page() -> Visit {
    let visit = Visit::inside(media().stack("shop", |s| s.service("web", |c| c))).await;
    visit.reads("shop").await;
    visit.until("the stream has begun", "return Boolean(document.body._htmx?.sse?.reader)").await;
    visit.ask::<bool>("window.here = true; return true").await;
    visit
}

async fn is_in_state(visit: &Visit, state: &str, count: usize) {
    visit.count_is(&format!("#stacks .word[data-state={state}]"), count).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_that_was_put_to_sleep_is_up_again_without_leaving_the_page() {
    let visit = on_the_first_page().await;
    visit.press("#stacks [data-act=nap]").await;
    // Second thoughts: nothing is sent.
    visit.press("dialog[open] button.ghost").await;
    visit.count_is("#dialogs dialog", 0).await;
    assert_eq!(visit.sim.state("media-web-1"), "running");
    visit.count_is(".toast[data-seen]:not(#not-live)", 0).await;

    visit.press("#stacks [data-act=nap]").await;
    // What is missing is said in the dialog, which keeps what was typed.
    visit.press("dialog[open] #until-at").await;
    visit.type_into("dialog[open] #reason", "by mistake").await;
    visit.press("dialog[open] .acts button.primary").await;
    visit.find("dialog[open] #until-error").await;
    let reason = visit.find("dialog[open] #reason").await.prop("value").await.expect("a value");
    assert_eq!(reason.as_deref(), Some("by mistake"));
    visit.press("dialog[open] input[name=until][value='1h']").await;
    visit.press("dialog[open] .acts button.primary").await;
    visit.count_is("#dialogs dialog", 0).await;
    let told = visit.text("#toasts .toast p").await;
    assert_eq!(told, "media naps. View run");
    is_in_state(&visit, "napping", 1).await;
    assert_eq!(visit.sim.state("media-db-1"), "exited");
    visit.axe().await;

    visit.press("#toasts .toast form button").await;
    visit.reads("Undone: media starts again.").await;
    visit.count_is("#toasts .toast", 1).await;
    visit.count_is("#toasts .toast form", 0).await;
    is_in_state(&visit, "running", 2).await;
    assert_eq!(visit.sim.state("media-web-1"), "running");
    assert!(visit.ask::<bool>("return window.here === true").await, "it was not loaded anew");
    assert_eq!(visit.address().await, "/");
    visit.press("#toasts .toast a").await;
    visit.find("#run").await;
    visit.reads("Undoes").await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_are_undone_by_keys_alone() {
    let visit = on_the_first_page().await;
    visit.keys("jxjx").await;
    visit.tab_to(".bulk button[value=nap]").await;
    visit.keys(ENTER).await;
    visit.find("dialog[open]").await;
    visit.keys(ENTER).await;
    visit.reads("2 stacks nap.").await;
    is_in_state(&visit, "napping", 2).await;
    visit.tab_to("#toasts .toast form button").await;
    // The focus holds the message as the pointer does.
    visit.keys(ENTER).await;
    visit.reads("Undone: 2 go back to what they were.").await;
    is_in_state(&visit, "running", 2).await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_scripts_the_way_back_stands_beside_the_message() {
    let visit = Visit::outside(media(), async |_| ()).await;
    visit.without_scripts().await;
    visit.log_in("admin", super::PASSWORD).await;
    visit.press("#stacks .main-link").await;
    visit.press("#live [data-act=nap]").await;
    visit.reads("Put media to sleep?").await;
    visit.press("main button.primary").await;
    visit.reads("media naps.").await;
    visit.find("#live .power").await;
    visit.press(".flash form button").await;
    visit.reads("Undone:").await;
    visit.until_loaded("#live", |text| text.contains("2 of 2")).await;
    assert_eq!(visit.sim.state("media-web-1"), "running");
    visit.finish().await;
}
