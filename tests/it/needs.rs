//! "Needs attention" on the first page: what is on it, by whose hand, what mends it, and what somebody hid from
//! themselves for a day.

use std::time::Duration;

use docknap::app::users;
use docknap::db::{self, Db, hidden_needs::Hidden};
use docknap::domain::ids::ScheduleId;
use docknap::domain::permission::Role;
use docknap::sim::{DaemonEnd, Fault, Restart, World};
use serde_json::json;

use crate::on_both_engines;
use crate::support::app::{Answer, Client, NOW, TestApp};
use crate::support::bench::Bench;
use crate::support::db::TestDb;
use crate::support::rows;
use crate::windows;

const CALM: &str = "All is well";
const DAY: Duration = Duration::from_secs(24 * 3600);

on_both_engines!(
    what_somebody_hid_is_stored_for_a_while_and_for_them_alone,
    schedules_of_an_account_that_is_gone_are_found_and_taken_over,
    schedules_that_were_left_before_are_found_by_who_made_them,
);

async fn over(world: World) -> TestApp {
    TestApp::over(Bench::new(NOW, world).await).await
}

fn failed() -> World {
    World::new().stack("shop", |s| s.service("web", |c| c).service("worker", |c| c.exited(3)))
}

/// Where the first line with this text is hidden, or shown again.
fn turn(page: &Answer, css: &str) -> String {
    let action = page.attribute(&format!("{css} form[hx-post]"), "action");
    action.unwrap_or_else(|| panic!("no form at {css}: {}", page.text("#now")))
}

/// What stands under the heading, by the titles of the lines that are not hidden.
fn lines(page: &Answer) -> String {
    page.text("ul.lines:not([aria-label]) [data-tone] .main-link")
}

#[tokio::test]
async fn the_list_has_its_name() {
    let page = over(failed()).await.viewer().await.get("/").await;
    assert_eq!(page.text("#needs"), "Needs attention");
    assert!(!page.body.to_lowercase().contains("needs you"));
    assert_eq!(page.attribute("section[aria-labelledby=needs]", "class").as_deref(), Some("card pad"));
}

/// The link to the one host there is, and so all that is known, begins anew with the process.
async fn connecting(world: World) -> TestApp {
    let mut bench = Bench::new(NOW, world).await;
    bench.kill();
    bench.sim.fault(Fault::hang());
    bench.revive_unconnected().await;
    TestApp::over(bench).await
}

#[tokio::test]
async fn nothing_is_well_while_a_host_is_still_connecting() {
    let test = connecting(World::new().container("web", |c| c)).await;
    let mut vera = test.viewer().await;
    let page = vera.get("/").await;
    let told = page.text("main");
    assert!(told.contains("Docker has not answered yet") && !told.contains(CALM), "{told}");
    assert!(!told.contains("No containers here"), "nobody knows that yet: {told}");
    // Nor where all that is known is hidden.
    rows::store_runs(&test.app.db, &[(failed_run(&test), vec![])]).await;
    let page = vera.get("/").await;
    assert_eq!(lines(&page), "Stop media: failed");
    vera.post(&turn(&page, "#now"), &[]).await;
    let told = vera.get("/").await.text("#now");
    assert!(told.contains("Docker has not answered yet") && told.contains("1 hidden"), "{told}");
    // Nor where it does not answer at all.
    test.bench().sim.clear_faults();
    test.bench().sim.daemon_down(DaemonEnd::Crash);
    test.bench()
        .until("it is away", async || {
            let link = test.app.hosts.first().expect("a host").inventory().link;
            matches!(link, docknap::domain::inventory::Link::Unreachable { .. })
        })
        .await;
    let page = vera.get("/").await;
    assert!(lines(&page).contains("Host local does not answer"), "{}", page.text("#now"));
    assert!(!page.text("main").contains(CALM));
}

/// A run that failed just now.
fn failed_run(test: &TestApp) -> docknap::domain::run::Run {
    let now = test.clock.now();
    docknap::domain::run::Run {
        id: test.app.ids.next(now),
        state: docknap::domain::run::RunState::Failed,
        reason: "web: it ended right after the start".to_owned(),
        created_at: now,
        started_at: Some(now),
        finished_at: Some(now),
        ..rows::run("x")
    }
}

