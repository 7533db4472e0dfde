//! Hosts: the Docker Engines that DockNap manages. One comes from `DOCKER_HOST`, others from the settings file, and
//! admins add the rest in the page or by the API, change, disable and delete them while DockNap runs.

mod connect;
mod draft;
pub mod expiry;
mod outages;
mod view;

pub(crate) use connect::follow;
pub use connect::{glance, keep, local_endpoint, sync};
pub use draft::{HostDraft, SchedulesOfHost};
pub use view::{HostView, get, list};

use draft::{Checked, check};

use super::audit::Audit;
use super::docker_check::{self, Checked as Calls};
use super::rulebook::RuleBook;
use super::{Actor, App, Error, Live, Result, schedules};
use crate::config::HostSetting;
use crate::db::{self, Tx};
use crate::domain::audit::Change;
use crate::domain::host::{HostRecord, HostSource, HostSpec, HostTls};
use crate::domain::ids::HostId;
use crate::domain::permission::Permission;
use crate::domain::run::{Run, RunState};

/// Every host: that of `DOCKER_HOST` first, then those of the settings file, then those of the database.
pub(super) async fn records(app: &App) -> Result<Vec<HostRecord>> {
    let mut records = fixed(app);
    // The settings come first: a host of the database with the id of one of theirs is left out.
    let stored = db::hosts::all(&app.db).await?;
    records.extend(stored.into_iter().filter(|one| !fixed(app).iter().any(|other| other.id == one.id)));
    Ok(records)
}

/// The stored hosts that are left out, because the settings have a host of the same id.
pub(super) async fn shadowed(app: &App) -> Result<Vec<HostRecord>> {
    let stored = db::hosts::all(&app.db).await?.into_iter();
    Ok(stored.filter(|one| app.config.has_host(&one.id)).collect())
}

/// Writes to the log which stored hosts are left out.
pub async fn tell_shadowed(app: &App) -> Result<()> {
    for host in shadowed(app).await? {
        tracing::warn!(
            host = %host.id,
            address = %host.spec.endpoint,
            "a stored host is not used: the settings have a host of the same id; give one of them another id"
        );
    }
    Ok(())
}

/// The hosts of the settings.
fn fixed(app: &App) -> Vec<HostRecord> {
    let since = app.vitals.since();
    let record = |id: HostId, spec: HostSpec, source: HostSource| HostRecord {
        id,
        spec,
        source,
        enabled: true,
        rev: 0,
        created_at: since,
        updated_at: since,
    };
    let local = app.config.local.then(|| {
        let endpoint = app.config.docker_host.clone();
        let spec = HostSpec { name: "local".to_owned(), endpoint, ..HostSpec::default() };
        record(app.config.local_host(), spec, HostSource::Env)
    });
    let of_file = app.config.hosts.iter().map(|host| {
        let HostSetting { id, name, endpoint, insecure, tls, .. } = host.clone();
        let tls = tls.map(|(ca, identity)| HostTls::Files { ca, identity });
        let spec = HostSpec { name, endpoint, insecure, tls, ..HostSpec::default() };
        record(HostId(id), spec, HostSource::File)
    });
    local.into_iter().chain(of_file).collect()
}

/// Adds a host and connects it.
///
/// # Errors
/// [`Error::Invalid`] with every field that is wrong; nothing is stored then.
pub async fn create(app: &App, actor: &Actor, draft: &HostDraft, source: HostSource) -> Result<HostRecord> {
    actor.require(Permission::Administer)?;
    let known = records(app).await?;
    let Checked { id, spec, enabled } = check(app, draft, None, &known)?;
    let now = app.clock.now();
    let host = HostRecord { id, spec, enabled, source, rev: 1, created_at: now, updated_at: now };
    let mut tx = app.db.begin().await?;
    insert_in(&mut tx, app, actor, &host).await?;
    tx.commit().await?;
    sync(app).await?;
    Ok(host)
}

