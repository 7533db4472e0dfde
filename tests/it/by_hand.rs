//! What people do by hand inside a window: it lasts until the window's own next edge, and no longer.

use std::time::Duration;

use docknap::app::{nap, overrides};
use docknap::domain::action::Action;
use docknap::domain::overrides::DesiredState;
use docknap::domain::run::Trigger;
use docknap::sim::{ContainerSpec, World};
use jiff::Timestamp;

use crate::support::bench::{Bench, person};
use crate::windows::{NIGHT, at, keep, look, open, pass, window, wish};

/// Two servers that end with 143 when they are stopped: no one-shots that have done their work.
fn pair() -> World {
    let ends = |c: ContainerSpec| c.stops_after(Duration::ZERO, 143);
    World::new().stack("shop", |s| s.service("db", ends).service("web", |c| ends(c).depends_on("db")))
}

const BOTH: [&str; 2] = ["shop-db-1", "shop-web-1"];

/// The ways to put a stack to sleep, and to wake it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    DockerStart,
    DockerStop,
    Start,
    Stop,
    Wake,
    Nap,
}

const ACTS: [Act; 6] = [Act::DockerStart, Act::DockerStop, Act::Start, Act::Stop, Act::Wake, Act::Nap];

impl Act {
    fn wakes(self) -> bool {
        matches!(self, Self::DockerStart | Self::Start | Self::Wake)
    }

    async fn carry_out(self, bench: &Bench) {
        let (target, asked) = (Bench::stack("shop"), nap::NapRequest::default());
        let (app, person) = (&bench.app, person());
        match self {
            Self::DockerStart => BOTH.iter().for_each(|name| drop(bench.sim.start(name))),
            Self::DockerStop => BOTH.iter().for_each(|name| drop(bench.sim.stop(name))),
            Self::Start => drop(bench.carry_out(Action::Start, target).await),
            Self::Stop => drop(bench.carry_out(Action::Stop, target).await),
            Self::Wake => {
                drop(nap::wake(app, &person, &target, &asked, Trigger::Manual).await.expect("it wakes"));
            }
            Self::Nap => {
                drop(nap::nap(app, &person, &target, &asked, Trigger::Manual).await.expect("it naps"));
            }
        }
        bench.settle().await;
        look(bench).await;
        // Events of what our runs did come a little later.
        leap(bench, bench.clock.now() + Duration::from_secs(60)).await;
    }
}

/// Two acts in every order, and three in some.
fn series() -> Vec<Vec<Act>> {
    let two = ACTS.iter().flat_map(|first| ACTS.iter().map(|second| vec![*first, *second]));
    let three = (0..6).map(|n: usize| vec![ACTS[n % 6], ACTS[(n / 2 + 1) % 6], ACTS[(n * 5 + 3) % 6]]);
    two.chain(three).collect()
}

async fn leap(bench: &Bench, to: Timestamp) {
    bench.leap_to(to).await;
    look(bench).await;
}

fn on_day(day: Timestamp, hours: i64) -> Timestamp {
    day + jiff::SignedDuration::from_hours(hours)
}

/// Whatever is done inside one sleep: it lasts until the end of that sleep at most, then the stack is awake, and it
/// sleeps again the night after.
#[tokio::test]
async fn what_is_done_inside_a_sleep_never_outlasts_it() {
    let bench = Bench::new("2027-03-02T12:00:00Z", pair()).await;
    keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    let mut day = at("2027-03-02T00:00:00Z");
    for acts in series() {
        leap(&bench, on_day(day, 23)).await;
        assert!(bench.sim.running("shop").is_empty(), "{acts:?}: it sleeps");
        assert_eq!(open(&bench).await, [], "{acts:?}: nothing is left of what was before");
        leap(&bench, on_day(day, 25)).await;
        for (index, act) in acts.iter().enumerate() {
            act.carry_out(&bench).await;
            let up = bench.sim.running("shop");
            assert_eq!(up.is_empty(), !act.wakes(), "{:?}: {up:?}", &acts[..=index]);
            // The button names the nap that ends it; everything else ends with the sleep.
            let ends = [on_day(day, 31), on_day(day, 47)];
            for one in open(&bench).await {
                assert!(ends.contains(&one.until), "{:?}: {one:?}", &acts[..=index]);
            }
        }
        leap(&bench, on_day(day, 31)).await;
        assert_eq!(bench.sim.running("shop"), BOTH, "{acts:?}: it is awake after the sleep");
        day = on_day(day, 24);
    }
}

