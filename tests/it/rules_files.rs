//! Rules as files: what is exported comes back, a plan says what changes, and a file with one fault changes nothing.

use std::fmt::Write as _;

use axum::http::Method;
use docknap::app::rules_file::{self, Deed, Document, Foreign, Plan};
use docknap::app::{Error, calendars, groups, hosts, locks, order, schedules};
use docknap::db;
use docknap::domain::calendar::CalendarDraft;
use docknap::domain::group::GroupSource;
use docknap::domain::host::HostSource;
use docknap::domain::ids::{GroupId, HostId};
use docknap::domain::permission::Role;
use docknap::domain::schedule::Source;
use docknap::domain::target::TargetType;
use docknap::sim::World;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::support::app::{Answer, Client, TestApp};
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;

const NOW: &str = "2027-03-02T20:30:00Z";

on_both_engines!(
    everything_that_is_exported_comes_back,
    a_file_with_one_fault_changes_nothing,
    what_a_file_does_not_hold_goes_only_when_asked,
);

fn world() -> World {
    World::new()
        .stack("media", |s| s.service("db", |c| c).service("web", |c| c))
        .stack("wiki", |s| s.service("app", |c| c))
        .container("loner", |c| c)
}

#[expect(clippy::unnecessary_wraps, reason = "the fields of drafts are optional")]
fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn on(kind: &str, name: &str) -> schedules::Draft {
    schedules::Draft { target_type: text(kind), target_id: text(name), ..schedules::Draft::default() }
}

async fn add(bench: &Bench, draft: &schedules::Draft) {
    let saved = schedules::create(&bench.app, &person(), draft, Source::Ui).await;
    saved.unwrap_or_else(|error| panic!("{error:?}"));
}

/// Rules of every kind, with what a reader of YAML may take for something else.
async fn fill(bench: &Bench) {
    let (app, me) = (&bench.app, &person());
    let days = CalendarDraft {
        name: "Holidays: \"no\"".to_owned(),
        dates: vec!["2027-12-25".to_owned()],
        ranges: vec![("2027-08-01".to_owned(), "2027-08-14".to_owned())],
        yearly: vec!["05-01".to_owned()],
        ics: None,
    };
    let calendar = calendars::create(app, me, &days).await.expect("a calendar").id.0;
    let evening = groups::GroupDraft { name: text("Evening"), note: text("yes\nno"), ..Default::default() };
    groups::create(app, me, &evening, GroupSource::Ui).await.expect("a group");
    for (kind, name) in [("stack", "media"), ("container", "loner"), ("container", "wiki-app-1")] {
        let member = groups::MemberDraft { host: None, target_type: text(kind), target_id: text(name) };
        let added = groups::add_member(app, me, &GroupId::from("evening"), &member, GroupSource::Ui).await;
        added.expect("a member");
    }
    locks::lock(app, me, &HostId::local(), TargetType::Container, "media-web-1", "").await.expect("a lock");
    let edge = order::Draft {
        dependant_type: text("container"),
        dependant_id: text("media-web-1"),
        dependency_type: text("container"),
        dependency_id: text("media-db-1"),
        condition: text("service_healthy"),
        wait_seconds: text("90"),
        ..order::Draft::default()
    };
    order::add(app, me, &edge).await.expect("an edge");
    let nas =
        hosts::HostDraft { name: text("NAS"), endpoint: text("unix:///nas.sock"), ..Default::default() };
    hosts::create(app, me, &nas, HostSource::Ui).await.expect("a host");

    let night = schedules::Draft {
        name: text("no"),
        window: text("sleep Mon-Fri 22:30-07:00"),
        timezone: text("Europe/Berlin"),
        policy: text("enforce"),
        mode: text("pause"),
        calendar_id: Some(calendar.clone()),
        calendar_effect: text("as:Sun"),
        note: text("first line\n\ttabbed: \u{2028} end"),
        guard: schedules::GuardDraft { min_uptime_minutes: text("30"), ..Default::default() },
        ..on("stack", "media")
    };
    add(bench, &night).await;
    add(bench, &schedules::Draft { name: text("no"), ..night.clone() }).await;
    let stop =
        schedules::Draft { cron: text("0 23 * * *"), action: text("stop"), ..on("container", "media-db-1") };
    add(bench, &stop).await;
    let fridays = schedules::Draft {
        nth: text("1,-1"),
        every_weeks: text("2"),
        anchor: text("2027-03-01"),
        priority: text("7"),
        catch_up_seconds: text("0"),
        stop_timeout_seconds: text("20"),
        enabled: Some(false),
        cron: text("0 12 * * 5"),
        action: text("restart"),
        ..on("stack", "wiki")
    };
    add(bench, &fridays).await;
    let once =
        schedules::Draft { at: text("2027-12-24T18:00:00Z"), action: text("start"), ..on("stack", "wiki") };
    add(bench, &once).await;
    let group = schedules::Draft { cron: text("0 1 * * *"), action: text("stop"), ..on("group", "evening") };
    add(bench, &group).await;
    // Its schedules are exported and imported although nothing can act on it now.
    locks::lock(app, me, &HostId::local(), TargetType::Stack, "wiki", "22:30").await.expect("a lock");
    let host = schedules::Draft { cron: text("0 2 * * *"), action: text("stop"), ..on("host", "local") };
    add(bench, &host).await;
}

