//! Changes of schedules: each is checked, stored with its audit row in one transaction, and announced to the scheduler.

use std::sync::Arc;

use jiff::Timestamp;

use super::check::check;
use super::draft::{Draft, FieldValues, field_values};
use super::view::{self, ScheduleView, not_found, stored};
use super::{lint, preview, unused};
use crate::app::audit::Audit;
use crate::app::execute::{self, Request, Submitted};
use crate::app::nap::{self, NapRequest};
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, Error, Live, Result, targets};
use crate::config::Labels;
use crate::db::{self, Tx};
use crate::domain::audit::Change;
use crate::domain::contradiction;
use crate::domain::fires::Fires;
use crate::domain::ids::{BatchId, HostId, ScheduleId, UserId};
use crate::domain::permission::Permission;
use crate::domain::place::Place;
use crate::domain::run::Trigger;
use crate::domain::schedule::{LabelOff, Schedule, ScheduleSpec, Source, When};
use crate::domain::target::{Subject, Target};
use crate::domain::text::shorten;
use crate::domain::window::WindowTimeline;

/// The result of saving a schedule.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The schedule as it is stored now.
    pub view: ScheduleView,
    /// Warnings for the user, as whole sentences.
    pub warnings: Vec<String>,
    /// For an enabled window: the immediate effect of saving it (rulings 3).
    pub now: Option<preview::Now>,
}

/// Stores a new schedule.
///
/// # Errors
/// [`Error::Invalid`] with every invalid field; nothing is stored then.
pub async fn create(app: &App, actor: &Actor, draft: &Draft, source: Source) -> Result<Saved> {
    actor.require(Permission::Operate)?;
    let now = app.clock.now();
    let book = RuleBook::load(app).await?;
    let (spec, warnings) = check(app, draft, &book, None, now)?;
    insert(app, actor, spec, warnings, draft, source, &book).await
}

/// Stores a new schedule that is checked. Of the draft only the beginning counts.
pub(super) async fn insert(
    app: &App,
    actor: &Actor,
    spec: ScheduleSpec,
    mut warnings: Vec<String>,
    draft: &Draft,
    source: Source,
    book: &Arc<RuleBook>,
) -> Result<Saved> {
    let now = app.clock.now();
    warnings.extend(lint::clashes(app, &spec, None, book, now).await?);
    let from = beginning(&spec, draft, book, now);
    let schedule = Schedule { effective_from: from, ..anew(app, actor, spec, source, book) };
    let present = present(app, actor, &schedule, book, &mut warnings).await?;
    let mut tx = app.db.begin().await?;
    insert_in(&mut tx, app, actor, &schedule).await?;
    tx.commit().await?;
    changed(app);
    Ok(Saved { view: view::view(app, schedule, None, book), warnings, now: present })
}

/// The immediate effect of a schedule; a warning is added where it does nothing.
async fn present(
    app: &App,
    actor: &Actor,
    schedule: &Schedule,
    book: &RuleBook,
    warnings: &mut Vec<String>,
) -> Result<Option<preview::Now>> {
    if !book.uses(schedule.source) {
        warnings.push(unused::UNUSED.to_owned());
        return Ok(None);
    }
    preview::on_save(app, actor, &schedule.spec, book, schedule.effective_from).await
}

