//! Calendars: in storage, kept by the service, through the API and on the pages.

use axum::http::Method;
use docknap::app::calendars;
use docknap::app::paging::Page;
use docknap::app::rulebook::RuleBook;
use docknap::app::{Actor, Error, Live};
use docknap::db::{self, Db};
use docknap::domain::calendar::{Calendar, CalendarDraft, CalendarSpec};
use docknap::domain::ids::{CalendarId, ScheduleId};
use docknap::domain::permission::Role;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::support::app::{Answer, Client, TestApp};
use crate::support::db::TestDb;
use crate::support::rows::{monday, schedule, store_schedules};

on_both_engines!(
    a_calendar_is_read_back_as_it_was_stored,
    a_change_needs_the_revision_it_read,
    a_name_is_taken_in_any_case,
    a_list_is_paged_and_the_revisions_are_by_name,
    the_schedules_that_go_by_a_calendar_are_known,
    many_calendars_change_at_once,
);

async fn many_calendars_change_at_once(database: TestDb) {
    let test = TestApp::on(database, |_| {}).await;
    let ada = test.actor(Role::Admin).await;
    let mut made = Vec::new();
    for number in 0..12 {
        let draft = CalendarDraft { name: format!("Calendar {number}"), ..holidays() };
        let calendar = calendars::create(&test.app, &ada, &draft).await.expect("it is stored");
        let id = format!("s{number}");
        store_schedules(&test.app.db, &[schedule(&id)]).await;
        use_calendar(&test.app.db, &id, calendar.id.as_str()).await;
        made.push((calendar.id, CalendarDraft { dates: vec!["2026-12-23".to_owned()], ..draft }));
    }
    // Each holds a connection, of which there are fewer: none may wait for a second one.
    let changes = made.iter().map(|(id, draft)| calendars::update(&test.app, &ada, id, draft, None));
    for changed in futures_util::future::join_all(changes).await {
        assert_eq!(changed.expect("it is stored").rev, 2);
    }
}

/// Christmas in three ways.
fn calendar(id: &str, name: &str) -> Calendar {
    let date = |text: &str| text.parse().expect("a date");
    Calendar {
        id: CalendarId::from(id),
        spec: CalendarSpec {
            name: name.to_owned(),
            dates: vec![date("2026-12-25"), date("2027-01-06")],
            ranges: vec![(date("2026-12-24"), date("2026-12-31"))],
            yearly: vec![(2, 29), (12, 25)],
            ics: Some("BEGIN:VCALENDAR\r\nSUMMARY:\"O'Brien\" ☾".to_owned()),
        },
        rev: 1,
        created_at: monday(),
        updated_at: monday(),
    }
}

async fn store(db: &Db, calendars: &[Calendar]) {
    let mut tx = db.begin().await.expect("begins");
    for calendar in calendars {
        db::calendars::insert(&mut tx, calendar).await.expect("stores");
    }
    tx.commit().await.expect("commits");
}

/// Lets a schedule go by a calendar.
async fn use_calendar(db: &Db, schedule: &str, calendar: &str) {
    const SQL: &str = "UPDATE schedules SET calendar_id = $1, calendar_effect = 'skip' WHERE id = $2";
    match db {
        Db::Sqlite { writer, .. } => {
            sqlx::query(SQL).bind(calendar).bind(schedule).execute(writer).await.map(|_| ())
        }
        Db::Pg(pool) => sqlx::query(SQL).bind(calendar).bind(schedule).execute(pool).await.map(|_| ()),
    }
    .expect("stores");
}

async fn a_calendar_is_read_back_as_it_was_stored(test: TestDb) {
    let full = calendar("a", "Ferien & \"><x");
    let mut empty = calendar("b", "Empty");
    empty.spec =
        CalendarSpec { name: "Empty".to_owned(), dates: vec![], ranges: vec![], yearly: vec![], ics: None };
    store(&test.db, &[full.clone(), empty.clone()]).await;
    for stored in [full, empty] {
        assert_eq!(db::calendars::get(&test.db, &stored.id).await.expect("reads"), Some(stored));
    }
    assert_eq!(db::calendars::get(&test.db, &CalendarId::from("c")).await.expect("reads"), None);
}

