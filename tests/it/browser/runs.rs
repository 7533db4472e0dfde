//! The list of runs under a reader's eyes, and what is done about one that went wrong or takes too long.

use std::time::Duration;

use docknap::db::Db;
use docknap::domain::action::Action;
use docknap::domain::ids::{HostId, RunId};
use docknap::domain::run::{Run, RunState};
use docknap::domain::target;
use docknap::sim::{ContainerSpec, World};
use jiff::ToSpan;

use super::{Visit, media};
use crate::support::rows::{run, store_runs};

/// The site after so many runs, one a minute, the newest ten minutes ago: `no1.` is the newest, each third a start.
async fn after(count: i64) -> Visit {
    let past = async |db: &Db| {
        let now = docknap::clock::Clock::system().now();
        let runs = (1..=count).map(|number| {
            let made = now - (number + 9).minutes();
            let hex = format!("{:012x}", made.as_millisecond());
            let action = if number % 3 == 0 { Action::Start } else { Action::Stop };
            let run = Run {
                id: RunId(format!("{}-{}-7000-8000-{number:012}", &hex[..8], &hex[8..])),
                target_name: format!("no{number}."),
                action,
                created_at: made,
                started_at: Some(made),
                finished_at: Some(made + 10.seconds()),
                state: if number % 5 == 0 { RunState::Failed } else { RunState::Succeeded },
                ..run("")
            };
            (run, Vec::new())
        });
        store_runs(db, &runs.collect::<Vec<_>>()).await;
    };
    Visit::after(media(), past).await
}

