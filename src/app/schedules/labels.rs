//! Schedules that labels of containers define. The scheduler keeps them in step with the labels of every connected
//! host.
//!
//! A schedule belongs to host, label and target, so it outlives a re-creation of its container. While no container
//! carries its label, it is switched off after [`GONE_AFTER`] and deleted after [`KEPT`]; a label that is taken away
//! from a container that is still there deletes it at once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::change::{changed, changes, deleted, due, record, require_host, touch};
use super::check::check;
use super::draft::Draft;
use super::view::{self, ScheduleView, stored};
use crate::app::audit::Audit;
use crate::app::external_changes::FaultsOfHost;
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, Error, Result};
use crate::config::Labels;
use crate::db;
use crate::db::targets::KEPT;
use crate::domain::carried_labels::{self, Carried, source_key};
use crate::domain::ids::{HostId, ScheduleId, UserId};
use crate::domain::inventory::{Container, Inventory, is_replaced_name};
use crate::domain::permission::Permission;
use crate::domain::schedule::{LabelOff, LabelOrigin, Schedule, ScheduleSpec, Source};
use crate::domain::target::ContainerIdentity;
use crate::domain::text::chain;

/// How long a container is missing, while DockNap runs and its host is connected, before its schedules are switched
/// off.
const GONE_AFTER: Duration = Duration::from_secs(10 * 60);

/// A change to store.
struct Step {
    event: &'static str,
    old: Option<Schedule>,
    new: Schedule,
    reason: String,
}

impl Step {
    fn new(event: &'static str, old: Option<&Schedule>, new: Schedule, reason: impl Into<String>) -> Self {
        Self { event, old: old.cloned(), new, reason: reason.into() }
    }
}

/// Brings the schedules of labels in step with the labels of every connected host.
pub(crate) async fn follow_labels(app: &App) -> Result<()> {
    if app.config.labels == Labels::Off {
        return go_off(app).await;
    }
    for host in app.hosts.all() {
        let inventory = host.inventory();
        if !inventory.is_connected() {
            app.external_changes.labels_unseen(host.id());
            continue;
        }
        if !app.external_changes.labels_wait(host.id(), &inventory.containers) {
            continue;
        }
        // A host whose labels cannot be followed must not keep the others from acting.
        match follow_host(app, &inventory).await {
            Ok(waits) => app.external_changes.labels_followed(host.id(), &inventory.containers, waits),
            Err(error) => {
                tracing::error!(host = %host.id(), error = %chain(&error), "its labels cannot become schedules");
                app.external_changes.labels_followed(host.id(), &inventory.containers, true);
            }
        }
    }
    Ok(())
}

/// Switches off every schedule of a label, once in this process.
async fn go_off(app: &App) -> Result<()> {
    if app.external_changes.labels_are_off() {
        return Ok(());
    }
    let (book, now) = (RuleBook::load(app).await?, app.clock.now());
    let all = db::schedules::labelled(&app.db, None).await?;
    let switched = |old: &Schedule| {
        let mut new = old.clone();
        new.spec.enabled = false;
        new.label.as_mut()?.off = Some(LabelOff::Setting);
        touch(&mut new, &book, now);
        Some(Step::new("schedule.disable", Some(old), new, "DOCKNAP_LABELS is off"))
    };
    let steps = all.iter().filter(|old| old.spec.enabled).filter_map(switched).collect();
    if store(app, steps).await? {
        app.external_changes.labels_went_off();
    }
    Ok(())
}

/// Follows the labels of one host. Returns whether a schedule waits for time to pass.
async fn follow_host(app: &App, inventory: &Inventory) -> Result<bool> {
    let found = carried_labels::of_inventory(inventory);
    let stored = db::schedules::labelled(&app.db, Some(&inventory.host)).await?;
    if found.rules.is_empty() && stored.is_empty() {
        return Ok(false);
    }
    let (book, now) = (RuleBook::load(app).await?, app.clock.now());
    let key = |schedule: &Schedule| {
        let label = schedule.label.as_ref()?;
        Some(source_key(&schedule.spec.target, &label.label))
    };
    let mut known: HashMap<String, Schedule> =
        stored.into_iter().filter_map(|schedule| Some((key(&schedule)?, schedule))).collect();
    let mut steps = Vec::new();
    for carried in &found.rules {
        let old = known.remove(&carried.source_key());
        steps.extend(there(app, carried, old.as_ref(), &book, now));
    }
    let carrier = |schedule: &Schedule| schedule.label.as_ref().map(|label| label.carrier.clone());
    let missing: HashSet<ContainerIdentity> =
        known.values().filter_map(carrier).filter(|one| inventory.by_identity(one).is_none()).collect();
    let missing = app.external_changes.missing_for(&inventory.host, &missing, app.clock.monotonic());
    for old in known.values() {
        let Some(label) = &old.label else { continue };
        steps.extend(match missing.get(&label.carrier) {
            Some(absent) => away(old, label, *absent, &book, now),
            None => {
                let reason = format!("{} has the label no longer", label.carrier_name);
                Some(Step::new("schedule.delete", Some(old), deleted(old, now), reason))
            }
        });
    }
    let is_stored = store(app, steps).await?;
    Ok(!missing.is_empty() || !is_stored)
}