#[tokio::test]
async fn a_line_is_hidden_for_a_day_from_who_asked() {
    let test = over(failed()).await;
    let (mut vera, mut otto) = (test.viewer().await, test.operator().await);
    let page = vera.get("/").await;
    assert_eq!(lines(&page), "shop-worker-1 ended with exit code 3");
    assert_eq!(
        page.text("#now form[hx-post] button"),
        "Hide for 24 h : shop-worker-1 ended with exit code 3"
    );
    assert!(page.attribute("#now .lines a[data-act]", "href").is_none(), "a viewer mends nothing");
    let hide = turn(&page, "#now");

    let answer = vera.post(&hide, &[]).await;
    assert_eq!((answer.status, answer.location()), (303, "/"));
    let page = vera.get("/").await;
    let told = page.text("#now");
    assert!(page.text(".flash").contains("Hidden until 20:00 Sat"), "{}", page.text(".flash"));
    assert_eq!(lines(&page), "");
    assert!(told.contains("1 hidden") && !told.contains(CALM), "{told}");
    let href = page.attribute("#now a[href*=hidden]", "href").expect("a way to show it");
    assert_eq!(lines(&otto.get("/").await), "shop-worker-1 ended with exit code 3", "others see it");

    // It is listed on demand, also by the region that asks for itself, and comes back at a press.
    let page = vera.get(&href).await;
    let listed = page.text("[aria-label=Hidden]");
    assert!(listed.contains("shop-worker-1") && listed.contains("hidden until 20:00 Sat"), "{listed}");
    let asks = page.attribute("#now", "hx-get").expect("it asks for itself");
    let part = vera.clone().with_header("hx-source", "div#now").get_part(&asks).await;
    assert!(part.text("[aria-label=Hidden]").contains("shop-worker-1"), "{}", part.body);
    let part = vera.post_part(&turn(&page, "[aria-label=Hidden]"), &[]).await;
    assert!(part.body.trim_start().starts_with("<div class=\"stack\" id=\"now\""), "{}", part.body);
    assert_eq!(lines(&part), "shop-worker-1 ended with exit code 3");
    let part = vera.post_part(&hide, &[]).await;
    assert_eq!(lines(&part), "");
    assert!(
        part.attribute(".toast form", "action").is_some_and(|undo| undo.ends_with("/show")),
        "{}",
        part.body
    );

    test.clock.advance(DAY.saturating_sub(Duration::from_secs(1)));
    let mut vera = test.viewer().await;
    assert_eq!(lines(&vera.get("/").await), "");
    test.clock.advance(Duration::from_secs(1));
    assert_eq!(lines(&vera.get("/").await), "shop-worker-1 ended with exit code 3");
}

#[tokio::test]
async fn what_is_hidden_comes_back_when_something_new_happens_to_it() {
    let world = World::new()
        .stack("shop", |s| s.service("web", |c| c.healthy_after(Duration::from_secs(5))))
        .container("loner", |c| c.exited(3));
    let test = over(world).await;
    let bench = test.bench();
    let mut vera = test.viewer().await;
    let known = async |is_so: &dyn Fn(&str, &str) -> bool| {
        bench
            .until("it is known", async || {
                let inventory = test.app.hosts.first().expect("a host").inventory();
                inventory.containers.iter().any(|one| is_so(&one.name, &one.status))
            })
            .await;
    };
    bench.advance(Duration::from_secs(60)).await;
    let hide_all = async |vera: &mut Client| {
        for _ in 0..3 {
            let page = vera.get("/").await;
            if lines(&page).is_empty() {
                return;
            }
            vera.post(&turn(&page, "#now"), &[]).await;
        }
        panic!("{}", vera.get("/").await.text("#now"));
    };
    hide_all(&mut vera).await;
    // The same again: an end, by another process.
    bench.sim.start("loner").expect("it starts");
    bench.advance(Duration::from_secs(60)).await;
    bench.sim.exit("loner", 3);
    known(&|name, status| name == "loner" && status == "Exited (3)").await;
    bench.advance(Duration::from_secs(60)).await;
    assert_eq!(lines(&vera.get("/").await), "loner ended with exit code 3");
    hide_all(&mut vera).await;
    // A check that fails, passes, and fails again.
    for time in 1..=2 {
        bench.sim.set_healthy("shop-web-1", false);
        known(&|name, status| name == "shop-web-1" && status == "Up (unhealthy)").await;
        assert_eq!(lines(&vera.get("/").await), "shop-web-1 is unhealthy", "time {time}");
        hide_all(&mut vera).await;
        bench.advance(Duration::from_secs(300)).await;
        assert_eq!(lines(&vera.get("/").await), "", "nothing new happened");
        bench.sim.set_healthy("shop-web-1", true);
        known(&|name, status| name == "shop-web-1" && status == "Up (healthy)").await;
        bench.advance(Duration::from_secs(300)).await;
    }
}

