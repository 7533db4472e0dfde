//! The service that keeps schedules: what it refuses, what it computes, what it records.

use docknap::app::audit::{self, AuditFilter};
use docknap::app::auth::password::Cost;
use docknap::app::paging::{Page, Paged};
use docknap::app::schedules::{self, Draft, ScheduleFilter, ScheduleView};
use docknap::app::{
    Activator, ActiveRuns, Actor, App, Auth, Bus, Error, IdSource, Live, Parts, Scope, Vitals,
};
use docknap::clock::Clock;
use docknap::config::Config;
use docknap::db::{self, settings};
use docknap::docker::Hosts;
use docknap::docker::self_detection::SelfHints;
use docknap::domain::audit::AuditRow;
use docknap::domain::ids::ScheduleId;
use docknap::domain::permission::Role;
use docknap::domain::run::ActorRef;
use docknap::domain::schedule::{Source, When};

use crate::support::db::TestDb;
use crate::support::rows::{at, monday, store_user};

/// Services over a database of their own, a clock that stands still on a Monday noon, and an Engine out of reach.
struct Bench {
    app: App,
    _db: TestDb,
    _home: tempfile::TempDir,
}

async fn bench() -> Bench {
    bench_with(Config::default()).await
}

async fn bench_with(config: Config) -> Bench {
    let db = TestDb::sqlite().await;
    store_user(&db.db, "olga").await;
    let clock = Clock::frozen(monday());
    let home = tempfile::tempdir().expect("a temporary directory");
    let docker_host = "unix:///nowhere/docker.sock".to_owned();
    let config = Config { data_dir: home.path().to_owned(), docker_host, ..config };
    let auth = Auth::open(&db.db, &config, &clock, Cost::TINY).await.expect("the keys are made");
    let app = App::new(Parts {
        db: db.db.clone(),
        hosts: Hosts::new([]),
        hints: SelfHints::default(),
        vitals: Vitals::new(clock.now()),
        auth,
        clock,
        config,
        ids: IdSource::random(),
        bus: Bus::default(),
        scheduler: Activator::default(),
        active_runs: ActiveRuns::default(),
        answering: docknap::app::idempotency::AtWork::default(),
        external_changes: docknap::app::ExternalChanges::default(),
        upcoming: docknap::app::upcoming::Upcoming::default(),
        rulebook: docknap::app::rulebook::LastRead::default(),
        sleeps: Activator::default(),
    });
    docknap::app::hosts::sync(&app).await.expect("the hosts are read");
    Bench { app, _db: db, _home: home }
}

fn actor(role: Role) -> Actor {
    let reference =
        ActorRef { kind: "user".to_owned(), id: Some("olga".to_owned()), name: "olga".to_owned() };
    Actor { reference, role, scope: Scope::All, ip: "192.0.2.7".parse().ok() }
}

fn olga() -> Actor {
    actor(Role::Operator)
}

/// The brief's own example.
fn nights() -> Draft {
    Draft {
        target_type: Some("stack".to_owned()),
        target_id: Some("billing-stack".to_owned()),
        action: Some("stop".to_owned()),
        cron: Some("0 23 * * *".to_owned()),
        enabled: Some(true),
        ..Draft::default()
    }
}

fn field(change: impl FnOnce(&mut Draft)) -> Draft {
    let mut draft = nights();
    change(&mut draft);
    draft
}

#[expect(clippy::unnecessary_wraps, reason = "a field is filled or not")]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

impl Bench {
    async fn create(&self, draft: &Draft) -> ScheduleView {
        schedules::create(&self.app, &olga(), draft, Source::Api).await.expect("it is stored").view
    }

    /// The fields an error names.
    async fn refused(&self, draft: &Draft) -> Vec<(String, String)> {
        match schedules::create(&self.app, &olga(), draft, Source::Api).await {
            Err(Error::Invalid(faults)) => {
                faults.into_iter().map(|fault| (fault.field, fault.message)).collect()
            }
            other => panic!("it should be refused: {other:?}"),
        }
    }

    async fn list(&self) -> Paged<ScheduleView> {
        let page = Page::default();
        schedules::list(&self.app, &olga(), &ScheduleFilter::default(), &page).await.expect("a list")
    }