async fn a_change_needs_the_revision_it_read(test: TestDb) {
    let old = calendar("a", "Holidays");
    store(&test.db, std::slice::from_ref(&old)).await;
    let mut new = old.clone();
    new.rev = 2;
    new.spec.dates.clear();
    new.spec.ics = None;
    for (stored, expected) in [(true, 1), (false, 1)] {
        let mut tx = test.db.begin().await.expect("begins");
        assert_eq!(db::calendars::update(&mut tx, &new, expected).await.expect("answers"), stored);
        assert_eq!(db::calendars::get(&mut tx, &old.id).await.expect("reads"), Some(new.clone()));
        tx.commit().await.expect("commits");
    }
    for (deleted, expected) in [(false, 1), (true, 2), (false, 2)] {
        let mut tx = test.db.begin().await.expect("begins");
        assert_eq!(db::calendars::delete(&mut tx, &old.id, expected).await.expect("answers"), deleted);
        tx.commit().await.expect("commits");
    }
    assert_eq!(db::calendars::get(&test.db, &old.id).await.expect("reads"), None);
}

async fn a_name_is_taken_in_any_case(test: TestDb) {
    store(&test.db, &[calendar("a", "Ferien"), calendar("b", "Über")]).await;
    for name in ["ferien", "FERIEN", "über"] {
        let mut tx = test.db.begin().await.expect("begins");
        let refused = db::calendars::insert(&mut tx, &calendar("c", name)).await.expect_err(name);
        assert!(refused.is_duplicate(), "{name}: {refused}");
    }
    let mut tx = test.db.begin().await.expect("begins");
    let refused = db::calendars::update(&mut tx, &calendar("b", "FERIEN"), 1).await.expect_err("taken");
    assert!(refused.is_duplicate());
    drop(tx);
    // Its own name in another case is not taken.
    let mut tx = test.db.begin().await.expect("begins");
    assert!(db::calendars::update(&mut tx, &calendar("b", "ÜBER"), 1).await.expect("answers"));
}

async fn a_list_is_paged_and_the_revisions_are_by_name(test: TestDb) {
    store(&test.db, &[calendar("a", "zoo"), calendar("b", "Fair"), calendar("c", "holidays")]).await;
    let ids = |calendars: Vec<Calendar>| calendars.into_iter().map(|one| one.id.0).collect::<Vec<_>>();
    assert_eq!(ids(db::calendars::list(&test.db, None, 2).await.expect("reads")), ["c", "b"]);
    assert_eq!(ids(db::calendars::list(&test.db, Some("b"), 2).await.expect("reads")), ["a"]);
    let revisions = db::calendars::revisions(&test.db).await.expect("reads");
    let names: Vec<(&str, i64)> = revisions.iter().map(|(_, name, rev)| (&**name, *rev)).collect();
    assert_eq!(names, [("Fair", 1), ("holidays", 1), ("zoo", 1)]);
}

async fn the_schedules_that_go_by_a_calendar_are_known(test: TestDb) {
    store(&test.db, &[calendar("a", "Holidays"), calendar("b", "Fair")]).await;
    let mut rows = vec![schedule("1"), schedule("2"), schedule("3"), schedule("4")];
    rows[1].spec.name = String::new();
    rows[2].deleted_at = Some(monday());
    store_schedules(&test.db, &rows).await;
    for id in ["1", "2", "3"] {
        use_calendar(&test.db, id, "a").await;
    }
    let expected =
        vec![(ScheduleId::from("1"), "Nights".to_owned()), (ScheduleId::from("2"), "media".to_owned())];
    let id = CalendarId::from("a");
    assert_eq!(db::calendars::users(&test.db, &id).await.expect("reads"), expected);
    let mut tx = test.db.begin().await.expect("begins");
    assert_eq!(db::calendars::users(&mut tx, &id).await.expect("reads"), expected);
    drop(tx);
    assert_eq!(db::calendars::usage(&test.db).await.expect("reads"), [(id, 2)]);
}

/// What a person types.
fn holidays() -> CalendarDraft {
    CalendarDraft {
        name: "Holidays".to_owned(),
        dates: vec!["2026-12-24".to_owned()],
        yearly: vec!["12-25".to_owned()],
        ..CalendarDraft::default()
    }
}