#[tokio::test]
async fn only_what_is_listed_can_be_hidden() {
    let test = over(failed().container("loner", |c| c.exited(1))).await;
    let mut vera = test.viewer().await;
    let page = vera.get("/").await;
    assert_eq!(lines(&page), "shop-worker-1 ended with exit code 3 loner ended with exit code 1");
    let hide = turn(&page, "#now");
    test.bench().sim.start("shop-worker-1").expect("it starts");
    test.bench().quiet().await;
    for path in [hide.as_str(), "/needs/nothing/hide", "/needs/%00/hide", "/needs//hide"] {
        let answer = vera.post(path, &[]).await;
        assert!(answer.status < 500, "{path}: {}", answer.status);
    }
    let long = format!("/needs/{}/hide", "x".repeat(4000));
    assert!(vera.post(&long, &[]).await.status < 500);
    let told = vera.get("/").await.text(".flash");
    assert!(told.contains("has changed or gone"), "{told}");
    let vera = test.user("vera").await;
    let stored = db::hidden_needs::of_user(&test.app.db, &vera.id, test.clock.now()).await.expect("reads");
    assert_eq!(stored, []);
}

async fn what_somebody_hid_is_stored_for_a_while_and_for_them_alone(test: TestDb) {
    let test = TestApp::on(test, |_| {}).await;
    let (vera, otto, now) = (test.user("vera").await.id, test.user("otto").await.id, test.clock.now());
    let db = &test.app.db;
    let hide = async |need: &str, hours: u64| {
        let hidden =
            Hidden { need: need.to_owned(), since: now, until: now + Duration::from_secs(hours * 3600) };
        let mut tx = db.begin().await.expect("begins");
        db::hidden_needs::put(&mut tx, &vera, &hidden).await.expect("stores");
        tx.commit().await.expect("commits");
        hidden
    };
    hide("a", 24).await;
    let (a, b) = (hide("a", 30).await, hide("b", 1).await);
    let of = async |user, at| {
        let mut found = db::hidden_needs::of_user(db, user, at).await.expect("reads");
        found.sort_by(|one, other| one.need.cmp(&other.need));
        found
    };
    assert_eq!(of(&vera, now).await, [a.clone(), b.clone()]);
    assert_eq!(of(&otto, now).await, []);
    assert_eq!(of(&vera, b.until).await, std::slice::from_ref(&a));
    let mut tx = db.begin().await.expect("begins");
    db::hidden_needs::remove(&mut tx, &otto, "a").await.expect("nothing of otto's");
    db::hidden_needs::remove(&mut tx, &vera, "b").await.expect("removes");
    tx.commit().await.expect("commits");
    assert_eq!(of(&vera, now).await, [a]);
    // It goes with the account.
    users::delete(&test.app, &docknap::app::Actor::cli(), &vera).await.expect("deletes");
    assert_eq!(of(&vera, now).await, []);
}