async fn exported(bench: &Bench) -> String {
    rules_file::export(&bench.app, &person()).await.expect("it is exported").to_yaml()
}

async fn planned(bench: &Bench, file: &str, prune: bool) -> Result<Plan, Error> {
    let document = Document::read(file).map_err(Error::Invalid)?;
    rules_file::plan(&bench.app, &person(), &document, prune).await
}

async fn import(bench: &Bench, file: &str, prune: bool) -> Plan {
    let plan = planned(bench, file, prune).await.unwrap_or_else(|error| panic!("{error:?}\n{file}"));
    rules_file::apply(&bench.app, &person(), &plan).await.unwrap_or_else(|error| panic!("{error:?}\n{file}"));
    plan
}

fn counts(plan: &Plan) -> [usize; 4] {
    [plan.count(Deed::Create), plan.count(Deed::Change), plan.count(Deed::Delete), plan.same]
}

/// The faults of a file, each as `field: message`.
async fn faults(bench: &Bench, file: &str) -> Vec<String> {
    match planned(bench, file, false).await {
        Err(Error::Invalid(found)) => {
            found.into_iter().map(|fault| format!("{}: {}", fault.field, fault.message)).collect()
        }
        other => panic!("it is refused: {other:?}"),
    }
}

async fn everything_that_is_exported_comes_back(test: TestDb) {
    let first = Bench::new(NOW, world()).await;
    fill(&first).await;
    let file = exported(&first).await;
    assert!(planned(&first, &file, true).await.expect("a plan").is_empty(), "{file}");

    // Into an empty one, whose containers are the same, and from there into one that knows none of them.
    let second = Bench::on(test, NOW, world()).await;
    let made = import(&second, &file, false).await;
    assert_eq!(counts(&made), [13, 0, 0, 0], "{file}");
    assert_eq!(exported(&second).await, file);
    let again = import(&second, &file, true).await;
    assert_eq!(counts(&again), [0, 0, 0, 13]);
    assert!(again.sentence().starts_with("Nothing changes"), "{}", again.sentence());
    let third = Bench::new(NOW, World::new()).await;
    import(&third, &exported(&second).await, false).await;
    assert_eq!(exported(&third).await, file);

    // JSON of the same shape is the same file.
    let whole = rules_file::export(&first.app, &person()).await.expect("it is exported").to_json();
    assert!(planned(&second, &whole.to_string(), true).await.expect("a plan").is_empty());
    assert!(
        file.contains("name: \"no\"") && file.contains("reason: \"22:30\""),
        "every text is quoted: {file}"
    );
}