/// The change of a schedule whose label is there, or the new schedule.
fn there(
    app: &App,
    carried: &Carried,
    old: Option<&Schedule>,
    book: &RuleBook,
    now: Timestamp,
) -> Option<Step> {
    let before = old.and_then(|old| old.label.as_ref());
    // While compose replaces a container, the new one has another name for a moment.
    let is_passing = is_replaced_name(&carried.carrier_name);
    let known_name = before.filter(|_| is_passing).map(|label| label.carrier_name.clone());
    let origin = LabelOrigin {
        label: carried.rule.label.clone(),
        carrier: carried.carrier.clone(),
        carrier_name: known_name.unwrap_or_else(|| carried.carrier_name.clone()),
        text: carried.rule.text(),
        off: None,
        gone_at: None,
    };
    let is_followed = |label: &LabelOrigin| matches!(label.off, None | Some(LabelOff::Copied));
    let is_same = before.is_some_and(|label| {
        is_followed(label) && LabelOrigin { off: label.off, ..origin.clone() } == *label
    });
    let is_named = is_passing || old.is_some_and(|old| old.spec.target_name == carried.target_name);
    if is_same && is_named && !carried.is_faulty {
        return None;
    }
    let spec = (!carried.is_faulty).then(|| check(app, &draft(carried), book, None, now).ok()).flatten();
    let Some((mut spec, _)) = spec else {
        return faulty(old?, book, now);
    };
    let (Some(old), Some(label)) = (old, before) else {
        let new = Schedule {
            id: app.ids.next(now),
            next_due: due(&spec, None, book, now),
            effective_from: now,
            spec,
            source: Source::Label,
            label: Some(origin),
            owner: None,
            owner_name: None,
            skip_at: None,
            rev: 1,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        return Some(Step::new("schedule.create", None, new, ""));
    };
    let is_copied = label.off == Some(LabelOff::Copied) && label.text == origin.text;
    spec.enabled = match label.off {
        None => old.spec.enabled,
        Some(_) => !is_copied,
    };
    let reason = match label.off {
        Some(LabelOff::Gone) => "its container is there again",
        Some(LabelOff::Copied) if !is_copied => "the label has changed since the schedule was copied",
        Some(LabelOff::Setting) => "DOCKNAP_LABELS is no longer off",
        Some(LabelOff::Faulty) => "the label can be used again",
        _ => "",
    };
    let mut new = old.clone();
    new.label = Some(LabelOrigin { off: is_copied.then_some(LabelOff::Copied), ..origin });
    new.spec = spec;
    if new == *old {
        return None;
    }
    let named_as_before = ScheduleSpec { target_name: old.spec.target_name.clone(), ..new.spec.clone() };
    if named_as_before == old.spec {
        // Its times stay: another container carries the label, or the one that was missing is there again, or its
        // container has another name.
        new.rev += 1;
        new.updated_at = now;
    } else {
        touch(&mut new, book, now);
    }
    let event = if new.spec.enabled && !old.spec.enabled { "schedule.enable" } else { "schedule.update" };
    Some(Step::new(event, Some(old), new, reason))
}

/// The change of a schedule whose label cannot be used: it is switched off until the label can.
fn faulty(old: &Schedule, book: &RuleBook, now: Timestamp) -> Option<Step> {
    let mut new = old.clone();
    let label = new.label.as_mut()?;
    label.gone_at = None;
    let was_off_by_itself = matches!(label.off, Some(LabelOff::Gone | LabelOff::Setting));
    if old.spec.enabled || was_off_by_itself {
        label.off = Some(LabelOff::Faulty);
        new.spec.enabled = false;
    }
    if new == *old {
        return None;
    }
    touch(&mut new, book, now);
    let event = if old.spec.enabled { "schedule.disable" } else { "schedule.update" };
    Some(Step::new(event, Some(old), new, "the label cannot be used as it is now"))
}

/// The change of a schedule whose container is missing for so long.
fn away(
    old: &Schedule,
    label: &LabelOrigin,
    absent: Duration,
    book: &RuleBook,
    now: Timestamp,
) -> Option<Step> {
    let name = &label.carrier_name;
    let Some(gone_at) = label.gone_at else {
        if absent < GONE_AFTER {
            return None;
        }
        let mut new = old.clone();
        let origin = new.label.as_mut()?;
        origin.gone_at = Some(now.saturating_sub(absent).unwrap_or(now));
        if old.spec.enabled || origin.off == Some(LabelOff::Setting) {
            origin.off = Some(LabelOff::Gone);
            new.spec.enabled = false;
        }
        touch(&mut new, book, now);
        let event = if old.spec.enabled { "schedule.disable" } else { "schedule.update" };
        return Some(Step::new(event, Some(old), new, format!("its container {name} is gone")));
    };
    // A clock that was set back counts nothing.
    let is_over = Duration::try_from(now.duration_since(gone_at)).is_ok_and(|gone| gone > KEPT);
    let reason = || format!("its container {name} is gone for over 30 days");
    is_over.then(|| Step::new("schedule.delete", Some(old), deleted(old, now), reason()))
}

/// Stores changes with their audit rows in one transaction; `false` if somebody else changed one of the schedules
/// meanwhile, which is then left to the next pass.
async fn store(app: &App, steps: Vec<Step>) -> Result<bool> {
    if steps.is_empty() {
        return Ok(true);
    }
    let mut is_whole = true;
    let mut tx = app.db.begin().await?;
    if let Some(made) = steps.iter().find(|step| step.old.is_none()) {
        require_host(&mut tx, app, &made.new.spec.target).await?;
    }
    for Step { event, old, new, reason } in &steps {
        let is_stored = match old {
            Some(old) => db::schedules::update(&mut tx, new, old.rev).await?,
            None => {
                db::schedules::insert(&mut tx, new).await?;
                true
            }
        };
        if !is_stored {
            is_whole = false;
            continue;
        }
        let by = new.label.as_ref().map(origin_words).unwrap_or_default();
        let row = Audit::new(app, &Actor::label(&by), *event);
        let row = row.object("schedule", Some(new.id.as_str()), &new.title()).on(&new.spec.target.host);
        let is_left = new.deleted_at.is_none();
        let changes = changes(old.as_ref(), Some(new).filter(|_| is_left));
        row.changes(changes).reason(reason.as_str()).store(&mut tx).await?;
    }
    tx.commit().await?;
    changed(app);
    Ok(is_whole)
}

/// `docknap.sleep of media-web-1`.
fn origin_words(label: &LabelOrigin) -> String {
    format!("{} of {}", label.label, label.carrier_name)
}

/// The schedule that a rule asks for. Its target is the one that carries the label, whatever else has that name.
fn draft(carried: &Carried) -> Draft {
    let (rule, target) = (carried.rule.clone(), &carried.target);
    Draft {
        name: Some(rule.name),
        host: Some(target.host.to_string()),
        target_type: Some(target.target_type().as_str().to_owned()),
        target_id: Some(carried.target_name.clone()),
        action: rule.action.map(|action| action.as_str().to_owned()),
        cron: rule.cron,
        window: rule.window,
        timezone: rule.timezone,
        mode: rule.mode,
        stop_timeout_seconds: rule.stop_timeout_seconds,
        every_weeks: rule.every_weeks,
        anchor: rule.anchor,
        nth: rule.nth,
        known: Some(target.clone()),
        ..Draft::default()
    }
}

/// What is wrong with the labels of containers: by host and identity, then by label.
#[derive(Clone, Debug, Default)]
pub struct LabelFaults(HashMap<HostId, Arc<FaultsOfHost>>);

impl LabelFaults {
    /// What is wrong with the labels of a container, by label; `None` where nothing is.
    pub fn of(&self, container: &Container) -> Option<&BTreeMap<String, String>> {
        self.0.get(&container.host)?.get(&container.identity)
    }
}

/// What is wrong with the labels of the containers on one host or on all of them. The texts are those of a form.
pub async fn label_faults(app: &App, actor: &Actor, host: Option<&HostId>) -> Result<LabelFaults> {
    actor.require(Permission::View)?;
    let mut faults = LabelFaults::default();
    let book = RuleBook::load(app).await?;
    let mut hosts = app.hosts.all();
    hosts.retain(|one| host.is_none_or(|host| one.id() == host));
    for one in hosts {
        let (inventory, zone) = (one.inventory(), book.zone.name.as_str());
        let list = Arc::clone(&inventory.containers);
        // The same list has the same faults, and a look at all of them takes a while.
        let of_host = match app.external_changes.label_faults(one.id(), &list, zone) {
            Some(known) => known,
            None if !carried_labels::has_labels(&inventory) => Arc::default(),
            None => {
                let (app_too, book_too) = (app.clone(), Arc::clone(&book));
                let look = move || faults_of(&app_too, &inventory, &book_too);
                let looked = Arc::new(tokio::task::spawn_blocking(look).await.map_err(Error::internal)?);
                app.external_changes.keep_label_faults(one.id(), &list, zone, &looked);
                looked
            }
        };
        faults.0.insert(one.id().clone(), of_host);
    }
    Ok(faults)
}

fn faults_of(app: &App, inventory: &Inventory, book: &RuleBook) -> FaultsOfHost {
    if app.config.labels == Labels::Off {
        // The labels that are no rules are read all the same.
        return carried_labels::faults_beside_rules(inventory);
    }
    let (found, now) = (carried_labels::of_inventory(inventory), app.clock.now());
    let mut of_host = found.faults;
    for carried in found.rules.iter().filter(|carried| !carried.is_faulty) {
        let Err(Error::Invalid(wrong)) = check(app, &draft(carried), book, None, now) else { continue };
        let of_carrier = of_host.entry(carried.carrier.clone()).or_default();
        for fault in wrong {
            of_carrier.entry(carried.rule.label_of(&fault.field)).or_insert(fault.message);
        }
    }
    of_host
}

/// Makes an editable copy of the schedule of a label or of the watched directory. The copy belongs to the caller and acts
/// in its place; the schedule of the label is switched off until the label changes.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] where the schedule is editable itself, or a copy would not act;
/// [`Error::Stale`] where somebody changed it meanwhile.
pub async fn copy_to_editable(
    app: &App,
    actor: &Actor,
    id: &ScheduleId,
    source: Source,
) -> Result<ScheduleView> {
    actor.require(Permission::Operate)?;
    let old = stored(app, id).await?;
    let (book, now) = (RuleBook::load(app).await?, app.clock.now());
    let mut overridden = old.clone();
    let is_overridden = match &mut overridden.label {
        _ if app.config.labels == Labels::Only => {
            let message = "DOCKNAP_LABELS is only: the copy would do nothing, and neither would this one; change the \
                           label, or the setting";
            return Err(Error::conflict("labels_only", message));
        }
        // What a person switched off stays so, also when the label changes.
        Some(label) => {
            let is_overridden = old.spec.enabled || label.off.is_some();
            label.off = Some(LabelOff::Copied);
            is_overridden
        }
        // It stays disabled, as one that a person disables.
        None if old.source == Source::File => old.spec.enabled,
        None => {
            return Err(Error::conflict("no_label", "no label defines this schedule; change it as it is"));
        }
    };
    overridden.spec.enabled = false;
    touch(&mut overridden, &book, now);
    let mut copy = Schedule {
        id: app.ids.next(now),
        source,
        label: None,
        owner: actor.reference.id.clone().map(UserId),
        owner_name: Some(actor.reference.name.clone()),
        created_at: now,
        ..old.clone()
    };
    touch(&mut copy, &book, now);
    copy.rev = 1;
    let mut tx = app.db.begin().await?;
    require_host(&mut tx, app, &copy.spec.target).await?;
    if is_overridden {
        if !db::schedules::update(&mut tx, &overridden, old.rev).await? {
            return Err(Error::Stale { current_rev: old.rev + 1 });
        }
        let changes = changes(Some(&old), Some(&overridden));
        record(&mut tx, app, actor, "schedule.disable", &overridden, changes).await?;
    }
    db::schedules::insert(&mut tx, &copy).await?;
    record(&mut tx, app, actor, "schedule.create", &copy, changes(None, Some(&copy))).await?;
    tx.commit().await?;
    changed(app);
    view::get(app, actor, &copy.id).await
}