#[tokio::test]
async fn the_scheduler_sees_a_change() {
    let test = TestApp::new().await;
    let ada = test.actor(Role::Admin).await;
    assert!(RuleBook::load(&test.app).await.expect("reads").calendars.is_empty());

    let mut live = test.app.bus.subscribe();
    let made = calendars::create(&test.app, &ada, &holidays()).await.expect("it is stored");
    // A wake that comes while nobody waits is kept.
    test.app.scheduler.woken().await;
    assert_eq!(live.try_recv().expect("told"), Live::Schedules);
    let days = |date: &str| {
        let date = date.parse().expect("a date");
        let (app, id) = (test.app.clone(), made.id.clone());
        async move {
            let book = RuleBook::load(&app).await.expect("reads");
            book.dates(&id).is_some_and(|dates| dates.days.contains(date))
        }
    };
    assert!(days("2026-12-24").await && days("2031-12-25").await && !days("2026-12-23").await);

    let draft = CalendarDraft { dates: vec!["2026-12-23".to_owned()], ..holidays() };
    calendars::update(&test.app, &ada, &made.id, &draft, Some(1)).await.expect("it is stored");
    test.app.scheduler.woken().await;
    assert!(days("2026-12-23").await && !days("2026-12-24").await);

    calendars::delete(&test.app, &ada, &made.id, Some(2)).await.expect("it is gone");
    test.app.scheduler.woken().await;
    assert!(RuleBook::load(&test.app).await.expect("reads").calendars.is_empty());
}

#[tokio::test]
async fn repeating_events_follow_the_clock() {
    let test = TestApp::new().await;
    let ada = test.actor(Role::Admin).await;
    let ics = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20200704\nRRULE:FREQ=YEARLY\nEND:VEVENT\nEND:VCALENDAR";
    let draft =
        CalendarDraft { name: "Fourth".to_owned(), ics: Some(ics.to_owned()), ..CalendarDraft::default() };
    let made = calendars::create(&test.app, &ada, &draft).await.expect("it is stored");
    let last = async || {
        let book = RuleBook::load(&test.app).await.expect("reads");
        book.dates(&made.id).and_then(|dates| dates.days.last())
    };
    assert_eq!(last().await, Some("2031-07-04".parse().expect("a date")));
    // A year later they are known a year further.
    test.clock.advance(std::time::Duration::from_secs(366 * 86_400));
    assert_eq!(last().await, Some("2032-07-04".parse().expect("a date")));
}

#[tokio::test]
async fn who_may_not_keep_calendars_may_see_them() {
    let test = TestApp::new().await;
    let ada = test.actor(Role::Admin).await;
    let made = calendars::create(&test.app, &ada, &holidays()).await.expect("it is stored");
    for role in [Role::Viewer, Role::Operator] {
        let actor = test.actor(role).await;
        assert_eq!(
            calendars::list(&test.app, &actor, &Page::default()).await.expect("a list").items.len(),
            1
        );
        assert_eq!(calendars::get(&test.app, &actor, &made.id).await.expect("it is there"), made);
        let refused = [
            calendars::create(&test.app, &actor, &holidays()).await.map(|_| ()),
            calendars::update(&test.app, &actor, &made.id, &holidays(), None).await.map(|_| ()),
            calendars::delete(&test.app, &actor, &made.id, None).await,
        ];
        assert!(refused.iter().all(|answer| matches!(answer, Err(Error::Forbidden { needs: Role::Admin }))));
    }
}

#[tokio::test]
async fn a_calendar_in_use_stays_and_the_refusal_names_who_uses_it() {
    let test = TestApp::new().await;
    let ada = test.actor(Role::Admin).await;
    let made = calendars::create(&test.app, &ada, &holidays()).await.expect("it is stored");
    let rows: Vec<_> = (1..=7)
        .map(|number| {
            let mut row = schedule(&number.to_string());
            row.spec.name = format!("Nap {number}");
            row
        })
        .collect();
    store_schedules(&test.app.db, &rows).await;
    let refusal = async || match calendars::delete(&test.app, &ada, &made.id, None).await {
        Err(Error::Conflict { code, message }) => (code, message),
        other => panic!("it should be refused: {other:?}"),
    };
    use_calendar(&test.app.db, "3", made.id.as_str()).await;
    let message = "a schedule goes by this calendar: “Nap 3”; take the calendar off it first".to_owned();
    assert_eq!(refusal().await, ("calendar_in_use", message));
    for row in &rows {
        use_calendar(&test.app.db, row.id.as_str(), made.id.as_str()).await;
    }
    let message = "schedules go by this calendar: “Nap 1”, “Nap 2”, “Nap 3”, “Nap 4”, “Nap 5” and 2 more; take \
                   the calendar off them first";
    assert_eq!(refusal().await.1, message);
}