async fn a_file_with_one_fault_changes_nothing(test: TestDb) {
    let bench = Bench::on(test, NOW, world()).await;
    fill(&bench).await;
    let before = exported(&bench).await;
    let audited = audit_rows(&bench).await;
    let file = "version: 1\nlocks:\n  - {target_type: stack, target_id: media}\nschedules:\n  - name: Fine\n    \
                target_type: stack\n    target_id: wiki\n    cron: 0 3 * * *\n    action: stop\n  - name: Faulty\n    \
                target_type: stack\n    target_id: wiki\n    cron: 0 25 * * *\n    action: stop\n    calendar: None\n  \
                - target_type: stack\n";
    let found = faults(&bench, file).await;
    assert!(found.iter().any(|fault| fault.starts_with("schedules[1].cron: line 13: ")), "{found:?}");
    assert!(found.iter().any(|fault| fault.starts_with("schedules[1].calendar: line 15: ")), "{found:?}");
    assert!(found.iter().any(|fault| fault.starts_with("schedules[2].target_id: line 16: ")), "{found:?}");
    assert_eq!(exported(&bench).await, before);
    assert_eq!(audit_rows(&bench).await, audited);

    // A plan that cannot be stored to the end is not stored at all.
    let file = "version: 1\nschedules:\n  - {name: New, target_type: stack, target_id: wiki, cron: 0 3 * * *, \
                action: stop}\ncalendars: []\n";
    let plan = planned(&bench, file, true).await.expect("a plan");
    let user = schedules::Draft {
        cron: text("0 4 * * *"),
        action: text("stop"),
        calendar_id: Some(calendar_of(&bench).await),
        ..on("stack", "media")
    };
    add(&bench, &user).await;
    let before = exported(&bench).await;
    let refused = rules_file::apply(&bench.app, &person(), &plan).await;
    assert!(matches!(refused, Err(Error::Conflict { code: "calendar_in_use", .. })), "{refused:?}");
    assert_eq!(exported(&bench).await, before);
}

async fn calendar_of(bench: &Bench) -> String {
    let names = calendars::names(&bench.app, &person()).await.expect("they are read");
    names.first().expect("a calendar").0.0.clone()
}

async fn audit_rows(bench: &Bench) -> usize {
    let filter = docknap::app::audit::AuditFilter::default();
    let page = docknap::app::paging::Page { limit: 200, cursor: None };
    docknap::app::audit::list(&bench.app, &person(), &filter, &page).await.expect("it reads").items.len()
}

async fn what_a_file_does_not_hold_goes_only_when_asked(test: TestDb) {
    let bench = Bench::on(test, NOW, world()).await;
    fill(&bench).await;
    let file = "version: 1\nschedules:\n  - key: stop\n    target_type: container\n    target_id: media-db-1\n    \
                cron: 0 22 * * *\n    action: stop\n";
    let plan = planned(&bench, file, false).await.expect("a plan");
    assert_eq!(counts(&plan), [0, 1, 0, 0]);
    let change = plan.steps[0].changes.first().expect("a change");
    assert_eq!((change.field.as_str(), change.old.as_deref()), ("cron", Some("0 23 * * *")));
    let pruned = import(&bench, file, true).await;
    assert_eq!(counts(&pruned), [0, 1, 6, 0]);
    let left = exported(&bench).await;
    assert_eq!(left.matches("  - key: ").count(), 1, "{left}");
    assert!(left.contains("locks:\n  - "), "sections that the file does not have stay: {left}");
    let named = "version: 1\ngroups:\n  - {id: evening, name: Evening, note: \"yes\\nno\"}\n";
    let group = import(&bench, named, true).await;
    assert_eq!(counts(&group), [0, 0, 0, 1], "its members stay: {:?}", group.steps);
    let all = import(
        &bench,
        "version: 1\nschedules: []\nlocks: []\norder: []\ngroups: []\ncalendars: []\nhosts: []\n",
        true,
    )
    .await;
    assert_eq!(counts(&all), [0, 0, 6, 0]);
    let left = exported(&bench).await;
    assert!(left.contains("hosts:\n  - id: \"nas\"") && left.contains("groups: []"), "{left}");
    let known = db::slugs::all(&bench.app.db).await.expect("they are read");
    assert!(known.is_empty(), "deleted schedules have no key");
}

