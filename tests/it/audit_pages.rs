//! The audit log as pages and files: who sees what, how it is narrowed, its picture.

use docknap::db;
use docknap::domain::audit::{AuditDetail, AuditRow, Change};
use docknap::domain::run::ActorRef;

use crate::support::app::TestApp;
use crate::support::rows::{run, store_runs};

/// Adds a row written some minutes before now.
async fn add(test: &TestApp, minutes: i64, edit: impl FnOnce(&mut AuditRow)) {
    let at = test.clock.now() - jiff::SignedDuration::from_mins(minutes);
    let hex = format!("{:012x}", at.as_millisecond());
    let mut row = AuditRow {
        id: format!("{}-{}-7000-8000-{minutes:012}", &hex[..8], &hex[8..]).into(),
        at,
        actor: ActorRef { kind: "user".to_owned(), id: Some("u1".to_owned()), name: "anna".to_owned() },
        ip: Some("192.0.2.77".to_owned()),
        event: "schedule.update".to_owned(),
        object_type: "schedule".to_owned(),
        object_id: Some("s1".to_owned()),
        object_name: "Nights".to_owned(),
        outcome: "ok".to_owned(),
        detail: AuditDetail {
            changes: vec![Change {
                field: "cron".to_owned(),
                old: Some("0 22 * * *".to_owned()),
                new: Some("0 23 * * *".to_owned()),
            }],
            ..AuditDetail::default()
        },
    };
    edit(&mut row);
    let mut tx = test.app.db.begin().await.expect("begins");
    db::audit::insert(&mut tx, vec![row]).await.expect("stores");
    tx.commit().await.expect("commits");
}

#[tokio::test]
async fn the_log_is_narrowed_by_its_url_alone() {
    let test = TestApp::new().await;
    add(&test, 10, |row| row.object_name = "first".to_owned()).await;
    add(&test, 20, |row| {
        row.object_name = "second".to_owned();
        row.actor.name = "ben".to_owned();
        row.ip = Some("2001:db8::1".to_owned());
        row.event = "user.login".to_owned();
        row.object_type = "user".to_owned();
    })
    .await;
    add(&test, 3 * 1440, |row| row.object_name = "third".to_owned()).await;
    let mut ada = test.admin().await;
    for (query, shown) in [
        ("?who=ben", vec!["second"]),
        ("?who=+ben+", vec!["second"]),
        ("?what=first", vec!["first"]),
        ("?event=schedule.update", vec!["first", "third"]),
        ("?ip=2001%3Adb8%3A%3A1", vec!["second"]),
        ("?about=schedule&from=2026-11-27", vec!["first"]),
        ("?to=2026-11-24", vec!["third"]),
        ("?what=nothing", vec![]),
        ("?who=%25", vec![]),
    ] {
        let page = ada.get(&format!("/audit{query}")).await;
        assert_eq!(page.status, 200, "{query}");
        let text = page.text("#audit");
        for name in ["first", "second", "third"] {
            assert_eq!(text.contains(name), shown.contains(&name), "{query}: {text}");
        }
        assert_eq!(text.contains("Nothing here"), shown.is_empty(), "{query}");
    }
    let page = ada.get("/audit?about=schedule&who=anna&event=schedule.update").await;
    assert_eq!(page.attribute("#filter form", "method").as_deref(), Some("get"));
    assert_eq!(page.attribute("#filter input[name=about]", "value").as_deref(), Some("schedule"));
    assert_eq!(page.text("#event option[selected]"), "Changed the schedule");
    assert!(page.text(".filters .chosen").contains("By anna"));
    assert!(
        page.text(".changes del").contains("0 22 * * *") && page.text(".changes ins").contains("0 23 * * *")
    );
    let wrong = ada.get("/audit?to=soon").await;
    assert_eq!((wrong.status, wrong.attribute("#to", "aria-invalid").as_deref()), (422, Some("true")));
}

#[tokio::test]
async fn whoever_is_no_admin_sees_and_takes_home_their_own_rows_only() {
    let test = TestApp::new().await;
    let vera = test.user("vera").await;
    add(&test, 5, |row| row.object_name = "of-anna".to_owned()).await;
    add(&test, 6, |row| {
        row.actor = ActorRef {
            kind: "user".to_owned(),
            id: Some(vera.id.as_str().to_owned()),
            name: "vera".to_owned(),
        };
        row.object_name = "of-vera".to_owned();
    })
    .await;
    let mut browser = test.viewer().await;
    for path in [
        "/audit",
        "/audit?who=anna",
        "/audit?what=of-anna",
        "/audit.csv",
        "/audit.json",
        "/audit.csv?who=anna",
    ] {
        let page = browser.get(path).await;
        assert!(
            page.status == 200 && !page.body.contains("of-anna</") && !page.body.contains(",of-anna"),
            "{path}"
        );
        assert_eq!(page.body.contains("of-vera"), !path.contains('?'), "{path}");
    }
    let page = browser.get("/audit").await;
    assert!(page.attribute("#who", "name").is_none() && page.text(".facts").contains("What you did"));
    let told = page.text("#activity-pic");
    assert!(told.starts_with("The last 24 hours: 2 rows, 0 of them"), "a login and a change of hers: {told}");
    assert!(test.admin().await.get("/audit.csv").await.body.contains("of-anna"));
}