/// The host of a draft of a rules file, in the place of `old` where there is one; nothing is stored. A file has no
/// private keys: a host that needs one and has none stored is disabled.
pub(super) fn planned(
    app: &App,
    draft: &HostDraft,
    old: Option<&HostRecord>,
    known: &[HostRecord],
) -> Result<HostRecord> {
    let stored = old.and_then(|old| old.spec.tls.as_ref());
    let has_key = matches!(stored, Some(HostTls::Texts { sealed_key: Some(_), .. }));
    let cert = draft.cert.clone().filter(|cert| !cert.trim().is_empty() && !has_key);
    let Checked { id, mut spec, mut enabled } = match &cert {
        None => check(app, draft, old, known)?,
        Some(_) => check(app, &HostDraft { cert: None, ..draft.clone() }, old, known)?,
    };
    if let Some(text) = cert {
        let Some(HostTls::Texts { cert, .. }) = &mut spec.tls else {
            return Err(Error::field("ca", "enter the certificate of the authority too"));
        };
        *cert = Some(text.trim().to_owned());
        enabled = false;
    } else if let (
        Some(HostTls::Texts { sealed_key: Some(old), .. }),
        Some(HostTls::Texts { sealed_key: Some(new), .. }),
    ) = (stored, &mut spec.tls)
    {
        // The same key, sealed once more, is another text.
        old.clone_into(new);
    }
    let now = app.clock.now();
    Ok(match old {
        None => HostRecord {
            id,
            spec,
            enabled,
            source: HostSource::Api,
            rev: 1,
            created_at: now,
            updated_at: now,
        },
        Some(old) if old.spec == spec && old.enabled == enabled => old.clone(),
        Some(old) => HostRecord { spec, enabled, rev: old.rev + 1, updated_at: now, ..old.clone() },
    })
}

/// Stores a new host.
pub(super) async fn insert_in(tx: &mut Tx, app: &App, actor: &Actor, host: &HostRecord) -> Result<()> {
    if !db::hosts::insert(tx, host).await? {
        return Err(Error::field("id", "another host has this id; choose another one"));
    }
    record(tx, app, actor, "host.create", host, changes(None, Some(host))).await
}

/// The fields that differ between two versions of a host.
pub(super) fn changed_fields(old: &HostRecord, new: &HostRecord) -> Vec<Change> {
    changes(Some(old), Some(new))
}

/// Replaces the settings of a host; fields missing in the draft become empty, but for the private key, which stays
/// while the certificate does. The connection is made anew.
///
/// # Errors
/// As [`create`]; [`Error::NotFound`]; [`Error::Stale`] where `rev` is not the stored revision; [`Error::Conflict`] for
/// a host of the settings, and while a run on the host is under way.
pub async fn update(
    app: &App,
    actor: &Actor,
    id: &HostId,
    draft: &HostDraft,
    rev: Option<i64>,
) -> Result<HostRecord> {
    actor.require(Permission::Administer)?;
    let known = records(app).await?;
    let old = editable(&known, id, rev)?;
    let Checked { spec, enabled, .. } = check(app, draft, Some(&old), &known)?;
    replace(app, actor, "host.update", &old, HostRecord { spec, enabled, ..old.clone() }).await
}

/// Enables or disables a host. A disabled host is never called: its schedules wait, and runs that become due are
/// skipped.
///
/// # Errors
/// As [`update`].
pub async fn set_enabled(app: &App, actor: &Actor, id: &HostId, enabled: bool) -> Result<HostRecord> {
    actor.require(Permission::Administer)?;
    let old = editable(&records(app).await?, id, None)?;
    if old.enabled == enabled {
        sync(app).await?;
        return Ok(old);
    }
    let event = if enabled { "host.enable" } else { "host.disable" };
    replace(app, actor, event, &old, HostRecord { enabled, ..old.clone() }).await
}