    /// Audit rows, oldest first.
    async fn audit(&self) -> Vec<AuditRow> {
        let filter = AuditFilter::default();
        let rows =
            audit::list(&self.app, &actor(Role::Admin), &filter, &Page::default()).await.expect("rows");
        rows.items.into_iter().rev().collect()
    }

    async fn events(&self) -> Vec<String> {
        self.audit().await.into_iter().map(|row| row.event).collect()
    }

    async fn set_zone(&self, zone: &str) {
        let mut tx = self.app.db.begin().await.expect("begins");
        settings::put(&mut tx, "timezone", zone, monday()).await.expect("stores");
        tx.commit().await.expect("commits");
    }
}

#[tokio::test]
async fn the_smallest_schedule_works_and_leaves_an_audit_row() {
    let bench = bench().await;
    let mut live = bench.app.bus.subscribe();
    let saved = schedules::create(&bench.app, &olga(), &nights(), Source::Api).await.expect("it is stored");
    let view = &saved.view;
    assert_eq!(view.title, "Stop billing-stack");
    assert_eq!(view.meaning, "At 23:00");
    assert_eq!(view.next_at, Some(at("2026-11-23T23:00:00Z")));
    assert_eq!(view.effective_timezone, "UTC");
    assert_eq!((view.schedule.rev, view.schedule.spec.catch_up_seconds), (1, 3600));
    assert_eq!(view.schedule.owner_name.as_deref(), Some("olga"));
    assert_eq!(view.target_exists, None, "the host is not connected");
    assert!(saved.warnings[0].contains("not connected"), "{:?}", saved.warnings);
    assert_eq!(live.try_recv().expect("browsers are told"), Live::Schedules);
    bench.app.scheduler.woken().await;
    let rows = bench.audit().await;
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].event.as_str(), rows[0].actor.name.as_str()), ("schedule.create", "olga"));
    assert_eq!(rows[0].ip.as_deref(), Some("192.0.2.7"));
    let cron = rows[0].detail.changes.iter().find(|change| change.field == "cron").expect("the cron is told");
    assert_eq!((cron.old.as_deref(), cron.new.as_deref()), (None, Some("0 23 * * *")));
    assert!(rows[0].detail.changes.iter().all(|change| change.field != "note"), "what is empty is not told");
}

#[tokio::test]
async fn every_field_that_is_wrong_is_named_at_once() {
    let bench = bench().await;
    let draft = Draft {
        host: some("mars"),
        target_type: some("pod"),
        target_id: None,
        kind: some("sometimes"),
        action: some("explode"),
        timezone: some("Europe/Berln"),
        catch_up_seconds: some("604801"),
        priority: some("1.5"),
        stop_timeout_seconds: some("-1"),
        name: Some("x".repeat(121)),
        note: some("\u{7}"),
        policy: some("pray"),
        mode: some("doze"),
        wake: some("everybody"),
        calendar_id: some("holidays"),
        ..Draft::default()
    };
    let faults = bench.refused(&draft).await;
    let mut fields: Vec<_> = faults.iter().map(|(field, _)| field.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "action",
            "calendar_id",
            "catch_up_seconds",
            "host",
            "kind",
            "mode",
            "name",
            "note",
            "policy",
            "priority",
            "stop_timeout_seconds",
            "target_id",
            "target_type",
            "timezone",
            "wake"
        ]
    );
    let (_, zone) = faults.iter().find(|(field, _)| field == "timezone").expect("the zone");
    assert!(zone.contains("did you mean `Europe/Berlin`"), "{zone}");
    assert!(bench.list().await.items.is_empty(), "nothing is stored");
    assert!(bench.audit().await.is_empty(), "nothing is recorded");
}