#[tokio::test]
async fn every_change_leaves_an_audit_row() {
    let test = TestApp::new().await;
    let ada = test.actor(Role::Admin).await;
    let made = calendars::create(&test.app, &ada, &holidays()).await.expect("it is stored");
    let dates: Vec<String> =
        (1..=28).flat_map(|day| (1..=9).map(move |month| format!("2027-0{month}-{day:02}"))).collect();
    let ics = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20200704\nEND:VEVENT\nEND:VCALENDAR";
    let draft = CalendarDraft { dates, ics: Some(ics.to_owned()), ..holidays() };
    calendars::update(&test.app, &ada, &made.id, &draft, None).await.expect("it is stored");
    calendars::delete(&test.app, &ada, &made.id, None).await.expect("it is gone");

    let rows = docknap::app::audit::list(
        &test.app,
        &Actor::cli(),
        &docknap::app::audit::AuditFilter::default(),
        &Page::default(),
    )
    .await
    .expect("rows")
    .items;
    let rows: Vec<_> = rows.into_iter().filter(|row| row.object_type == "calendar").rev().collect();
    let events: Vec<&str> = rows.iter().map(|row| &*row.event).collect();
    assert_eq!(events, ["calendar.create", "calendar.update", "calendar.delete"]);
    assert!(rows.iter().all(|row| row.actor.name == "ada" && row.object_name == "Holidays"));
    let changes = &rows[1].detail.changes;
    assert_eq!(changes.iter().map(|change| &*change.field).collect::<Vec<_>>(), ["dates", "ics"]);
    let dates = changes[0].new.as_deref().expect("new");
    assert!(dates.len() < 600 && dates.starts_with("2027-01-01, ") && dates.ends_with(" more"), "{dates}");
    assert!(changes[1].new.as_deref().expect("new").contains("SHA-256"));
}

async fn put(client: &mut Client, path: &str, body: &Value, tag: &str) -> Answer {
    let kind = Some("application/json");
    client.send(Method::PUT, path, kind, body.to_string(), &[("if-match", tag)]).await
}