#[tokio::test]
async fn hostile_files_are_refused_by_line_and_path() {
    let bench = Bench::new(NOW, world()).await;
    let mut bomb = "version: 1\na: &a [x]\n".to_owned();
    for level in 0..20 {
        let _ = writeln!(bomb, "b{level}: &b{level} [*a, *a, *a, *a]");
    }
    let long = format!("version: 1\n# {}\n", "x".repeat(rules_file::MAX_BYTES));
    for (file, said) in [
        (bomb.as_str(), "line 2: anchors"),
        (long.as_str(), "1 MiB"),
        ("", "empty"),
        ("version: 1\nschedules: [[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]\n", "16 deep"),
        ("version: 1\nversion: 1\n", "line 2: `version` is there twice"),
        ("version: 1\n---\nversion: 1\n", "one document"),
        ("version: 1\nschedules:\n\t- name: x\n", "line "),
        ("version: 1\nlocks:\n  - reason: \"a\u{0}b\"\n", "line 3: there is a control character"),
        ("version: 1\nschedules: yes\n", "this is a list"),
        ("version: 1\nschedules:\n  - enabled: no\n", "schedules[0].enabled: line 3: use true or false"),
        ("version: 1\nshedules: []\n", "did you mean `schedules`?"),
        ("version: 1\nschedules:\n  - taget_id: x\n", "did you mean `target_id`?"),
        ("version: 1\nroles: []\n", "roles: line 2: there is no such field"),
        ("schedules: []\n", "version: "),
        ("- x\n", "a rules file is a mapping"),
    ] {
        let found = faults(&bench, file).await;
        let short: String = file.chars().take(80).collect();
        assert!(found.iter().any(|fault| fault.contains(said)), "{short:?}: {found:?}");
    }
    // Words of YAML 1.1 are texts where a text is asked for.
    let words = "version: 1\nlocks:\n  - target_type: stack\n    target_id: media\n    reason: no\n  - \
                 target_type: stack\n    target_id: wiki\n    reason: 22:30\n";
    import(&bench, words, false).await;
    let reasons: Vec<String> = locks::list(&bench.app, &person())
        .await
        .expect("locks")
        .into_iter()
        .map(|lock| lock.reason)
        .collect();
    assert_eq!(reasons, ["no", "22:30"]);
}

#[tokio::test]
async fn a_key_names_a_schedule_whatever_becomes_of_its_name() {
    let bench = Bench::new(NOW, world()).await;
    let of = |name: &str, cron: &str| {
        format!(
            "version: 1\nschedules:\n  - key: night\n    name: {name}\n    target_type: stack\n    \
             target_id: media\n    cron: \"{cron}\"\n    action: stop\n"
        )
    };
    import(&bench, &of("Night", "0 23 * * *"), false).await;
    let plan = import(&bench, &of("Late", "0 22 * * *"), false).await;
    assert_eq!(counts(&plan), [0, 1, 0, 0]);
    let file = exported(&bench).await;
    assert!(file.contains("key: \"night\"") && file.contains("name: \"Late\""), "{file}");
    let twice = format!(
        "{}  - key: night\n    target_type: stack\n    target_id: media\n    cron: 0 1 * * *\n    \
                         action: stop\n",
        of("Late", "0 22 * * *")
    );
    let found = faults(&bench, &twice).await;
    assert!(found[0].starts_with("schedules[1].key: line 9: "), "{found:?}");
}

#[tokio::test]
async fn a_host_comes_without_its_key_and_is_disabled() {
    // Certificates are made by the machine's clock.
    let now = docknap::clock::Clock::system().now() + jiff::SignedDuration::from_hours(1);
    let bench = Bench::new(&now.to_string(), world()).await;
    let directory = tempfile::tempdir().expect("a directory");
    crate::docker_tls::certificates(directory.path());
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect("a file");
    let (ca, cert, key) = (read("ca.pem"), read("client/cert.pem"), read("client/key.pem"));
    let draft: hosts::HostDraft = serde_json::from_value(json!({
        "name": "VPS", "endpoint": "tcp://127.0.0.1:1", "ca": ca, "cert": cert, "key": key,
    }))
    .expect("a draft");
    hosts::create(&bench.app, &person(), &draft, HostSource::Ui).await.expect("a host");
    let file = exported(&bench).await;
    let secret = key.lines().nth(1).expect("a line of the key");
    assert!(file.contains("key: \"set\"") && !file.contains(secret), "{file}");
    assert!(planned(&bench, &file, true).await.expect("a plan").is_empty(), "its own key stays");

    let other = Bench::new(&now.to_string(), world()).await;
    let plan = import(&other, &file, false).await;
    assert!(plan.warnings.iter().any(|warning| warning.contains("private key")), "{:?}", plan.warnings);
    let stored = db::hosts::get(&other.app.db, &HostId::from("vps")).await.expect("it reads").expect("a row");
    assert!(!stored.enabled, "it has no key");
    assert!(planned(&other, &file, false).await.expect("a plan").is_empty());
    let with_key = file.replace("key: \"set\"", &format!("key: {}", json!(key)));
    let found = faults(&other, &with_key).await;
    assert!(found[0].contains("no secrets") && !found[0].contains(secret), "{found:?}");
}