#[tokio::test]
async fn each_class_of_bad_cron_is_refused_with_its_field() {
    let bench = bench().await;
    for (cron, part) in [
        ("0 23 * *", "expression"),
        ("0 0 23 * * *", "expression"),
        ("0 0 23 * * * 2027", "expression"),
        ("60 23 * * *", "minute"),
        ("MON 23 * * *", "minute"),
        ("0 24 * * *", "hour"),
        ("0 22-6 * * *", "hour"),
        ("0,,5 23 * * *", "minute"),
        (", * * * *", "minute"),
        ("0/5 23 * * *", "minute"),
        ("0 23 L * *", "day-of-month"),
        ("0 23 15W * *", "day-of-month"),
        ("0 23 ? * *", "day-of-month"),
        ("0 0 31 2 *", "day-of-month"),
        ("0 23 * 13 *", "month"),
        ("0 23 * * 8", "day-of-week"),
        ("0 23 * * MON#2", "day-of-week"),
        ("@reboot", "expression"),
        ("0 23 * * ☾", "expression"),
    ] {
        let faults = bench.refused(&field(|draft| draft.cron = some(cron))).await;
        assert_eq!(faults.len(), 1, "{cron}: {faults:?}");
        assert_eq!(faults[0].0, "cron", "{cron}");
        assert!(faults[0].1.starts_with(&format!("{part}: ")), "{cron}: {}", faults[0].1);
    }
    let long = format!("0 {} * * *", "1,".repeat(200));
    assert_eq!(bench.refused(&field(|draft| draft.cron = Some(long))).await[0].0, "cron");
    assert_eq!(bench.refused(&field(|draft| draft.cron = some("  "))).await[0].0, "cron");
    assert!(bench.list().await.items.is_empty(), "nothing is stored");
}

#[tokio::test]
async fn a_window_is_kept_in_its_normal_form_and_its_fields_are_checked() {
    let bench = bench().await;
    let window = |text: &str| {
        let text = some(text);
        field(move |draft| {
            draft.cron = None;
            draft.action = None;
            draft.window = text;
        })
    };
    let view = bench.create(&window("SLEEP mon,tue,wed 23:00-07:00")).await;
    assert_eq!(view.schedule.spec.when, When::Window("sleep Mon-Wed 23:00-07:00".to_owned()));
    assert_eq!(view.meaning, "Asleep Monday to Wednesday from 23:00 to 07:00 the next day");
    assert_eq!(view.title, "Sleep billing-stack");
    for (draft, wrong) in [
        (window("sleep 25:00-07:00"), "window"),
        (Draft { action: some("stop"), ..window("sleep 23:00-07:00") }, "action"),
        (Draft { mode: some("doze"), ..window("sleep 23:00-07:00") }, "mode"),
        (Draft { policy: some("pray"), ..window("sleep 23:00-07:00") }, "policy"),
        (Draft { cron: some("0 23 * * *"), kind: some("window"), ..window("sleep 23:00-07:00") }, "cron"),
        (
            Draft {
                calendar_id: some("none"),
                calendar_effect: some("awake"),
                ..window("sleep 23:00-07:00")
            },
            "calendar_id",
        ),
        (field(|draft| draft.mode = some("pause")), "mode"),
        (field(|draft| draft.policy = some("enforce")), "policy"),
    ] {
        let faults = bench.refused(&draft).await;
        assert_eq!(faults.iter().map(|(field, _)| field.as_str()).collect::<Vec<_>>(), [wrong], "{faults:?}");
    }
}

#[tokio::test]
async fn a_once_takes_an_offset_or_a_wall_clock_time_and_never_the_past() {
    let bench = bench().await;
    let once = |when: &str, zone: &str| {
        field(|draft| {
            draft.cron = None;
            draft.at = some(when);
            draft.timezone = some(zone);
        })
    };
    for (when, zone, instant) in [
        ("2026-12-24T18:00:00+01:00", "UTC", "2026-12-24T17:00:00Z"),
        ("2026-12-24T18:00:00Z", "Europe/Berlin", "2026-12-24T18:00:00Z"),
        ("2026-12-24T18:00", "europe/berlin", "2026-12-24T17:00:00Z"),
        // The gap of spring: the first instant after it. The overlap of autumn: the first pass.
        ("2027-03-28T02:30", "Europe/Berlin", "2027-03-28T01:00:00Z"),
        ("2027-10-31T02:30", "Europe/Berlin", "2027-10-31T00:30:00Z"),
    ] {
        let view = bench.create(&once(when, zone)).await;
        assert_eq!(view.next_at, Some(at(instant)), "{when} {zone}");
    }
    let named = bench.list().await.items.remove(0).schedule.spec.timezone;
    assert_eq!(named.as_deref(), Some("Europe/Berlin"), "zones are stored as they are spelled");
    for past in [
        "2026-11-23T12:00",
        "2026-11-23T11:59:59Z",
        "1999-01-01T00:00",
        "tomorrow",
        "2026-12-24",
        "2026-12-24T25:00",
    ] {
        let faults = bench.refused(&once(past, "UTC")).await;
        assert_eq!(faults[0].0, "at", "{past}: {faults:?}");
    }
    let both = bench.refused(&field(|draft| draft.at = some("2026-12-24T18:00"))).await;
    assert_eq!(both[0].0, "at", "{both:?}");
}