#[tokio::test]
async fn the_api_keeps_calendars() {
    let test = TestApp::new().await;
    let mut api = test.bearer(Role::Admin).await;
    let body = json!({
        "name": "Holidays", "dates": ["2026-12-25", "2026-01-01"], "ranges": [["2026-12-24", "2026-12-31"]],
        "yearly": ["12-25"], "id": "mine", "rev": 7,
    });
    let made = api.post_json("/api/calendars", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/calendars/{id}");
    assert_eq!(made.headers["location"], path.as_str());
    assert_eq!(made.headers["etag"], "\"1\"");
    let expected = json!({
        "id": id, "name": "Holidays", "dates": ["2026-01-01", "2026-12-25"],
        "ranges": [["2026-12-24", "2026-12-31"]], "yearly": ["12-25"], "ics": null,
        "left_out": [], "left_out_total": 0, "rev": 1,
    });
    assert_eq!(made.json(), expected);
    let mut viewer = test.bearer(Role::Viewer).await;
    assert_eq!(viewer.get(&path).await.json(), expected);
    assert_eq!(viewer.get("/api/calendars").await.json(), json!({"items": [expected], "next_cursor": null}));

    // What was read can be sent back as it is; what is left out is empty afterwards.
    assert_eq!(put(&mut api, &path, &expected, "\"1\"").await.json()["rev"], 2);
    let stale = put(&mut api, &path, &expected, "\"1\"").await;
    assert_eq!((stale.status, stale.json()["code"].clone()), (412, json!("stale")));
    let put_back = put(&mut api, &path, &json!({"name": "HOLIDAYS", "yearly": ["05-01"]}), "*").await;
    assert_eq!(put_back.headers["etag"], "\"3\"");
    assert_eq!(put_back.json()["dates"], json!([]));

    let taken = api.post_json("/api/calendars", &json!({"name": "holidays", "yearly": ["05-01"]})).await;
    assert_eq!((taken.status, &*taken.wrong_field()), (422, "name"), "{}", taken.body);

    let delete = api.send(Method::DELETE, &path, None, String::new(), &[("if-match", "\"2\"")]).await;
    assert_eq!(delete.status, 412);
    assert_eq!(api.delete(&path).await.status, 204);
    assert_eq!(api.get(&path).await.status, 404);
    assert_eq!(put(&mut api, &path, &json!({"name": "x", "yearly": ["05-01"]}), "*").await.status, 404);
}

#[tokio::test]
async fn the_api_names_every_field_that_is_wrong_and_stores_nothing() {
    let test = TestApp::new().await;
    let mut api = test.bearer(Role::Admin).await;
    let cases = [
        (json!({}), vec!["name"]),
        (json!({"name": "x"}), vec!["dates"]),
        (json!({"name": "x", "dates": "2026-12-25"}), vec!["dates"]),
        (json!({"name": "x", "dates": ["2026-12-25", 5], "colour": "red"}), vec!["dates[1]", "colour"]),
        (json!({"name": "x", "ranges": [["2026-12-25"]]}), vec!["ranges[0]"]),
        (
            json!({"name": " ", "dates": ["2026-02-30"], "ranges": [["2026-12-25", "2026-12-24"]], "yearly": ["02-30"],
                   "ics": "x"}),
            vec!["name", "dates[0]", "ranges[0]", "yearly[0]", "ics"],
        ),
        (json!({"name": "x", "ranges": [["2000-01-01", "2099-12-31"]]}), vec!["ranges"]),
    ];
    for (body, fields) in cases {
        let answer = api.post_json("/api/calendars", &body).await;
        assert_eq!(answer.status, 422, "{body}: {}", answer.body);
        let problem = answer.json();
        let errors = problem["errors"].as_array().expect("errors");
        let named: Vec<&str> = errors.iter().filter_map(|error| error["field"].as_str()).collect();
        assert_eq!(named, fields, "{body}");
    }
    assert_eq!(api.get("/api/calendars").await.json()["items"], json!([]));
}

/// Three events, of which the second and the third cannot be read.
const DAMAGED: &str = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261224\nEND:VEVENT\nBEGIN:VEVENT\nDTSTART:Invalid date\n\
                       END:VEVENT\nBEGIN:VEVENT\nDTSTART:20261226\nRRULE:FREQ=WEEKLY;UNTL=20191023\nEND:VEVENT\n\
                       END:VCALENDAR\n";

#[tokio::test]
async fn what_of_a_file_is_left_out_is_told_in_the_api_and_in_previews() {
    let test = TestApp::new().await;
    let mut api = test.bearer(Role::Admin).await;
    let made = api.post_json("/api/calendars", &json!({"name": "Damaged", "ics": DAMAGED})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let left = json!([
        {"line": 6, "message": "line 6 of the ICS file: `Invalid date` is not a date"},
        {
            "line": 10,
            "message": "line 10 of the ICS file: UNTL is not read in the repetition `FREQ=WEEKLY;UNTL=20191023`",
        },
    ]);
    let id = made.json()["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/calendars/{id}");
    let list = api.get("/api/calendars").await.json()["items"][0].clone();
    let put = put(&mut api, &path, &made.json(), "*").await;
    for answer in [made.json(), api.get(&path).await.json(), list, put.json()] {
        assert_eq!((&answer["left_out"], &answer["left_out_total"]), (&left, &json!(2)));
    }
    let body = json!({
        "target_type": "stack", "target_id": "media", "action": "stop", "cron": "0 23 * * *", "calendar_id": id,
        "calendar_effect": "skip", "allow_missing": true,
    });
    let warning = "The calendar “Damaged” leaves out 2 entries of its file; its page lists them.";
    for path in ["/api/schedules/preview", "/api/schedules"] {
        let answer = api.post_json(path, &body).await;
        assert!(answer.body.contains(warning), "{path}: {}", answer.body);
    }
    // All of it counts again.
    let whole = DAMAGED.replace("Invalid date", "20261225").replace("UNTL", "UNTIL");
    let mended = json!({"name": "Damaged", "ics": whole});
    let answer = self::put(&mut api, &path, &mended, "*").await.json();
    assert_eq!((&answer["left_out"], &answer["left_out_total"]), (&json!([]), &json!(0)));
    let preview = api.post_json("/api/schedules/preview", &body).await;
    assert!(!preview.body.contains("leaves out"), "{}", preview.body);
}

#[tokio::test]
async fn what_of_a_file_is_left_out_is_told_on_its_page() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    let made = ada.post("/calendars", &[("name", "Damaged"), ("days", ""), ("ics", DAMAGED)]).await;
    assert_eq!(made.status, 303, "{}", made.body);
    let page = ada.get(made.location()).await;
    assert!(
        page.text(".flash").contains("“Damaged” is stored, 2 entries of its file left out."),
        "{}",
        page.body
    );
    let told = page.text("#left + .lines");
    assert!(told.contains("Line 6 of the ICS file: Invalid date is not a date"), "{told}");
    assert!(told.contains("Line 10 of the ICS file: UNTL is not read"), "{told}");
    assert!(page.text("#coming + .fires").contains("Thu 24 Dec 2026"));
    assert!(ada.get("/calendars").await.text("tbody").contains("2 entries of its file left out"));
    // Nothing of it counts: it is refused, and stays in the form.
    let bad = DAMAGED.replace("20261224", "never");
    let answer = ada.post("/calendars", &[("name", "Bad"), ("days", ""), ("ics", &bad)]).await;
    assert_eq!(answer.status, 422);
    assert!(
        answer.text("#ics-error").contains("line 3 of the ICS file: never is not a date"),
        "{}",
        answer.body
    );
    // What was read otherwise when it was stored says so.
    let stored = Calendar {
        spec: CalendarSpec { ics: Some(bad), ..calendar("old", "Old").spec },
        ..calendar("old", "Old")
    };
    store(&test.app.db, &[stored]).await;
    let page = ada.get("/calendars/old").await;
    assert!(page.text("#left + .lines").contains("Line 3 of the ICS file: never is not a date"));
    assert!(page.text("#coming + .fires").contains("Fri 25 Dec 2026"));
}

/// A file of that many bytes with one event.
fn file_of(bytes: usize) -> String {
    let event = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20261225\r\nSUMMARY:Christmas\r\nEND:VEVENT\r\n";
    let end = "END:VCALENDAR\r\n";
    let mut text = event.to_owned();
    let line = "X-NOTE:;:;:;:;:;:;:;:;:\r\n";
    while text.len() + line.len() + end.len() <= bytes {
        text.push_str(line);
    }
    text + end
}

#[tokio::test]
async fn a_file_of_one_mebibyte_fits_and_nothing_else_may_be_so_large() {
    let test = TestApp::new().await;
    let (mut api, mut ada) = (test.bearer(Role::Admin).await, test.admin().await);
    let full = file_of(1024 * 1024);
    let made = api.post_json("/api/calendars", &json!({"name": "full", "ics": full})).await;
    assert_eq!(made.status, 201, "{:.300}", made.body);
    let answer = ada.post("/calendars", &[("name", "typed"), ("days", ""), ("ics", &full)]).await;
    assert_eq!(answer.status, 303, "{:.300}", answer.body);

    let large = file_of(1024 * 1024 + 100);
    let refused = api.post_json("/api/calendars", &json!({"name": "large", "ics": large})).await;
    assert_eq!((refused.status, &*refused.wrong_field()), (422, "ics"));
    let refused = ada.post("/calendars", &[("name", "large"), ("days", ""), ("ics", &large)]).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text(".field-error").contains("larger than 1 MiB"));

    let huge = "x".repeat(4 * 1024 * 1024);
    let refused = api.post_json("/api/calendars", &json!({"name": "huge", "ics": huge})).await;
    assert_eq!((refused.status, refused.json()["code"].clone()), (413, json!("too_large")));
    assert!(refused.json()["detail"].as_str().is_some_and(|text| text.contains("1 MiB")));
    for path in ["/api/schedules", "/api/calendarsx", "/api/auth/login"] {
        let status = api.post_json(path, &json!({"name": "x".repeat(65 * 1024)})).await.status;
        assert!(matches!(status, 413 | 404), "{path}: {status}");
    }
}

