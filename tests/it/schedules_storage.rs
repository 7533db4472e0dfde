//! Schedules in storage, on both engines.

use std::time::Duration;

use docknap::db::schedules::{self, OccurrenceClaim, ScheduleSelection};
use docknap::domain::action::Action;
use docknap::domain::day_rules::{EveryWeeks, Nth};
use docknap::domain::group::Area;
use docknap::domain::ids::{HostId, ScheduleId};
use docknap::domain::schedule::{Schedule, When};
use docknap::domain::target::{ContainerIdentity, Target};

use crate::on_both_engines;
use crate::support::db::TestDb;
use crate::support::rows::{at, member, monday, schedule, store_schedules};

on_both_engines!(
    a_schedule_is_read_back_as_it_was_stored,
    an_update_needs_the_revision_it_read,
    a_deletion_is_taken_back_once,
    only_one_claims_an_occurrence,
    a_claim_uses_up_the_skip_and_may_end_a_once,
    of_a_batch_each_is_claimed_for_itself,
    what_is_due_comes_in_order_and_what_is_off_never,
    a_skip_needs_the_occurrence_it_was_meant_for,
    a_list_is_paged_filtered_and_without_the_deleted,
    schedules_that_touch_a_target_are_found_across_stack_and_member,
    of_those_that_say_the_same_the_oldest_and_the_newest_touch,
);

fn ids(schedules: &[Schedule]) -> Vec<&str> {
    schedules.iter().map(|schedule| schedule.id.as_str()).collect()
}

fn all(limit: i64) -> ScheduleSelection<'static> {
    ScheduleSelection { limit, ..ScheduleSelection::default() }
}

async fn a_schedule_is_read_back_as_it_was_stored(test: TestDb) {
    let mut once = schedule("a");
    once.spec.when = When::Once(at("2026-12-24T18:00:00.250Z"));
    once.spec.target = Target::container(HostId::local(), member("media", "web/%2F"));
    once.spec.timezone = Some("Europe/Berlin".to_owned());
    once.spec.stop_timeout_seconds = Some(30);
    once.spec.note = String::from("\"><x\nO'Brien ☾");
    once.skip_at = Some(at("2026-12-24T18:00:00.250Z"));
    let mut cron = schedule("b");
    let anchor = "2026-11-30".parse().expect("a date");
    cron.spec.every_weeks = Some(EveryWeeks { weeks: 2, anchor });
    cron.spec.nth = Nth::parse("2,-1").expect("numbers");
    store_schedules(&test.db, &[once.clone(), cron.clone()]).await;
    for stored in [once, cron] {
        assert_eq!(schedules::get(&test.db, &stored.id).await.expect("reads"), Some(stored));
    }
    assert_eq!(schedules::get(&test.db, &ScheduleId::from("c")).await.expect("reads"), None);
    assert_eq!(schedules::count(&test.db, &Area::default()).await.expect("counts"), (2, 2));
}

async fn an_update_needs_the_revision_it_read(test: TestDb) {
    let old = schedule("a");
    store_schedules(&test.db, std::slice::from_ref(&old)).await;
    let mut new = old.clone();
    new.spec.action = Action::Restart;
    new.rev = 2;
    for (stored, expected) in [(true, 1), (false, 1)] {
        let mut tx = test.db.begin().await.expect("begins");
        assert_eq!(schedules::update(&mut tx, &new, expected).await.expect("answers"), stored);
        assert_eq!(schedules::get_in(&mut tx, &old.id).await.expect("reads"), Some(new.clone()));
        tx.commit().await.expect("commits");
    }
}

async fn a_deletion_is_taken_back_once(test: TestDb) {
    let old = schedule("a");
    let deleted =
        Schedule { deleted_at: Some(at("2026-11-23T20:00:00Z")), next_due: None, rev: 2, ..old.clone() };
    store_schedules(&test.db, std::slice::from_ref(&old)).await;
    let back = Schedule { rev: 3, ..old.clone() };
    let mut tx = test.db.begin().await.expect("begins");
    assert!(!schedules::restore(&mut tx, &back, 1).await.expect("answers"), "it is not deleted");
    assert!(schedules::update(&mut tx, &deleted, 1).await.expect("answers"));
    assert!(!schedules::restore(&mut tx, &back, 1).await.expect("answers"), "an old revision");
    assert!(schedules::restore(&mut tx, &back, 2).await.expect("answers"));
    assert!(!schedules::restore(&mut tx, &back, 3).await.expect("answers"), "once is enough");
    tx.commit().await.expect("commits");
    assert_eq!(schedules::get(&test.db, &old.id).await.expect("reads"), Some(back));
}