#[tokio::test]
async fn names_that_cannot_be_told_apart_safely_are_refused() {
    let bench = bench().await;
    for name in ["", "a\nb", &"x".repeat(256), &"x".repeat(65536)] {
        let faults = bench.refused(&field(|draft| draft.target_id = some(name))).await;
        assert_eq!(faults[0].0, "target_id");
        assert!(faults[0].1.len() < 100, "the answer stays short");
    }
    for name in ["\"><x", "a/../b", "[x]", "x, click from:body"] {
        let view = bench.create(&field(|draft| draft.target_id = some(name))).await;
        assert_eq!(view.schedule.spec.target_name, name, "stored as it is");
    }
}

#[tokio::test]
async fn the_default_zone_is_the_setting_else_the_one_of_setup_else_utc() {
    let bench = bench().await;
    assert_eq!(bench.create(&nights()).await.next_at, Some(at("2026-11-23T23:00:00Z")));
    bench.set_zone("Europe/Berlin").await;
    let view = bench.create(&nights()).await;
    assert_eq!(view.next_at, Some(at("2026-11-23T22:00:00Z")));
    assert_eq!((view.effective_timezone.as_str(), view.schedule.spec.timezone), ("Europe/Berlin", None));
    let config = Config { timezone: some("Asia/Tokyo"), ..Config::default() };
    let bench = bench_with(config).await;
    bench.set_zone("Europe/Berlin").await;
    assert_eq!(bench.create(&nights()).await.next_at, Some(at("2026-11-23T14:00:00Z")));
    let own = field(|draft| draft.timezone = some("America/New_York"));
    assert_eq!(bench.create(&own).await.next_at, Some(at("2026-11-24T04:00:00Z")));
}

#[tokio::test]
async fn an_edit_replaces_everything_and_begins_now() {
    let bench = bench().await;
    let first = bench.create(&field(|draft| draft.note = some("keep an eye on it"))).await;
    bench.app.clock.advance(std::time::Duration::from_secs(60));
    let draft = field(|draft| draft.cron = some("30 6 * * MON-FRI"));
    let id = &first.schedule.id;
    let saved = schedules::update(&bench.app, &olga(), id, &draft, Some(1)).await.expect("it is stored");
    let schedule = saved.view.schedule;
    assert_eq!((schedule.rev, schedule.spec.note.as_str()), (2, ""));
    assert_eq!(schedule.effective_from, at("2026-11-23T12:01:00Z"));
    assert_eq!(schedule.next_due, Some(at("2026-11-24T06:30:00Z")));
    let rows = bench.audit().await;
    let changes: Vec<_> = rows[1]
        .detail
        .changes
        .iter()
        .map(|change| (change.field.as_str(), change.old.as_deref(), change.new.as_deref()))
        .collect();
    assert_eq!(
        changes,
        [("cron", Some("0 23 * * *"), Some("30 6 * * MON-FRI")), ("note", Some("keep an eye on it"), None)]
    );
}

#[tokio::test]
async fn an_old_revision_changes_nothing() {
    let bench = bench().await;
    let id = bench.create(&nights()).await.schedule.id;
    schedules::disable(&bench.app, &olga(), &id).await.expect("it is switched off");
    let stale = schedules::update(&bench.app, &olga(), &id, &nights(), Some(1)).await;
    assert!(matches!(stale, Err(Error::Stale { current_rev: 2 })), "{stale:?}");
    let stale = schedules::delete(&bench.app, &olga(), &id, Some(1)).await;
    assert!(matches!(stale, Err(Error::Stale { current_rev: 2 })), "{stale:?}");
    assert_eq!(bench.events().await, ["schedule.create", "schedule.disable"]);
}