async fn send(client: &mut Client, query: &str, file: &str) -> Answer {
    let path = format!("/api/import{query}");
    client.send(Method::POST, &path, Some("application/yaml"), file.to_owned(), &[]).await
}

const LOCK: &str = "version: 1\nlocks:\n  - {target_type: stack, target_id: media, reason: \"on purpose\"}\n";
const GROUP: &str =
    "version: 1\nlocks:\n  - {target_type: stack, target_id: media}\ngroups:\n  - {name: Late}\n";

#[tokio::test]
async fn the_api_plans_and_imports() {
    let test = TestApp::over(Bench::new(NOW, world()).await).await;
    let mut operator = test.bearer(Role::Operator).await;
    let dry = send(&mut operator, "?dry_run=true", LOCK).await;
    assert_eq!(dry.status, 200, "{}", dry.body);
    let dry = dry.json();
    assert_eq!((&dry["applied"], &dry["create"]), (&json!(false), &json!(1)));
    assert_eq!(dry["steps"][0]["section"], "locks");
    let none = operator.get("/api/export").await;
    assert!(none.body.contains("locks: []\n"), "{}", none.body);

    // The plan that was seen is the plan that is stored.
    let hash = dry["plan"].as_str().expect("a text").to_owned();
    let other = LOCK.replace("media", "wiki");
    let refused = send(&mut operator, &format!("?plan={hash}"), &other).await;
    assert_eq!((refused.status, &refused.json()["code"]), (409, &json!("stale_plan")), "{}", refused.body);
    let done = send(&mut operator, &format!("?plan={hash}"), LOCK).await;
    assert_eq!((done.status, &done.json()["applied"]), (200, &json!(true)), "{}", done.body);
    assert_eq!(send(&mut operator, "", LOCK).await.json()["same"], 1);

    // Hosts, groups and calendars are for admins, here as on their pages.
    let refused = send(&mut operator, "", GROUP).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_eq!(send(&mut test.bearer(Role::Viewer).await, "", LOCK).await.status, 403);
    let mut admin = test.bearer(Role::Admin).await;
    assert_eq!(send(&mut admin, "", GROUP).await.status, 200);

    let wrong = send(&mut operator, "", "version: 1\nlocks:\n  - {target_type: stack}\n").await;
    assert_eq!((wrong.status, wrong.wrong_field()), (422, "locks[0].target_id".to_owned()), "{}", wrong.body);
    let large = format!("version: 1\n# {}\n", "x".repeat(2 * rules_file::MAX_BYTES));
    assert_eq!(send(&mut operator, "", &large).await.status, 422);

    let yaml = operator.get("/api/export").await;
    assert_eq!((yaml.status, yaml.header("content-type")), (200, "application/yaml"));
    assert!(!yaml.body.contains("hosts:"), "the addresses of hosts are for admins");
    let mut program = operator.with_header("accept", "application/json");
    let read: Value = program.get("/api/export").await.json();
    assert_eq!((&read["version"], &read["locks"][0]["target_id"]), (&json!(1), &json!("media")));
}