#[tokio::test]
async fn the_pages_lead_from_nothing_to_a_calendar_and_back() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    assert_eq!(ada.get("/schedules").await.text("a[href='/calendars']"), "Calendars");
    assert!(ada.get("/calendars").await.text("main").contains("No calendar yet"));
    assert_eq!(ada.get("/calendars/new").await.status, 200);

    let days = "2026-12-31\r\n\r\n2026-12-24 to 2026-12-26, 12-06\r\n 2027-03-01..2027-03-02 \r\n05-01";
    let ics = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261128\nSUMMARY:Fair <b>\nEND:VEVENT\nEND:VCALENDAR";
    let made = ada.post("/calendars", &[("name", "Holidays"), ("days", days), ("ics", ics)]).await;
    assert_eq!(made.status, 303, "{}", made.body);
    let path = made.location().to_owned();
    let page = ada.get(&path).await;
    assert!(page.text(".flash").contains("“Holidays” is stored."));
    assert_eq!(page.text("h1"), "Holidays");
    let coming = page.text("#coming + .fires");
    assert!(
        coming.contains("Sat 28 Nov 2026") && coming.contains("tomorrow") && coming.contains("Fair <b>"),
        "{coming}"
    );
    let kept = page.text("#days");
    assert_eq!(kept, "2026-12-31 2026-12-24 to 2026-12-26 2027-03-01 to 2027-03-02 05-01 12-06");

    let list = ada.get("/calendars").await;
    let row = list.text("tbody");
    assert!(row.contains("Holidays") && row.contains("Sat 28 Nov 2026") && row.contains("9 days"), "{row}");

    // Somebody who may only look sees the same, and no button.
    let mut vera = test.viewer().await;
    let page = vera.get(&path).await;
    assert!(page.text("main").contains("Admins can change it"));
    assert!(!page.body.contains("class=\"primary\""), "no button to save");

    let ask = ada.get(&format!("{path}/delete")).await;
    assert!(ask.text("main").contains("Delete “Holidays”?"));
    assert_eq!(ada.post(&format!("{path}/delete"), &[("rev", "1")]).await.location(), "/calendars");
    assert!(ada.get("/calendars").await.text("main").contains("No calendar yet"));
    assert!(ada.get("/audit?about=calendar").await.text("main").contains("deleted the calendar"));
}