#[tokio::test]
async fn what_is_switched_off_is_not_due_and_switched_on_begins_now() {
    let bench = bench().await;
    let id = bench.create(&nights()).await.schedule.id;
    let off = schedules::disable(&bench.app, &olga(), &id).await.expect("it is switched off");
    assert_eq!((off.next_at, off.schedule.next_due), (None, None));
    bench.app.clock.advance(std::time::Duration::from_secs(3 * 24 * 3600));
    let on = schedules::enable(&bench.app, &olga(), &id).await.expect("it is switched on");
    assert_eq!(on.next_at, Some(at("2026-11-26T23:00:00Z")));
    assert_eq!(on.schedule.effective_from, at("2026-11-26T12:00:00Z"));
    let again = schedules::enable(&bench.app, &olga(), &id).await.expect("nothing happens");
    assert_eq!(again.schedule.rev, on.schedule.rev);
    assert_eq!(bench.events().await, ["schedule.create", "schedule.disable", "schedule.enable"]);
}

#[tokio::test]
async fn a_once_whose_instant_has_passed_can_be_renamed_but_not_switched_on() {
    let bench = bench().await;
    let once = field(|draft| {
        draft.cron = None;
        draft.at = some("2026-11-23T13:00");
    });
    let id = bench.create(&once).await.schedule.id;
    bench.app.clock.advance(std::time::Duration::from_secs(7200));
    schedules::disable(&bench.app, &olga(), &id).await.expect("it is switched off");
    let on = schedules::enable(&bench.app, &olga(), &id).await;
    assert!(matches!(&on, Err(Error::Invalid(faults)) if faults[0].field == "at"), "{on:?}");
    let off = Draft { name: some("Party"), enabled: Some(false), ..once.clone() };
    let saved = schedules::update(&bench.app, &olga(), &id, &off, None).await.expect("it is renamed");
    assert_eq!((saved.view.title.as_str(), saved.view.next_at), ("Party", None));
    let on = schedules::update(&bench.app, &olga(), &id, &once, None).await;
    assert!(matches!(&on, Err(Error::Invalid(faults)) if faults[0].field == "at"), "{on:?}");
}

#[tokio::test]
async fn a_skip_drops_one_occurrence_and_can_be_taken_back() {
    let bench = bench().await;
    let id = bench.create(&nights()).await.schedule.id;
    let skipped = schedules::skip_next(&bench.app, &olga(), &id).await.expect("it is skipped");
    assert_eq!(skipped.schedule.skip_at, Some(at("2026-11-23T23:00:00Z")));
    assert_eq!(skipped.next_at, Some(at("2026-11-24T23:00:00Z")), "the one after");
    assert_eq!(
        skipped.schedule.next_due,
        Some(at("2026-11-23T23:00:00Z")),
        "the skip itself is recorded then"
    );
    let twice = schedules::skip_next(&bench.app, &olga(), &id).await.expect("nothing more is skipped");
    assert_eq!(twice.schedule.rev, skipped.schedule.rev);
    let back = schedules::unskip_next(&bench.app, &olga(), &id).await.expect("it is taken back");
    assert_eq!((back.schedule.skip_at, back.next_at), (None, Some(at("2026-11-23T23:00:00Z"))));
    schedules::disable(&bench.app, &olga(), &id).await.expect("it is switched off");
    let nothing = schedules::skip_next(&bench.app, &olga(), &id).await;
    assert!(matches!(nothing, Err(Error::Conflict { code: "nothing_to_skip", .. })), "{nothing:?}");
    assert_eq!(
        bench.events().await,
        ["schedule.create", "schedule.skip_next", "schedule.unskip_next", "schedule.disable"]
    );
}

#[tokio::test]
async fn a_skip_survives_an_edit_that_keeps_its_instant_and_no_other() {
    let bench = bench().await;
    let id = bench.create(&nights()).await.schedule.id;
    schedules::skip_next(&bench.app, &olga(), &id).await.expect("it is skipped");
    let renamed = field(|draft| draft.name = some("Nights"));
    let saved = schedules::update(&bench.app, &olga(), &id, &renamed, None).await.expect("it is stored");
    assert_eq!(saved.view.schedule.skip_at, Some(at("2026-11-23T23:00:00Z")));
    let moved = field(|draft| draft.cron = some("0 22 * * *"));
    let saved = schedules::update(&bench.app, &olga(), &id, &moved, None).await.expect("it is stored");
    assert_eq!(saved.view.schedule.skip_at, None);
    assert!(
        saved.warnings.iter().any(|warning| warning.starts_with("The skip of 2026-11-23 23:00 was dropped"))
    );
}