/// Whatever is done inside one time awake: the coming sleep comes, and leaves nothing of it.
#[tokio::test]
async fn what_is_done_inside_a_time_awake_never_keeps_the_coming_sleep_away() {
    for acts in series() {
        let bench = Bench::new("2027-03-02T12:00:00Z", pair()).await;
        keep(&bench, window(NIGHT)).await;
        look(&bench).await;
        for (index, act) in acts.iter().enumerate() {
            act.carry_out(&bench).await;
            let ends = [at("2027-03-02T23:00:00Z"), at("2027-03-03T07:00:00Z")];
            for one in open(&bench).await {
                assert!(ends.contains(&one.until), "{:?}: {one:?}", &acts[..=index]);
            }
        }
        leap(&bench, at("2027-03-02T23:00:00Z")).await;
        assert!(bench.sim.running("shop").is_empty(), "{acts:?}: it sleeps");
        leap(&bench, at("2027-03-03T07:00:00Z")).await;
        assert_eq!(open(&bench).await, [], "{acts:?}");
        if !acts.contains(&Act::DockerStop) {
            assert_eq!(bench.sim.running("shop"), BOTH, "{acts:?}: it is awake after the sleep");
        }
    }
}

/// What is off on purpose before a sleep is no nap, whatever is done with it in the night.
#[tokio::test]
async fn what_was_off_before_the_sleep_is_off_after_it() {
    let bench = Bench::new("2027-03-02T22:30:00Z", pair()).await;
    keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    bench.sim.stop("shop-web-1").expect("it stops");
    look(&bench).await;
    pass(&bench, "2027-03-02T23:00:00Z").await;
    pass(&bench, "2027-03-03T01:00:00Z").await;
    bench.sim.start("shop-web-1").expect("it starts");
    look(&bench).await;
    bench.advance(Duration::from_secs(60)).await;
    bench.sim.stop("shop-web-1").expect("it stops");
    look(&bench).await;
    assert_eq!(open(&bench).await, [], "it is as the window wants it");
    pass(&bench, "2027-03-03T07:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), ["shop-db-1"]);
}

/// `docker compose up --force-recreate` in a time awake, as DockNap sees it: a stop, a look, a start.
#[tokio::test]
async fn an_update_in_a_time_awake_does_not_cancel_the_coming_sleep() {
    let bench = Bench::new("2027-03-02T12:00:00Z", pair()).await;
    keep(&bench, window(NIGHT)).await;
    look(&bench).await;
    bench.sim.stop("shop-web-1").expect("it stops");
    look(&bench).await;
    assert_eq!(open(&bench).await.len(), 1, "somebody stopped it");
    bench.sim.recreate("shop-web-1");
    let _ = bench.sim.start("shop-web-1");
    look(&bench).await;
    assert_eq!(open(&bench).await, [], "it is as the window wants it again");
    pass(&bench, "2027-03-02T23:00:00Z").await;
    assert!(bench.sim.running("shop").is_empty());
}

/// The end of an act by hand is asked of the windows even under an override that somebody made.
#[tokio::test]
async fn an_act_under_a_wider_override_lasts_until_the_windows_own_edge() {
    let bench = Bench::new("2027-03-02T22:30:00Z", pair()).await;
    keep(&bench, window(NIGHT)).await;
    wish(&bench, "host", "", "awake", "2d").await;
    pass(&bench, "2027-03-03T01:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), BOTH);
    Act::Stop.carry_out(&bench).await;
    let made = open(&bench).await;
    let of_stack = made.iter().find(|one| one.target_name == "shop").expect("one for the stack");
    assert_eq!((of_stack.wanted, of_stack.until), (DesiredState::Asleep, at("2027-03-03T07:00:00Z")));
    Act::Start.carry_out(&bench).await;
    let left: Vec<_> = open(&bench).await.into_iter().map(|one| one.target_name).collect();
    assert_eq!(left, ["host local"], "what the wider one wants needs no other");
}

/// Without a window an act by hand ends the override it goes against, and nothing stays behind.
#[tokio::test]
async fn an_act_against_an_override_without_a_window_ends_it() {
    let bench = Bench::new("2027-03-02T12:00:00Z", pair()).await;
    wish(&bench, "stack", "shop", "asleep", "3h").await;
    look(&bench).await;
    assert!(bench.sim.running("shop").is_empty());
    Act::Start.carry_out(&bench).await;
    assert_eq!(open(&bench).await, []);
    let all =
        overrides::list(&bench.app, &person(), true, &docknap::app::paging::Page { limit: 10, cursor: None })
            .await
            .expect("they read");
    assert_eq!(all.items[0].closed_reason, "started by command line", "it says what ended it");
    pass(&bench, "2027-03-02T15:00:00Z").await;
    assert_eq!(bench.sim.running("shop"), BOTH);
}
