//! The first page: what it shows, how it is searched, and one thing done to several at once.

use docknap::domain::ids::HostId;
use docknap::domain::permission::Role;
use docknap::domain::target;
use docknap::sim::World;
use scraper::{Html, Selector};
use serde_json::json;

use crate::support::app::{Answer, NOW, TestApp};
use crate::support::bench::Bench;

/// Two stacks, one of which waits for health, a container without a stack, and one that nobody may touch.
async fn site() -> TestApp {
    let world = World::new()
        .stack("media", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db:service_started")))
        .stack("shop", |s| s.service("web", docknap::sim::ContainerSpec::stopped))
        .container("loner", |c| c)
        .container("guard", docknap::sim::ContainerSpec::protect);
    TestApp::over(Bench::new(NOW, world).await).await
}

fn key(name: &str) -> String {
    target::key(&HostId::local(), name)
}

/// How many elements fit a selector.
fn count(answer: &Answer, css: &str) -> usize {
    Html::parse_document(&answer.body).select(&Selector::parse(css).expect("a selector")).count()
}

/// Nights from 23:00 to 07:00 for `media`, in UTC: it is 20:00.
async fn nights(test: &TestApp) {
    let mut otto = test.bearer(Role::Operator).await;
    let body = json!({
        "name": "Nights", "target_type": "stack", "target_id": "media", "kind": "window",
        "window": "sleep 23:00-07:00", "timezone": "UTC",
    });
    let made = otto.post_json("/api/schedules", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

#[tokio::test]
async fn the_first_page_tells_states_and_hours_as_pictures_and_words() {
    let test = site().await;
    nights(&test).await;
    let page = test.operator().await.get("/").await;
    assert_eq!(page.text(".donut title"), "3 running, 1 stopped");
    assert!(page.text(".how ul").contains("Stopped 1"), "{}", page.text(".how ul"));
    assert_eq!(page.text(&format!("#day-{}", key("media"))), "Asleep 23:00–24:00");
    assert_eq!(count(&page, ".strip"), 1, "what has no hours has no strip");
    let next = page.text("#now .lines");
    assert!(next.contains("Nap media") && next.contains("in 3 h · 23:00"), "{next}");
    assert!(page.attribute("#now form[action$='/skip'] button", "title").is_some());
    assert!(page.attribute("#now a[href*='/run?edge=sleep']", "href").is_some());
    // The keys of the list find their row, its box and its buttons.
    let row = format!("#stack-{}[data-row]", key("media"));
    assert_eq!(page.attribute(&row, "hx-trigger"), Some(format!("stack-{} from:body", key("media"))));
    assert_eq!(
        page.attribute(&format!("{row} [data-act=nap]"), "href"),
        Some(format!("/stacks/{}/nap", key("media")))
    );
    assert_eq!(
        page.attribute(&format!("{row} input[name=t]"), "value"),
        Some(format!("stack/{}", key("media")))
    );
    let viewer = test.viewer().await.get("/").await;
    assert_eq!(count(&viewer, "input[name=t], .bulk, [data-act], #now form"), 0);
    assert_eq!(count(&viewer, ".tile"), 4);
}

#[tokio::test]
async fn the_list_is_searched_by_name_and_by_state_in_the_url() {
    let test = site().await;
    let mut vera = test.viewer().await;
    for (path, rows) in [
        ("/?q=MED", 1),
        ("/?q=media-web", 1),
        ("/?state=stopped", 1),
        ("/?state=running&q=shop", 0),
        ("/?q=%22%3E%3Cx&state=%27x", 0),
    ] {
        let page = vera.get(path).await;
        assert_eq!((page.status, count(&page, ".tile")), (200, rows), "{path}");
    }
    let none = vera.get("/?q=nothing").await;
    assert!(none.text("#board").contains("Nothing fits"));
    assert_eq!(none.attribute("#q", "value").as_deref(), Some("nothing"));
    let page = vera.get("/?q=e&state=running").await;
    assert_eq!(page.attribute(".find input[type=hidden]", "value").as_deref(), Some("running"));
    assert!(page.attribute(".filters a[href='/?q=e&state=stopped']", "href").is_some(), "{}", page.body);
    // A region that asks gets itself and no more.
    let part = vera.clone().with_header("hx-source", "div#now").get_part("/").await;
    assert!(part.body.trim_start().starts_with("<div class=\"stack\" id=\"now\""), "{}", part.body);
    let part = vera.clone().with_header("hx-source", "form").get_part("/?q=media").await;
    assert!(part.body.trim_start().starts_with("<form class=\"stack\" id=\"board\""), "{}", part.body);
    let tile = vera.get_part(&format!("/stacks/{}/tile", key("media"))).await;
    assert!(tile.body.trim_start().starts_with("<li"), "{}", tile.body);
    let gone = vera.get_part(&format!("/stacks/{}/tile", key("nobody"))).await;
    assert_eq!((gone.status, gone.header("hx-reswap")), (200, "delete"), "its place goes too");
}

#[tokio::test]
async fn several_are_put_to_sleep_at_once_after_one_question() {
    let test = site().await;
    let mut otto = test.operator().await;
    let (media, shop, loner) = (key("media"), key("shop"), {
        let list = otto.get("/").await;
        list.attribute("#loose input[name=t]", "value").expect("a box")
    });
    let query =
        format!("/actions?do=nap&t=stack%2F{media}&t={}&t=stack%2F{media}", loner.replace('/', "%2F"));
    let question = otto.get(&query).await;
    assert_eq!(question.text("h1"), "Nap 2 targets?", "{}", question.body);
    let main = question.text("main");
    for name in ["media-web-1", "media-db-1", "loner"] {
        assert!(main.contains(name), "{name}: {main}");
    }
    assert_eq!(count(&question, "input[name=t]"), 2, "named twice is asked for once");
    let dialog = otto.get_part(&query).await;
    assert!(dialog.body.trim_start().starts_with("<dialog"), "{}", dialog.body);

    let media_field = format!("stack/{media}");
    let fields = [("do", "nap"), ("t", media_field.as_str()), ("t", loner.as_str()), ("until", "")];
    let wrong = otto.post("/actions", &[&fields[..3], &[("until", "at"), ("at", "")]].concat()).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.text("form").contains("say until when"));
    let answer = otto.post("/actions", &fields).await;
    assert_eq!((answer.status, answer.location()), (303, "/"));
    assert!(otto.get("/").await.text(".flash").contains("2 targets nap."));
    test.bench().settle().await;
    let page = otto.get("/").await;
    assert!(page.text(&format!("#stack-{media}")).contains("Napping"));
    assert!(page.text("#loose").contains("Napping"));
    assert!(page.text(&format!("#stack-{shop}")).contains("Stopped"), "what was not chosen is left alone");
    let runs = test.bearer(Role::Viewer).await.get("/api/runs").await.json();
    assert!(runs["items"].as_array().expect("runs").iter().all(|run| run["trigger"] == "bulk"), "{runs}");

    // One that may not be touched is named; the others go on.
    let guard =
        otto.get("/").await.attribute("#loose li:not(:has(input)) a.main-link", "href").expect("a link");
    let guard = guard.trim_start_matches('/').replacen("containers", "container", 1);
    let wake = [("do", "wake"), ("t", media_field.as_str()), ("t", guard.as_str()), ("until", "1h")];
    otto.post("/actions", &wake).await;
    let told = otto.get("/").await.text(".flash");
    assert!(told.contains("1 target wakes, 1 is left as it is (guard: protected"), "{told}");
}

#[tokio::test]
async fn what_is_chosen_wrongly_does_nothing() {
    let test = site().await;
    let mut otto = test.operator().await;
    let none = otto.get("/actions?do=stop").await;
    assert!(none.text("h1").contains("Nothing is chosen") && count(&none, "main form button") == 0);
    for query in ["?do=lock&t=stack%2Fx", "?do=stop&t=stack%2Fnobody", "?do=stop&t=x%22%3E", "?do=%0a", ""] {
        assert_eq!(otto.get(&format!("/actions{query}")).await.status, 404, "{query}");
    }
    otto.post("/actions", &[("do", "stop")]).await;
    assert!(otto.get("/").await.text(".flash").contains("nothing was done"));
    assert_eq!(test.viewer().await.get("/actions?do=stop").await.status, 403);
    assert!(otto.get("/runs").await.text("#runs").contains("Nothing has run yet"));
}

#[tokio::test]
async fn what_needs_somebody_comes_with_its_cure() {
    let world = World::new()
        .stack("media", |s| s.service("web", docknap::sim::ContainerSpec::never_healthy))
        .container("odd", |c| c.label("docknap.protekt", "\"><x"));
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    test.bench().advance(std::time::Duration::from_secs(60)).await;
    let page = test.operator().await.get("/").await;
    let needs = page.text("#now");
    assert!(needs.contains("media-web-1 is unhealthy"), "{needs}");
    assert!(page.attribute("#now .lines a[data-act=restart]", "href").is_some());
    assert!(needs.contains("odd has a label DockNap cannot read"), "{needs}");
    assert!(needs.contains("docknap.protekt is no label of DockNap"), "{needs}");
    assert!(!needs.contains("All is well"));
}

#[tokio::test]
async fn drift_is_told_once_a_rule_has_had_its_time() {
    let test = site().await;
    let mut otto = test.bearer(Role::Operator).await;
    let body = json!({
        "name": "Evenings", "target_type": "stack", "target_id": "media", "kind": "window", "policy": "observe",
        "window": "sleep 19:00-07:00", "timezone": "UTC",
    });
    assert_eq!(otto.post_json("/api/schedules", &body).await.status, 201);
    test.bench().settle().await;
    test.bench().sim.start("media-web-1").expect("it starts");
    test.bench().advance(std::time::Duration::from_secs(600)).await;
    test.bench().settle().await;
    let page = test.operator().await.get("/").await;
    let needs = page.text("#now");
    assert!(needs.contains("media is up although it should be asleep"), "{needs}");
    assert!(page.attribute("#now .lines a[data-act=nap]", "href").is_some());
}

#[tokio::test]
async fn the_list_stays_while_docker_is_away_and_begins_with_an_example() {
    let test = site().await;
    test.bench().sim.daemon_down(docknap::sim::DaemonEnd::Crash);
    let mut otto = test.operator().await;
    let hosts = &test.app.hosts;
    test.bench()
        .until("it is away", async || !hosts.first().expect("a host").inventory().is_connected())
        .await;
    let page = otto.get("/").await;
    assert_eq!(count(&page, ".tile"), 4);
    assert!(page.attribute("#board", "data-stale").is_some());
    assert!(!page.text("#now").contains("All is well"));
    let empty = TestApp::over(Bench::new(NOW, World::new()).await).await;
    let page = empty.operator().await.get("/").await;
    assert!(page.text("main").contains("No containers here yet") && page.text("pre").contains("services:"));
    // Where there are stacks and no rule, the first one is two clicks away.
    let begin = site().await.operator().await.get("/").await;
    assert_eq!(begin.attribute(".first button", "value").as_deref(), Some("sleep 23:00-07:00"));
}

/// `shop`: web waits for api, which waits for db and cache; a neighbour that wakes what it updates.
async fn shop() -> TestApp {
    let world = World::new()
        .stack("shop", |s| {
            s.service("db", |c| c.restart(docknap::sim::Restart::Always))
                .service("cache", |c| c)
                .service("api", |c| c.depends_on("db:service_started,cache:service_started"))
                .service("web", |c| c.depends_on("api:service_started").label("docknap.protect", "maybe"))
        })
        .container("tower", |c| c.image("ghcr.io/nicholas-fedor/watchtower:1"))
        .stack("\"><x", |s| s.service("a/../b", |c| c.container_name("hostile")));
    TestApp::over(Bench::new(NOW, world).await).await
}

#[tokio::test]
async fn a_stack_tells_its_order_its_week_and_who_else_wakes_it() {
    let test = shop().await;
    let mut otto = test.bearer(Role::Operator).await;
    let body = json!({
        "name": "Nights", "target_type": "stack", "target_id": "shop", "kind": "window",
        "window": "sleep 23:00-07:00", "timezone": "UTC",
    });
    assert_eq!(otto.post_json("/api/schedules", &body).await.status, 201);
    let path = format!("/stacks/{}", key("shop"));
    let page = test.operator().await.get(&path).await;
    assert_eq!(page.text("#graph"), "Wakes in this order: 1: cache, db; 2: api; 3: web", "{}", page.body);
    assert_eq!(count(&page, ".graph rect"), 4);
    assert_eq!(count(&page, ".graph > svg > path"), 3);
    assert_eq!(count(&page, ".days7 .strip"), 7);
    assert_eq!(page.text("#week-1"), "Asleep 00:00–07:00 and 23:00–24:00");
    assert!(page.text("main").contains("h of these 7 days asleep"));
    let wakers = page.text("#wakers");
    assert!(wakers.contains("Docker itself") && wakers.contains("shop-db-1"), "{wakers}");
    assert!(wakers.contains("tower starts again what it updates"), "{wakers}");
    assert_eq!(page.text(".power").split_whitespace().next(), Some("Nap"));
    assert!(page.attribute("[data-act=lock]", "href").is_some(), "what is rare is one press further");
    // Parts by link, without a script.
    let runs = test.operator().await.get(&format!("{path}?tab=runs")).await;
    assert!(runs.text("#tab").contains("has not done anything"));
    assert_eq!(runs.text("#tab [aria-current=page]"), "Runs");
    let labels = test.viewer().await.get(&format!("{path}?tab=labels")).await;
    assert!(
        labels.text("#tab").contains("it counts as true; write true or false"),
        "{}",
        labels.text("#tab")
    );
    let odd = test.viewer().await.get(&format!("{path}?tab=%22%3E")).await;
    assert_eq!(odd.text("#tab [aria-current=page]"), "Schedules");
    let part = test.operator().await.get_part(&path).await;
    assert!(part.body.trim_start().starts_with("<div class=\"stack\" id=\"live\""), "{}", part.body);
}

#[tokio::test]
async fn a_stack_shows_its_runs_as_bars_and_offers_to_retry_what_failed() {
    let world = World::new().stack("shop", |s| {
        s.service("good", docknap::sim::ContainerSpec::stopped)
            .service("bad", |c| c.stopped().refuses_to_start())
    });
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let mut otto = test.operator().await;
    let path = format!("/stacks/{}", key("shop"));
    let begin = otto.get(&path).await;
    assert!(begin.text("#tab").contains("No schedule"));
    let preset = begin.attribute("#tab .first a", "href").expect("a preset");
    let form = otto.get(&preset).await;
    assert_eq!(form.attribute("#window", "value").as_deref(), Some("sleep 23:00-07:00"));
    assert!(
        form.attribute("#target option[selected]", "value").is_some_and(|value| value.starts_with("stack/"))
    );
    let well = otto.get("/").await;
    assert!(well.text("#now").contains("All is well"), "{}", well.text("#now"));
    otto.post(&format!("{path}/start"), &[]).await;
    test.bench().settle().await;
    let page = otto.get(&path).await;
    assert_eq!(count(&page, ".runbars a"), 1);
    assert_eq!(count(&page, ".runbars a[data-state=partial] circle"), 1, "a failure shows without colour");
    let bar = page.attribute(".runbars a", "href").expect("a run");
    assert!(
        page.attribute(".runbars a", "aria-label").expect("words").starts_with("Start, 20:0"),
        "{}",
        page.body
    );
    let retry = page.attribute("form[action$='/retry']", "action").expect("a retry");
    assert_eq!(retry, format!("{bar}/retry"));
    let needs = otto.get("/").await;
    assert!(needs.text("#now").contains("Retry failed only"), "{}", needs.text("#now"));
    assert_eq!(count(&test.viewer().await.get(&path).await, "form[action$='/retry'], .power a"), 0);
    let audit = test.admin().await.get(&format!("{path}?tab=audit")).await;
    assert!(audit.text("#tab").contains("asked for a start of the stack"), "{}", audit.text("#tab"));
}

#[tokio::test]
async fn a_container_tells_who_acted_last_and_what_its_checks_said() {
    let world = World::new()
        .stack("shop", |s| s.service("web", docknap::sim::ContainerSpec::never_healthy))
        .container("loner", |c| c);
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let mut otto = test.operator().await;
    let stack = format!("/stacks/{}", key("shop"));
    let path = otto.get(&stack).await.attribute("#containers .lead a", "href").expect("a link");
    otto.post(&format!("{path}/stop"), &[]).await;
    test.bench().settle().await;
    test.bench().advance(std::time::Duration::from_secs(3600)).await;
    let page = otto.get(&path).await;
    assert!(page.text("#live ul").contains("Stopped by hand, otto"), "{}", page.text("#live"));
    assert!(page.text("#ribbon").contains("napping 1 h"), "{}", page.text("#ribbon"));
    otto.post(&format!("{path}/start"), &[]).await;
    test.bench().settle().await;
    test.bench().advance(std::time::Duration::from_secs(120)).await;
    let page = otto.get(&path).await;
    let chain = page.text("#live ul");
    assert!(chain.find("Started").expect("a start") < chain.find("Last stopped").expect("a stop"), "{chain}");
    let link = page.attribute("#checks a", "href").expect("a link to the checks");
    let inspects = test.bench().sim.count(docknap::sim::Endpoint::Inspect);
    let checks = otto.get(link.split('#').next().expect("a path")).await;
    assert!(checks.text("#checks").contains("connection refused"), "{}", checks.text("#checks"));
    assert_eq!(test.bench().sim.count(docknap::sim::Endpoint::Inspect), inspects + 1);
    // What programs print is for operators (rulings 21).
    let viewer = test.viewer().await.get(link.split('#').next().expect("a path")).await;
    assert_eq!(count(&viewer, "#checks"), 0);
}

#[tokio::test]
async fn what_is_gone_is_remembered_as_long_as_a_schedule_is_for_it() {
    let test = site().await;
    let mut otto = test.operator().await;
    let path = otto.get("/").await.attribute("#loose li:has(input) a.main-link", "href").expect("a link");
    let body = json!({
        "name": "Loner's nights", "target_type": "container", "target_id": "loner", "kind": "window",
        "window": "sleep 23:00-07:00", "timezone": "UTC",
    });
    let made = test.bearer(Role::Operator).await.post_json("/api/schedules", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    test.bench().sim.remove("loner");
    test.bench().settle().await;
    let page = otto.get(&path).await;
    assert_eq!((page.status, page.text("h1").as_str()), (404, "loner"));
    assert!(page.text("main").contains("Loner’s nights") || page.text("main").contains("Loner's nights"));
    // It has another name now: its schedules can go there, and nothing happens at once.
    let from = page.attribute("#reattach [name=from]", "value").expect("where they are");
    let nowhere = otto.post("/schedules/reattach", &[("from", &from), ("to", "")]).await;
    assert_eq!(nowhere.status, 422);
    assert!(nowhere.text("#to-error").contains("pick the stack or container"), "{}", nowhere.text("main"));
    assert_eq!(otto.get(&path).await.status, 404, "nothing was stored");
    let to = format!("stack/{}", key("media"));
    let viewer = test.viewer().await.post("/schedules/reattach", &[("from", &from), ("to", &to)]).await;
    assert_eq!(viewer.status, 403);
    let moved = otto.post("/schedules/reattach", &[("from", &from), ("to", &to)]).await;
    assert_eq!((moved.status, moved.location()), (303, format!("/stacks/{}", key("media")).as_str()));
    let stack = otto.get(moved.location()).await;
    assert!(stack.text("#tab").contains("Loner's nights") || stack.text("#tab").contains("Loner’s nights"));
    assert!(stack.text(".flash").contains("1 schedule re-attached"), "{}", stack.text(".flash"));
    assert!(otto.get(&path).await.text("main").contains("There is no container"));
    let again = otto.post("/schedules/reattach", &[("from", &from), ("to", &to)]).await;
    assert_eq!(again.status, 404, "nothing is left of it");
    let nobody = format!("/containers/{}", target::key(&HostId::local(), "nobody"));
    let other = otto.get(&nobody).await;
    assert_eq!(other.status, 404);
    assert!(other.text("main").contains("There is no container"), "{}", other.text("main"));
}

#[tokio::test]
async fn a_hostile_name_stays_a_name_on_each_of_these_pages() {
    let test = shop().await;
    let mut otto = test.operator().await;
    let name = "\"><x";
    let stack = format!("/stacks/{}", key(name));
    for path in ["/".to_owned(), stack.clone(), format!("{stack}?tab=labels"), format!("{stack}/tile")] {
        let page = otto.get(&path).await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(count(&page, "x"), 0, "{path}: a name became an element");
        assert!(page.body.contains("&#34;&#62;&#60;x") || page.body.contains("&quot;&gt;&lt;x"), "{path}");
    }
    let question = otto.get(&format!("/actions?do=nap&t=stack%2F{}", key(name))).await;
    assert_eq!((question.status, count(&question, "x")), (200, 0));
    let container = otto.get(&stack).await.attribute("#containers .lead a", "href").expect("a link");
    assert_eq!(otto.get(&container).await.status, 200);
}

/// What sqlx says it sent: the first words of each statement.
#[derive(Clone, Default)]
struct Statements(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

impl Statements {
    /// Records every statement of this process.
    fn record() -> Self {
        use tracing_subscriber::layer::SubscriberExt as _;
        let sent = Self::default();
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(sent.clone()))
            .expect("each test is a process of its own");
        sent
    }

    /// The statements since the last call.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no test panics while it records"))
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Statements {
    fn on_event(&self, event: &tracing::Event<'_>, _context: tracing_subscriber::layer::Context<'_, S>) {
        struct Summary(String);
        impl tracing::field::Visit for Summary {
            fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
                if field.name() == "summary" {
                    value.clone_into(&mut self.0);
                }
            }

            fn record_debug(&mut self, _: &tracing::field::Field, _: &dyn std::fmt::Debug) {}
        }
        if event.metadata().target() == "sqlx::query" {
            let mut summary = Summary(String::new());
            event.record(&mut summary);
            self.0.lock().expect("no test panics while it records").push(summary.0);
        }
    }
}

#[tokio::test]
async fn the_first_page_needs_few_statements_and_no_docker() {
    let sent = Statements::record();
    let test = site().await;
    nights(&test).await;
    let mut otto = test.operator().await;
    otto.get("/").await;
    test.bench().quiet().await;
    let calls = test.bench().sim.calls().len();
    sent.take();
    let page = otto.get("/").await;
    let mut statements = sent.take();
    assert_eq!(page.status, 200);
    // A connection that the pool opens meanwhile is not the page's.
    statements.retain(|statement| !statement.starts_with("PRAGMA"));
    // However much there is to show: the number does not grow with it.
    assert!((1..=7).contains(&statements.len()), "{statements:#?}");
    assert_eq!(test.bench().sim.calls().len(), calls, "no page waits for Docker");
    // What is written counts at once.
    let body = json!({
        "name": "Noon", "target_type": "stack", "target_id": "shop", "kind": "window",
        "window": "sleep 12:00-13:00", "timezone": "UTC",
    });
    let made = test.bearer(Role::Operator).await.post_json("/api/schedules", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let page = otto.get("/").await;
    assert_eq!(
        page.text(&format!("#day-{}", key("shop"))),
        "Awake 20:00–24:00",
        "from now on: {}",
        page.body
    );
    let fields = [("state", "hold"), ("target", "all/"), ("until", "1h"), ("reason", "the move")];
    otto.post("/overrides", &fields).await;
    assert!(otto.get("/").await.text("body").contains("Everything is held until"));
}

#[tokio::test]
async fn what_was_written_is_read_once_for_all_pages_that_ask() {
    let sent = Statements::record();
    let test = site().await;
    let mut browsers = Vec::new();
    for _ in 0..8 {
        browsers.push(test.operator().await);
    }
    // What a session stores at its first page is stored.
    for browser in &mut browsers {
        browser.get("/").await;
    }
    test.bench().quiet().await;
    let mut counts = Vec::new();
    for (write, many) in [(false, 1), (true, 1), (true, 8)] {
        if write {
            let mut tx = test.app.db.begin().await.expect("a transaction");
            let key = format!("touched.{many}");
            docknap::db::settings::put(&mut tx, &key, "", NOW.parse().expect("an instant"))
                .await
                .expect("stored");
            tx.commit().await.expect("it is stored");
        }
        sent.take();
        let pages = browsers[..many].iter_mut().map(|browser| browser.get("/"));
        for page in futures_util::future::join_all(pages).await {
            assert_eq!(page.status, 200);
        }
        counts.push(sent.take().len());
    }
    let [warm, cold, all] = counts[..] else { panic!("{counts:?}") };
    assert!(cold > warm, "nothing was read anew: {counts:?}");
    // Where nothing is at hand, each page may ask once or twice more; what was written is read once.
    assert!(all <= 8 * (warm + 2) + (cold - warm - 2), "{counts:?}");
}

#[tokio::test]
async fn a_page_asks_once_for_the_version_of_the_rules() {
    let sent = Statements::record();
    let test = site().await;
    nights(&test).await;
    // The reader has no zone of their own, so the frame needs the default zone.
    let mut otto = test.operator().await;
    let stack = format!("/stacks/{}", key("shop"));
    for path in
        ["/", &stack, "/schedules", "/schedules/new", "/timeline", "/calendars", "/report", "/profile"]
    {
        otto.get(path).await;
        test.bench().quiet().await;
        sent.take();
        let page = otto.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        let statements = sent.take();
        let asked = statements.iter().filter(|text| text.starts_with("SELECT rules, naps")).count();
        assert_eq!(asked, 1, "{path}: {statements:#?}");
    }
}

#[tokio::test]
async fn a_name_does_not_make_a_change_from_outside() {
    let world = World::new().stack("shop", |s| {
        s.service("db", docknap::sim::ContainerSpec::stopped)
            .service("web", |c| c.exited(143).refuses_to_start())
    });
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let mut api = test.bearer(Role::Operator).await;
    let schedule = json!({"name": "As outside DockNap", "target_type": "stack", "target_id": "shop",
                          "action": "start", "cron": "0 6 * * *"});
    let made = api.post_json("/api/schedules", &schedule).await;
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    api.post_json(&format!("/api/schedules/{id}/run"), &json!({})).await;
    test.bench().settle().await;
    let stack = test.operator().await.get(&format!("/stacks/{}", key("shop"))).await;
    let why = stack.text("#live .why");
    assert!(why.starts_with("Why Started by schedule As outside DockNap, "), "{why}");
    assert!(why.ends_with(", only in part"), "{why}");
}

#[tokio::test]
async fn what_a_run_left_undone_is_nobody_elses_doing() {
    let world = World::new().stack("shop", |s| {
        s.service("db", docknap::sim::ContainerSpec::stopped)
            .service("web", |c| c.exited(143).refuses_to_start())
    });
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let mut api = test.bearer(Role::Operator).await;
    let run = api.post_json("/api/stacks/local/shop/start", &json!({})).await;
    assert!(run.status == 200 || run.status == 202, "{}", run.body);
    test.bench().settle().await;
    test.bench().quiet().await;
    let mut otto = test.operator().await;
    let stack = otto.get(&format!("/stacks/{}", key("shop"))).await;
    assert_eq!(
        stack.text("#containers tbody tr:first-child .lead .main-link"),
        "shop-web-1",
        "what failed is first"
    );
    let why = stack.text("#live .why");
    assert!(why.contains("Started by otto") && why.ends_with("only in part"), "{why}");
    let web = stack.attribute("#containers tbody tr:first-child .lead a", "href").expect("a link");
    let why = otto.get(&web).await.text(".why");
    assert!(why.contains("Did not come up when started by") && !why.contains("outside DockNap"), "{why}");
    // Somebody else brings the other one down later: that is told as ever.
    let later = test.bench().clock.now() + jiff::SignedDuration::from_mins(5);
    test.bench().leap_to(later).await;
    test.bench().sim.kill("shop-db-1").expect("it runs");
    test.bench().settle().await;
    let db = format!("/containers/{}", target::key(&HostId::local(), "service:shop/db/1"));
    let why = otto.get(&db).await.text(".why");
    assert!(why.contains("Stopped outside DockNap"), "{why}");
}