#[tokio::test]
async fn a_deleted_schedule_is_gone_but_its_row_stays_for_its_runs() {
    let bench = bench().await;
    let id = bench.create(&nights()).await.schedule.id;
    schedules::delete(&bench.app, &olga(), &id, None).await.expect("it is deleted");
    assert!(bench.list().await.items.is_empty());
    let gone = schedules::get(&bench.app, &olga(), &id).await;
    assert!(matches!(gone, Err(Error::NotFound { what: "schedule", .. })));
    let again = schedules::delete(&bench.app, &olga(), &id, None).await;
    assert!(matches!(again, Err(Error::NotFound { .. })));
    assert_eq!(db::schedules::next_due(&bench.app.db).await.expect("reads"), None, "it never fires");
    let row = db::schedules::get(&bench.app.db, &id).await.expect("reads").expect("the row is there");
    assert_eq!(row.deleted_at, Some(monday()));
    assert_eq!(bench.events().await, ["schedule.create", "schedule.delete"]);
}

#[tokio::test]
async fn a_label_s_schedule_can_be_switched_and_skipped_but_not_changed() {
    let bench = bench().await;
    let saved = schedules::create(&bench.app, &olga(), &nights(), Source::Label).await.expect("it is stored");
    let id = saved.view.schedule.id;
    let changed = schedules::update(&bench.app, &olga(), &id, &nights(), None).await;
    assert!(matches!(changed, Err(Error::Conflict { code: "read_only_source", .. })));
    let deleted = schedules::delete(&bench.app, &olga(), &id, None).await;
    assert!(matches!(deleted, Err(Error::Conflict { code: "read_only_source", .. })));
    schedules::skip_next(&bench.app, &olga(), &id).await.expect("it is skipped");
    schedules::disable(&bench.app, &olga(), &id).await.expect("it is switched off");
}

#[tokio::test]
async fn schedules_that_meet_are_told_of_before_they_do() {
    let bench = bench().await;
    bench.create(&nights()).await;
    let warnings = async |change: fn(&mut Draft)| {
        let draft = field(change);
        schedules::preview(&bench.app, &olga(), &draft).await.expect("a preview").warnings
    };
    let clash = warnings(|draft| {
        draft.action = Some("restart".to_owned());
        draft.cron = Some("0 23 * * SUN".to_owned());
    })
    .await;
    assert!(
        clash.iter().any(|warning| warning
            == "At 2026-11-29 23:00 (UTC) “Stop billing-stack” fires in the same minute: this one goes first and \
                that one is skipped."),
        "{clash:?}"
    );
    let twin = warnings(|_| {}).await;
    assert!(twin.iter().any(|warning| warning.ends_with("one of the two is enough.")), "{twin:?}");
    let apart = warnings(|draft| draft.cron = Some("1 23 * * *".to_owned())).await;
    assert!(apart.iter().all(|warning| !warning.contains("same minute")), "{apart:?}");
    let elsewhere = warnings(|draft| draft.target_id = Some("other".to_owned())).await;
    assert!(elsewhere.iter().all(|warning| !warning.contains("same minute")), "{elsewhere:?}");
    let id = bench.list().await.items[0].schedule.id.clone();
    let itself = Draft { id: Some(id), ..nights() };
    let itself = schedules::preview(&bench.app, &olga(), &itself).await.expect("a preview").warnings;
    assert!(itself.iter().all(|warning| !warning.contains("same minute")), "{itself:?}");
}

