//! Naps and wakes with an end, where no window decides: they put back what they changed, and nothing else.

use docknap::app::nap::{self, NapRequest};
use docknap::app::{overrides, schedules, stacks, timeline};
use docknap::domain::action::Action;
use docknap::domain::ids::HostId;
use docknap::domain::overrides::DesiredState;
use docknap::domain::permission::Role;
use docknap::domain::run::{RunState, Trigger};
use docknap::sim::DaemonEnd;

use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;
use crate::windows::{ALL, NIGHT, at, keep, look, open, pass, runs, shop, window, wish};

const NOON: &str = "2027-03-02T12:00:00Z";

fn until(end: &str) -> NapRequest {
    NapRequest { until: Some(end.to_owned()), ..NapRequest::default() }
}

async fn nap_for(bench: &Bench, end: &str) {
    let target = Bench::stack("shop");
    nap::nap(&bench.app, &person(), &target, &until(end), Trigger::Manual).await.expect("it naps");
    bench.settle().await;
    look(bench).await;
}

async fn wake_for(bench: &Bench, end: &str) {
    let target = Bench::stack("shop");
    nap::wake(&bench.app, &person(), &target, &until(end), Trigger::Manual).await.expect("it wakes");
    bench.settle().await;
    look(bench).await;
}

on_both_engines!(a_timed_nap_wakes_what_it_put_to_sleep, a_timed_wake_puts_back_to_sleep_what_it_woke);