#[tokio::test]
async fn the_page_shows_a_plan_and_applies_exactly_that() {
    let test = TestApp::over(Bench::new(NOW, world()).await).await;
    let mut otto = test.operator().await;
    assert_eq!(otto.get("/settings/import").await.status, 200);
    let shown = otto.post("/settings/import", &[("text", LOCK), ("from", "")]).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert!(shown.text("#plan").contains("Create lock media"), "{}", shown.text("#plan"));
    let hash = shown.attribute("#plan [name=plan]", "value").expect("a hash");
    let fields = [("text", LOCK), ("from", ""), ("plan", hash.as_str())];

    // Somebody else is faster: the plan is shown anew, and nothing is stored.
    let host = HostId::local();
    locks::lock(&test.app, &person(), &host, TargetType::Stack, "media", "").await.expect("a lock");
    let stale = otto.post("/settings/import/apply", &fields).await;
    assert_eq!(stale.status, 422, "{}", stale.body);
    assert!(stale.text("#plan").contains("Change lock media"), "{}", stale.text("#plan"));
    locks::unlock(&test.app, &person(), &host, TargetType::Stack, "media").await.expect("it is unlocked");
    let done = otto.post("/settings/import/apply", &fields).await;
    assert_eq!((done.status, done.location()), (303, "/settings/import"), "{}", done.body);
    let stored = locks::list(&test.app, &person()).await.expect("locks");
    assert_eq!(stored.iter().map(|lock| lock.reason.as_str()).collect::<Vec<_>>(), ["on purpose"]);

    let wrong = otto.post("/settings/import", &[("text", "version: 1\nlcoks: []\n")]).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.text("#faults").contains("did you mean locks"), "{}", wrong.text("#faults"));
    assert!(wrong.body.contains("lcoks: []"), "what was typed stays");
    let cron = "0 23 * * * docker stop loner\n0 3 * * * backup.sh\n";
    let foreign = otto.post("/settings/import", &[("text", cron), ("from", "crontab")]).await;
    assert!(foreign.text("#plan").contains("Create schedule Stop loner"), "{}", foreign.text("#plan"));
    assert!(foreign.text("#left").contains("backup.sh"), "{}", foreign.text("#left"));
}

#[tokio::test]
async fn schedules_of_other_programs_are_imported() {
    let bench = Bench::new(NOW, world()).await;
    let crontab = "CRON_TZ=Europe/Berlin\n0 23 * * * docker compose -p media stop\n@reboot docker start loner\n\
         0 5 * * * docker compose -p media stop db\n0 5 * * * docker compose -p media stop db\n";
    let mine = schedules::Draft { cron: text("0 9 * * *"), action: text("stop"), ..on("stack", "media") };
    add(&bench, &mine).await;
    let (document, left) = Foreign::Crontab.read(crontab);
    let plan = rules_file::plan(&bench.app, &person(), &document, false).await.expect("a plan");
    assert_eq!(counts(&plan), [2, 0, 0, 0]);
    assert!(left.len() == 1 && left[0].starts_with("line 3: "), "{left:?}");
    rules_file::apply(&bench.app, &person(), &plan).await.expect("it is stored");
    let plan = rules_file::plan(&bench.app, &person(), &document, false).await.expect("a plan");
    assert!(plan.is_empty(), "the same lines are the same schedules");
    let ini = "[job-local \"night\"]\nschedule = 0 0 22 * * *\ncommand = docker stop loner\n";
    let (document, left) = Foreign::Ofelia.read(ini);
    let plan = rules_file::plan(&bench.app, &person(), &document, false).await.expect("a plan");
    rules_file::apply(&bench.app, &person(), &plan).await.expect("it is stored");
    assert!(left.is_empty());
    let file = exported(&bench).await;
    for part in
        ["timezone: \"Europe/Berlin\"", "key: \"night\"", "cron: \"0 22 * * *\"", "services: [\"db\"]"]
    {
        assert!(file.contains(part), "{part}: {file}");
    }
}

#[tokio::test]
async fn a_lock_that_a_command_stores_is_followed_by_the_server() {
    let test = TestApp::over(Bench::new(NOW, world()).await).await;
    let mut viewer = test.bearer(Role::Viewer).await;
    test.bench().tick().await;
    assert!(!viewer.get("/api/stacks/local/media").await.body.contains("locked by"));
    let lock = docknap::domain::lock::Lock {
        target: Bench::stack("media"),
        target_name: "media".to_owned(),
        reason: "on purpose".to_owned(),
        author_id: None,
        author: "command line".to_owned(),
        created_at: test.clock.now(),
    };
    // As another process writes it: nothing in this one is told.
    let mut tx = test.app.db.begin().await.expect("it begins");
    db::locks::put(&mut tx, &lock).await.expect("it is stored");
    tx.commit().await.expect("it is stored");
    test.bench().tick().await;
    let stack = viewer.get("/api/stacks/local/media").await;
    assert!(stack.body.contains("locked by command line: on purpose"), "{}", stack.body);
}

const STOP_WEB: &str = "version: 1\nschedules:\n  - key: stop\n    target_type: container\n    \
                        target_id: media-web-1\n    cron: 0 22 * * *\n    action: stop\n";

