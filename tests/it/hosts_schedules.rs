//! Schedules between hosts: copied, moved, and never left behind on a host that is deleted.

use axum::http::Method;
use docknap::app::hosts;
use docknap::app::schedules::{self, Draft};
use docknap::db;
use docknap::domain::ids::{HostId, ScheduleId};
use docknap::domain::permission::Role;
use docknap::domain::schedule::Source;
use docknap::domain::target;
use docknap::sim::{DaemonEnd, World};
use serde_json::json;

use crate::hosts_named::{connected, schedule, two_hosts};
use crate::on_both_engines;
use crate::support::app::TestApp;
use crate::support::bench::Bench;
use crate::support::db::TestDb;
use crate::support::sim::Simulated;

on_both_engines!(no_schedule_is_stored_for_a_host_that_is_gone);

fn key(host: &str, stack: &str) -> String {
    target::key(&HostId::from(host), stack)
}

#[tokio::test]
async fn a_schedule_is_copied_or_moved_to_the_target_of_the_same_name() {
    let (test, nas) = two_hosts().await;
    let id =
        schedule(&test, "local", json!({"window": "sleep 20:00-07:00", "name": "Nights", "note": "quiet"}))
            .await;
    let mut otto = test.bearer(Role::Operator).await;
    let copy = otto.post_json(&format!("/api/schedules/{id}/copy"), &json!({"host": "nas"})).await;
    assert_eq!(copy.status, 201, "{}", copy.body);
    let made = copy.json();
    let copied = made["id"].as_str().expect("an id").to_owned();
    assert_eq!(copy.location(), format!("/api/schedules/{copied}"));
    for (field, value) in
        [("host", "nas"), ("target_id", "media"), ("name", "Nights"), ("note", "quiet"), ("owner", "otto")]
    {
        assert_eq!(made[field], value, "{field}: {made:#}");
    }
    // Both sleep now: the copy begins with its next sleep, so nothing happens at once.
    test.bench().tick().await;
    test.bench().settle().await;
    assert_eq!((test.bench().sim.running("media").len(), nas.control.running("media").len()), (0, 2));
    let runs = otto.get("/api/runs").await.json()["items"].as_array().map(Vec::len);

    let etag = otto.get(&format!("/api/schedules/{copied}")).await.header("etag").to_owned();
    let back = json!({"host": "local", "target": "media"});
    let path = format!("/api/schedules/{copied}/move");
    let stale = [("if-match", "\"7\"")];
    let late = otto.send(Method::POST, &path, Some("application/json"), back.to_string(), &stale).await;
    assert_eq!(late.status, 412, "{}", late.body);
    let fresh = [("if-match", &*etag)];
    let moved = otto.send(Method::POST, &path, Some("application/json"), back.to_string(), &fresh).await;
    assert_eq!(
        (moved.status, &moved.json()["host"], &moved.json()["rev"]),
        (200, &json!("local"), &json!(2))
    );
    assert_eq!(otto.get("/api/runs").await.json()["items"].as_array().map(Vec::len), runs, "its runs stay");
    let rows = test.bearer(Role::Admin).await.get("/api/audit?object_type=schedule").await.json();
    let row = &rows["items"][0];
    assert_eq!((&row["event"], &row["host"]), (&json!("schedule.update"), &json!("local")), "{row:#}");
    assert_eq!(row["changes"], json!([{"field": "host", "old": "nas", "new": "local"}]), "{row:#}");

    for (body, field, words) in [
        (json!({"host": "nsa"}), "host", "there is no host `nsa`"),
        (json!({"host": "local"}), "host", "it is there already"),
        (json!({"host": "nas", "target": "mediaa"}), "target", "did you mean `media`?"),
    ] {
        for way in ["copy", "move"] {
            let refused = otto.post_json(&format!("/api/schedules/{id}/{way}"), &body).await;
            assert_eq!((refused.status, refused.wrong_field()), (422, field.to_owned()), "{}", refused.body);
            assert!(refused.body.contains(words), "{}", refused.body);
        }
    }
    let missing = json!({"host": "nas", "target": "later", "allow_missing": true});
    assert_eq!(otto.post_json(&format!("/api/schedules/{id}/copy"), &missing).await.status, 201);
    assert_eq!(otto.get("/api/schedules").await.json()["items"].as_array().map(Vec::len), Some(3));
    let mut vera = test.bearer(Role::Viewer).await;
    for way in ["copy", "move"] {
        let refused = vera.post_json(&format!("/api/schedules/{id}/{way}"), &json!({"host": "nas"})).await;
        assert_eq!(refused.status, 403, "{}", refused.body);
    }
}