async fn only_one_claims_an_occurrence(test: TestDb) {
    let one = schedule("a");
    store_schedules(&test.db, std::slice::from_ref(&one)).await;
    let (due, next) = (at("2026-11-23T23:00:00Z"), at("2026-11-24T23:00:00Z"));
    for (rev, claimed) in [(2, false), (1, true), (1, false)] {
        let mut tx = test.db.begin().await.expect("begins");
        let claim = OccurrenceClaim { id: &one.id, due, rev, next: Some(next), is_last: false };
        let lost = schedules::claim(&mut tx, &[claim]).await.expect("answers");
        assert_eq!(!lost.contains(&one.id), claimed, "revision {rev}");
        tx.commit().await.expect("commits");
    }
    let stored = schedules::get(&test.db, &one.id).await.expect("reads").expect("is there");
    assert_eq!((stored.next_due, stored.rev, stored.spec.enabled), (Some(next), 1, true));
    assert_eq!(schedules::next_due(&test.db).await.expect("reads"), Some(next));
}

async fn a_claim_uses_up_the_skip_and_may_end_a_once(test: TestDb) {
    let mut one = schedule("a");
    let due = at("2026-11-23T23:00:00Z");
    one.spec.when = When::Once(due);
    one.skip_at = Some(due);
    store_schedules(&test.db, std::slice::from_ref(&one)).await;
    let mut tx = test.db.begin().await.expect("begins");
    let claim = OccurrenceClaim { id: &one.id, due, rev: 1, next: None, is_last: true };
    assert!(schedules::claim(&mut tx, &[claim]).await.expect("answers").is_empty(), "none is lost");
    tx.commit().await.expect("commits");
    let stored = schedules::get(&test.db, &one.id).await.expect("reads").expect("is there");
    assert_eq!((stored.next_due, stored.skip_at, stored.spec.enabled), (None, None, false));
    assert_eq!(schedules::next_due(&test.db).await.expect("reads"), None);
}

async fn of_a_batch_each_is_claimed_for_itself(test: TestDb) {
    // More than one statement takes, and all sizes of them.
    let mut rows: Vec<Schedule> = (0..75).map(|n| schedule(&format!("s{n:02}"))).collect();
    let due = at("2026-11-23T23:00:00Z");
    for (n, row) in rows.iter_mut().enumerate() {
        // Nobody claims what was switched off, was deleted, or was edited meanwhile.
        row.spec.enabled = n != 3;
        row.deleted_at = (n == 33).then(monday);
        row.rev = if n == 74 { 2 } else { 1 };
    }
    store_schedules(&test.db, &rows).await;
    let next =
        |n: usize| n.is_multiple_of(2).then(|| at("2026-11-24T23:00:00Z") + Duration::from_secs(n as u64));
    let claims: Vec<OccurrenceClaim<'_>> = rows
        .iter()
        .enumerate()
        .map(|(n, row)| OccurrenceClaim { id: &row.id, due, rev: 1, next: next(n), is_last: n == 40 })
        .collect();
    let mut tx = test.db.begin().await.expect("begins");
    let lost = schedules::claim(&mut tx, &claims).await.expect("answers");
    tx.commit().await.expect("commits");
    for (n, row) in rows.iter().enumerate() {
        let claimed = ![3, 33, 74].contains(&n);
        assert_eq!(!lost.contains(&row.id), claimed, "{n}");
        let stored = schedules::get(&test.db, &row.id).await.expect("reads").expect("is there");
        assert_eq!(stored.next_due, if claimed { next(n) } else { Some(due) }, "{n}");
        assert_eq!(stored.spec.enabled, n != 3 && n != 40, "{n}");
    }
    let mut tx = test.db.begin().await.expect("begins");
    assert_eq!(schedules::claim(&mut tx, &claims).await.expect("answers").len(), 75, "once is all");
    assert!(schedules::claim(&mut tx, &[]).await.expect("answers").is_empty());
}

async fn what_is_due_comes_in_order_and_what_is_off_never(test: TestDb) {
    let mut rows: Vec<Schedule> = ["a", "b", "c", "d"].into_iter().map(schedule).collect();
    rows[0].next_due = Some(at("2026-11-23T12:02:00Z"));
    rows[1].next_due = Some(at("2026-11-23T12:01:00Z"));
    rows[2].next_due = Some(at("2026-11-23T12:03:00.001Z"));
    rows[3].next_due = None;
    rows[3].spec.enabled = false;
    store_schedules(&test.db, &rows).await;
    let due = schedules::due(&test.db, &at("2026-11-23T12:03:00Z"), 10).await.expect("reads");
    assert_eq!(ids(&due), ["b", "a"]);
    let due = schedules::due(&test.db, &at("2026-11-23T12:03:00Z"), 1).await.expect("reads");
    assert_eq!(ids(&due), ["b"]);
    let coming = schedules::coming(&test.db, &Area::default(), 2).await.expect("reads");
    assert_eq!(ids(&coming), ["b", "a"]);
}

