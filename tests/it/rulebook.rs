//! What decides is right beside other writers: what another process stores is known to the next page and the next pass.

use std::sync::Arc;

use docknap::app::rulebook::RuleBook;
use docknap::db::{self, Db, Tx};
use docknap::domain::calendar::{Calendar, CalendarEffect, CalendarSpec};
use docknap::domain::ids::HostId;
use docknap::domain::nap::{Nap, NapKind};
use docknap::domain::overrides::{DesiredState, Override, Reach};
use docknap::domain::permission::Role;
use docknap::domain::run::ActorRef;
use docknap::domain::schedule::{Schedule, When};
use docknap::domain::target::Target;
use docknap::sim::World;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::support::app::{NOW, TestApp};
use crate::support::bench::Bench;
use crate::support::db::TestDb;
use crate::support::program::{PATIENCE, Program, settings};
use crate::support::rows::{member, schedule};
use crate::support::sim::Simulated;
use crate::support::wait;

on_both_engines!(
    what_a_second_connection_writes_is_known_to_the_next_page_and_pass,
    each_write_to_what_decides_counts_in_its_transaction,
    what_nobody_changed_is_not_read_again,
    a_second_connection_changes_what_serve_goes_by,
);

/// `shop` sleeps from now on.
fn always_asleep(id: &str, now: Timestamp) -> Schedule {
    let mut one = schedule(id);
    one.spec.target = Target::stack(HostId::local(), "shop");
    one.spec.when = When::Window("sleep Mon-Sun 00:00-24:00".to_owned());
    one.effective_from = now;
    one.next_due = None;
    one
}

fn awake(id: &str, now: Timestamp) -> Override {
    Override {
        id: id.into(),
        reach: Reach::Target(Target::stack(HostId::local(), "shop")),
        target_name: "shop".to_owned(),
        wanted: DesiredState::Awake,
        created_at: now,
        until: now.checked_add(2.hours()).expect("a time"),
        reason: "a visit".to_owned(),
        author: ActorRef { kind: "cli".to_owned(), id: None, name: "command line".to_owned() },
        by_hand: false,
        puts_back: false,
        closed_at: None,
        closed_reason: String::new(),
    }
}

fn holidays(rev: i64, date: &str, now: Timestamp) -> Calendar {
    let spec = CalendarSpec {
        name: "Holidays".to_owned(),
        dates: vec![date.parse().expect("a date")],
        ranges: Vec::new(),
        yearly: Vec::new(),
        ics: None,
    };
    Calendar { id: "c1".into(), spec, rev, created_at: now, updated_at: now }
}

async fn write(db: &Db, what: impl AsyncFnOnce(&mut Tx)) {
    let mut tx = db.begin().await.expect("begins");
    what(&mut tx).await;
    tx.commit().await.expect("commits");
}

async fn desired(test: &TestApp) -> Value {
    test.bearer(Role::Viewer).await.get("/api/stacks/local/shop").await.json()["desired"].clone()
}