async fn replace(
    app: &App,
    actor: &Actor,
    event: &str,
    old: &HostRecord,
    new: HostRecord,
) -> Result<HostRecord> {
    let new = HostRecord { rev: old.rev + 1, updated_at: app.clock.now(), ..new };
    let _no_run_begins = app.active_runs.beginning().await;
    require_idle(app, &old.id).await?;
    let mut tx = app.db.begin().await?;
    replace_in(&mut tx, app, actor, event, old, &new).await?;
    tx.commit().await?;
    sync(app).await?;
    app.active_runs.wake();
    Ok(new)
}

/// Stores the new settings of a host on which no run is under way.
pub(super) async fn replace_in(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    event: &str,
    old: &HostRecord,
    new: &HostRecord,
) -> Result<()> {
    if !db::hosts::update(tx, new, old.rev).await? {
        return Err(stale(tx, &old.id).await?);
    }
    if !new.enabled {
        db::host_outages::end(tx, &new.id, new.updated_at).await?;
    }
    record(tx, app, actor, event, new, changes(Some(old), Some(new))).await
}

/// Deletes a host with its locks, order, naps and overrides. Its schedules are deleted or moved to another host; runs
/// keep its id, the audit log its name. Nothing changes on the Engine.
///
/// # Errors
/// As [`update`]; [`Error::Invalid`] for `move_to` where there is no such host; [`Error::Conflict`] where the host has
/// schedules and `what` is `None`.
pub async fn delete(
    app: &App,
    actor: &Actor,
    id: &HostId,
    what: Option<&SchedulesOfHost>,
    rev: Option<i64>,
) -> Result<()> {
    actor.require(Permission::Administer)?;
    let _no_run_begins = app.active_runs.beginning().await;
    require_idle(app, id).await?;
    let known = records(app).await?;
    let old = editable(&known, id, rev)?;
    let move_to = match what {
        None | Some(SchedulesOfHost::Delete) => None,
        Some(SchedulesOfHost::MoveTo(other)) if other != id && known.iter().any(|one| one.id == *other) => {
            Some(other)
        }
        Some(SchedulesOfHost::MoveTo(_)) => {
            return Err(Error::field("move_to", "there is no such other host; choose one of the list"));
        }
    };
    let (book, now) = (RuleBook::load(app).await?, app.clock.now());
    let mut tx = app.db.begin().await?;
    // First: from now on nobody stores a schedule for the host.
    if !db::hosts::delete(&mut tx, id, old.rev).await? {
        return Err(stale(&mut tx, id).await?);
    }
    let moved = schedules::of_host(&mut tx, id).await?;
    if what.is_none() && !moved.is_empty() {
        return Err(Error::conflict(
            "host_has_schedules",
            "the host has schedules; say whether they are deleted or move to another host",
        ));
    }
    for schedule in moved {
        schedules::leave_host(&mut tx, app, actor, schedule, move_to, &book).await?;
    }
    db::hosts::forget(&mut tx, id, now).await?;
    record(&mut tx, app, actor, "host.delete", &old, changes(Some(&old), None)).await?;
    tx.commit().await?;
    sync(app).await?;
    app.rules_changed(Live::Schedules);
    app.active_runs.wake();
    Ok(())
}

/// Tries every call on the Engine of a draft, or of a stored host with the changes of a draft. Nothing is stored, and
/// nothing changes on the Engine.
///
/// # Errors
/// [`Error::Invalid`] with every field that is wrong; then no call is made.
pub async fn test(app: &App, actor: &Actor, id: Option<&HostId>, draft: Option<&HostDraft>) -> Result<Calls> {
    actor.require(Permission::Administer)?;
    let known = records(app).await?;
    let old = match id {
        Some(id) => Some(found(&known, id)?),
        None => None,
    };
    let record = match (draft, old) {
        (None, Some(old)) => old,
        (Some(draft), old) => {
            let Checked { id, spec, .. } = check(app, draft, old.as_ref(), &known)?;
            let now = app.clock.now();
            let source = HostSource::Ui;
            HostRecord { id, spec, enabled: true, source, rev: 0, created_at: now, updated_at: now }
        }
        (None, None) => return Err(Error::field("endpoint", "enter the address of the Engine")),
    };
    let host = connect::open(app, &HostRecord { enabled: true, ..record });
    Ok(docker_check::check_host(app, &host).await)
}