#[tokio::test]
async fn what_was_typed_stays_and_its_faults_are_told_by_line() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    let days = "2026-12-25\r\n2026-02-30\r\n12-25, 02-30\r\n2026-12-31 to 2026-12-24";
    let answer = ada.post("/calendars", &[("name", ""), ("days", days), ("ics", "nonsense <x>")]).await;
    assert_eq!(answer.status, 422);
    let summary = answer.text("#errors");
    for fault in [
        "give it a name",
        "line 2: 2026-02-30 is not a date",
        "line 3: 02-30 is not a day of the year",
        "line 4: 2026-12-31 to 2026-12-24 ends before it starts",
        "this is no ICS file",
    ] {
        assert!(summary.contains(fault), "{fault}: {summary}");
    }
    assert_eq!(answer.text("#days"), days.split_whitespace().collect::<Vec<_>>().join(" "));
    assert_eq!(answer.text("#ics").trim(), "nonsense <x>");

    let answer = ada
        .post("/calendars", &[("name", "x"), ("days", "2026-12-25\n25.12.2026\nChristmas"), ("ics", "")])
        .await;
    let summary = answer.text("#errors");
    assert!(summary.contains("line 2: 25.12.2026 is no day") && summary.contains("line 3"), "{summary}");
    let answer = ada.post("/calendars", &[("name", "x"), ("days", " \n"), ("ics", "\n")]).await;
    assert!(answer.text("#days-error").contains("name at least one day"), "{}", answer.body);
    assert!(RuleBook::load(&test.app).await.expect("reads").calendars.is_empty(), "nothing is stored");
}