async fn what_a_second_connection_writes_is_known_to_the_next_page_and_pass(database: TestDb) {
    let other = database.another().await;
    let world = World::new().stack("shop", |s| s.service("web", |c| c));
    let test = TestApp::over(Bench::on(database, NOW, world).await).await;
    let bench = test.bench();
    let now = bench.clock.now();
    assert_eq!(desired(&test).await, "none");
    bench.tick().await;

    // Nobody tells the scheduler: not of a window …
    write(&other, async |tx| db::schedules::insert(tx, &always_asleep("s1", now)).await.expect("stores"))
        .await;
    assert_eq!(desired(&test).await, "asleep");
    bench.tick().await;
    bench.settle().await;
    assert!(bench.sim.running("shop").is_empty(), "the window is applied");

    // … nor of an override …
    write(&other, async |tx| db::overrides::insert(tx, &awake("o1", now)).await.expect("stores")).await;
    assert_eq!(desired(&test).await, "awake");
    bench.tick().await;
    bench.settle().await;
    assert_eq!(bench.sim.running("shop").len(), 1, "the override is applied");

    // … and its end.
    write(&other, async |tx| {
        assert!(db::overrides::close(tx, &"o1".into(), bench.clock.now(), "over").await.expect("stores"));
    })
    .await;
    assert_eq!(desired(&test).await, "asleep");
    bench.tick().await;
    bench.settle().await;
    assert!(bench.sim.running("shop").is_empty(), "the window is applied again");

    // A calendar that keeps it awake today, and then another day.
    let today = bench.clock.now().strftime("%Y-%m-%d").to_string();
    let mut going_by = always_asleep("s1", now);
    going_by.spec.calendar = Some(("c1".into(), CalendarEffect::parse("awake").expect("an effect")));
    going_by.rev = 2;
    write(&other, async |tx| {
        db::calendars::insert(tx, &holidays(1, &today, now)).await.expect("stores");
        assert!(db::schedules::update(tx, &going_by, 1).await.expect("stores"));
    })
    .await;
    let dates = async || {
        let book = RuleBook::load(&test.app).await.expect("reads");
        let dates = book.dates(&"c1".into()).expect("it is there");
        dates.days.contains(today.parse().expect("a date"))
    };
    assert!(dates().await, "the calendar names today");
    write(&other, async |tx| {
        assert!(db::calendars::update(tx, &holidays(2, "2027-12-24", now), 1).await.expect("stores"));
    })
    .await;
    assert!(!dates().await, "it does so no more");

    // The zone of schedules that name none.
    let zone = async || {
        let schedule = test.bearer(Role::Viewer).await.get("/api/schedules/s1").await.json();
        schedule["effective_timezone"].clone()
    };
    assert_eq!(zone().await, "UTC");
    write(&other, async |tx| {
        db::settings::put(tx, "timezone", "Asia/Tokyo", now).await.expect("stores");
    })
    .await;
    assert_eq!(zone().await, "Asia/Tokyo");
}

async fn each_write_to_what_decides_counts_in_its_transaction(database: TestDb) {
    let other = database.another().await;
    let now = NOW.parse().expect("an instant");
    let versions = async || db::rulebook::versions(&database.db).await.expect("reads");
    let mut before = versions().await;
    let mut counted = async |rules: bool, naps: bool, what: &str| {
        let after = versions().await;
        let moved = (after.rules > before.rules, after.naps > before.naps);
        assert_eq!(moved, (rules, naps), "{what}: {before:?}, {after:?}");
        before = after;
    };
    write(&other, async |tx| db::schedules::insert(tx, &always_asleep("s1", now)).await.expect("stores"))
        .await;
    counted(true, false, "a schedule is stored").await;
    write(&other, async |tx| {
        let changed = Schedule { rev: 2, ..always_asleep("s1", now) };
        assert!(db::schedules::update(tx, &changed, 1).await.expect("stores"));
    })
    .await;
    counted(true, false, "a schedule is changed").await;
    write(&other, async |tx| db::overrides::insert(tx, &awake("o1", now)).await.expect("stores")).await;
    counted(true, false, "an override").await;
    write(&other, async |tx| {
        assert!(db::overrides::end_now(tx, &"o1".into(), now, "over").await.expect("stores"));
    })
    .await;
    counted(true, false, "its end").await;
    write(&other, async |tx| {
        db::calendars::insert(tx, &holidays(1, "2027-01-01", now)).await.expect("stores")
    })
    .await;
    counted(true, false, "a calendar").await;
    write(&other, async |tx| {
        assert!(db::calendars::delete(tx, &"c1".into(), 1).await.expect("stores"));
    })
    .await;
    counted(true, false, "a calendar is deleted").await;
    write(&other, async |tx| db::settings::put(tx, "timezone", "UTC", now).await.expect("stores")).await;
    counted(true, false, "the zone").await;
    let nap = Nap { kind: NapKind::Stop, run_id: "r1".into(), since: now };
    let (host, web) = (HostId::local(), member("shop", "web"));
    write(&other, async |tx| db::naps::put(tx, &host, &web, &nap).await.expect("stores")).await;
    counted(false, true, "a nap").await;
    write(&other, async |tx| db::naps::remove(tx, &host, &web).await.expect("stores")).await;
    counted(false, true, "its end").await;
    let mut tx = other.begin().await.expect("begins");
    db::settings::put(&mut tx, "timezone", "Asia/Tokyo", now).await.expect("stores");
    tx.roll_back().await.expect("undone");
    counted(false, false, "what is undone has not happened").await;
    write(&other, async |_| ()).await;
    counted(false, false, "a transaction without a write").await;
}