async fn a_skip_needs_the_occurrence_it_was_meant_for(test: TestDb) {
    let one = schedule("a");
    let due = at("2026-11-23T23:00:00Z");
    store_schedules(&test.db, std::slice::from_ref(&one)).await;
    for (rev, next_due, answer) in [(1, monday(), false), (2, due, false), (1, due, true)] {
        let mut tx = test.db.begin().await.expect("begins");
        let set = schedules::set_skip(&mut tx, &one.id, rev, next_due, Some(due), monday()).await;
        assert_eq!(set.expect("answers"), answer);
        tx.commit().await.expect("commits");
    }
    let stored = schedules::get(&test.db, &one.id).await.expect("reads").expect("is there");
    assert_eq!((stored.skip_at, stored.rev), (Some(due), 2));
}

async fn a_list_is_paged_filtered_and_without_the_deleted(test: TestDb) {
    let mut rows: Vec<Schedule> = ["a", "b", "c", "d"].into_iter().map(schedule).collect();
    rows[1].spec.name = String::from("100 % O_K!");
    rows[2].spec.enabled = false;
    rows[2].spec.target = Target::stack(HostId::local(), "Other");
    rows[2].spec.target_name = String::from("Other");
    rows[3].deleted_at = Some(monday());
    store_schedules(&test.db, &rows).await;
    let db = &test.db;
    assert_eq!(ids(&schedules::list(db, &all(10)).await.expect("reads")), ["c", "b", "a"]);
    assert_eq!(ids(&schedules::list(db, &all(2)).await.expect("reads")), ["c", "b"]);
    let next = ScheduleSelection { before: Some("b"), ..all(2) };
    assert_eq!(ids(&schedules::list(db, &next).await.expect("reads")), ["a"]);
    let media = Target::stack(HostId::local(), "media");
    let of_media = ScheduleSelection { target: Some(&media), ..all(10) };
    assert_eq!(ids(&schedules::list(db, &of_media).await.expect("reads")), ["b", "a"]);
    let off = ScheduleSelection { enabled: Some(false), ..all(10) };
    assert_eq!(ids(&schedules::list(db, &off).await.expect("reads")), ["c"]);
    for (text, found) in [("% o_k!", vec!["b"]), ("OTHER", vec!["c"]), ("_", vec!["b"]), ("x", vec![])] {
        let wanted = ScheduleSelection { text: Some(text), ..all(10) };
        assert_eq!(ids(&schedules::list(db, &wanted).await.expect("reads")), found, "{text}");
    }
}

async fn schedules_that_touch_a_target_are_found_across_stack_and_member(test: TestDb) {
    let mut rows: Vec<Schedule> = ["a", "b", "c", "d", "e", "f"].into_iter().map(schedule).collect();
    rows[1].spec.target = Target::container(HostId::local(), member("media", "web"));
    rows[2].spec.target = Target::container(HostId::local(), member("media2", "web"));
    rows[3].spec.target = Target::container(HostId::local(), ContainerIdentity::Name("media".to_owned()));
    rows[4].spec.target = Target::container(HostId::local(), member("Media", "web"));
    rows[5].spec.target = Target::container(HostId::local(), member("media_", "web"));
    store_schedules(&test.db, &rows).await;
    let targets: Vec<Target> = rows.iter().map(|row| row.spec.target.clone()).collect();
    let found = [vec!["a", "b"], vec!["a", "b"], vec!["c"], vec!["d"], vec!["e"], vec!["f"]];
    for (target, found) in targets.iter().zip(&found) {
        let touching = schedules::touching(&test.db, &[target], 10).await.expect("reads");
        assert_eq!(touching.len(), 1);
        assert_eq!(ids(&touching[0]), *found, "{target:?}");
    }
    // More than one statement asks for, with some that have nothing among them.
    let nothing = Target::stack(HostId::local(), "nothing");
    let many: Vec<&Target> = targets.iter().chain([&nothing]).cycle().take(120).collect();
    let touching = schedules::touching(&test.db, &many, 10).await.expect("reads");
    assert_eq!(touching.len(), many.len());
    for (number, one) in touching.iter().enumerate() {
        assert_eq!(ids(one), found.get(number % 7).cloned().unwrap_or_default(), "{:?}", many[number]);
    }
}

async fn of_those_that_say_the_same_the_oldest_and_the_newest_touch(test: TestDb) {
    let mut rows: Vec<Schedule> = ["a", "b", "c", "d", "e", "f"].into_iter().map(schedule).collect();
    rows[2].spec.priority = 1;
    rows[4].spec.target = Target::container(HostId::local(), member("media", "web"));
    store_schedules(&test.db, &rows).await;
    for (limit, found) in [(10, vec!["a", "c", "e", "f"]), (4, vec!["a", "c", "d", "e"]), (1, vec!["a", "e"])]
    {
        let touching = schedules::touching(&test.db, &[&rows[0].spec.target], limit).await.expect("reads");
        assert_eq!(ids(&touching[0]), found, "{limit}");
    }
}