#[tokio::test]
async fn a_form_that_is_out_of_date_shows_what_differs() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    let path = ada
        .post("/calendars", &[("name", "Holidays"), ("days", "12-25"), ("ics", "")])
        .await
        .location()
        .to_owned();
    let save = [("name", "Holidays"), ("days", "12-25\r\n12-26"), ("ics", ""), ("rev", "1")];
    assert_eq!(ada.post(&path, &save).await.status, 303);
    let late = ada.post(&path, &[("name", "Holidays"), ("days", "12-24"), ("ics", ""), ("rev", "1")]).await;
    assert_eq!(late.status, 409);
    let shown = late.text("#stale");
    assert!(
        shown.contains("12-24") && shown.contains("12-25, 12-26") && !shown.contains("Calendar file"),
        "{shown}"
    );
    assert_eq!(late.text("#days").trim(), "12-24", "what was typed stays");
    // Saving again replaces what is stored.
    let again = [("name", "Holidays"), ("days", "12-24"), ("ics", ""), ("rev", "2")];
    assert!(late.body.contains("name=\"rev\" value=\"2\""));
    assert_eq!(ada.post(&path, &again).await.status, 303);
}

#[tokio::test]
async fn a_calendar_in_use_is_not_offered_for_deletion() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    let path = ada
        .post("/calendars", &[("name", "Holidays"), ("days", "12-25"), ("ics", "")])
        .await
        .location()
        .to_owned();
    store_schedules(&test.app.db, &[schedule("1")]).await;
    use_calendar(&test.app.db, "1", path.rsplit('/').next().expect("an id")).await;
    assert!(ada.get(&path).await.text("#used + .lines").contains("Nights"));
    assert!(ada.get("/calendars").await.text("tbody").contains("1 schedule"));
    let refused = ada.get(&format!("{path}/delete")).await;
    assert_eq!(refused.status, 409);
    assert!(refused.text("main").contains("“Nights”"));
    let refused = ada.post(&format!("{path}/delete"), &[("rev", "1")]).await;
    assert_eq!(refused.status, 409);
}

#[tokio::test]
async fn the_schedules_of_a_calendar_follow_its_changes() {
    let test = TestApp::new().await;
    let (ada, mut api) = (test.actor(Role::Admin).await, test.bearer(Role::Operator).await);
    let made = calendars::create(&test.app, &ada, &holidays()).await.expect("it is stored");
    let mut ids = Vec::new();
    for body in [
        json!({"window": "sleep 23:00-07:00", "kind": "window", "calendar_effect": "awake"}),
        json!({"cron": "0 23 * * *", "action": "stop", "calendar_effect": "skip"}),
    ] {
        let mut body = body;
        body["target_type"] = "stack".into();
        body["target_id"] = "media".into();
        body["calendar_id"] = made.id.as_str().into();
        let answer = api.post_json("/api/schedules", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.json()["next_at"], "2026-11-27T23:00:00.000Z");
        ids.push(answer.json()["id"].as_str().expect("an id").to_owned());
    }
    test.app.external_changes.looks();
    let stored = async || {
        let mut due = Vec::new();
        for id in &ids {
            let id = ScheduleId::from(id.as_str());
            let schedule = db::schedules::get(&test.app.db, &id).await.expect("reads").expect("is there");
            due.push(schedule.next_due.expect("it comes").to_string());
        }
        due
    };
    let tonight = CalendarDraft { dates: vec!["2026-11-27".to_owned()], ..holidays() };
    calendars::update(&test.app, &ada, &made.id, &tonight, None).await.expect("it is stored");
    assert_eq!(stored().await, ["2026-11-28T23:00:00Z"; 2]);
    assert!(test.app.external_changes.is_waiting(&[]), "the scheduler looks at everything");
    assert_eq!(
        api.get(&format!("/api/schedules/{}", ids[0])).await.json()["next_at"],
        "2026-11-28T23:00:00.000Z"
    );

    // Taken off again before it came.
    calendars::update(&test.app, &ada, &made.id, &holidays(), None).await.expect("it is stored");
    assert_eq!(stored().await, ["2026-11-27T23:00:00Z"; 2]);

    // What is due already is left to the scheduler.
    test.clock.advance(std::time::Duration::from_secs(3 * 3600));
    calendars::update(&test.app, &ada, &made.id, &tonight, None).await.expect("it is stored");
    assert_eq!(stored().await, ["2026-11-27T23:00:00Z"; 2]);
}