/// Refuses a change of a host while a run acts on it: the run holds the connection that the change ends.
pub(super) async fn require_idle(app: &App, id: &HostId) -> Result<()> {
    let under_way = db::runs::in_state(&app.db, RunState::Executing).await?;
    let acts = |run: &&Run| run.target.host == *id && app.active_runs.is_active(&run.id);
    match under_way.iter().find(acts) {
        None => Ok(()),
        Some(run) => Err(Error::conflict(
            "host_busy",
            format!(
                "a run for {} is under way on this host; cancel it or wait until it ends",
                run.target_name
            ),
        )),
    }
}

fn found(known: &[HostRecord], id: &HostId) -> Result<HostRecord> {
    known.iter().find(|one| one.id == *id).cloned().ok_or_else(|| not_found(id))
}

/// The stored host, if it may be changed.
fn editable(known: &[HostRecord], id: &HostId, rev: Option<i64>) -> Result<HostRecord> {
    let host = found(known, id)?;
    let whose = match host.source {
        HostSource::Env => "the settings of DockNap (DOCKER_HOST)",
        HostSource::File => "docknap.toml",
        HostSource::Ui | HostSource::Api => {
            return match rev {
                Some(rev) if rev != host.rev => Err(Error::Stale { current_rev: host.rev }),
                _ => Ok(host),
            };
        }
    };
    Err(Error::conflict("read_only", format!("this host comes from {whose}; change it there")))
}

fn not_found(id: &HostId) -> Error {
    Error::not_found("host", id.as_str())
}

/// The error of an update or deletion whose revision did not match.
async fn stale(tx: &mut Tx, id: &HostId) -> Result<Error> {
    Ok(match db::hosts::get(tx, id).await? {
        Some(host) => Error::Stale { current_rev: host.rev },
        None => not_found(id),
    })
}

async fn record(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    event: &str,
    host: &HostRecord,
    changes: Vec<Change>,
) -> Result<()> {
    let row = Audit::new(app, actor, event).object("host", Some(host.id.as_str()), &host.spec.name);
    row.on(&host.id).changes(changes).store(tx).await
}

/// The fields that differ. Of the private key only whether there is one.
fn changes(old: Option<&HostRecord>, new: Option<&HostRecord>) -> Vec<Change> {
    const FIELDS: [&str; 9] =
        ["name", "endpoint", "insecure", "ca", "cert", "key", "parallelism", "note", "enabled"];
    fn values(host: &HostRecord) -> [Option<String>; FIELDS.len()] {
        let spec = &host.spec;
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (ca, cert, key) = match &spec.tls {
            Some(HostTls::Texts { ca, cert, sealed_key }) => {
                (Some(ca.clone()), cert.clone(), sealed_key.as_ref().map(|_| "set".to_owned()))
            }
            Some(HostTls::Files { .. }) | None => (None, None, None),
        };
        [
            filled(&spec.name),
            filled(&spec.endpoint),
            spec.insecure.then(|| "true".to_owned()),
            ca,
            cert,
            key,
            spec.parallelism.map(|number| number.to_string()),
            filled(&spec.note),
            Some(host.enabled.to_string()),
        ]
    }
    let none = || FIELDS.map(|_| None);
    let (old, new) = (old.map_or_else(none, values), new.map_or_else(none, values));
    let pairs = FIELDS.into_iter().zip(old.into_iter().zip(new));
    Change::between(pairs.map(|(field, (old, new))| (field, old, new)))
}
