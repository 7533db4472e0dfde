//! Overrides: a desired state (awake, asleep or hold) for a target, a host or everything, with an end and a reason.
//! This file creates, ends and lists them, both for people and for runs that need an override to last.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::Deserialize;
use utoipa::ToSchema;

use super::audit::Audit;
use super::paging::{Page, Paged};
use super::rulebook::RuleBook;
use super::{Actor, App, Error, FieldError, Live, Result, targets, zone};
use crate::db::{self, Tx};
use crate::domain::applied::Applied;
use crate::domain::audit::Change;
use crate::domain::contradiction;
use crate::domain::ids::{HostId, OverrideId};
use crate::domain::inventory::Container;
use crate::domain::overrides::{DesiredState, LONGEST, MAX_REASON, Override, Reach};
use crate::domain::permission::Permission;
use crate::domain::place::Place;
use crate::domain::target::{ContainerIdentity, Target, TargetType};
use crate::domain::text::shorten;
use crate::domain::time::resolve;
use crate::domain::time::to_text;
use crate::domain::window::Phase;

/// An override as sent by a form or as JSON, not validated yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(as = OverrideBody, description = "An override, as sent.")]
pub struct Draft {
    /// The id of the host. Default: the host that has such a target.
    pub host: Option<String>,
    /// `container`, `stack`, `host`, `group` or `all`.
    #[schema(value_type = String, required = true)]
    pub target_type: Option<String>,
    /// Name or key of a stack or container, id of a group; of a host its id, which may be in `host` instead.
    pub target_id: Option<String>,
    #[schema(value_type = DesiredState, required = true)]
    pub state: Option<String>,
    /// RFC 3339, `YYYY-MM-DDTHH:MM` in the default zone, or a duration such as `3h`; at most 30 days from now.
    #[schema(value_type = String, required = true)]
    pub until: Option<String>,
    #[schema(value_type = String, required = true, max_length = 500)]
    pub reason: Option<String>,
}