async fn what_nobody_changed_is_not_read_again(database: TestDb) {
    let other = database.another().await;
    let test = TestApp::on(database, |_| ()).await;
    let now = test.clock.now();
    let load = async || RuleBook::load(&test.app).await.expect("reads");
    write(&other, async |tx| db::schedules::insert(tx, &always_asleep("s1", now)).await.expect("stores"))
        .await;
    let first = load().await;
    assert!(Arc::ptr_eq(&first, &load().await), "nothing was written");
    let nap = Nap { kind: NapKind::Stop, run_id: "r1".into(), since: now };
    let (host, web) = (HostId::local(), member("shop", "web"));
    write(&other, async |tx| db::naps::put(tx, &host, &web, &nap).await.expect("stores")).await;
    let napping = load().await;
    assert!(napping.naps(&host).contains_key(&web) && !first.naps(&host).contains_key(&web));
    assert!(Arc::ptr_eq(&first.rules, &napping.rules), "no rule was written");
    // Repeating dates of calendars are worked out from the beginning of a month on.
    test.clock.advance(std::time::Duration::from_secs(31 * 86_400));
    assert!(!Arc::ptr_eq(&napping, &load().await), "another month");
}

/// The real program, which another process writes beside.
async fn a_second_connection_changes_what_serve_goes_by(database: TestDb) {
    let home = tempfile::tempdir().expect("a directory");
    let world = World::new().stack("shop", |s| s.service("web", |c| c)).container("lone", |c| c);
    let simulated = Simulated::start(docknap::clock::Clock::system(), world).await;
    let mut settings = settings(home.path(), &simulated.control.docker_host());
    settings.push(("DOCKNAP_SECRET_KEY".to_owned(), "k".repeat(40)));
    if let Db::Pg(pool) = &database.db {
        let name = pool.connect_options().get_database().expect("it has a name").to_owned();
        let server = std::env::var("DOCKNAP_TEST_POSTGRES_URL").expect("it is set");
        let base = server.rsplit_once('/').expect("the URL ends with /DATABASE").0;
        settings.push(("DOCKNAP_DATABASE_URL".to_owned(), format!("{base}/{name}")));
    }
    let mut program = Program::start(Program::binary(), &settings);
    program.serves().await;
    let other = match &database.db {
        Db::Pg(_) => database.another().await,
        Db::Sqlite { .. } => {
            let file = home.path().join("data/docknap.db");
            Db::open(&format!("sqlite:{}", file.display())).await.expect("it opens")
        }
    };
    wait::until("the stack is seen", PATIENCE, async || {
        program.status("/api/stacks/local/shop").await == 200
    })
    .await;
    let stack = async |field: &str| program.get("/api/stacks/local/shop").await[field].clone();
    assert_eq!(stack("desired").await, "none");

    // The command line …
    Program::create_bob(&settings, "a walk along the harbour");
    let body = json!({"username": "bob", "password": "a walk along the harbour"});
    assert_eq!(program.post("/api/auth/login", &body).await.0, 200, "he is let in");

    // … and a second connection.
    let now = docknap::clock::Clock::system().now();
    write(&other, async |tx| {
        db::schedules::insert(tx, &always_asleep("s1", now)).await.expect("stores");
    })
    .await;
    assert_eq!(stack("desired").await, "asleep");
    write(&other, async |tx| {
        db::settings::put(tx, "timezone", "Asia/Tokyo", Timestamp::UNIX_EPOCH).await.expect("stores");
    })
    .await;
    assert_eq!(program.get("/api/schedules/s1").await["effective_timezone"], "Asia/Tokyo");
    // The end of a run makes the scheduler look: that pass knows the window.
    let restart = program.post("/api/containers/local/lone/restart", &json!({})).await;
    assert!(restart.0 < 300, "{restart:?}");
    wait::until("the stack sleeps", PATIENCE, async || stack("status").await == "stopped").await;
}
