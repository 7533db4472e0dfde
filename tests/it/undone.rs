//! What is asked for by a button can be taken back for half a minute: all of it, and nothing else.

use std::time::Duration;

use docknap::app::execute::undo::{self, Undone};
use docknap::app::execute::{self, Request};
use docknap::app::nap::{self, NapRequest};
use docknap::app::{Actor, Error};
use docknap::db;
use docknap::domain::action::Action;
use docknap::domain::ids::{HostId, RunId};
use docknap::domain::overrides::DesiredState;
use docknap::domain::permission::Role;
use docknap::domain::run::{ActorRef, RunState, StepState, Trigger};
use docknap::sim::{ContainerSpec, DaemonEnd, Endpoint, Fault, World};

use crate::on_both_engines;
use crate::support::app::{NOW, TestApp};
use crate::support::bench::Bench;
use crate::support::db::TestDb;
use crate::windows::{ALL, NIGHT, at, keep, look, open, pass, runs, shop, window};

const NOON: &str = "2027-03-02T12:00:00Z";

fn someone(id: &str, name: &str) -> Actor {
    let reference = ActorRef { kind: "user".to_owned(), id: Some(id.to_owned()), name: name.to_owned() };
    Actor { reference, role: Role::Operator, ..Actor::cli() }
}

fn anna() -> Actor {
    someone("1", "anna")
}

fn until(end: &str) -> NapRequest {
    NapRequest { until: Some(end.to_owned()), ..NapRequest::default() }
}

async fn act(bench: &Bench, action: Action) -> RunId {
    let request = Request::now(action, Bench::stack("shop"), Trigger::Manual);
    execute::submit(&bench.app, &anna(), request).await.expect("it is accepted").run_id().clone()
}

async fn nap(bench: &Bench, end: &str) -> RunId {
    let target = Bench::stack("shop");
    let asked = nap::nap(&bench.app, &anna(), &target, &until(end), Trigger::Manual).await;
    asked.expect("it naps").run_id().clone()
}

async fn wake(bench: &Bench, end: &str) -> RunId {
    let target = Bench::stack("shop");
    let asked = nap::wake(&bench.app, &anna(), &target, &until(end), Trigger::Manual).await;
    asked.expect("it wakes").run_id().clone()
}

async fn undone(bench: &Bench, run: &RunId) -> Undone {
    let undone = undo::undo(&bench.app, &anna(), run).await.expect("it is undone");
    bench.settle().await;
    look(bench).await;
    undone
}

/// Why it is not undone.
async fn refused(bench: &Bench, actor: &Actor, run: &RunId) -> (String, String) {
    let error = undo::undo(&bench.app, actor, run).await.expect_err("it is refused");
    (error.code().to_owned(), error.to_string())
}

/// Lets what was asked for end, and a few seconds pass.
async fn rest(bench: &Bench) {
    bench.settle().await;
    bench.advance(Duration::from_secs(8)).await;
    look(bench).await;
}

/// What counts, as what is wanted and until when.
async fn counts(bench: &Bench) -> Vec<(DesiredState, String)> {
    open(bench).await.into_iter().map(|one| (one.wanted, one.until.to_string())).collect()
}

on_both_engines!(
    a_nap_is_undone_when_it_has_ended,
    a_nap_is_undone_in_the_middle_of_it,
    what_was_not_begun_never_begins,
    what_it_replaced_is_put_back,
    what_others_changed_since_stays,
    it_is_undone_once_in_time_and_by_who_asked,
);