fn text(field: Option<&String>) -> Option<&str> {
    field.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// Creates an override; an open override of the same target ends.
///
/// # Errors
/// [`Error::Invalid`] with every field that is wrong; nothing is stored then.
pub async fn create(app: &App, actor: &Actor, draft: &Draft) -> Result<Override> {
    actor.require(Permission::Operate)?;
    let now = app.clock.now();
    let mut faults = Vec::new();
    let mut add = |field: &str, message: String| faults.push(FieldError::new(field, message));
    let wanted = text(draft.state.as_ref()).and_then(DesiredState::parse);
    if wanted.is_none() {
        add("state", "use awake, asleep or hold".to_owned());
    }
    let default = zone::default_zone(app).await?.zone;
    let until = match end(text(draft.until.as_ref()), now, &default) {
        Ok(until) => Some(until),
        Err(message) => {
            add("until", message);
            None
        }
    };
    let reason = text(draft.reason.as_ref()).unwrap_or_default();
    if reason.is_empty() {
        add("reason", "say why, for whoever wonders later".to_owned());
    } else if reason.chars().count() > MAX_REASON || reason.chars().any(char::is_control) {
        add("reason", format!("use one line of {MAX_REASON} characters at most"));
    }
    let book = RuleBook::load(app).await?;
    let reach = match reach(app, draft, &book) {
        Ok(reach) => Some(reach),
        Err(Error::Invalid(errors)) => {
            faults.extend(errors);
            None
        }
        Err(protected @ Error::Protected { .. }) => {
            add("target_id", protected.to_string());
            None
        }
        Err(other) => return Err(other),
    };
    let (Some(wanted), Some(until), Some((reach, name)), true) = (wanted, until, reach, faults.is_empty())
    else {
        return Err(Error::Invalid(faults));
    };
    let new = NewOverride {
        target_name: name,
        wanted,
        until: Some(until),
        reason: reason.to_owned(),
        by_hand: false,
        puts_back: changes(app, wanted, &reach, &book).await?,
        reach,
    };
    let mut tx = app.db.begin().await?;
    let made = insert_override(&mut tx, app, actor, new, until, now).await?;
    tx.commit().await?;
    changed(app);
    Ok(made)
}

/// Whether the override changes a container, so that its end has something to revert.
async fn changes(app: &App, wanted: DesiredState, reach: &Reach, book: &RuleBook) -> Result<bool> {
    for host in app.hosts.all() {
        let (inventory, naps) = (host.inventory(), book.naps(host.id()));
        let known = db::applied::of_host(&app.db, host.id()).await?;
        let changes = |one: &Container| match wanted {
            DesiredState::Asleep => one.state.is_up(),
            DesiredState::Awake => naps.get(&one.identity).is_some_and(|nap| nap.holds(one, &inventory)),
            DesiredState::Hold => false,
        };
        let reached = inventory.containers.iter().filter(|one| {
            let covers = reach.covers(Place::of(one), book.rules.groups()).is_some();
            covers && one.is_ordinary() && one.protection.is_none()
        });
        let is_put_back = |one: &Container| known.get(&one.identity).is_some_and(|known| known.puts_back);
        if reached.into_iter().any(|one| changes(one) || wanted != DesiredState::Hold && is_put_back(one)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Parses the end of an override: a future instant, at most 30 days away.
///
/// # Errors
/// A sentence about what is wrong.
pub fn end(
    typed: Option<&str>,
    now: Timestamp,
    zone: &jiff::tz::TimeZone,
) -> std::result::Result<Timestamp, String> {
    let Some(typed) = typed else {
        return Err("say when it ends, such as 2026-12-24T18:00 or 3h".to_owned());
    };
    let until = parse_duration(typed)
        .and_then(|span| now.checked_add(span).ok())
        .or_else(|| typed.parse::<Timestamp>().ok())
        .or_else(|| {
            let wall = (16..=19).contains(&typed.len()).then(|| typed.parse::<DateTime>().ok())??;
            resolve(wall, zone)
        })
        .ok_or("use a time such as 2026-12-24T18:00, with an offset 2026-12-24T18:00:00+01:00, or a span such as 3h")?;
    // The database stores whole milliseconds.
    let until = Timestamp::from_millisecond(until.as_millisecond()).unwrap_or(until);
    if until <= now {
        return Err("this has passed; use a time to come".to_owned());
    }
    if until.duration_since(now) > LONGEST.try_into().unwrap_or_default() {
        return Err("at most 30 days; for longer, change the schedule".to_owned());
    }
    Ok(until)
}

/// A duration: `90m`, `3h`, `2d`.
fn parse_duration(typed: &str) -> Option<Duration> {
    let (number, unit) = typed.split_at_checked(typed.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok().filter(|number| *number > 0 && *number < 100_000)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    Some(Duration::from_secs(number * seconds))
}

/// The reach of a draft and its display name.
fn reach(app: &App, draft: &Draft, book: &RuleBook) -> Result<(Reach, String)> {
    let kind = text(draft.target_type.as_ref()).unwrap_or_default();
    if kind == "all" {
        return Ok((Reach::All, "everything".to_owned()));
    }
    let Some(target_type) = TargetType::parse(kind) else {
        return Err(Error::field("target_type", "use container, stack, host, group or all"));
    };
    let (host, id) = (draft.host.as_deref(), draft.target_id.as_deref());
    if let Some((target, name)) = targets::wide(app, &book.groups, target_type, host, id)? {
        return Ok((Reach::Target(target), format!("{target_type} {name}")));
    }
    let Some(name) = draft.target_id.as_deref().filter(|name| !name.is_empty()) else {
        return Err(Error::field("target_id", "say which one"));
    };
    let host = targets::host_with(app, draft.host.as_deref(), target_type, name)?;
    let target = targets::named(app, host.id(), target_type, name)?;
    let name = targets::name(app, &target);
    targets::unprotected(&host.inventory(), &target, &name)?;
    Ok((Reach::Target(target), name))
}

/// A validated override that is not stored yet.
#[derive(Clone, Debug)]
pub(crate) struct NewOverride {
    pub reach: Reach,
    pub target_name: String,
    pub wanted: DesiredState,
    /// The end. `None` where no other rule requires a different state: an existing override of the target only has to
    /// end.
    pub until: Option<Timestamp>,
    pub reason: String,
    pub by_hand: bool,
    pub puts_back: bool,
}

/// A container and its state before the current action changes it; `None` where the action leaves it as it is.
pub(crate) type Changed = (ContainerIdentity, Option<Phase>);

/// Stores an override and its audit row; the open override of the same target is superseded.
async fn insert_override(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    new: NewOverride,
    until: Timestamp,
    now: Timestamp,
) -> Result<Override> {
    if let Some(older) = db::overrides::open_for(tx, &new.reach).await? {
        db::overrides::close(tx, &older.id, now, "superseded").await?;
    }
    let made = Override {
        id: app.ids.next(now),
        reach: new.reach,
        target_name: new.target_name,
        wanted: new.wanted,
        created_at: now,
        until,
        reason: new.reason,
        author: actor.reference.clone(),
        by_hand: new.by_hand,
        puts_back: new.puts_back,
        closed_at: None,
        closed_reason: String::new(),
    };
    db::overrides::insert(tx, &made).await?;
    record(tx, app, actor, "override.create", &made, made.reason.clone()).await?;
    Ok(made)
}

/// Stores the override of a manual action on `members` at `now`, and records their state as applied, so that the
/// scheduler has nothing left to do. Overrides of single members that require a different state are superseded, except
/// holds: they are narrower and would revert the action at once.
pub(crate) async fn record_override(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    new: NewOverride,
    host: &HostId,
    members: &[Changed],
    now: Timestamp,
) -> Result<()> {
    let state = if new.wanted == DesiredState::Asleep { Phase::Asleep } else { Phase::Awake };
    let known = db::applied::of_host(&mut *tx, host).await?;
    for (member, was) in members {
        let applied = if new.puts_back && new.until.is_some() {
            Applied::for_a_while(state, now, *was, known.get(member))
        } else {
            Applied { was: *was, ..Applied::now(state, now) }
        };
        db::applied::put(tx, host, member, &applied).await?;
        let alone = Reach::Target(Target::container(host.clone(), member.clone()));
        if alone != new.reach
            && let Some(older) = db::overrides::open_for(tx, &alone).await?
            && !matches!(older.wanted, DesiredState::Hold)
            && older.wanted != new.wanted
        {
            db::overrides::close(tx, &older.id, now, "superseded").await?;
        }
    }
    if let Some(until) = new.until {
        insert_override(tx, app, actor, new, until, now).await?;
    } else if let Some(older) = db::overrides::open_for(tx, &new.reach).await? {
        db::overrides::close(tx, &older.id, now, &new.reason).await?;
        record(tx, app, actor, "override.end", &older, new.reason).await?;
    }
    Ok(())
}

/// Ends an override early.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] where the override has already ended.
pub async fn finish(app: &App, actor: &Actor, id: &OverrideId) -> Result<()> {
    actor.require(Permission::Operate)?;
    let found = get(app, actor, id).await?;
    let mut tx = app.db.begin().await?;
    // The override ends at the present instant, so that the fires it suppressed are made up for as at a regular end.
    let reason = format!("ended by {}", actor.reference.name);
    if !db::overrides::end_now(&mut tx, id, app.clock.now(), &reason).await? {
        let message = "this override has ended already".to_owned();
        return Err(Error::conflict("override_ended", message));
    }
    record(&mut tx, app, actor, "override.end", &found, reason).await?;
    tx.commit().await?;
    changed(app);
    Ok(())
}

/// Puts containers back to sleep that were found running during their sleep: ends the overrides that keep them awake,
/// so that their own rules apply again.
///
/// # Errors
/// [`Error::Conflict`] where no such override exists for the target.
pub async fn nap_again(app: &App, actor: &Actor, target: &Target) -> Result<()> {
    actor.require(Permission::Operate)?;
    let now = app.clock.now();
    let members = targets::inventory_of(app, &target.host)?.members(&target.subject);
    let covers_member =
        |one: &Override| members.iter().any(|member| one.reach == Reach::Target(member.target()));
    let reason = format!("put back to sleep by {}", actor.reference.name);
    let mut ended = false;
    let open = db::overrides::open(&app.db).await?;
    let mut tx = app.db.begin().await?;
    for one in open.iter().filter(|one| one.is_unproven() && covers_member(one)) {
        if db::overrides::end_now(&mut tx, &one.id, now, &reason).await? {
            record(&mut tx, app, actor, "override.end", one, reason.clone()).await?;
            ended = true;
        }
    }
    if !ended {
        let message = "nothing of it is kept awake for having been found running".to_owned();
        return Err(Error::conflict("override_ended", message));
    }
    tx.commit().await?;
    changed(app);
    Ok(())
}

/// Lists overrides, newest first; with `ended_too` also those that have ended.
pub async fn list(app: &App, actor: &Actor, ended_too: bool, page: &Page) -> Result<Paged<Override>> {
    actor.require(Permission::View)?;
    let rows = db::overrides::list(&app.db, ended_too, page.cursor.as_deref(), page.fetch()).await?;
    Ok(page.cut(rows, |one| one.id.0.clone()))
}

/// Reads one override.
///
/// # Errors
/// [`Error::NotFound`] where no override has this id.
pub async fn get(app: &App, actor: &Actor, id: &OverrideId) -> Result<Override> {
    actor.require(Permission::View)?;
    db::overrides::get(&app.db, id).await?.ok_or_else(|| Error::not_found("override", shorten(id.as_str())))
}

/// The override or hold of everything that is in effect at `now`, if any.
pub fn of_everything(book: &RuleBook, now: Timestamp) -> Option<&Override> {
    book.rules.overrides().iter().find(|one| one.reach == Reach::All && one.until > now)
}

/// The end of the state that a nap or wake without a given end brings about: the next edge of the windows to the
/// opposite state. `None` where the rules already require the state, or no window applies.
pub async fn lasts(app: &App, target: &Target, made: DesiredState) -> Result<Option<Timestamp>> {
    let book = RuleBook::load(app).await?;
    Ok(contradiction::lasts(&book.rules, target, made, Some(made.other()), app.clock.now()))
}

pub(crate) async fn record(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    event: &str,
    one: &Override,
    reason: String,
) -> Result<()> {
    let changes = vec![
        Change::to("state", one.wanted.as_str()),
        Change::to("target_type", one.reach.type_str()),
        Change::to("until", to_text(one.until)),
    ];
    let row = Audit::new(app, actor, event).object("override", Some(one.id.as_str()), &one.target_name);
    row.on(one.reach.host()).changes(changes).reason(reason).store(tx).await
}

/// Notifies the scheduler and the browsers of a change.
pub(crate) fn changed(app: &App) {
    app.rules_changed(Live::Overrides);
    // A run that waits because of a guard may have to end.
    app.active_runs.wake();
}