#[tokio::test]
async fn the_rows_of_a_run_are_found() {
    let test = TestApp::new().await;
    let made = test.clock.now() - jiff::SignedDuration::from_mins(30);
    let one = docknap::domain::run::Run {
        created_at: made,
        finished_at: Some(made + jiff::SignedDuration::from_secs(10)),
        ..run("0199c1d2-0000-7000-8000-000000000001")
    };
    store_runs(&test.app.db, &[(one.clone(), Vec::new())]).await;
    let of_run = |row: &mut AuditRow| {
        row.detail.run_id = Some(one.id.to_string());
        row.object_type = "run".to_owned();
        row.object_id = Some(one.id.to_string());
        row.event = "run.finish".to_owned();
        row.object_name = "media".to_owned();
        row.detail.reason = Some("not_running: a restart acts on what runs".to_owned());
    };
    add(&test, 30, of_run).await;
    add(&test, 29, |row| row.object_name = "other".to_owned()).await;
    let mut ada = test.admin().await;
    let page = ada.get(&format!("/audit?run={}", one.id)).await;
    let text = page.text("#audit");
    assert!(text.contains("media") && !text.contains("other") && !text.contains("not_running"), "{text}");
    assert_eq!(page.attribute(".audit-row a.name", "href"), Some(format!("/runs/{}", one.id)));
    assert!(ada.get("/audit?run=nobody").await.text("#audit").contains("Nothing here"));
    let api = test
        .bearer(docknap::domain::permission::Role::Admin)
        .await
        .get(&format!("/api/audit?run_id={}", one.id))
        .await;
    assert_eq!(api.json()["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn the_picture_and_its_table_say_the_same() {
    let test = TestApp::new().await;
    for minutes in [5, 65, 66, 22 * 60 + 30, 25 * 60] {
        add(&test, minutes, |row| {
            if minutes == 66 {
                row.outcome = "refused".to_owned();
            }
        })
        .await;
    }
    let mut ada = test.admin().await;
    let page = ada.get("/audit?who=anna").await;
    assert_eq!(page.text("#activity-pic"), "The last 24 hours: 4 rows, 1 of them did not end well");
    let table = page.text(".days tbody");
    assert!(table.starts_with("19:00 1"), "the newest hour first: {table}");
    assert!(table.contains("18:00 2 1"), "{table}");
    assert_eq!(
        page.attribute("svg.chart path[data-state=failed]", "d").map(|d| d.matches('M').count()),
        Some(1)
    );
    let day = ada.get("/audit?who=anna&to=2026-11-26").await;
    assert!(day.text("#activity-title").contains("24 hours until"), "{}", day.text("#activity-title"));
}

#[tokio::test]
async fn the_file_of_the_log_holds_no_formula() {
    let test = TestApp::new().await;
    for (minutes, name) in [(1, "=1+1"), (2, "@x"), (3, "-2\r\n,\"x"), (4, "\t+3")] {
        add(&test, minutes, |row| {
            row.object_name = name.to_owned();
            row.actor.name = name.to_owned();
            row.detail.reason = Some(name.to_owned());
            row.detail.changes[0].field = name.to_owned();
        })
        .await;
    }
    let mut ada = test.admin().await;
    let csv = ada.get("/audit.csv?event=schedule.update").await;
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"docknap-audit-2026-11-27.csv\"");
    for cell in ["\"'=1+1\"", "\"'@x\"", "\"'=1+1: 0 22 * * * -> 0 23 * * *\""] {
        assert!(csv.body.contains(cell), "{cell}: {}", csv.body);
    }
    for line in csv.body.split("\r\n") {
        assert!(!line.split(',').any(|cell| cell.starts_with(['=', '+', '@', '\t'])), "{line}");
    }
    let json = ada.get("/audit.json?event=schedule.update").await.json();
    assert_eq!(json["items"][0]["object_name"], "=1+1");
    assert_eq!(json["complete"], true);
}