/// A container's line on the first page.
async fn told(client: &mut Client, name: &str) -> String {
    let page = client.get("/").await;
    let rows = page.text("#now");
    rows.find(name).map(|at| rows[at..].to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn a_line_says_by_whose_hand_it_is_so_as_far_as_somebody_saw_it() {
    let ends = |c: docknap::sim::ContainerSpec| c.stops_after(Duration::ZERO, 143);
    let world = World::new()
        .stack("shop", |s| s.service("web", |c| c).service("db", ends))
        .stack("old", |s| s.service("web", |c| c).service("db", |c| c.exited(143)))
        .container("stubborn", |c| c.ignores_sigterm().stop_timeout(1));
    let test = over(world).await;
    let bench = test.bench();
    let mut vera = test.viewer().await;
    bench.advance(Duration::from_secs(600)).await;
    bench.sim.stop("shop-db-1").expect("it stops");
    bench.sim.stop("stubborn").expect("it stops");
    bench.advance(Duration::from_secs(60)).await;
    bench.tick().await;
    bench.quiet().await;
    let by =
        "Stopped with Docker's own command or another program at 20:10 today; DockNap does not know by whom";
    let seen = told(&mut vera, "shop is only partly up").await;
    assert!(seen.contains(&format!("shop-db-1 is down. {by}")), "{seen}");
    let seen = told(&mut vera, "stubborn ended with exit code 137").await;
    assert!(seen.contains(by), "{seen}");
    // Nobody saw this one end: nobody is named, nor that anybody stopped it.
    let unseen = told(&mut vera, "old is only partly up").await;
    let line = unseen.split(" Hide").next().unwrap_or_default();
    assert!(line.contains("old-db-1 is down. DockNap was not watching when it ended"), "{line}");
    assert!(!line.to_lowercase().contains("stopped"), "{line}");
    // What ended by itself was stopped by nobody.
    bench.sim.exit("old-web-1", 3);
    bench.advance(Duration::from_secs(60)).await;
    bench.tick().await;
    let seen = told(&mut vera, "old-web-1 ended with exit code 3").await;
    assert!(seen.contains("It ended by itself at 20:11 today"), "{seen}");
}

#[tokio::test]
async fn a_drift_says_who_brought_it_about() {
    let test = over(World::new().container("loner", |c| c).container("other", |c| c)).await;
    let bench = test.bench();
    let mut api = test.bearer(Role::Operator).await;
    for (name, window) in [("loner", "sleep 23:00-07:00"), ("other", "sleep 19:00-07:00")] {
        let body = json!({
            "target_type": "container", "target_id": name, "kind": "window", "window": window,
            "timezone": "UTC", "policy": "observe",
        });
        assert_eq!(api.post_json("/api/schedules", &body).await.status, 201);
    }
    bench.tick().await;
    bench.settle().await;
    bench.advance(Duration::from_secs(600)).await;
    api.post_json("/api/containers/local/loner/stop", &json!({})).await;
    bench.settle().await;
    bench.sim.start("other").expect("it starts");
    bench.advance(Duration::from_secs(600)).await;
    bench.tick().await;
    bench.settle().await;
    let mut vera = test.viewer().await;
    let seen = told(&mut vera, "loner is napping although it should be awake").await;
    assert!(seen.contains("It sleeps in its waking hours. Stopped by hand by otto at 20:10 today"), "{seen}");
    let seen = told(&mut vera, "other is up although it should be asleep").await;
    assert!(
        seen.contains(
            "It runs in its sleep hours. Started with Docker's own command or another program at 20:10 today; \
             DockNap does not know by whom"
        ),
        "{seen}"
    );
}

#[tokio::test]
async fn a_host_that_is_away_has_a_line_with_a_button_that_tries_again() {
    let test = over(World::new().container("web", |c| c)).await;
    let bench = test.bench();
    bench.sim.daemon_down(DaemonEnd::Crash);
    let is_connected = || test.app.hosts.first().expect("a host").inventory().is_connected();
    bench.until("it is away", async || !is_connected()).await;
    bench.advance(Duration::from_secs(600)).await;
    let mut otto = test.operator().await;
    let page = otto.get("/").await;
    assert_eq!(lines(&page), "Host local does not answer");
    assert!(page.text("#now .lines").contains("10 min ago"), "{}", page.text("#now .lines"));
    assert_eq!(lines(&test.viewer().await.get("/").await), "Host local does not answer");
    bench.sim.daemon_up().expect("it starts");
    let before = test.clock.monotonic();
    let answer = otto.post("/needs/hosts", &[]).await;
    assert_eq!((answer.status, answer.location()), (303, "/"));
    bench.quiet().await;
    assert!(is_connected(), "without its wait");
    assert_eq!(test.clock.monotonic(), before);
    assert!(otto.get("/").await.text("#now").contains(CALM));
}

#[tokio::test]
async fn a_database_that_cannot_store_has_a_line_until_it_can() {
    let test = over(World::new().container("web", |c| c)).await;
    let mut otto = test.operator().await;
    let Db::Sqlite { writer, .. } = &test.app.db else { panic!("it is SQLite") };
    sqlx::query("PRAGMA max_page_count = 1").execute(writer).await.expect("it is set");
    let mut tx = test.app.db.begin().await.expect("begins");
    let large = "x".repeat(1_000_000);
    db::settings::put(&mut tx, "large", &large, test.clock.now()).await.expect_err("there is no room");
    drop(tx);
    let page = otto.get("/").await;
    assert_eq!(lines(&page), "Nothing can be stored");
    let told = page.text("#now .lines");
    assert!(told.contains("The disk of the database is full") && !told.contains("Hide"), "{told}");
    let answer = otto.post("/needs/storage", &[]).await;
    assert_eq!((answer.status, answer.location()), (303, "/"));
    let page = otto.get("/").await;
    assert!(page.text(".flash").contains("stores again"), "{}", page.text(".flash"));
    assert!(page.text("#now").contains(CALM), "{}", page.text("#now"));
}

#[tokio::test]
async fn schedules_that_nobody_keeps_have_a_line_and_somebody_takes_them_over() {
    let test = over(World::new().container("web", |c| c)).await;
    test.add_user("ben", Role::Operator).await;
    let mut ben = test.program();
    ben.get_token("ben").await;
    for name in ["Nights", "Mornings"] {
        let body = json!({
            "name": name, "target_type": "container", "target_id": "web", "cron": "0 4 * * *", "action": "restart",
        });
        assert_eq!(ben.post_json("/api/schedules", &body).await.status, 201);
    }
    let (mut vera, mut otto) = (test.viewer().await, test.operator().await);
    assert!(vera.get("/").await.text("#now").contains(CALM));
    let ben = test.user("ben").await.id;
    users::delete(&test.app, &test.actor(Role::Admin).await, &ben).await.expect("deletes");
    let page = vera.get("/").await;
    assert_eq!(lines(&page), "2 schedules have no owner");
    assert!(
        page.text("#now").contains("The account ben was deleted: Nights, Mornings"),
        "{}",
        page.text("#now")
    );
    assert_eq!(page.attribute("form[action='/needs/owners']", "action"), None, "a viewer takes nothing over");
    let page = otto.get("/").await;
    assert!(page.attribute("form[action='/needs/owners']", "action").is_some());
    assert_eq!(otto.post("/needs/owners", &[]).await.location(), "/");
    let page = otto.get("/").await;
    assert!(page.text(".flash").contains("2 schedules taken over"), "{}", page.text(".flash"));
    assert!(page.text("#now").contains(CALM), "{}", page.text("#now"));
    let list = test.bearer(Role::Viewer).await.get("/api/schedules").await.json();
    let owners: Vec<_> = list["items"].as_array().expect("a list").iter().map(|one| &one["owner"]).collect();
    assert_eq!(owners, ["otto", "otto"]);
    let audit = test.audit().await;
    let taken = audit.iter().filter(|row| row.0 == "schedule.update" && row.2 == "otto");
    assert_eq!(taken.count(), 2, "{audit:?}");
    // A second time there is nothing to take.
    otto.post("/needs/owners", &[]).await;
    assert!(otto.get("/").await.text(".flash").contains("0 schedules"));
}

/// A schedule of somebody's.
fn of(owner: &docknap::domain::user::User, number: u32) -> docknap::domain::schedule::Schedule {
    docknap::domain::schedule::Schedule {
        id: ScheduleId::from(format!("s{number}").as_str()),
        owner: Some(owner.id.clone()),
        ..rows::schedule("x")
    }
}

async fn schedules_of_an_account_that_is_gone_are_found_and_taken_over(test: TestDb) {
    let test = TestApp::on(test, |_| {}).await;
    let db = &test.app.db;
    let (vera, otto) = (test.user("vera").await, test.user("otto").await);
    rows::store_schedules(db, &[of(&vera, 1), of(&otto, 2), of(&vera, 3)]).await;
    assert_eq!(db::schedules::left(db).await.expect("reads"), []);
    users::delete(&test.app, &docknap::app::Actor::cli(), &vera.id).await.expect("deletes");
    let left = db::schedules::left(db).await.expect("reads");
    let left: Vec<_> = left.iter().map(|(one, by)| (one.id.as_str(), by.as_str())).collect();
    assert_eq!(left, [("s1", "vera"), ("s3", "vera")]);
    for (id, taken) in [("s1", true), ("s1", false), ("s2", false), ("nothing", false)] {
        let mut tx = db.begin().await.expect("begins");
        let id = ScheduleId::from(id);
        let adopted = db::schedules::adopt(&mut tx, &id, &otto.id, test.clock.now()).await.expect("writes");
        assert_eq!(adopted, taken, "{id}");
        tx.commit().await.expect("commits");
    }
    let taken = db::schedules::get(db, &ScheduleId::from("s1")).await.expect("reads").expect("it is there");
    assert_eq!((taken.owner_name.as_deref(), taken.rev), (Some("otto"), 2));
    assert_eq!(db::schedules::left(db).await.expect("reads").len(), 1);
}

async fn run(db: &Db, sql: &'static str) {
    match db {
        Db::Sqlite { writer, .. } => drop(sqlx::query(sql).execute(writer).await.expect(sql)),
        Db::Pg(pool) => drop(sqlx::query(sql).execute(pool).await.expect(sql)),
    }
}

/// Migration 22 finds out by the audit log who left what.
async fn schedules_that_were_left_before_are_found_by_who_made_them(test: TestDb) {
    let test = TestApp::on(test, |_| {}).await;
    let db = &test.app.db;
    for undo in [
        "DROP TABLE hidden_needs",
        "DROP INDEX schedules_left",
        "ALTER TABLE schedules DROP COLUMN left_by",
        "ALTER TABLE runs DROP COLUMN also",
        // A column that was added later would take the place of `left_by` in statements that are prepared already.
        "ALTER TABLE schedules DROP COLUMN every_weeks",
        "ALTER TABLE schedules DROP COLUMN anchor",
        "ALTER TABLE schedules DROP COLUMN nth",
        "ALTER TABLE schedules DROP COLUMN label_name",
        "ALTER TABLE schedules DROP COLUMN carrier",
        "ALTER TABLE schedules DROP COLUMN carrier_name",
        "ALTER TABLE schedules DROP COLUMN label_text",
        "ALTER TABLE schedules DROP COLUMN off_reason",
        "ALTER TABLE schedules DROP COLUMN gone_ms",
        "ALTER TABLE schedules DROP COLUMN slug",
        "DELETE FROM _sqlx_migrations WHERE version IN (22, 24, 25, 30, 31)",
    ] {
        run(db, undo).await;
    }
    let columns = "INSERT INTO schedules (id, name, host_id, target_type, target_name, target_identity, kind, action, \
                   cron, enabled, catch_up_s, policy, mode, wake, priority, note, source, owner_id, effective_from_ms, \
                   rev, created_ms, updated_ms) ";
    for (id, source, owner) in
        [("s1", "ui", ""), ("s2", "label", ""), ("s3", "ui", "otto"), ("s4", "api", "")]
    {
        let sql = format!(
            "{columns} SELECT '{id}', 'x', 'local', 'stack', 'media', 'media', 'cron', 'stop', '0 4 * * *', TRUE, 0, \
             'respect', 'stop', 'restore', 0, '', '{source}', (SELECT id FROM users WHERE name = '{owner}'), 0, 1, 0, 0"
        );
        run(db, Box::leak(sql.into_boxed_str())).await;
    }
    for (id, kind) in [("s1", "user"), ("s2", "user"), ("s3", "user"), ("s4", "cli")] {
        let sql = format!(
            "INSERT INTO audit (id, at_ms, actor_kind, actor_id, actor_name, event, object_type, object_id, object_name, \
             outcome, detail) VALUES ('a-{id}', 0, '{kind}', 'u', 'ben', 'schedule.create', 'schedule', '{id}', 'x', 'ok', \
             '{{}}')"
        );
        run(db, Box::leak(sql.into_boxed_str())).await;
    }
    db.migrate().await.expect("it is brought up to date");
    let left = db::schedules::left(db).await.expect("reads");
    let left: Vec<_> = left.iter().map(|(one, by)| (one.id.as_str(), by.as_str())).collect();
    assert_eq!(left, [("s1", "ben")]);
}

#[tokio::test]
async fn a_title_that_is_hostile_stays_text() {
    let world = World::new().container("x", |c| c.label("docknap.protekt", "\"><x"));
    let test = over(world).await;
    let mut vera = test.viewer().await;
    let page = vera.get("/").await;
    assert!(page.body.contains("docknap.protekt"), "{}", page.text("#now"));
    assert!(page.attribute("x", "id").is_none() && !page.body.contains("\"><x"));
}

/// A night's sleep, in the course of which DockNap was down and somebody started two of three.
pub async fn found_running() -> TestApp {
    let world = World::new()
        .stack("shop", |s| {
            s.service("db", |c| c.restart(Restart::No))
                .service("web", |c| c.restart(Restart::No))
                .service("api", |c| c.restart(Restart::No))
        })
        .container("loner", |c| c);
    let mut bench = Bench::new(windows::NOW, world).await;
    windows::keep(&bench, windows::window(windows::NIGHT)).await;
    let loner = docknap::app::schedules::Draft {
        target_type: Some("container".to_owned()),
        target_id: Some("loner".to_owned()),
        ..windows::window(windows::NIGHT)
    };
    windows::keep(&bench, loner).await;
    windows::pass(&bench, "2027-03-02T23:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), [] as [&str; 0]);
    bench.advance(Duration::from_secs(3600)).await;
    bench.kill();
    for name in ["shop-web-1", "shop-api-1", "loner"] {
        bench.sim.start(name).expect("it starts");
    }
    bench.revive().await;
    bench.advance(Duration::from_secs(60)).await;
    windows::look(&bench).await;
    TestApp::over(bench).await
}

#[tokio::test]
async fn what_was_found_running_is_told_once_and_naps_again_at_a_press() {
    let test = found_running().await;
    let bench = test.bench();
    let (mut vera, mut otto) = (test.viewer().await, test.operator().await);
    let page = vera.get("/").await;
    let both = "shop was found running in its sleep hours loner was found running in its sleep hours";
    assert_eq!(lines(&page), both, "one line for all of a stack");
    let told = page.text("#now .lines");
    assert!(
        told.contains(
            "shop-api-1, shop-web-1: started while nobody was watching, so it stays awake until 07:00"
        ),
        "{told}"
    );
    assert_eq!(page.attribute("form[action$=nap-again]", "action"), None, "a viewer puts nothing to sleep");
    let action = otto.get("/").await.attribute("form[action$=nap-again]", "action").expect("a button");
    assert_eq!(vera.post(&action, &[]).await.status, 403);

    let answer = otto.post(&action, &[]).await;
    assert_eq!((answer.status, answer.location()), (303, "/"), "{}", answer.body);
    bench.tick().await;
    bench.settle().await;
    assert_eq!(bench.sim.running("shop"), [] as [&str; 0]);
    assert_eq!(bench.sim.state("loner"), "running", "nobody asked for that");
    let page = otto.get("/").await;
    assert_eq!(lines(&page), "loner was found running in its sleep hours");
    let again = otto.post(&action, &[]).await;
    assert_eq!(again.status, 409, "{}", again.body);
    let ended =
        test.audit().await.into_iter().filter(|row| row.0 == "override.end" && row.2 == "otto").count();
    assert_eq!(ended, 2);
    // It sleeps by its rule again: the morning wakes all of it.
    windows::pass(bench, "2027-03-03T07:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ["shop-api-1", "shop-db-1", "shop-web-1"]);
    let mut otto = test.operator().await;
    assert_eq!(lines(&otto.get("/").await), "", "its sleep is over");
}

#[tokio::test]
async fn what_somebody_was_seen_to_start_is_theirs_without_a_line() {
    let test = over(World::new().container("loner", |c| c)).await;
    let bench = test.bench();
    let body = json!({
        "target_type": "container", "target_id": "loner", "kind": "window", "window": "sleep 19:00-07:00",
        "timezone": "UTC",
    });
    assert_eq!(test.bearer(Role::Operator).await.post_json("/api/schedules", &body).await.status, 201);
    bench.tick().await;
    bench.settle().await;
    bench.advance(Duration::from_secs(600)).await;
    bench.sim.start("loner").expect("it starts");
    bench.quiet().await;
    bench.tick().await;
    let page = test.viewer().await.get("/").await;
    assert!(page.text("#now").contains(CALM), "{}", page.text("#now"));
    let key = docknap::domain::target::key(&docknap::domain::ids::HostId::local(), "name:loner");
    let refused = test.operator().await.post(&format!("/containers/{key}/nap-again"), &[]).await;
    assert_eq!(refused.status, 409);
    assert_eq!(bench.sim.state("loner"), "running");
}
