//! With scripts switched off everything is still there, as links and forms.

use super::{PASSWORD, Visit, media};
use crate::support::wait;

impl super::Tab {
    /// Loads the page again until part of it reads as wanted: without scripts a person does the same.
    pub async fn until_loaded(&self, css: &str, is_so: impl Fn(&str) -> bool) {
        wait::until(&format!("{css} reads as wanted"), super::PATIENCE, async || {
            self.driver.refresh().await.expect("it loads");
            is_so(&self.text(css).await)
        })
        .await;
    }
}

async fn scriptless() -> Visit {
    let visit = Visit::outside(media(), async |_| ()).await;
    visit.without_scripts().await;
    visit.log_in("admin", PASSWORD).await;
    visit
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_is_made_changed_and_deleted() {
    let visit = scriptless().await;
    visit.press("#stacks .main-link").await;
    visit.press("#tab a[href*='/schedules/new']").await;
    visit.arrives("/schedules/new").await;
    // A preset fills the form, and says what it means.
    visit.press("#presets .when-window").await;
    visit.reads("h a week asleep").await;
    visit.press("label:has(#view-text)").await;
    visit.type_into("#window", "sleep Mon-Fri 23:00-0700").await;
    visit.press("#save button.primary").await;
    visit.find("#window[aria-invalid=true]").await;
    visit.type_into("#window", "sleep Mon-Fri 23:00-07:00").await;
    // What it would do is looked at first; nothing is stored by that.
    visit.press("button[name=save][value=dry]").await;
    visit.reads("media-web-1").await;
    visit.press("#save button[value=off]").await;
    visit.arrives("/schedules").await;
    visit.reads("is stored").await;

    visit.press("#schedules .main-link").await;
    visit.press("label:has(#view-sentence)").await;
    visit.press("label:has(#view-week)").await;
    visit.press("label:has(#view-text)").await;
    visit.type_into("#window", "sleep 22:00-06:00").await;
    visit.press("#save noscript button, #save button[value='']").await;
    visit.reads("56 h a week asleep").await;
    visit.press("#save button.primary").await;
    visit.arrives("/schedules").await;
    let row = visit.text("#schedules tbody tr").await;
    assert!(row.contains("22:00") && !row.contains("23:00"), "{row}");
    visit.find(".switch[aria-checked=true]").await;
    visit.press(".switch").await;
    visit.reads("is switched off").await;
    visit.press(".flash form button").await;
    visit.find(".switch[aria-checked=true]").await;

    // Deleted by the bin of its row, and back by the button beside the message.
    visit.press("#schedules button[title=Delete]").await;
    visit.reads("is deleted").await;
    visit.reads("No schedule yet").await;
    visit.press(".flash form button").await;
    visit.reads("is back").await;
    visit.count_is("#schedules tbody tr[data-row]", 1).await;
    // From its own page it is asked for.
    visit.press("#schedules .main-link").await;
    visit.press("a[title=Delete]").await;
    visit.reads("It will not fire any more").await;
    visit.press("main button.danger").await;
    visit.arrives("/schedules").await;
    visit.reads("No schedule yet").await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nap_and_a_wake_are_asked_for_and_watched() {
    let visit = scriptless().await;
    visit.press("#stacks [data-act=nap]").await;
    visit.reads("Put media to sleep?").await;
    let plan = visit.text("main").await;
    assert!(plan.contains("media-web-1") && plan.contains("media-db-1"), "{plan}");
    visit.press("input[name=until][value='1h']").await;
    visit.type_into("#reason", "quiet").await;
    visit.press("main button.primary").await;
    visit.reads("media naps.").await;
    visit.arrives("/").await;
    visit.press(".flash a").await;
    visit.find("#run").await;
    visit.until_loaded("#run", |text| text.contains("Succeeded")).await;
    assert_eq!(visit.sim.state("media-web-1"), "exited");
    visit.press("#run .dl a").await;
    let page = visit.text("#live").await;
    assert!(page.contains("Napping") && page.contains("quiet") && page.contains("until"), "{page}");

    visit.press("#live .power [data-act=wake], #live [data-act=wake]").await;
    visit.reads("Wake media?").await;
    visit.press("input[name=until][value='3h']").await;
    visit.press("main button.primary").await;
    visit.reads("media wakes.").await;
    visit.find("#live .power").await;
    visit.press(".flash a").await;
    visit.find("#run").await;
    visit.until_loaded("#run", |text| text.contains("Succeeded")).await;
    assert_eq!(visit.sim.state("media-web-1"), "running");
    // What it is kept awake by can be ended before its time.
    visit.goto("/overrides").await;
    visit.reads("media").await;
    visit.press("#live form[action$='/end'] button").await;
    visit.reads("media: ended. Its schedules decide again").await;
    visit.goto("/overrides").await;
    visit.reads("None counts now").await;
    let ended = visit.text("#live").await;
    assert!(ended.contains("media") && ended.contains("admin"), "{ended}");
    visit.finish().await;
}
