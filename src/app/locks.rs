//! Locks: a locked stack or container is not changed by DockNap until somebody unlocks it. The database stores the
//! locks; each host keeps a copy that [`restore`] updates.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::audit::Audit;
use super::{Actor, App, Error, Live, Result, targets};
use crate::db::{self, Tx};
use crate::docker::Host;
use crate::domain::ids::HostId;
use crate::domain::lock::{Lock, Locks, MAX_REASON};
use crate::domain::permission::Permission;
use crate::domain::target::{ContainerIdentity, Target, TargetType};

/// Copies the stored locks to the hosts. Must run before the first action and after every change.
///
/// # Errors
/// Database errors; no action may follow then.
pub async fn restore(app: &App) -> Result<()> {
    copy_to(app, &app.hosts.all()).await
}

/// As [`restore`], for some hosts.
pub(super) async fn copy_to(app: &App, hosts: &[Arc<Host>]) -> Result<()> {
    // Calls are serialized, so that of two changes at the same time the newer list is copied last.
    static TURN: Mutex<()> = Mutex::const_new(());
    let _turn = TURN.lock().await;
    let locks = db::locks::all(&app.db).await?;
    for host in hosts {
        host.set_locks(Locks::of(locks.iter().filter(|lock| lock.target.host == *host.id())));
    }
    Ok(())
}

pub async fn list(app: &App, actor: &Actor) -> Result<Vec<Lock>> {
    actor.require(Permission::View)?;
    Ok(db::locks::all(&app.db).await?)
}

/// The lock on exactly this target, if any; the lock of a container's stack is not returned.
pub async fn of(app: &App, actor: &Actor, target: &Target) -> Result<Option<Lock>> {
    Ok(list(app, actor).await?.into_iter().find(|lock| lock.target == *target))
}

/// Locks a stack or container by name or key; an existing lock gets the new reason.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Invalid`] where the reason is too long or contains control characters.
pub async fn lock(
    app: &App,
    actor: &Actor,
    host: &HostId,
    target_type: TargetType,
    name: &str,
    reason: &str,
) -> Result<Lock> {
    actor.require(Permission::Operate)?;
    let reason = checked_reason(reason)?;
    let target = targets::resolve(app, host, target_type, name)?;
    let target_name = targets::name(app, &target);
    let lock = planned(app, actor, target, target_name, reason)?;
    let mut tx = app.db.begin().await?;
    put_in(&mut tx, app, actor, &lock).await?;
    tx.commit().await?;
    restore(app).await?;
    changed(app, &lock.target);
    Ok(lock)
}

fn checked_reason(reason: &str) -> Result<&str> {
    let reason = reason.trim();
    if reason.chars().count() > MAX_REASON || reason.chars().any(char::is_control) {
        return Err(Error::field("reason", format!("use one line of {MAX_REASON} characters at most")));
    }
    Ok(reason)
}

/// The lock of a target, with the caller as its author; nothing is stored.
pub(super) fn planned(
    app: &App,
    actor: &Actor,
    target: Target,
    target_name: String,
    reason: &str,
) -> Result<Lock> {
    Ok(Lock {
        reason: checked_reason(reason)?.to_owned(),
        target_name,
        target,
        author_id: actor.reference.id.clone(),
        author: actor.reference.name.clone(),
        created_at: app.clock.now(),
    })
}

/// Stores a lock; an existing lock of the target is replaced.
pub(super) async fn put_in(tx: &mut Tx, app: &App, actor: &Actor, lock: &Lock) -> Result<()> {
    db::locks::put(tx, lock).await?;
    let event = format!("{}.lock", lock.target.target_type());
    let row = Audit::new(app, actor, event).target(&lock.target, &lock.target_name);
    row.reason(&*lock.reason).store(tx).await
}

/// Removes the lock of a target; `false` where there is none.
pub(super) async fn remove_in(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    target: &Target,
    name: &str,
) -> Result<bool> {
    if !db::locks::remove(tx, target).await? {
        return Ok(false);
    }
    for identity in &up_members(app, target) {
        db::applied::forget_sleep(tx, &target.host, identity).await?;
    }
    let event = format!("{}.unlock", target.target_type());
    Audit::new(app, actor, event).target(target, name).store(tx).await?;
    Ok(true)
}

/// Removes a lock; nothing changes where there is none.
///
/// # Errors
/// [`Error::NotFound`] for a target that neither exists nor is locked.
pub async fn unlock(
    app: &App,
    actor: &Actor,
    host: &HostId,
    target_type: TargetType,
    name: &str,
) -> Result<()> {
    actor.require(Permission::Operate)?;
    // The locked target may no longer exist, so the stored name is compared first.
    let stored = db::locks::all(&app.db).await?.into_iter().find(|lock| {
        lock.target.host == *host
            && lock.target.target_type() == target_type
            && (lock.target_name == name || lock.target.key() == name)
    });
    let (target, name) = match stored {
        Some(lock) => (lock.target, lock.target_name),
        None => {
            let target = targets::resolve(app, host, target_type, name)?;
            let name = targets::name(app, &target);
            (target, name)
        }
    };
    let mut tx = app.db.begin().await?;
    if remove_in(&mut tx, app, actor, &target, &name).await? {
        tx.commit().await?;
        restore(app).await?;
        changed(app, &target);
    }
    Ok(())
}

/// The members that are up. A sleep that was applied to them before the lock says nothing about them any more: what came
/// up while it was locked is put to sleep if it is to sleep now.
fn up_members(app: &App, target: &Target) -> Vec<ContainerIdentity> {
    let Ok(inventory) = targets::inventory_of(app, &target.host) else { return Vec::new() };
    let members = inventory.members(&target.subject).into_iter();
    members.filter(|member| member.state.is_up()).map(|member| member.identity.clone()).collect()
}

fn changed(app: &App, target: &Target) {
    // The target may be due to sleep now that it is unlocked.
    app.rules_changed(Live::Target(target.clone()));
}
