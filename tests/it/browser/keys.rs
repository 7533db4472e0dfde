//! Keys that do something by themselves, and a way through without a mouse.

use super::{PASSWORD, Visit, media};

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_go_where_their_list_says() {
    let visit = Visit::inside(media()).await;
    for (keys, path) in
        [("gs", "/schedules"), ("ge", "/runs"), ("ga", "/audit"), ("gd", "/"), ("n", "/schedules/new")]
    {
        visit.keys(keys).await;
        visit.arrives(path).await;
    }
    // Whoever types means the letter.
    visit.type_into("#name", "gs").await;
    assert_eq!(visit.ask::<String>("return document.querySelector('#name').value").await, "gs");
    visit.goto("/").await;
    visit.keys("?").await;
    let list = visit.text("dialog[open]").await;
    assert!(list.contains("Schedules") && list.contains("Search"), "{list}");
    visit.keys(ESCAPE).await;
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

/// A fire of a group is a line that opens by its key, and stays open while the list renews itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_several_runs_opens_by_keys() {
    let (test, _nas) = crate::pages_groups::one_away().await;
    let visit = Visit::over(test).await;
    visit.log_in("ada", PASSWORD).await;
    for path in ["/", "/groups/evening", "/runs"] {
        visit.goto(path).await;
        visit.axe().await;
    }
    visit.keys("j").await;
    visit.until("the line has the focus", "return document.activeElement.localName === 'summary'").await;
    visit.keys(ENTER).await;
    visit.count_is("li.batch details[open] li", 2).await;
    visit.axe().await;
    let renew = "window.asked = 0; document.addEventListener('htmx:after:swap', () => { window.asked += 1; }); \
                 document.body.dispatchEvent(new Event('runs'))";
    visit.driver.execute(renew, vec![]).await.expect("it runs");
    visit.until("the list is there anew", "return window.asked > 0").await;
    visit.count_is("li.batch details[open] li", 2).await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_login_to_a_schedule_without_a_mouse() {
    let visit = Visit::outside(media(), async |_| ()).await;
    visit.goto("/login").await;
    visit.find("#name").await;
    // The name has the focus; the first field that is wrong has it afterwards.
    visit.keys("admin").await;
    visit.keys("\u{e004}").await;
    visit.keys("not this one").await;
    visit.keys(ENTER).await;
    visit.reads("Name or password is wrong").await;
    visit.until("what is wrong has the focus", "return document.activeElement.id === 'errors'").await;
    visit.tab_to("#password").await;
    visit.keys(PASSWORD).await;
    visit.keys(ENTER).await;
    visit.arrives("/").await;

    // The first stop of the Tab key leads past the navigation.
    visit.tab_to(".skip").await;
    visit.keys(ENTER).await;
    visit.until("the content is next", "return location.hash === '#main'").await;

    visit.keys("n").await;
    visit.arrives("/schedules/new").await;
    visit.tab_to("#target").await;
    visit.keys("me").await;
    visit.tab_to("#presets button:not([aria-pressed=true])").await;
    visit.keys(ENTER).await;
    visit.find("#presets button[aria-pressed=true]").await;
    visit.reads("h a week asleep").await;
    visit.tab_to("#save button[name=save][value=off]").await;
    visit.keys(ENTER).await;
    visit.reads("is stored").await;
    visit.arrives("/schedules").await;
    let row = visit.text("#schedules tbody tr").await;
    assert!(row.contains("media") && row.contains("Off"), "{row}");

    // The switch is a button as any other.
    visit.tab_to("#schedules .switch").await;
    visit.keys(" ").await;
    visit.find("#schedules .switch[aria-checked=true]").await;
    let focus = visit.driver.active_element().await.expect("something");
    assert_eq!(focus.attr("role").await.expect("an element").as_deref(), Some("switch"), "the focus stays");
    visit.finish().await;
}
