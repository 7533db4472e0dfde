//! Several stacks at once: one plan, one answer, whatever hand does it.

use docknap::sim::World;

use super::{Visit, media};

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";

/// `media`, `shop` and `wiki`, all awake.
fn three() -> World {
    media()
        .stack("shop", |s| s.service("db", |c| c).service("api", |c| c.depends_on("db")))
        .stack("wiki", |s| s.service("app", |c| c))
}

/// The dialog or page asks about two of the three, container by container.
fn asks_about_two(question: &str) {
    assert!(question.contains("Nap 2 stacks?"), "{question}");
    for name in ["media-web-1", "media-db-1", "shop-api-1", "shop-db-1"] {
        assert!(question.contains(name), "{name}: {question}");
    }
    assert!(!question.contains("wiki"), "{question}");
}

/// Both sleep, the third does not, and the log says who did it and why.
async fn two_sleep(visit: &Visit, reason: &str) {
    for name in ["media-web-1", "media-db-1", "shop-api-1", "shop-db-1"] {
        assert_eq!(visit.sim.state(name), "exited", "{name}");
    }
    assert_eq!(visit.sim.state("wiki-app-1"), "running");
    visit.goto("/runs").await;
    visit.count_is("#runs .run", 2).await;
    let runs = visit.text("#runs").await;
    assert!(runs.contains("media") && runs.contains("shop") && runs.contains("admin"), "{runs}");
    visit.press("#runs .run .main-link").await;
    visit.find("#run").await;
    visit.reads(reason).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_stacks_are_put_to_sleep_by_one_answer() {
    let visit = Visit::inside(three()).await;
    visit.reads("wiki").await;
    assert_eq!(visit.ask::<u32>("return document.querySelector('.bulk').offsetHeight").await, 0);
    visit.press("[aria-label='Choose media']").await;
    visit.press("[aria-label='Choose shop']").await;
    let count = "return getComputedStyle(document.querySelector('.bulk'), '::before').content";
    assert!(visit.ask::<String>(count).await.contains("chosen"), "it says how many are chosen");
    visit.press(".bulk button[value=nap]").await;
    asks_about_two(&visit.text("dialog[open]").await);
    // Second thoughts: nothing happened, and what was chosen still is.
    visit.press("dialog[open] button.ghost").await;
    visit.count_is("#dialogs dialog", 0).await;
    visit.count_is("#board .pick :checked", 2).await;
    assert_eq!(visit.sim.state("media-web-1"), "running");

    visit.press(".bulk button[value=nap]").await;
    visit.find("dialog[open]").await;
    visit.type_into("dialog #reason", "the power is dear today").await;
    visit.press("dialog[open] button.primary").await;
    visit.reads("2 stacks nap.").await;
    visit.count_is("#dialogs dialog", 0).await;
    visit.count_is("#board .pick :checked", 0).await;
    visit
        .until(
            "both sleep",
            "return document.querySelectorAll('#stacks .word[data-state=napping]').length === 2",
        )
        .await;
    two_sleep(&visit, "the power is dear today").await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_stacks_are_put_to_sleep_without_scripts() {
    let visit = Visit::outside(three(), async |_| ()).await;
    visit.without_scripts().await;
    visit.log_in("admin", super::PASSWORD).await;
    visit.press("[aria-label='Choose media']").await;
    visit.press("[aria-label='Choose shop']").await;
    visit.press(".bulk button[value=nap]").await;
    visit.arrives("/actions").await;
    asks_about_two(&visit.text("main").await);
    // A time that was chosen and not given: the same plan again, with what was typed.
    visit.type_into("#reason", "the power is dear today").await;
    visit.press("#until-at").await;
    visit.press("main button.primary").await;
    visit.find("#until-error").await;
    asks_about_two(&visit.text("main").await);
    visit.press("input[name=until][value='3h']").await;
    visit.press("main button.primary").await;
    visit.reads("2 stacks nap.").await;
    visit.until_loaded("#stacks", |text| text.matches("0 of 2 up").count() == 2).await;
    let rows = visit.text("#stacks").await;
    assert!(rows.contains("until"), "it says how long: {rows}");
    two_sleep(&visit, "the power is dear today").await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_stacks_are_put_to_sleep_by_keys_alone() {
    let visit = Visit::inside(three()).await;
    visit.reads("wiki").await;
    let row =
        "return document.activeElement.closest('[data-row]')?.querySelector('.main-link').textContent ?? ''";
    visit.keys("j").await;
    let first: String = visit.ask(row).await;
    assert_eq!(first, "media");
    visit.keys("jx").await;
    assert_eq!(visit.ask::<String>(row).await, "shop");
    visit.keys("kx").await;
    assert_eq!(visit.ask::<String>(row).await, "media");
    visit.count_is("#board .pick :checked", 2).await;
    // One row alone is asked for by `s`, and Escape leaves everything as it was.
    visit.keys("jjs").await;
    let one = visit.text("dialog[open]").await;
    assert!(one.contains("Put wiki to sleep?"), "{one}");
    visit.keys(ESCAPE).await;
    visit.until("it is closed", "return !document.querySelector('dialog[open]')").await;
    assert_eq!(visit.ask::<String>(row).await, "wiki", "the focus is where it was");

    visit.tab_to(".bulk button[value=nap]").await;
    visit.keys(ENTER).await;
    asks_about_two(&visit.text("dialog[open]").await);
    visit.tab_to("dialog #reason").await;
    visit.keys("by hand").await;
    visit.keys(ENTER).await;
    visit.reads("2 stacks nap.").await;
    visit
        .until(
            "both sleep",
            "return document.querySelectorAll('#stacks .word[data-state=napping]').length === 2",
        )
        .await;
    two_sleep(&visit, "by hand").await;

    // And woken again: `w` asks for the row, Enter answers.
    visit.keys("gd").await;
    visit.arrives("/").await;
    visit.keys("jw").await;
    let question = visit.text("dialog[open]").await;
    assert!(question.contains("Wake media?") && question.contains("media-db-1"), "{question}");
    visit.keys(ENTER).await;
    visit.press("#toasts .toast a").await;
    visit.find("#run").await;
    visit.reads("Succeeded").await;
    assert_eq!(visit.sim.state("media-web-1"), "running");
    visit.finish().await;
}