/// The targets of the rows that show, top down.
async fn rows(visit: &Visit) -> Vec<String> {
    visit
        .ask("return [...document.querySelectorAll('#runs .main-link')].map((link) => link.textContent)")
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_is_an_address_and_its_parts_are_taken_away_one_by_one() {
    let visit = after(30).await;
    visit.goto("/runs").await;
    visit.press("#filter summary").await;
    visit.press("#action option[value=start]").await;
    visit.type_into("#actor", "scheduler").await;
    visit.press("#filter button.primary").await;
    visit.until("only starts are left", "return document.querySelectorAll('#runs .run').length === 10").await;
    let address = visit.address().await;
    assert!(address.contains("action=start") && address.contains("actor=scheduler"), "{address}");
    assert!(rows(&visit).await.iter().all(|row| row.starts_with("Start")), "{:?}", rows(&visit).await);
    visit.press(".filters a[href*='state=attention']").await;
    visit.count_is("#runs .run", 2).await;
    assert!(visit.address().await.contains("state=attention"));
    // The address is all there is to it: in another browser it shows the same.
    let again = visit.address().await;
    let other = visit.another().await;
    other.log_in("admin", super::PASSWORD).await;
    other.goto(&again).await;
    other.count_is("#runs .run", 2).await;
    other.close().await;
    visit.press(".filters a.chosen").await;
    visit.until("a part is gone", "return document.querySelectorAll('.filters a.chosen').length === 1").await;
    visit.press(".filters a.chosen").await;
    visit.count_is("#runs .run", 6).await;
    assert_eq!(visit.address().await, "/runs?state=attention");
    visit.driver.back().await.expect("it goes back");
    visit.count_is(".filters a.chosen", 1).await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_follow_each_other_without_a_gap_and_without_a_repetition() {
    let visit = after(120).await;
    visit.goto("/runs").await;
    let mut seen = rows(&visit).await;
    let first = seen.clone();
    while !visit
        .driver
        .find_all(thirtyfour::By::Css(".pager a[href*=cursor]"))
        .await
        .expect("links")
        .is_empty()
    {
        let last = seen.last().cloned().unwrap_or_default();
        visit.press(".pager a[href*=cursor]").await;
        let is_next = format!(
            "return [...document.querySelectorAll('#runs .main-link')].every((link) => link.textContent !== '{last}')"
        );
        visit.until("the next page is there", &is_next).await;
        assert!(visit.address().await.contains("cursor="));
        seen.extend(rows(&visit).await);
    }
    let numbers: Vec<String> = (1..=120).map(|number| format!(" no{number}.")).collect();
    assert_eq!(seen.len(), 120);
    assert!(seen.iter().zip(&numbers).all(|(row, number)| row.ends_with(number)), "{seen:?}");
    visit.press(".pager a:not([href*=cursor])").await;
    let top = first[0].clone();
    let is_first = format!("return document.querySelector('#runs .main-link').textContent === '{top}'");
    visit.until("the first page is there", &is_first).await;
    assert_eq!(rows(&visit).await, first);
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_new_is_offered_and_pushes_nothing_away() {
    let visit = after(60).await;
    visit.goto("/runs").await;
    visit.until("the stream has begun", "return Boolean(document.body._htmx?.sse?.reader)").await;
    let before = rows(&visit).await;
    visit.ask::<bool>("scrollTo(0, 600); return true").await;
    let place = "return document.querySelector('#runs .run').getBoundingClientRect().top";
    let top: f64 = visit.ask(place).await;
    visit.watch_moves().await;
    // Somebody else does something, twice.
    let key = target::key(&HostId::local(), "media");
    for (deed, label) in [("stop", "1 new"), ("start", "2 new")] {
        let ask = format!(
            "const done = arguments[arguments.length - 1]; \
             fetch('/stacks/{key}/{deed}', {{method: 'POST', redirect: 'manual'}}).then(() => done(true))"
        );
        visit.driver.execute_async(&ask, vec![]).await.expect("it is asked for");
        visit
            .until(
                "it is offered",
                &format!("return document.querySelector('#newer').innerText.includes('{label}')"),
            )
            .await;
        visit.until_idle().await;
    }
    assert_eq!(rows(&visit).await, before, "the list is the same");
    assert!((visit.ask::<f64>(place).await - top).abs() < f64::EPSILON, "and where it was");
    assert_eq!(visit.moves().await, Vec::<String>::new());
    visit.press("#newer a").await;
    visit
        .until(
            "they are on top",
            "return document.querySelector('#runs .main-link').textContent === 'Start media'",
        )
        .await;
    assert_eq!(&rows(&visit).await[..2], ["Start media", "Stop media"]);
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_failed_is_tried_again() {
    let world = World::new().stack("media", |s| {
        s.service("db", ContainerSpec::stopped).service("web", |c| c.stopped().refuses_to_start())
    });
    let visit = Visit::inside(world).await;
    visit.press("#stacks [data-act=wake]").await;
    visit.press("dialog[open] button.primary").await;
    visit.press("#toasts .toast a").await;
    visit.find("#run").await;
    visit.reads("Partly done").await;
    let trouble = visit.text("#run").await;
    assert!(trouble.contains("media-web-1") && trouble.contains("media-db-1"), "{trouble}");
    visit.sim.update("media-web-1", ContainerSpec::runs);
    let before = visit.sim.container("media-db-1").expect("it is there").started;
    visit.press("#run [data-act=retry]").await;
    let plan = visit.text("dialog[open]").await;
    assert!(plan.contains("media-web-1") && !plan.contains("media-db-1"), "{plan}");
    visit.press("dialog[open] button.primary").await;
    visit.reads("an earlier run").await;
    let state = "return document.querySelector('#run .state').innerText === 'Succeeded'";
    visit.until("it has ended", state).await;
    let run = visit.text("#run").await;
    assert!(run.contains("media-web-1"), "{run}");
    assert_eq!(visit.sim.state("media-web-1"), "running", "{run}");
    assert_eq!(visit.sim.container("media-db-1").expect("it is there").started, before, "it was left alone");
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_takes_too_long_is_followed_and_cancelled() {
    let world = World::new().stack("media", |s| {
        s.service("db", |c| c.stopped().healthy_after(Duration::from_secs(3600)))
            .service("web", |c| c.stopped().depends_on("db:service_healthy:true"))
    });
    let visit = Visit::inside(world).await;
    visit.press("#stacks [data-act=wake]").await;
    visit.press("dialog[open] button.primary").await;
    visit.press("#toasts .toast a").await;
    visit.find("#run progress").await;
    // It is followed while it goes on, and the list says the same.
    visit
        .until(
            "the first container is up",
            "return document.querySelector('#run').innerText.includes('media-db-1')",
        )
        .await;
    visit.press("#cancel").await;
    visit
        .until("it has ended", "return document.querySelector('#run .state').innerText === 'Cancelled'")
        .await;
    assert_eq!(visit.sim.state("media-web-1"), "exited");
    visit.goto("/runs?state=executing").await;
    visit.reads("Nothing matches").await;
    visit.goto("/runs").await;
    visit.reads("Cancelled").await;
    visit.finish().await;
}