async fn a_nap_is_undone_when_it_has_ended(test: TestDb) {
    let bench = Bench::on(test, NOON, shop()).await;
    let run = nap(&bench, "3h").await;
    rest(&bench).await;
    assert!(bench.sim.running("shop").is_empty());
    let undone = undone(&bench, &run).await;
    assert_eq!((undone.acts, undone.action, undone.called_off), (3, Action::Start, false));
    assert_eq!((undone.left, undone.keeps_override), (vec![], false));
    assert_eq!(bench.sim.running("shop"), ALL, "and what was off stays off");
    assert_eq!(open(&bench).await, [], "nor does it last");
    let all = runs(&bench).await;
    assert_eq!(all.len(), 2, "nothing else acts for it: {all:#?}");
    let back = &all[1];
    assert_eq!(back.id, undone.run_id);
    assert_eq!(
        (back.trigger, back.state, back.retry_of.as_ref()),
        (Trigger::Undo, RunState::Succeeded, Some(&run))
    );
    assert_eq!(back.why, "undoes: stop shop");
    let closed = db::overrides::list(&bench.app.db, true, None, 10).await.expect("they read");
    assert_eq!(closed[0].closed_reason, "undone by anna");
    pass(&bench, "2027-03-02T15:00:00Z").await;
    assert_eq!(runs(&bench).await.len(), 2, "nothing is left to put back");
    let applied = db::applied::of_host(&bench.app.db, &HostId::local()).await.expect("it reads");
    assert!(applied.is_empty(), "{applied:?}");
}

/// Stops of `web` take 20 s; `db` stops after it.
fn slow() -> World {
    World::new().stack("shop", |s| {
        s.service("db", |c| c)
            .service("web", |c| c.depends_on("db").stops_after(Duration::from_secs(20), 0).stop_timeout(60))
    })
}

async fn in_flight(bench: &Bench, run: &RunId) {
    bench
        .until("it is sent to Docker", async || {
            bench.run(run).await.1.iter().any(|step| step.state == StepState::Issued)
        })
        .await;
}

async fn a_nap_is_undone_in_the_middle_of_it(test: TestDb) {
    let mut bench = Bench::on(test, NOON, slow()).await;
    for restarts in [false, true] {
        let run = nap(&bench, "3h").await;
        in_flight(&bench, &run).await;
        let undone = undo::undo(&bench.app, &anna(), &run).await.expect("it is undone");
        assert!(undone.called_off);
        if restarts {
            bench.kill();
            bench.revive().await;
        }
        bench.settle().await;
        look(&bench).await;
        assert_eq!(bench.sim.running("shop"), ["shop-db-1", "shop-web-1"]);
        let (was, steps) = bench.run(&run).await;
        assert_eq!((was.state, &*was.reason), (RunState::Cancelled, "called off by anna"));
        let states: Vec<_> = steps.iter().map(|step| (&*step.container, step.state)).collect();
        assert_eq!(states, [("shop-web-1", StepState::Succeeded), ("shop-db-1", StepState::Skipped)]);
        let (back, _) = bench.run(&undone.run_id).await;
        assert_eq!((back.state, back.trigger), (RunState::Succeeded, Trigger::Undo));
        assert_eq!(open(&bench).await, []);
        bench.advance(Duration::from_secs(60)).await;
    }
    assert!(!bench.sim.acts().iter().any(|(_, name, _)| name == "shop-db-1"), "{:?}", bench.sim.acts());
}

async fn what_was_not_begun_never_begins(test: TestDb) {
    let bench = Bench::on(test, NOON, shop()).await;
    bench.sim.daemon_down(DaemonEnd::Graceful);
    bench
        .until("the link is down", async || {
            !bench.app.hosts.first().expect("a host").inventory().is_connected()
        })
        .await;
    let run = nap(&bench, "3h").await;
    let undone = undo::undo(&bench.app, &anna(), &run).await.expect("it is undone while its host is away");
    assert_eq!((undone.acts, undone.called_off), (0, true));
    assert_eq!(bench.run(&run).await.0.state, RunState::Cancelled);
    assert_eq!(bench.run(&undone.run_id).await.0.state, RunState::Skipped);
    assert_eq!(open(&bench).await, []);
    bench.sim.daemon_up().expect("it starts");
    bench
        .until("it is connected again", async || {
            bench.app.hosts.first().expect("a host").inventory().is_connected()
        })
        .await;
    look(&bench).await;
    assert!(bench.sim.acts().iter().all(|(endpoint, ..)| *endpoint != Endpoint::Stop));
}