#[tokio::test]
async fn a_name_means_the_stored_container_while_it_is_away() {
    let away = Bench::new(NOW, World::new()).await;
    let exact = format!("{STOP_WEB}    identity: \"service:media/web/1\"\n");
    import(&away, &exact, false).await;
    let again = planned(&away, STOP_WEB, true).await.expect("a plan");
    assert_eq!(counts(&again), [0, 0, 0, 1], "{:?}", again.steps);

    // It was named before it was there: once it is, the same schedule means it.
    let bench = Bench::new(NOW, world()).await;
    import(&bench, &format!("{STOP_WEB}    identity: \"name:media-web-1\"\n"), false).await;
    let aimed = import(&bench, STOP_WEB, true).await;
    assert_eq!(counts(&aimed), [0, 1, 0, 0], "{:?}", aimed.steps);
    let file = exported(&bench).await;
    assert!(file.contains("identity: \"service:media/web/1\""), "{file}");
    assert_eq!(file.matches("  - key: ").count(), 1, "{file}");
}

#[tokio::test]
async fn an_instant_that_has_passed_does_not_spoil_a_file() {
    let bench = Bench::new(NOW, world()).await;
    let file = "version: 1\nschedules:\n  - name: Once\n    target_type: stack\n    target_id: wiki\n    \
                at: 2027-03-02T21:00:00Z\n    action: stop\n  - name: Night\n    target_type: stack\n    \
                target_id: media\n    cron: 0 23 * * *\n    action: stop\n";
    assert_eq!(counts(&import(&bench, file, false).await), [2, 0, 0, 0]);
    bench.clock.advance(std::time::Duration::from_secs(3600));
    let again = import(&bench, file, true).await;
    assert_eq!(counts(&again), [0, 0, 0, 2], "{:?}", again.steps);
    assert!(again.warnings.iter().any(|one| one.contains("its instant has passed")), "{:?}", again.warnings);
}

#[tokio::test]
async fn services_of_a_stack_come_back_and_are_checked() {
    let bench = Bench::new(NOW, world()).await;
    let of = |services: &str| {
        format!(
            "version: 1\nschedules:\n  - target_type: stack\n    target_id: media\n    services: {services}\n    \
             cron: 0 23 * * *\n    action: stop\n"
        )
    };
    import(&bench, &of("[web, db]"), false).await;
    let file = exported(&bench).await;
    assert!(file.contains("services: [\"db\",\"web\"]") && file.contains("target_id: \"media\""), "{file}");
    assert!(planned(&bench, &file, true).await.expect("a plan").is_empty());
    let waits = planned(&bench, &of("[web, wep]"), false).await.expect("a plan");
    assert!(waits.warnings.iter().any(|one| one.contains("no service `wep`")), "{:?}", waits.warnings);
    let broken = faults(&bench, &of("[\"we\\nb\"]")).await;
    assert!(broken[0].starts_with("schedules[0].services: line 5: "), "{broken:?}");
    let container = of("[web]").replace("target_type: stack", "target_type: container");
    let refused = faults(&bench, &container.replace("target_id: media", "target_id: loner")).await;
    assert!(refused[0].contains("only a stack has services"), "{refused:?}");
}

#[tokio::test]
async fn two_schedules_that_come_to_one_target_have_two_keys() {
    let bench = Bench::new(NOW, world()).await;
    let night = schedules::Draft { name: text("Night"), cron: text("0 23 * * *"), ..on("stack", "media") };
    let night = schedules::Draft { action: text("stop"), ..night };
    add(&bench, &night).await;
    let other = schedules::Draft { target_id: text("wiki"), cron: text("0 22 * * *"), ..night.clone() };
    let other = schedules::create(&bench.app, &person(), &other, Source::Ui).await.expect("it is stored");
    exported(&bench).await;
    let moved = schedules::Draft { cron: text("0 22 * * *"), ..night };
    schedules::update(&bench.app, &person(), &other.view.schedule.id, &moved, None).await.expect("it moves");
    let file = exported(&bench).await;
    assert!(file.contains("key: \"night\"") && file.contains("key: \"night-2\""), "{file}");
    assert!(planned(&bench, &file, true).await.expect("it is read").is_empty());
}