#[tokio::test]
async fn a_preview_tells_what_will_fire_and_stores_nothing() {
    let bench = bench().await;
    let draft = Draft { cron: some("30 2 * * *"), timezone: some("Europe/Berlin"), ..Draft::default() };
    let preview = schedules::preview(&bench.app, &actor(Role::Viewer), &draft).await.expect("a preview");
    assert_eq!(preview.meaning, "At 02:30");
    assert_eq!(preview.zone, "Europe/Berlin");
    assert_eq!(preview.next.len(), 10);
    assert_eq!(preview.next[0].at, at("2026-11-24T01:30:00Z"));
    assert!(preview.warnings.is_empty(), "{:?}", preview.warnings);
    assert!(
        preview
            .dst_notes
            .iter()
            .any(|note| note.contains("28 Mar 2027 02:30 does not exist in Europe/Berlin")),
        "{:?}",
        preview.dst_notes
    );
    let mut known = preview.next.clone();
    let view = bench
        .create(&field(|draft| {
            draft.cron = some("30 2 * * *");
            draft.timezone = some("Europe/Berlin");
        }))
        .await;
    assert_eq!(view.next_at, Some(known.remove(0).at), "what is shown is what fires");
    let wrong = Draft { cron: some("61 * * * *"), ..draft };
    let wrong = schedules::preview(&bench.app, &olga(), &wrong).await;
    assert!(matches!(&wrong, Err(Error::Invalid(faults)) if faults[0].field == "cron"), "{wrong:?}");
    assert_eq!(bench.events().await, ["schedule.create"]);
}

#[tokio::test]
async fn a_viewer_changes_nothing() {
    let bench = bench().await;
    let id = bench.create(&nights()).await.schedule.id;
    let (app, viewer) = (&bench.app, actor(Role::Viewer));
    let forbidden = |refused: Result<(), Error>| {
        assert!(matches!(refused, Err(Error::Forbidden { needs: Role::Operator })), "{refused:?}");
    };
    forbidden(schedules::create(app, &viewer, &nights(), Source::Api).await.map(drop));
    forbidden(schedules::update(app, &viewer, &id, &nights(), None).await.map(drop));
    forbidden(schedules::delete(app, &viewer, &id, None).await);
    forbidden(schedules::enable(app, &viewer, &id).await.map(drop));
    forbidden(schedules::disable(app, &viewer, &id).await.map(drop));
    forbidden(schedules::skip_next(app, &viewer, &id).await.map(drop));
    forbidden(schedules::unskip_next(app, &viewer, &id).await.map(drop));
    schedules::get(app, &viewer, &id).await.expect("a viewer looks");
    assert_eq!(bench.events().await, ["schedule.create"]);
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let bench = bench().await;
    for name in ["one", "two", "three"] {
        bench.create(&field(|draft| draft.name = some(name))).await;
    }
    let mut page = Page { limit: 2, cursor: None };
    let all = ScheduleFilter::default();
    let first = schedules::list(&bench.app, &olga(), &all, &page).await.expect("a page");
    assert_eq!(titles(&first), ["three", "two"]);
    page.cursor = first.next_cursor;
    let second = schedules::list(&bench.app, &olga(), &all, &page).await.expect("a page");
    assert_eq!(titles(&second), ["one"]);
    assert_eq!(second.next_cursor, None);
}

fn titles(page: &Paged<ScheduleView>) -> Vec<&str> {
    page.items.iter().map(|view| view.title.as_str()).collect()
}

#[tokio::test]
async fn people_see_their_own_audit_rows_and_admins_all() {
    let bench = bench().await;
    bench.create(&nights()).await;
    let mut other = actor(Role::Operator);
    other.reference.id = some("otto");
    let all = AuditFilter::default();
    let mine = audit::list(&bench.app, &olga(), &all, &Page::default()).await.expect("rows");
    assert_eq!(mine.items.len(), 1);
    let none = audit::list(&bench.app, &other, &all, &Page::default()).await.expect("rows");
    assert!(none.items.is_empty());
    other.reference.id = None;
    let none = audit::list(&bench.app, &other, &all, &Page::default()).await.expect("rows");
    assert!(none.items.is_empty(), "somebody without an account has no rows");
}

#[tokio::test]
async fn an_unknown_id_is_not_found_whatever_it_holds() {
    let bench = bench().await;
    for id in ["", "x", "'; DROP TABLE schedules", &"x".repeat(70_000)] {
        let found = schedules::get(&bench.app, &olga(), &ScheduleId::from(id)).await;
        assert!(matches!(&found, Err(Error::NotFound { name, .. }) if name.len() <= 64), "{found:?}");
    }
}