async fn what_it_replaced_is_put_back(test: TestDb) {
    let world = World::new().stack("shop", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")));
    let bench = Bench::on(test, NOON, world).await;
    // A nap without an end, then awake for an hour, for two, and put to sleep by mistake.
    nap(&bench, "").await;
    rest(&bench).await;
    wake(&bench, "1h").await;
    rest(&bench).await;
    wake(&bench, "2h").await;
    rest(&bench).await;
    let before = counts(&bench).await;
    assert_eq!(before.len(), 1);
    let run = nap(&bench, "3h").await;
    rest(&bench).await;
    assert_eq!(counts(&bench).await[0].0, DesiredState::Asleep);
    assert!(!undone(&bench, &run).await.keeps_override);
    assert_eq!(counts(&bench).await, before);
    assert_eq!(bench.sim.running("shop"), ["shop-db-1", "shop-web-1"]);
    let acts = bench.sim.acts().len();
    pass(&bench, "2027-03-02T13:30:00Z").await;
    assert_eq!(
        (bench.sim.running("shop").len(), bench.sim.acts().len()),
        (2, acts),
        "it is awake for two hours"
    );
    pass(&bench, "2027-03-02T14:01:00Z").await;
    assert!(bench.sim.running("shop").is_empty(), "and sleeps again then, as without the mistake");
}

async fn what_others_changed_since_stays(test: TestDb) {
    let bench = Bench::on(test, NOON, shop()).await;
    let run = nap(&bench, "").await;
    rest(&bench).await;
    bench.sim.start("shop-db-1").expect("somebody starts it");
    bench.advance(Duration::from_secs(1)).await;
    bench.sim.stop("shop-db-1").expect("and stops it");
    look(&bench).await;
    let undone = undone(&bench, &run).await;
    assert_eq!(undone.left, [("shop-db-1".to_owned(), "it was changed since".to_owned())]);
    assert_eq!((undone.acts, bench.sim.running("shop").len()), (2, 2));
    assert_eq!(bench.sim.state("shop-db-1"), "exited");
    let (_, steps) = bench.run(&undone.run_id).await;
    let db = steps.iter().find(|step| step.container == "shop-db-1").expect("it is told");
    assert_eq!((db.state, &*db.reason), (StepState::Skipped, "it was changed since"));
    let tool = steps.iter().find(|step| step.container == "shop-tool-1").expect("it is told");
    assert_eq!(tool.reason, "not part of what is undone");
}

async fn it_is_undone_once_in_time_and_by_who_asked(test: TestDb) {
    let bench = Bench::on(test, NOON, shop()).await;
    let run = act(&bench, Action::Stop).await;
    bench.settle().await;
    let (code, why) = refused(&bench, &someone("2", "otto"), &run).await;
    assert_eq!((&*code, &*why), ("not_yours", "this was asked for by anna, who alone can undo it"));
    let viewer = Actor { role: Role::Viewer, ..anna() };
    assert!(matches!(undo::undo(&bench.app, &viewer, &run).await, Err(Error::Forbidden { .. })));
    assert!(bench.sim.running("shop").is_empty());
    let asked = bench.run(&run).await.0.created_at;
    bench.leap_to(asked + undo::TIME).await;
    let back = undone(&bench, &run).await.run_id;
    assert_eq!(bench.sim.running("shop"), ALL, "in the last instant");
    assert_eq!(refused(&bench, &anna(), &run).await.0, "undone_already");
    assert_eq!(refused(&bench, &anna(), &back).await.0, "not_undoable", "an undo is none to undo");

    let run = act(&bench, Action::Stop).await;
    bench.settle().await;
    let asked = bench.run(&run).await.0.created_at;
    bench.leap_to(asked + undo::TIME + jiff::SignedDuration::from_millis(1)).await;
    let (code, why) = refused(&bench, &anna(), &run).await;
    assert_eq!((&*code, &*why), ("too_late", "it is too late to undo this; use Wake"));
    assert!(bench.sim.running("shop").is_empty());
    let wake = act(&bench, Action::Start).await;
    rest(&bench).await;
    let restart = act(&bench, Action::Restart).await;
    bench.settle().await;
    assert_eq!(
        refused(&bench, &anna(), &restart).await,
        ("not_undoable".to_owned(), "a restart cannot be undone".to_owned())
    );
    bench.advance(Duration::from_secs(60)).await;
    assert_eq!(refused(&bench, &anna(), &wake).await.1, "it is too late to undo this; use Nap");
}

#[tokio::test]
async fn a_start_goes_back_to_what_was_up_and_paused() {
    let world = World::new().stack("shop", |s| {
        s.service("db", |c| c).service("cache", |c| c.exited(143)).service("web", |c| c.exited(143))
    });
    let bench = Bench::new(NOON, world).await;
    let run = act(&bench, Action::Start).await;
    rest(&bench).await;
    assert_eq!(bench.sim.running("shop").len(), 3);
    // Somebody restarts one of them: that one is theirs now.
    bench.sim.stop("shop-cache-1").expect("it stops");
    bench.advance(Duration::from_secs(1)).await;
    bench.sim.start("shop-cache-1").expect("it starts");
    look(&bench).await;
    let undone = undone(&bench, &run).await;
    assert_eq!(undone.left, [("shop-cache-1".to_owned(), "it was changed since".to_owned())]);
    assert_eq!(bench.sim.running("shop"), ["shop-cache-1", "shop-db-1"]);
}

#[tokio::test]
async fn a_pause_and_its_end_go_back() {
    let bench = Bench::new(NOON, shop()).await;
    let run = act(&bench, Action::Pause).await;
    rest(&bench).await;
    assert_eq!(bench.sim.state("shop-db-1"), "paused");
    undone(&bench, &run).await;
    assert_eq!(bench.sim.running("shop"), ALL);
    act(&bench, Action::Pause).await;
    rest(&bench).await;
    let run = act(&bench, Action::Unpause).await;
    rest(&bench).await;
    let undone = undone(&bench, &run).await;
    assert_eq!((undone.action, &*bench.sim.state("shop-db-1")), (Action::Pause, "paused"));
}

/// In its sleep hours a stack is woken by mistake: it sleeps again, its hours decide, and it wakes at their end.
#[tokio::test]
async fn inside_a_window_its_hours_decide_again() {
    for policy in ["respect", "enforce", "observe"] {
        let bench = Bench::new("2027-03-02T22:30:00Z", shop()).await;
        let draft = docknap::app::schedules::Draft { policy: Some(policy.to_owned()), ..window(NIGHT) };
        keep(&bench, draft).await;
        pass(&bench, "2027-03-02T23:00:00Z").await;
        assert!(bench.sim.running("shop").is_empty());
        pass(&bench, "2027-03-03T01:00:00Z").await;
        let run = act(&bench, Action::Start).await;
        rest(&bench).await;
        assert_eq!(bench.sim.running("shop").len(), 4, "{policy}: what was off is on as well");
        undone(&bench, &run).await;
        assert!(bench.sim.running("shop").is_empty(), "{policy}");
        assert_eq!(open(&bench).await, [], "{policy}");
        let acts = bench.sim.acts().len();
        pass(&bench, "2027-03-03T02:00:00Z").await;
        assert_eq!(bench.sim.acts().len(), acts, "{policy}: nothing more is done");
        pass(&bench, "2027-03-03T07:00:00Z").await;
        assert_eq!(bench.sim.running("shop"), ALL, "{policy}: what slept wakes at the end of its sleep");
    }
}

#[tokio::test]
async fn an_override_that_others_made_since_stays() {
    let bench = Bench::new(NOON, shop()).await;
    let run = nap(&bench, "3h").await;
    rest(&bench).await;
    let otto = someone("2", "otto");
    nap::nap(&bench.app, &otto, &Bench::stack("shop"), &until("5h"), Trigger::Manual)
        .await
        .expect("it naps on");
    rest(&bench).await;
    let before = counts(&bench).await;
    assert!(undone(&bench, &run).await.keeps_override);
    assert_eq!(counts(&bench).await, before);
}

#[tokio::test]
async fn while_its_host_is_away_nothing_is_undone() {
    let bench = Bench::new(NOON, shop()).await;
    let run = nap(&bench, "3h").await;
    rest(&bench).await;
    bench.sim.daemon_down(DaemonEnd::Graceful);
    bench
        .until("the link is down", async || {
            !bench.app.hosts.first().expect("a host").inventory().is_connected()
        })
        .await;
    let (code, why) = refused(&bench, &anna(), &run).await;
    assert_eq!(code, "docker");
    assert!(why.starts_with("not undone on local: the host cannot be reached"), "{why}");
    assert_eq!(counts(&bench).await.len(), 1, "nothing was changed");
}

/// `media` and `shop` are up, `wiki` is down, nobody may touch `guard`.
async fn site() -> TestApp {
    let world = World::new()
        .stack("media", |s| s.service("web", |c| c))
        .stack("shop", |s| s.service("web", |c| c))
        .stack("wiki", |s| s.service("app", |c| c.exited(143)))
        .container("guard", ContainerSpec::protect);
    TestApp::over(Bench::new(NOW, world).await).await
}

#[tokio::test]
async fn several_with_one_refused_are_undone_by_one_button() {
    let test = site().await;
    let mut otto = test.operator().await;
    let guard =
        test.app.hosts.first().expect("a host").inventory().by_name("guard").expect("it is there").key();
    let mut keys =
        ["media", "shop", "wiki"].map(|name| format!("stack/{}", Bench::stack(name).key())).to_vec();
    keys.push(format!("container/{guard}"));
    let fields: Vec<(&str, &str)> =
        keys.iter().map(|key| ("t", &**key)).chain([("do", "nap"), ("until", "2h")]).collect();
    let answer = otto.post_part("/actions", &fields).await;
    let told = answer.text(".toast p");
    assert!(
        told.starts_with("2 targets nap, 2 are left as they are (wiki: already stopped; guard: protected"),
        "{told}"
    );
    let href = answer.attribute(".toast form", "action").expect("a way back");
    assert_eq!(href.matches("run=").count(), 3, "{href}");
    test.bench().settle().await;
    test.bench().quiet().await;
    assert_eq!(open(test.bench()).await.len(), 3);

    let other = test.admin().await.post_part(&href, &[]).await;
    assert_eq!(other.status, 409);
    assert!(other.text(".toast").contains("who alone can undo it"), "{}", other.body);
    assert_eq!(test.viewer().await.post_part(&href, &[]).await.status, 403);
    let back = otto.post_part(&href, &[]).await;
    let told = back.text(".toast p");
    assert_eq!(told, "Undone: 2 go back to what they were. View runs");
    assert_eq!(back.attribute(".toast form", "action"), None, "no undo of an undo");
    test.bench().settle().await;
    test.bench().quiet().await;
    assert_eq!(open(test.bench()).await, []);
    for name in ["media-web-1", "shop-web-1"] {
        assert_eq!(test.bench().sim.state(name), "running", "{name}");
    }
    assert_eq!(test.bench().sim.state("wiki-app-1"), "exited");
    let twice = otto.post_part(&href, &[]).await;
    assert_eq!(twice.status, 409);
    assert!(twice.text(".toast").contains("This was undone already."), "{}", twice.body);
    // It is told wherever runs and acts are.
    let list = otto.get("/runs?trigger=undo").await;
    assert!(list.text("#runs").contains("as an undo"), "{}", list.text("#runs"));
    let page = list.attribute("#runs .run .main-link", "href").expect("a run");
    assert!(otto.get(&page).await.text("#run").contains("Undoes an earlier run"));
    let log = test.admin().await.get("/audit").await;
    assert!(
        log.text("#audit").contains("asked to undo what was just done to the stack"),
        "{}",
        log.text("#audit")
    );
}

#[tokio::test]
async fn one_is_undone_without_scripts_and_too_late_says_so() {
    let test = site().await;
    let mut otto = test.operator().await;
    let path = format!("/stacks/{}", Bench::stack("media").key());
    let answer = otto.post(&format!("{path}/stop"), &[("back", "/?q=e")]).await;
    let (page, _) = otto.follow(&answer).await;
    let href = page.attribute(".flash form", "action").expect("a way back");
    test.bench().settle().await;
    let back = otto.post(&href, &[]).await;
    assert_eq!(back.location(), "/?q=e", "where the message was");
    assert_eq!(otto.get("/?q=e").await.text(".flash > span"), "Undone: media starts again. View run");
    test.bench().settle().await;

    let answer = otto.post_part(&format!("{path}/stop"), &[]).await;
    let href = answer.attribute(".toast form", "action").expect("a way back");
    test.bench().settle().await;
    test.bench().advance(Duration::from_secs(31)).await;
    let late = otto.post(&href, &[]).await;
    assert_eq!(late.status, 409);
    assert!(late.text("main").contains("It is too late to undo this; use Wake."), "{}", late.text("main"));
    let restart = otto.post_part(&format!("{path}/restart"), &[]).await;
    assert_eq!(restart.attribute(".toast form", "action"), None);
    for query in ["", "?run=", &format!("?{}", "run=x&".repeat(300)), "?run=%00"] {
        let odd = otto.post(&format!("/undo{query}"), &[]).await;
        assert!([404, 422].contains(&odd.status), "{query}: {}", odd.status);
    }
    let many = (0..201).map(|n| format!("run={n}&")).collect::<Vec<_>>().concat();
    assert_eq!(otto.post(&format!("/undo?{many}"), &[]).await.status, 422);
}

#[tokio::test]
async fn a_program_undoes_what_its_owner_asked_for() {
    let test = site().await;
    let mut otto = test.bearer(Role::Operator).await;
    let asked = otto.post_json("/api/stacks/local/media/nap", &serde_json::json!({"until": "1h"})).await;
    let run = asked.json()["run_id"].as_str().expect("an id").to_owned();
    test.bench().settle().await;
    let undone = otto.post_json(&format!("/api/runs/{run}/undo"), &serde_json::json!({})).await;
    assert_eq!(undone.status, 202, "{}", undone.body);
    test.bench().settle().await;
    assert_eq!(test.bench().sim.state("media-web-1"), "running");
    let id = undone.json()["run_id"].as_str().expect("an id").to_owned();
    let shown = otto.get(&format!("/api/runs/{id}")).await.json();
    assert_eq!((&shown["trigger"], &shown["retry_of"]), (&"undo".into(), &run.into()));
    let twice = otto
        .post_json(
            &format!("/api/runs/{}/undo", shown["retry_of"].as_str().expect("it")),
            &serde_json::json!({}),
        )
        .await;
    assert_eq!((twice.status, twice.json()["code"].as_str()), (409, Some("undone_already")));
}

#[tokio::test]
async fn what_cannot_be_stored_changes_nothing() {
    let bench = Bench::new(NOON, shop()).await;
    bench.sim.fault(Fault::delay(Duration::from_secs(5)).on(Endpoint::Stop));
    let run = nap(&bench, "3h").await;
    in_flight(&bench, &run).await;
    let db::Db::Sqlite { writer, .. } = &bench.app.db else { panic!("it is SQLite") };
    let trigger = "CREATE TRIGGER full BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, 'full'); END";
    sqlx::query(trigger).execute(writer).await.expect("it is made");
    undo::undo(&bench.app, &anna(), &run).await.expect_err("it cannot be stored");
    sqlx::query("DROP TRIGGER full").execute(writer).await.expect("it goes");
    bench.settle().await;
    assert_eq!(bench.run(&run).await.0.state, RunState::Succeeded, "it went on");
    assert_eq!(counts(&bench).await, [(DesiredState::Asleep, at("2027-03-02T15:00:00Z").to_string())]);
}