#[tokio::test]
async fn the_page_suggests_the_same_name_and_says_where_there_is_none() {
    let (test, _nas) = two_hosts().await;
    // A third host without a stack of this name.
    let shop = World::new().stack("shop", |s| s.service("web", |c| c));
    let vps = Simulated::start(test.bench().clock.clone(), shop).await;
    test.add_host("VPS", "vps", &vps).await;
    let id =
        schedule(&test, "local", json!({"action": "stop", "cron": "0 23 * * *", "name": "Nights"})).await;
    let mut otto = test.operator().await;
    let page = otto.get(&format!("/schedules/{id}")).await;
    assert_eq!(page.text("#elsewhere a"), "Copy to another host Move to another host");
    let ask = otto.get(&format!("/schedules/{id}/copy")).await;
    assert_eq!(ask.text("#to option[selected]"), "media on NAS & co.", "{}", ask.body);
    assert_eq!(ask.text("#to option"), "media on NAS & co. shop on VPS");
    assert!(ask.text("main").contains("There is no stack media on VPS"), "{}", ask.text("main"));
    assert!(otto.get_part(&format!("/schedules/{id}/move")).await.body.contains("<dialog"));

    let copied = otto.post(&format!("/schedules/{id}/copy"), &[("to", "nas")]).await;
    assert_eq!(copied.status, 303, "{}", copied.body);
    let page = otto.get(copied.location()).await;
    assert!(
        page.text(".flash").contains("“Nights” is copied to media on NAS & co.."),
        "{}",
        page.text(".flash")
    );
    let to = format!("vps/{}", key("vps", "shop"));
    let moved = otto.post(&format!("/schedules/{id}/move"), &[("to", &to), ("rev", "1")]).await;
    assert_eq!((moved.status, moved.location()), (303, &*format!("/schedules/{id}")), "{}", moved.body);
    assert_eq!(otto.get("/schedules?host=vps").await.text("#schedules .chip.host"), "VPS");

    // What was chosen stays, and nothing is stored.
    for to in ["", "nsa", "vps"] {
        let refused = otto.post(&format!("/schedules/{id}/move"), &[("to", to), ("rev", "2")]).await;
        assert_eq!(refused.status, 422, "{to}: {}", refused.body);
        assert!(!refused.text("#to-error").is_empty(), "{to}: {}", refused.body);
    }
    let late = otto.post(&format!("/schedules/{id}/move"), &[("to", "nas/x"), ("rev", "1")]).await;
    assert!(matches!(late.status, 409 | 412 | 422), "{}", late.body);

    // A host that is away: whether the target is there is not known.
    vps.control.daemon_down(DaemonEnd::Crash);
    let copied = schedule(&test, "nas", json!({"action": "stop", "cron": "0 22 * * *"})).await;
    let ask = otto.get(&format!("/schedules/{copied}/copy")).await;
    assert_eq!(ask.text("#to option[selected]"), "media on local", "{}", ask.body);
    // With one host there is nowhere to go.
    let single =
        TestApp::over(Bench::new("2027-03-02T22:30:00Z", World::new().stack("media", |s| s)).await).await;
    let body = json!({"target_type": "stack", "target_id": "media", "action": "stop", "cron": "0 23 * * *",
        "allow_missing": true});
    let made = single.bearer(Role::Admin).await.post_json("/api/schedules", &body).await.json();
    let page = single.admin().await.get(&format!("/schedules/{}", made["id"].as_str().expect("an id"))).await;
    assert!(page.attribute("#elsewhere", "id").is_none());
}

/// The host is deleted by another process: this one still knows it.
async fn no_schedule_is_stored_for_a_host_that_is_gone(db: TestDb) {
    let media = || World::new().stack("media", |s| s.service("web", |c| c));
    let bench = Bench::on(db, "2027-03-02T22:30:00Z", media()).await;
    let nas = Simulated::start(bench.clock.clone(), media()).await;
    let test = TestApp::over(bench).await;
    let mut admin = test.bearer(Role::Admin).await;
    let body = json!({"name": "nas", "endpoint": nas.control.docker_host()});
    assert_eq!(admin.post_json("/api/hosts", &body).await.status, 201);
    connected(&test, true).await;
    let ids = [
        schedule(&test, "nas", json!({"action": "stop", "cron": "0 23 * * *"})).await,
        schedule(&test, "nas", json!({"action": "stop", "cron": "0 22 * * *"})).await,
        schedule(&test, "local", json!({"action": "stop", "cron": "0 21 * * *"})).await,
    ];
    assert_eq!(admin.delete(&format!("/api/schedules/{}", ids[0])).await.status, 204);
    let mut tx = test.app.db.begin().await.expect("begins");
    assert!(db::hosts::delete(&mut tx, &HostId::from("nas"), 1).await.expect("deletes"));
    tx.commit().await.expect("commits");

    let actor = test.actor(Role::Admin).await;
    let draft = Draft {
        host: Some("nas".to_owned()),
        target_type: Some("stack".to_owned()),
        target_id: Some("media".to_owned()),
        action: Some("stop".to_owned()),
        cron: Some("0 20 * * *".to_owned()),
        ..Draft::default()
    };
    let create = schedules::create(&test.app, &actor, &draft, Source::Api).await.map(drop);
    let restore = schedules::restore(&test.app, &actor, &ScheduleId::from(&*ids[0])).await.map(drop);
    let enable = schedules::disable(&test.app, &actor, &ScheduleId::from(&*ids[1])).await.map(drop);
    let id = ScheduleId::from(&*ids[2]);
    let moved = schedules::update(&test.app, &actor, &id, &draft, None).await.map(drop);
    for outcome in [create, restore, enable, moved] {
        let told = outcome.expect_err("the host is gone");
        let told = format!("{told:?}");
        assert!(told.contains("there is no host `nas` any more"), "{told}");
    }
    let stored = schedules::get(&test.app, &actor, &id).await.expect("it is there").schedule;
    assert_eq!((stored.spec.target.host.as_str(), stored.rev), ("local", 1), "nothing is stored");
    assert!(
        db::schedules::get(&test.app.db, &ScheduleId::from(&*ids[0]))
            .await
            .expect("reads")
            .is_some_and(|one| one.deleted_at.is_some())
    );
    hosts::sync(&test.app).await.expect("syncs");
}