/// A new schedule that takes effect now; nothing is stored.
pub(super) fn anew(
    app: &App,
    actor: &Actor,
    spec: ScheduleSpec,
    source: Source,
    book: &RuleBook,
) -> Schedule {
    let now = app.clock.now();
    Schedule {
        id: app.ids.next(now),
        next_due: due(&spec, None, book, now).filter(|_| book.uses(source)),
        effective_from: now,
        spec,
        source,
        label: None,
        owner: actor.reference.id.clone().map(UserId),
        owner_name: Some(actor.reference.name.clone()),
        skip_at: None,
        rev: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}

/// Stores a new schedule.
pub(super) async fn insert_in(tx: &mut Tx, app: &App, actor: &Actor, schedule: &Schedule) -> Result<()> {
    require_host(tx, app, &schedule.spec.target).await?;
    db::schedules::insert(tx, schedule).await?;
    record(tx, app, actor, "schedule.create", schedule, changes(None, Some(schedule))).await
}

/// Replaces the fields of a schedule; fields missing in the draft get their defaults.
///
/// # Errors
/// As [`create`]; [`Error::NotFound`]; [`Error::Stale`] where `rev` is not the stored revision; [`Error::Conflict`] for
/// a schedule that a container label defines.
pub async fn update(
    app: &App,
    actor: &Actor,
    id: &ScheduleId,
    draft: &Draft,
    rev: Option<i64>,
) -> Result<Saved> {
    actor.require(Permission::Operate)?;
    let now = app.clock.now();
    let book = RuleBook::load(app).await?;
    let old = stored(app, id).await?;
    writable(&old)?;
    fresh(&old, rev)?;
    let (spec, warnings) = check(app, draft, &book, Some(&old), now)?;
    store_update(app, actor, &old, spec, warnings, draft, &book).await
}

/// Stores a schedule with new fields that are checked. Of the draft only the beginning counts.
pub(super) async fn store_update(
    app: &App,
    actor: &Actor,
    old: &Schedule,
    spec: ScheduleSpec,
    mut warnings: Vec<String>,
    draft: &Draft,
    book: &Arc<RuleBook>,
) -> Result<Saved> {
    let now = app.clock.now();
    warnings.extend(lint::clashes(app, &spec, Some(&old.id), book, now).await?);
    let mut new = Schedule { spec, ..old.clone() };
    touch(&mut new, book, now);
    new.effective_from = beginning(&new.spec, draft, book, now);
    if let Some(skipped) = old.skip_at.filter(|at| *at > now && new.skip_at.is_none()) {
        warnings.push(format!(
            "The skip of {} was dropped: nothing fires at that instant any more.",
            skipped.to_zoned(book.zone.zone.clone()).strftime("%Y-%m-%d %H:%M")
        ));
    }
    let present = present(app, actor, &new, book, &mut warnings).await?;
    replace(app, actor, "schedule.update", old, &new).await?;
    let view = view::get(app, actor, &old.id).await?;
    Ok(Saved { view, warnings, now: present })
}

/// Deletes a schedule; its runs keep its name.
pub async fn delete(app: &App, actor: &Actor, id: &ScheduleId, rev: Option<i64>) -> Result<()> {
    actor.require(Permission::Operate)?;
    let old = stored(app, id).await?;
    writable(&old)?;
    fresh(&old, rev)?;
    let new = deleted(&old, app.clock.now());
    replace(app, actor, "schedule.delete", &old, &new).await
}

/// The schedules for the stacks and containers of a host that the transaction has deleted.
pub(in crate::app) async fn of_host(tx: &mut Tx, host: &HostId) -> Result<Vec<Schedule>> {
    Ok(db::schedules::of_host(tx, host).await?)
}

/// Moves a schedule from a host that is deleted to another one, where it acts on the target of the same name, or deletes
/// it.
pub(in crate::app) async fn leave_host(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    old: Schedule,
    move_to: Option<&HostId>,
    book: &RuleBook,
) -> Result<()> {
    let now = app.clock.now();
    let (event, new) = match move_to {
        // A rule for everything on the old host is none for everything on another one.
        // A label's schedule goes with the container that carries the label.
        Some(host) if old.spec.target.subject != Subject::Host && old.source != Source::Label => {
            let mut new = old.clone();
            new.spec.target.host = host.clone();
            require_host(tx, app, &new.spec.target).await?;
            touch(&mut new, book, now);
            ("schedule.update", new)
        }
        _ => ("schedule.delete", deleted(&old, now)),
    };
    if !db::schedules::update(tx, &new, old.rev).await? {
        return Err(stale(tx, &old.id).await?);
    }
    let is_there = |schedule: &&Schedule| schedule.deleted_at.is_none();
    let changes = changes(Some(&old), Some(&new).filter(is_there));
    record(tx, app, actor, event, &new, changes).await
}

/// The schedule after its deletion.
pub(super) fn deleted(old: &Schedule, now: Timestamp) -> Schedule {
    Schedule {
        deleted_at: Some(now),
        next_due: None,
        skip_at: None,
        rev: old.rev + 1,
        updated_at: now,
        ..old.clone()
    }
}

/// Restores a deleted schedule: it continues from now, enabled or disabled as before. A schedule that is not deleted
/// stays unchanged.
pub async fn restore(app: &App, actor: &Actor, id: &ScheduleId) -> Result<ScheduleView> {
    actor.require(Permission::Operate)?;
    let old = db::schedules::get(&app.db, id).await?.ok_or_else(|| not_found(id))?;
    if old.deleted_at.is_some() {
        writable(&old)?;
        let book = RuleBook::load(app).await?;
        let mut new = Schedule { deleted_at: None, ..old.clone() };
        touch(&mut new, &book, app.clock.now());
        replace(app, actor, "schedule.restore", &old, &new).await?;
    }
    view::get(app, actor, id).await
}

/// The schedules whose owner's account is deleted, with the name of that account. They cannot act without an owner.
pub async fn left(app: &App, actor: &Actor) -> Result<Vec<(Schedule, String)>> {
    actor.require(Permission::View)?;
    Ok(db::schedules::left(&app.db).await?)
}

/// Makes the caller the owner of every schedule whose owner's account is deleted; returns their number.
///
/// # Errors
/// [`Error::Forbidden`]; where the database cannot be written.
pub async fn adopt(app: &App, actor: &Actor) -> Result<usize> {
    actor.require(Permission::Operate)?;
    let Some(user) = actor.reference.id.clone().map(UserId) else { return Ok(0) };
    let left = db::schedules::left(&app.db).await?;
    let mut taken = 0;
    let mut tx = app.db.begin().await?;
    for (schedule, before) in &left {
        if db::schedules::adopt(&mut tx, &schedule.id, &user, app.clock.now()).await? {
            let change = Change {
                field: "owner".to_owned(),
                old: Some(before.clone()),
                new: Some(actor.reference.name.clone()),
            };
            record(&mut tx, app, actor, "schedule.update", schedule, vec![change]).await?;
            taken += 1;
        }
    }
    tx.commit().await?;
    if taken > 0 {
        changed(app);
    }
    Ok(taken)
}

/// Enables a schedule from now: instants before never fire. An enabled schedule stays unchanged.
///
/// # Errors
/// As [`update`]; [`Error::Invalid`] for a `once` whose instant has passed.
pub async fn enable(app: &App, actor: &Actor, id: &ScheduleId) -> Result<ScheduleView> {
    switch(app, actor, id, true).await
}

/// Disables a schedule. A disabled schedule stays unchanged.
pub async fn disable(app: &App, actor: &Actor, id: &ScheduleId) -> Result<ScheduleView> {
    switch(app, actor, id, false).await
}

async fn switch(app: &App, actor: &Actor, id: &ScheduleId, on: bool) -> Result<ScheduleView> {
    actor.require(Permission::Operate)?;
    let old = stored(app, id).await?;
    if on && old.label.is_some() && app.config.labels == Labels::Off {
        return Err(Error::Conflict {
            code: "labels_off",
            message:
                "DOCKNAP_LABELS is off: no label defines a schedule; copy this one, or change the setting"
                    .to_owned(),
        });
    }
    if let Some(label) = old.label.as_ref().filter(|label| on && label.off == Some(LabelOff::Faulty)) {
        let message = format!(
            "the label {} cannot be used as it is now: change it, or copy this schedule",
            label.label
        );
        return Err(Error::conflict("label_faulty", message));
    }
    // What DockNap switched off stays off once a person has said so too.
    let is_ours = old.label.as_ref().is_some_and(|label| label.off.is_some());
    if old.spec.enabled != on || is_ours {
        let now = app.clock.now();
        let book = RuleBook::load(app).await?;
        let mut new = old.clone();
        new.spec.enabled = on;
        if let Some(label) = &mut new.label {
            label.off = None;
        }
        touch(&mut new, &book, now);
        if on && new.next_due.is_none() && matches!(new.spec.when, When::Once(_)) {
            return Err(Error::field("at", super::timing::PASSED));
        }
        let event = if on { "schedule.enable" } else { "schedule.disable" };
        replace(app, actor, event, &old, &new).await?;
    }
    view::get(app, actor, id).await
}

/// Skips exactly the next occurrence; where it is skipped already, nothing changes.
///
/// # Errors
/// As [`update`]; [`Error::Conflict`] where there is no next occurrence.
pub async fn skip_next(app: &App, actor: &Actor, id: &ScheduleId) -> Result<ScheduleView> {
    set_skip(app, actor, id, true).await
}

/// Removes a skip; without one nothing changes.
pub async fn unskip_next(app: &App, actor: &Actor, id: &ScheduleId) -> Result<ScheduleView> {
    set_skip(app, actor, id, false).await
}

async fn set_skip(app: &App, actor: &Actor, id: &ScheduleId, skip: bool) -> Result<ScheduleView> {
    actor.require(Permission::Operate)?;
    let old = stored(app, id).await?;
    let now = app.clock.now();
    let book = RuleBook::load(app).await?;
    if view::is_skipping(&old, now) != skip {
        // A window skips a whole sleep: the next one to begin.
        let coming = match book.rule(&old) {
            Some(rule) if old.next_due.is_some() => rule.timeline().next_sleep(now).map(|sleep| sleep.start),
            Some(_) => None,
            None => old.next_due,
        };
        let (Some(due), Some(at)) = (old.next_due, coming.or(old.skip_at)) else {
            return Err(Error::Conflict {
                code: "nothing_to_skip",
                message: "nothing is coming that could be skipped: switch the schedule on first".to_owned(),
            });
        };
        let event = if skip { "schedule.skip_next" } else { "schedule.unskip_next" };
        let mut new = old.clone();
        new.skip_at = skip.then_some(at);
        if old.is_window() {
            new.next_due = self::due(&new.spec, new.skip_at, &book, now);
            new.rev += 1;
            new.updated_at = now;
            replace(app, actor, event, &old, &new).await?;
            return view::get(app, actor, id).await;
        }
        let mut tx = app.db.begin().await?;
        if !db::schedules::set_skip(&mut tx, id, old.rev, due, new.skip_at, now).await? {
            return Err(stale(&mut tx, id).await?);
        }
        record(&mut tx, app, actor, event, &new, changes(Some(&old), Some(&new))).await?;
        tx.commit().await?;
        changed(app);
    }
    view::get(app, actor, id).await
}

/// Executes the action of a schedule now, whether it is enabled or not. `trigger` distinguishes a page from the API. A
/// window needs an `edge`: `sleep` or `wake` (rulings 6).
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] for a missing or superfluous edge, and the errors of the execution path.
pub async fn run_now(
    app: &App,
    actor: &Actor,
    id: &ScheduleId,
    trigger: Trigger,
    edge: Option<&str>,
) -> Result<Submitted> {
    actor.require(Permission::Operate)?;
    let schedule = stored(app, id).await?;
    match (schedule.is_window(), edge) {
        (true, Some("sleep" | "wake")) | (false, None) => {}
        (true, _) => return Err(Error::field("edge", "a window has two edges: use sleep or wake")),
        (false, Some(_)) => return Err(Error::field("edge", "only a window has edges; leave this out")),
    }
    let by = (schedule.id.clone(), schedule.title());
    let book = RuleBook::load(app).await?;
    let parts = match edge {
        Some(_) => decided_by(app, &schedule, &book),
        None => book.rules.groups().parts(&schedule.spec.target),
    };
    let batch = (edge.is_none() && parts.len() > 1).then(|| app.ids.next::<BatchId>(app.clock.now()));
    // A target that refuses does not keep the others; the caller learns of the first run.
    let (mut made, mut refused) = (None, None);
    for target in parts {
        let asked = NapRequest { schedule: Some(by.clone()), ..NapRequest::default() };
        let submitted = match edge {
            Some("sleep") => nap::nap(app, actor, &target, &asked, trigger).await,
            Some(_) => nap::wake(app, actor, &target, &asked, trigger).await,
            None => {
                let request = Request {
                    known_as: Some(schedule.spec.target_name.clone()),
                    schedule: Some(by.clone()),
                    stop_timeout_seconds: schedule.spec.stop_timeout_seconds,
                    batch: batch.clone(),
                    ..Request::now(schedule.spec.action, target, trigger)
                };
                execute::submit(app, actor, request).await
            }
        };
        match submitted {
            Ok(submitted) => made = made.or(Some(submitted)),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    let nothing =
        || Error::conflict("nothing_there", "there is nothing in it that the schedule decides about");
    made.ok_or_else(|| refused.unwrap_or_else(nothing))
}

/// The target of a window or, of a host or group, the stacks and containers outside stacks about which it decides.
fn decided_by(app: &App, window: &Schedule, book: &RuleBook) -> Vec<Target> {
    let target = &window.spec.target;
    if !target.is_wide() {
        return vec![target.clone()];
    }
    let mut decided = Vec::new();
    for host in targets::hosts_of(app, target) {
        let members = host.inventory().members(&target.subject);
        let identities = members.iter().filter(|one| one.protection.is_none()).map(|one| &one.identity);
        let whole = Target { host: host.id().clone(), subject: target.subject.clone() };
        let inside = contradiction::speakers(&whole, identities, &book.rules);
        decided.extend(inside.into_iter().filter(|one| {
            book.rules.windows_for(Place::of_target(one)).iter().any(|rule| rule.id == window.id)
        }));
    }
    decided
}

/// The next instant of a schedule; `None` where it is disabled.
pub(super) fn due(
    spec: &ScheduleSpec,
    skip: Option<Timestamp>,
    book: &RuleBook,
    now: Timestamp,
) -> Option<Timestamp> {
    if spec.enabled { book.next_after(spec, skip, now) } else { None }
}

/// The instant from which a schedule saved now takes effect: now, or, for a window that is to begin with its next
/// sleep, the end of the current sleep (rulings 3).
fn beginning(spec: &ScheduleSpec, draft: &Draft, book: &RuleBook, now: Timestamp) -> Timestamp {
    let Some(Fires::Window(window, reading, _)) = book.fires(spec, None).filter(|_| draft.from_next) else {
        return now;
    };
    WindowTimeline::of(&window, &reading, None).sleep_holding(now).map_or(now, |sleep| sleep.end)
}

/// Resets a changed schedule to begin now: instants before never fire (semantics §1). A skip stays only where its
/// instant still is the next one.
pub(super) fn touch(schedule: &mut Schedule, book: &RuleBook, now: Timestamp) {
    schedule.effective_from = now;
    schedule.skip_at = match book.rule(schedule) {
        Some(rule) => schedule
            .skip_at
            .filter(|at| rule.timeline().sleep_holding(*at).is_some_and(|sleep| sleep.start == *at)),
        None => schedule.skip_at.filter(|at| Some(*at) == due(&schedule.spec, None, book, now)),
    };
    let skip = schedule.skip_at.filter(|_| schedule.is_window());
    schedule.next_due = due(&schedule.spec, skip, book, now).filter(|_| book.uses(schedule.source));
    schedule.rev += 1;
    schedule.updated_at = now;
}

pub(super) fn writable(schedule: &Schedule) -> Result<()> {
    let whose = match schedule.source {
        Source::Ui | Source::Api | Source::Import => return Ok(()),
        Source::Label => "a container's label",
        Source::File => "a file in DOCKNAP_RULES_DIR",
    };
    Err(Error::Conflict {
        code: "read_only_source",
        message: format!("this schedule comes from {whose}: change it there, or copy it"),
    })
}

pub(super) fn fresh(schedule: &Schedule, rev: Option<i64>) -> Result<()> {
    match rev {
        Some(rev) if rev != schedule.rev => Err(Error::Stale { current_rev: schedule.rev }),
        _ => Ok(()),
    }
}

/// Stores a schedule, also a deletion or restoration, where its revision has not changed meanwhile.
async fn replace(app: &App, actor: &Actor, event: &str, old: &Schedule, new: &Schedule) -> Result<()> {
    let mut tx = app.db.begin().await?;
    replace_in(&mut tx, app, actor, event, old, new).await?;
    tx.commit().await?;
    changed(app);
    Ok(())
}

/// As [`replace`], in a transaction of the caller.
pub(super) async fn replace_in(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    event: &str,
    old: &Schedule,
    new: &Schedule,
) -> Result<()> {
    let is_there = |schedule: &&Schedule| schedule.deleted_at.is_none();
    if is_there(&new) {
        require_host(tx, app, &new.spec.target).await?;
    }
    let is_stored = if is_there(&old) {
        db::schedules::update(tx, new, old.rev).await?
    } else {
        db::schedules::restore(tx, new, old.rev).await?
    };
    if !is_stored {
        return Err(stale(tx, &old.id).await?);
    }
    let changes = changes(Some(old).filter(is_there), Some(new).filter(is_there));
    record(tx, app, actor, event, new, changes).await
}

/// Refuses to store a schedule for a host that is deleted meanwhile. Until the transaction ends, nobody deletes it.
pub(super) async fn require_host(tx: &mut Tx, app: &App, target: &Target) -> Result<()> {
    let Some(host) = target.on_host() else { return Ok(()) };
    if app.config.has_host(host) || db::hosts::hold(tx, host).await? {
        return Ok(());
    }
    Err(Error::field(
        "host",
        format!("there is no host `{}` any more; choose another one", shorten(host.as_str())),
    ))
}

/// The error of a failed update: a newer revision, or no such schedule.
pub(super) async fn stale(tx: &mut Tx, id: &ScheduleId) -> Result<Error> {
    Ok(match db::schedules::get_in(tx, id).await? {
        Some(schedule) if schedule.deleted_at.is_none() => Error::Stale { current_rev: schedule.rev },
        _ => not_found(id),
    })
}

pub(super) async fn record(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    event: &str,
    schedule: &Schedule,
    changes: Vec<Change>,
) -> Result<()> {
    let row = Audit::new(app, actor, event);
    let row = row.object("schedule", Some(schedule.id.as_str()), &schedule.title());
    row.on(&schedule.spec.target.host).changes(changes).store(tx).await
}

/// Notifies the scheduler and the browsers.
pub(super) fn changed(app: &App) {
    app.external_changes.rules_changed();
    app.scheduler.wake();
    // A run that a guard defers may have to end.
    app.active_runs.wake();
    app.bus.send(Live::Schedules);
}

/// The differences, field by field.
pub(super) fn changes(old: Option<&Schedule>, new: Option<&Schedule>) -> Vec<Change> {
    let (old, new) = (old.map(field_values), new.map(field_values));
    let value =
        |values: &Option<FieldValues>, at: usize| values.as_ref().and_then(|values| values[at].1.clone());
    let names = old.as_ref().or(new.as_ref()).into_iter().flatten().map(|(field, _)| *field);
    let change = |(at, field): (usize, &str)| {
        let (old, new) = (value(&old, at), value(&new, at));
        (old != new).then(|| Change { field: field.to_owned(), old, new })
    };
    names.enumerate().filter_map(change).collect()
}
