//! A directory of rules files that is followed: what is wrong with it changes nothing, and what leaves it goes slowly.

use std::time::Duration;

use axum::http::Method;
use docknap::app::{locks, rules_file};
use docknap::db;
use docknap::domain::inventory::Link;
use docknap::domain::permission::Role;
use docknap::domain::schedule::Source;
use jiff::SignedDuration;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::app::TestApp;
use crate::support::bench::person;
use crate::support::program::PATIENCE;
use crate::support::wait;

/// A DockNap that follows a directory, and a way to put rules there.
async fn following() -> (TestApp, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("rules");
    std::fs::create_dir(&path).expect("a directory");
    let test = TestApp::with(|config| config.rules_dir = Some(path)).await;
    (test, directory)
}

fn put(directory: &tempfile::TempDir, name: &str, text: &str) {
    std::fs::write(directory.path().join("rules").join(name), text).expect("it is written");
}

async fn look(test: &TestApp) {
    rules_file::look(&test.app).await.expect("it is read");
}

fn fault(test: &TestApp) -> Option<String> {
    let fault = rules_file::folder_fault(&test.app, &person()).expect("it is known");
    fault.map(|fault| fault.text)
}

/// Title, source and switch of every schedule.
async fn listed(test: &TestApp) -> Vec<(String, Source, bool)> {
    let all = db::schedules::ScheduleSelection { limit: 100, ..Default::default() };
    let mut all: Vec<_> = db::schedules::list(&test.app.db, &all)
        .await
        .expect("they are read")
        .into_iter()
        .map(|one| (one.title(), one.source, one.spec.enabled))
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

fn rule(name: &str) -> String {
    format!(
        "  - name: {name}\n    target_type: stack\n    target_id: media\n    cron: 0 23 * * *\n    action: stop\n"
    )
}

fn rules(names: &[&str]) -> String {
    format!("version: 1\nschedules:\n{}", names.iter().map(|name| rule(name)).collect::<String>())
}

#[tokio::test]
async fn a_directory_is_followed_and_read_only() {
    let (test, directory) = following().await;
    put(&directory, "a.yaml", &rules(&["One"]));
    put(&directory, "b.yml", &rules(&["Two"]));
    put(&directory, "notes.txt", "no rules");
    look(&test).await;
    let of_file = |name: &str, enabled| (name.to_owned(), Source::File, enabled);
    assert_eq!(listed(&test).await, [of_file("One", true), of_file("Two", true)], "{:?}", fault(&test));
    assert_eq!(fault(&test), None);

    // It is changed in the file, and switched in the page.
    let mut operator = test.bearer(Role::Operator).await;
    let items = operator.get("/api/schedules").await.json()["items"].clone();
    let id = items[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(items[0]["source"], "file");
    let refused =
        operator.send(Method::DELETE, &format!("/api/schedules/{id}"), None, String::new(), &[]).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (409, &json!("read_only_source")),
        "{}",
        refused.body
    );
    let off = operator.post_json(&format!("/api/schedules/{id}/disable"), &json!({})).await;
    assert_eq!(off.status, 200, "{}", off.body);
    put(
        &directory,
        "c.json",
        "{\"version\": 1, \"locks\": [{\"target_type\": \"stack\", \"target_id\": \"media\"}]}",
    );
    look(&test).await;
    let switched: Vec<bool> = listed(&test).await.into_iter().map(|one| one.2).collect();
    assert_eq!(switched.iter().filter(|on| **on).count(), 1, "the switch of the page stays");
    assert_eq!(locks::list(&test.app, &person()).await.expect("locks").len(), 1);

    // An export leaves out what files say already.
    let file = rules_file::export(&test.app, &person()).await.expect("it is exported").to_yaml();
    assert!(file.contains("schedules: []"), "{file}");

    // A copy acts in its place, and is no rule of the file.
    let on = items.as_array().expect("a list").iter().find(|one| one["id"] != id.as_str()).expect("another");
    let path = format!("/api/schedules/{}/copy-to-editable", on["id"].as_str().expect("an id"));
    let copied = operator.post_json(&path, &json!({})).await;
    assert_eq!(copied.json()["source"], "api", "{}", copied.body);
    put(&directory, "d.json", "{\"version\": 1}");
    look(&test).await;
    let enabled = listed(&test).await.into_iter().filter(|one| one.2).map(|one| one.1);
    assert_eq!(enabled.collect::<Vec<_>>(), [Source::Api]);
}

#[tokio::test]
async fn the_first_look_waits_for_the_hosts_but_not_for_long() {
    let (test, directory) = following().await;
    put(&directory, "a.yaml", &rules(&["One"]));
    assert!(test.app.hosts.all().iter().any(|host| host.inventory().link == Link::Connecting));
    let stop = CancellationToken::new();
    let following = tokio::spawn(rules_file::keep(test.app.clone(), stop.clone()));
    let (began, step) = (test.clock.now(), Duration::from_millis(500));
    wait::until("the rule is stored", PATIENCE, async || {
        test.clock.advance(step);
        !listed(&test).await.is_empty()
    })
    .await;
    let waited = test.clock.now().duration_since(began);
    assert!(waited >= SignedDuration::from_secs(29), "{waited:?}");
    stop.cancel();
    following.await.expect("it ends");
}

#[tokio::test]
async fn whatever_is_wrong_with_a_directory_its_last_good_rules_stay() {
    let (test, directory) = following().await;
    put(&directory, "a.yaml", &rules(&["One", "Two"]));
    look(&test).await;
    let good = listed(&test).await;
    assert_eq!(good.len(), 2);

    // Faulty, then mended.
    put(&directory, "a.yaml", &rules(&["One"]).replace("cron: 0 23 * * *", "cron: 0 25 * * *"));
    look(&test).await;
    assert!(
        fault(&test).expect("a fault").starts_with("a.yaml: schedules[0].cron: line 6: "),
        "{:?}",
        fault(&test)
    );
    let need = test.admin().await.get("/").await;
    assert!(need.body.contains("The rules directory is not followed"), "it needs attention");
    assert!(test.admin().await.get("/settings").await.body.contains("a.yaml: schedules[0].cron"));
    assert_eq!(listed(&test).await, good);
    put(&directory, "a.yaml", &rules(&["One", "Two"]));
    look(&test).await;
    assert_eq!((fault(&test), listed(&test).await), (None, good.clone()));

    // Half written: what has gone is believed once it stays away.
    put(&directory, "a.yaml", &rules(&["One"]));
    look(&test).await;
    assert_eq!(listed(&test).await, good);
    put(&directory, "a.yaml", &rules(&["One", "Two"]));
    look(&test).await;
    look(&test).await;
    assert_eq!(listed(&test).await, good);

    // Emptied, unmounted, and there again.
    let rules_dir = directory.path().join("rules");
    std::fs::remove_file(rules_dir.join("a.yaml")).expect("it goes");
    look(&test).await;
    look(&test).await;
    assert!(fault(&test).expect("a fault").contains("0 rules files"), "{:?}", fault(&test));
    std::fs::remove_dir(&rules_dir).expect("it goes");
    look(&test).await;
    look(&test).await;
    assert!(fault(&test).expect("a fault").contains("cannot be read"), "{:?}", fault(&test));
    assert_eq!(listed(&test).await, good);
    std::fs::create_dir(&rules_dir).expect("it is there");
    put(&directory, "a.yaml", &rules(&["One", "Two"]));
    look(&test).await;
    assert_eq!((fault(&test), listed(&test).await), (None, good));
}

#[tokio::test]
async fn a_rule_that_leaves_is_switched_off_and_deleted_after_a_month() {
    let (test, directory) = following().await;
    put(&directory, "a.yaml", &rules(&["One", "Two"]));
    look(&test).await;
    put(&directory, "a.yaml", &rules(&["One"]));
    look(&test).await;
    look(&test).await;
    let switches: Vec<bool> = listed(&test).await.into_iter().map(|one| one.2).collect();
    assert_eq!(switches, [true, false]);
    let why = test.audit().await.into_iter().find(|row| row.0 == "schedule.disable").expect("it is told");
    assert_eq!((why.3.as_str(), why.4.as_deref()), ("Two", Some("its rule has left the watched directory")));

    // It comes back as it was.
    put(&directory, "a.yaml", &rules(&["One", "Two"]));
    look(&test).await;
    let switches: Vec<bool> = listed(&test).await.into_iter().map(|one| one.2).collect();
    assert_eq!(switches, [true, true]);
    put(&directory, "a.yaml", &rules(&["One"]));
    look(&test).await;
    look(&test).await;
    rules_file::sweep(&test.app).await.expect("it is swept");
    assert_eq!(listed(&test).await.len(), 2);

    // What a person has disabled comes back disabled.
    put(&directory, "a.yaml", &rules(&["One", "Two"]));
    look(&test).await;
    let mut operator = test.bearer(Role::Operator).await;
    let items = operator.get("/api/schedules").await.json()["items"].clone();
    let two = items.as_array().expect("a list").iter().find(|one| one["name"] == "Two").expect("it is there");
    let id = two["id"].as_str().expect("an id");
    let off = operator.post_json(&format!("/api/schedules/{id}/disable"), &json!({})).await;
    assert_eq!(off.status, 200, "{}", off.body);
    put(&directory, "a.yaml", &rules(&["One"]));
    look(&test).await;
    look(&test).await;
    put(&directory, "a.yaml", &rules(&["One", "Two"]));
    look(&test).await;
    let switches: Vec<bool> = listed(&test).await.into_iter().map(|one| one.2).collect();
    assert_eq!(switches, [true, false]);
    put(&directory, "a.yaml", &rules(&["One"]));
    look(&test).await;
    look(&test).await;
    test.clock.advance(std::time::Duration::from_secs(31 * 24 * 3600));
    rules_file::sweep(&test.app).await.expect("it is swept");
    let left: Vec<String> = listed(&test).await.into_iter().map(|one| one.0).collect();
    assert_eq!(left, ["One"]);
}