async fn a_timed_nap_wakes_what_it_put_to_sleep(test: TestDb) {
    let bench = Bench::on(test, NOON, shop()).await;
    nap_for(&bench, "1h").await;
    assert!(bench.sim.running("shop").is_empty());
    pass(&bench, "2027-03-02T12:59:00Z").await;
    assert!(bench.sim.running("shop").is_empty(), "not before its end");
    pass(&bench, "2027-03-02T13:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ALL, "what was off stays off");
    let run = runs(&bench).await.pop().expect("a run");
    let told = (run.action, run.trigger, run.state, run.target.clone());
    assert_eq!(told, (Action::Start, Trigger::Override, RunState::Succeeded, Bench::stack("shop")));
    assert_eq!(run.why, "its nap is over: what slept for it wakes");
    assert_eq!(open(&bench).await, []);
    pass(&bench, "2027-03-02T14:00:00Z").await;
    assert_eq!(runs(&bench).await.len(), 2, "once");
}

async fn a_timed_wake_puts_back_to_sleep_what_it_woke(test: TestDb) {
    let bench = Bench::on(test, NOON, shop()).await;
    nap::nap(&bench.app, &person(), &Bench::stack("shop"), &NapRequest::default(), Trigger::Manual)
        .await
        .expect("it naps, until someone changes it");
    bench.settle().await;
    wake_for(&bench, "1h").await;
    assert_eq!(bench.sim.running("shop"), ALL);
    bench.sim.start("shop-tool-1").expect("somebody else starts it");
    look(&bench).await;
    pass(&bench, "2027-03-02T13:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ["shop-tool-1"], "what others started is theirs");
    let run = runs(&bench).await.pop().expect("a run");
    assert_eq!((run.action, run.trigger), (Action::Stop, Trigger::Override));
    assert_eq!(run.why, "its time awake is over: what was woken for it sleeps again");
    wake_for(&bench, "").await;
    assert_eq!(
        bench.sim.running("shop"),
        ["shop-api-1", "shop-db-1", "shop-tool-1", "shop-web-1"],
        "it napped"
    );
}

#[tokio::test]
async fn what_others_changed_meanwhile_stays() {
    let bench = Bench::new(NOON, shop()).await;
    nap_for(&bench, "1h").await;
    pass(&bench, "2027-03-02T12:30:00Z").await;
    bench.sim.start("shop-web-1").expect("somebody starts it");
    look(&bench).await;
    bench.sim.stop("shop-web-1").expect("and stops it");
    look(&bench).await;
    pass(&bench, "2027-03-02T13:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ["shop-api-1", "shop-db-1"]);
}

#[tokio::test]
async fn without_an_end_nothing_is_put_back() {
    let bench = Bench::new(NOON, shop()).await;
    nap_for(&bench, "1h").await;
    nap_for(&bench, "").await;
    assert_eq!(open(&bench).await, [], "until someone changes it");
    bench.leap_to(at("2027-03-04T12:00:00Z")).await;
    look(&bench).await;
    assert!(bench.sim.running("shop").is_empty());
}

#[tokio::test]
async fn a_longer_nap_wakes_at_its_own_end_and_a_wake_takes_a_nap_back() {
    let bench = Bench::new(NOON, shop()).await;
    nap_for(&bench, "1h").await;
    nap_for(&bench, "3h").await;
    pass(&bench, "2027-03-02T13:00:00Z").await;
    assert!(bench.sim.running("shop").is_empty(), "the longer one counts");
    pass(&bench, "2027-03-02T15:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ALL);
    nap_for(&bench, "1h").await;
    wake_for(&bench, "30m").await;
    pass(&bench, "2027-03-02T15:30:00Z").await;
    pass(&bench, "2027-03-02T16:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ALL, "it was awake before all that");
}

#[tokio::test]
async fn where_a_window_decides_at_the_end_it_does() {
    let bench = Bench::new("2027-03-02T22:30:00Z", shop()).await;
    keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    nap_for(&bench, "1h").await;
    pass(&bench, "2027-03-02T23:30:00Z").await;
    assert!(bench.sim.running("shop").is_empty(), "it is its time to sleep");
    pass(&bench, "2027-03-03T07:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ALL);
}

#[tokio::test]
async fn what_a_window_has_taken_over_is_not_put_back_when_the_window_goes() {
    let bench = Bench::new("2027-03-02T22:30:00Z", shop()).await;
    let night = keep(&bench, window(NIGHT)).await.schedule;
    look(&bench).await;
    nap_for(&bench, "1h").await;
    pass(&bench, "2027-03-02T23:30:00Z").await;
    look(&bench).await;
    schedules::delete(&bench.app, &person(), &night.id, None).await.expect("it is deleted");
    pass(&bench, "2027-03-02T23:40:00Z").await;
    assert!(bench.sim.running("shop").is_empty(), "it stays as the window left it");
}

#[tokio::test]
async fn an_end_that_passed_while_docknap_or_the_engine_was_away_is_kept() {
    let mut bench = Bench::new(NOON, shop()).await;
    nap_for(&bench, "1h").await;
    bench.kill();
    bench.clock.advance(std::time::Duration::from_secs(2 * 3600));
    bench.revive().await;
    look(&bench).await;
    assert_eq!(bench.sim.running("shop"), ALL);

    nap_for(&bench, "1h").await;
    bench.sim.daemon_down(DaemonEnd::Graceful);
    bench
        .until("the link is down", async || {
            !bench.app.hosts.first().expect("a host").inventory().is_connected()
        })
        .await;
    bench.leap_to(at("2027-03-02T16:00:00Z")).await;
    look(&bench).await;
    bench.sim.daemon_up().expect("it starts");
    bench
        .until("it is connected again", async || {
            bench.app.hosts.first().expect("a host").inventory().is_connected()
        })
        .await;
    look(&bench).await;
    assert_eq!(bench.sim.running("shop"), ALL);
}

#[tokio::test]
async fn an_override_of_the_page_puts_back_too_and_so_does_its_early_end() {
    let bench = Bench::new(NOON, shop()).await;
    let made = wish(&bench, "host", "", "asleep", "3h").await;
    look(&bench).await;
    assert!(bench.sim.running("shop").is_empty() && made.puts_back);
    bench.advance(std::time::Duration::from_secs(600)).await;
    overrides::finish(&bench.app, &person(), &made.id).await.expect("it ends");
    look(&bench).await;
    assert_eq!(bench.sim.running("shop"), ALL);
    let nothing = wish(&bench, "stack", "shop", "awake", "3h").await;
    assert!(!nothing.puts_back, "it changes nothing, so there is nothing to put back");
}

#[tokio::test]
async fn what_comes_at_the_end_is_foretold() {
    let bench = Bench::new(NOON, shop()).await;
    nap_for(&bench, "1h").await;
    let view = stacks::get(&bench.app, &person(), &HostId::local(), "shop").await.expect("a stack");
    let next = view.wanted.transitions.first().expect("a change to come");
    assert_eq!((next.at, next.wanted), (at("2027-03-02T13:00:00Z"), Some(DesiredState::Awake)));
    assert!(view.why().contains("; then it wakes"), "{}", view.why());
}

/// What the API, the agenda and the feed of calendar apps tell of a nap or a wake with an end is what then happens.
#[tokio::test]
async fn simulation_agenda_and_feed_foretell_what_an_end_does() {
    let test = TestApp::over(Bench::new(NOON, shop()).await).await;
    let mut otto = test.operator().await;
    let (bench, me) = (test.bench(), person());
    let mut api = test.bearer(Role::Viewer).await;
    for (is_nap, end, state, reason, line) in [
        (
            true,
            "2027-03-02T13:00:00Z",
            "Awake",
            "its nap is over: what slept for it wakes",
            "DTEND:20270302T130000Z",
        ),
        (
            false,
            "2027-03-02T14:00:00Z",
            "Asleep",
            "its time awake is over: what was woken for it sleeps again",
            "DTSTART:20270302T140000Z",
        ),
    ] {
        if is_nap {
            nap_for(bench, end).await;
        } else {
            let shop = Bench::stack("shop");
            nap::nap(&test.app, &me, &shop, &NapRequest::default(), Trigger::Manual).await.expect("it naps");
            bench.settle().await;
            wake_for(bench, end).await;
        }
        let told = api.get("/api/simulate").await.json();
        let event = &told["events"][0];
        assert_eq!(told["events"].as_array().map(Vec::len), Some(1), "{told:#}");
        let at_the_end = event["at"].as_str().map(at) == Some(at(end)) && event["acts"] == true;
        assert!(
            at_the_end && event["state"] == state.to_lowercase() && event["reason"] == reason,
            "{event:#}"
        );
        let agenda = otto.get("/timeline?view=agenda").await.text("main");
        for words in [&end[11..16], state, reason] {
            assert!(agenda.contains(words), "{words}: {agenda}");
        }
        let feed = timeline::feed(&test.app, &me).await.expect("it is told");
        assert!(feed.matches("SUMMARY:shop asleep").count() == 1 && feed.contains(line), "{line}: {feed}");
        pass(bench, end).await;
        assert_eq!(bench.sim.running("shop").is_empty(), state == "Asleep", "as foretold");
        assert_eq!(api.get("/api/simulate").await.json()["events"].as_array().map(Vec::len), Some(0));
    }
}

#[tokio::test]
async fn the_dialog_the_tile_and_several_at_once_say_what_comes() {
    let test = TestApp::over(Bench::new(NOON, shop()).await).await;
    let mut otto = test.operator().await;
    let key = Bench::stack("shop").key();
    let page = format!("/stacks/{key}");
    let asked = otto.get(&format!("{page}/nap")).await;
    let ends = asked.text(".ends");
    for words in [
        "Until someone changes it",
        "For 1 hour: wakes 13:00",
        "For 3 hours: wakes 15:00",
        "Until tonight: wakes 23:00",
        "Until tomorrow morning: wakes 07:00 Wed",
        "what this put to sleep wakes",
    ] {
        assert!(ends.contains(words), "{words}: {ends}");
    }
    let several = otto.get(&format!("/actions?do=nap&t=stack/{key}")).await;
    assert!(several.text("main").contains("Until someone changes it"), "{}", several.text("main"));
    let nap = otto.post(&format!("{page}/nap"), &[("until", "2027-03-02T23:00:00Z")]).await;
    assert_eq!(nap.location(), page, "{}", nap.body);
    test.bench().settle().await;
    test.bench().quiet().await;
    let tile = otto.get(&format!("{page}/tile")).await;
    assert!(
        tile.text(".tile-next").contains("Asleep until 23:00, then wakes"),
        "{}",
        tile.text(".tile-next")
    );

    otto.post("/schedules", &[]).await;
    keep(test.bench(), window(NIGHT)).await;
    let asked = otto.get(&format!("{page}/wake")).await;
    assert!(asked.text(".ends").contains("Until the next nap, 23:00"), "{}", asked.text(".ends"));
    let several = otto.get(&format!("/actions?do=wake&t=stack/{key}")).await;
    assert!(several.text("main").contains("Until the next nap, 23:00"), "{}", several.text("main"));
}
