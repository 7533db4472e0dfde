//! What changes by itself disturbs nobody: ticks, typed words, the focus and the place of things stay as they are.

use docknap::sim::{ContainerSpec, World};

use super::{Visit, media};

/// The stream has begun.
const CONNECTED: &str = "return Boolean(document.body._htmx?.sse?.reader)";

impl super::Tab {
    /// Waits until htmx has nothing under way.
    pub async fn until_idle(&self) {
        self.until(
            "nothing is fetched",
            "return !document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling, .htmx-added')",
        )
        .await;
    }
}

fn two() -> World {
    media().stack("shop", |s| s.service("db", |c| c).service("api", |c| c.depends_on("db")))
}

/// Whether a place says this.
fn says(css: &str, word: &str) -> String {
    format!("return document.querySelector(\"{css}\").innerText.includes('{word}')")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_follows_what_is_typed_and_so_does_the_address() {
    let visit = Visit::inside(two().stack("medley", |s| s.service("box", ContainerSpec::stopped))).await;
    visit.find("#stacks").await;
    visit.ask::<bool>("window.here = true; return true").await;
    visit.keys("/").await;
    visit.keys("sh").await;
    visit.count_is("#stacks .tile", 1).await;
    assert_eq!(visit.text("#stacks .main-link").await, "shop");
    visit.until("the address says so", "return location.search === '?q=sh'").await;
    // It is a word that is being typed: nothing came in between.
    assert_eq!(visit.ask::<String>("return document.activeElement.id").await, "q");
    visit.keys("op-nothing").await;
    visit.reads("Nothing fits").await;
    visit.until("the address says so", "return location.search === '?q=shop-nothing'").await;
    assert_eq!(visit.ask::<String>("return document.querySelector('#q').value").await, "shop-nothing");
    assert!(visit.ask::<bool>("return window.here === true").await, "it was not loaded anew");
    visit.driver.refresh().await.expect("it loads");
    visit.reads("Nothing fits").await;
    visit.press("#board a[href$='/']").await;
    visit.count_is("#stacks .tile", 3).await;

    // The state that is chosen stays while one searches.
    visit.press(".filters a[href*='state=running']").await;
    visit.until("the address says so", "return location.search === '?state=running'").await;
    visit.type_into("#q", "me").await;
    visit.count_is("#stacks .tile", 1).await;
    visit
        .until(
            "the address says both",
            "return location.search.includes('q=me') && location.search.includes('state=running')",
        )
        .await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticks_and_words_outlive_every_change_of_the_list() {
    let visit = Visit::inside(two()).await;
    visit.until("the stream has begun", CONNECTED).await;
    visit.press("[aria-label='Choose shop']").await;
    visit.press(".tile:has([aria-label='Choose media']) .pick").await;
    visit.press("[aria-label='Choose media']").await;
    // Half a word, not sent yet, and the focus in it.
    visit.press("#q").await;
    visit.ask::<bool>("document.querySelector('#q').value = 'hal'; window.here = true; return true").await;
    visit.sim.kill("shop-api-1").expect("it ends");
    visit.until("the row shows it", &says("#stacks li:nth-child(2)", "1 of 2 up")).await;
    visit.sim.up(World::new().stack("attic", |s| s.service("box", |c| c)));
    visit.until("a row is new", &says("#stacks", "attic")).await;
    visit.until_idle().await;
    let chosen = "return [...document.querySelectorAll('#board .pick :checked')].map((one) => one.ariaLabel)";
    assert_eq!(visit.ask::<Vec<String>>(chosen).await, ["Choose shop"]);
    assert_eq!(visit.ask::<String>("return document.querySelector('#q').value").await, "hal");
    assert_eq!(visit.ask::<String>("return document.activeElement.id").await, "q");
    assert!(visit.ask::<bool>("return window.here === true").await, "it was not loaded anew");
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticks_in_the_list_of_schedules_outlive_its_changes() {
    let visit = Visit::inside(two()).await;
    let other = visit.another().await;
    other.log_in("admin", super::PASSWORD).await;
    let make = async |window: &str| {
        let query = serde_urlencoded::to_string([("window", window)]).expect("a query");
        other.goto(&format!("/schedules/new?{query}")).await;
        other.press("#target option[value^=stack]").await;
        other.type_into("#name", window).await;
        other.press("#save button[value=off]").await;
        other.reads("is stored").await;
    };
    make("sleep 22:00-06:00").await;
    make("sleep 21:00-06:00").await;
    visit.goto("/schedules").await;
    visit.until("the stream has begun", CONNECTED).await;
    visit.press("[aria-label='Tick sleep 22:00-06:00']").await;
    visit.ask::<bool>("document.querySelector('#schedules .switch').focus(); return true").await;
    let focus: String = visit.ask("return document.activeElement.id").await;
    make("sleep 20:00-06:00").await;
    visit.count_is("#schedules tbody tr[data-row]", 3).await;
    let chosen =
        "return [...document.querySelectorAll('#schedules tbody :checked')].map((one) => one.ariaLabel)";
    assert_eq!(visit.ask::<Vec<String>>(chosen).await, ["Tick sleep 22:00-06:00"]);
    assert_eq!(visit.ask::<String>("return document.activeElement.id").await, focus);
    other.close().await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_moves_while_it_changes() {
    let visit = Visit::inside(two()).await;
    // From the event of the Engine to what a person reads.
    visit.until("the stream has begun", CONNECTED).await;
    visit.until_idle().await;
    visit.watch_moves().await;
    let began = visit.clock.monotonic();
    // Nothing that needs attention, which would have a line of its own above the list.
    visit.sim.pause("shop-api-1").expect("it is frozen");
    visit.until("the row shows it", &says("#stacks li:nth-child(2)", "Partial")).await;
    let took = visit.clock.monotonic().saturating_sub(began);
    assert!(took < super::PATIENCE, "{took:?}");
    visit.sim.unpause("shop-api-1").expect("it goes on");
    visit.until("the row shows it", &says("#stacks li:nth-child(2)", "Running")).await;
    visit.until_idle().await;
    assert_eq!(visit.moves().await, Vec::<String>::new(), "the first page, after {took:?}");

    visit.press("#stacks li:nth-child(2) .main-link").await;
    visit.find("#live").await;
    visit.until("the stream has begun", CONNECTED).await;
    visit.until_idle().await;
    visit.watch_moves().await;
    visit.sim.pause("shop-api-1").expect("it is paused");
    visit.until("the page shows it", &says("#live", "Paused")).await;
    visit.sim.unpause("shop-api-1").expect("it goes on");
    visit.until("the page shows it", &says("#live .facts", "2 of 2 up")).await;
    visit.until_idle().await;
    // Other buttons in a row need another width; nothing goes up or down.
    let moves = visit.moves().await;
    assert!(moves.iter().all(|one| one.ends_with(", 0 down")), "the page of a stack: {moves:?}");
    visit.finish().await;
}
