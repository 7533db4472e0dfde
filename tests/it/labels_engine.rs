//! Rules that stand in a compose file, on a real Engine.

use jiff::tz::TimeZone;
use serde_json::json;

use crate::support::site::{PATIENCE, Sample, Site, compose};
use crate::support::wait;

const BEFORE: Sample = Sample { project: "labelled", file: "tests/samples/labels-before.yaml" };
const SAMPLE: Sample = Sample { project: "labelled", file: "tests/samples/labels.yaml" };
const CHANGED: Sample = Sample { project: "labelled", file: "tests/samples/labels-changed.yaml" };

async fn window(site: &Site) -> String {
    let list = site.get("/api/schedules").await;
    let items = list["items"].as_array().expect("a list");
    assert!(items.len() < 2, "{list:#}");
    items.first().map(|one| one["window"].as_str().unwrap_or_default().to_owned()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_made_anew_with_another_label_in_its_sleep_wakes_by_it_on_a_real_engine() {
    let mut site = Site::new(BEFORE).await;
    // By day, so that the rule does not act at once.
    let day = site.clock.now().to_zoned(TimeZone::UTC).date().tomorrow().expect("a date");
    site.move_to(day.at(12, 0, 0, 0).to_zoned(TimeZone::UTC).expect("an instant").timestamp()).await;
    compose(SAMPLE, &site.daemon, &["up", "-d"]);
    let [web, other] = ["web", "other"].map(|service| SAMPLE.container(service));
    wait::until("the rule is read", PATIENCE, async || window(&site).await == "sleep 22:00-06:00").await;
    let said = site.shown(&other).await["label_errors"].clone();
    assert!(said["docknap.stop"].as_str().is_some_and(|why| !why.is_empty()), "{said:#}");

    let schedule = site.get("/api/schedules").await["items"][0].clone();
    let run = site.at(&schedule).await;
    assert_eq!((&run["state"], &run["action"]), (&json!("succeeded"), &json!("stop")), "{run:#}");
    assert_eq!([&web, &other].map(|name| site.state(name)), ["exited", "exited"]);

    // A newer compose file comes in the night; nothing is started by it.
    compose(CHANGED, &site.daemon, &["up", "--no-start"]);
    wait::until("the new rule is read", PATIENCE, async || window(&site).await == "sleep 22:00-07:00").await;
    wait::until("what is wrong is gone", PATIENCE, async || {
        site.shown(&other).await["label_errors"].as_object().is_none_or(serde_json::Map::is_empty)
    })
    .await;
    assert_eq!([&web, &other].map(|name| site.state(name)), ["created", "created"]);
    let schedule = site.get(&format!("/api/schedules/{}", schedule["id"].as_str().expect("an id"))).await;
    assert!(schedule["next_at"].as_str().is_some_and(|next| next.contains("T07:00:00")), "{schedule:#}");
    let run = site.at(&schedule).await;
    assert_eq!((&run["state"], &run["action"]), (&json!("succeeded"), &json!("start")), "{run:#}");
    assert_eq!([&web, &other].map(|name| site.state(name)), ["running", "running"]);

    // The label goes with the container, and the schedule with the label's container after ten minutes.
    site.compose(&["down", "-t", "1"]);
    wait::until("it is gone", PATIENCE, async || site.stack().await.is_null()).await;
    wait::until("its schedule is off", PATIENCE, async || {
        site.clock.advance(std::time::Duration::from_secs(60));
        site.get("/api/schedules").await["items"][0]["enabled"] == json!(false)
    })
    .await;
    site.finish().await;
}
