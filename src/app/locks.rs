//! Locks: a stack or container that DockNap leaves alone until somebody unlocks it.

use tokio::sync::Mutex;

use super::audit::Audit;
use super::{Actor, App, Error, Live, Result, targets};
use crate::db;
use crate::domain::ids::HostId;
use crate::domain::lock::{Lock, Locks, MAX_REASON};
use crate::domain::permission::Permission;
use crate::domain::target::{Target, TargetType};

/// Hands the stored locks to the hosts. Before anything acts, and after every change.
///
/// # Errors
/// Where the database cannot be read: nothing may act then.
pub async fn restore(app: &App) -> Result<()> {
    // What is read later is handed over later: of two changes at once the older list must not come last.
    static TURN: Mutex<()> = Mutex::const_new(());
    let _turn = TURN.lock().await;
    let locks = db::locks::all(&app.db).await?;
    for host in app.hosts.all() {
        host.set_locks(Locks::of(locks.iter().filter(|lock| lock.target.host == *host.id())));
    }
    Ok(())
}

/// All locks.
pub async fn list(app: &App, actor: &Actor) -> Result<Vec<Lock>> {
    actor.require(Permission::View)?;
    Ok(db::locks::all(&app.db).await?)
}

/// The lock on this very target, where there is one; that of a container's stack is another.
pub async fn of(app: &App, actor: &Actor, target: &Target) -> Result<Option<Lock>> {
    Ok(list(app, actor).await?.into_iter().find(|lock| lock.target == *target))
}

/// Locks a stack or container, by name or key; one that is locked gets the new reason.
///
/// # Errors
/// [`Error::NotFound`], [`Error::Invalid`] for a reason that is too long.
pub async fn lock(
    app: &App,
    actor: &Actor,
    host: &HostId,
    target_type: TargetType,
    name: &str,
    reason: &str,
) -> Result<Lock> {
    actor.require(Permission::Operate)?;
    let reason = reason.trim();
    if reason.chars().count() > MAX_REASON || reason.chars().any(char::is_control) {
        return Err(Error::field("reason", format!("use one line of {MAX_REASON} characters at most")));
    }
    let target = targets::resolve(app, host, target_type, name)?;
    let lock = Lock {
        target_name: targets::name(app, &target),
        target,
        reason: reason.to_owned(),
        author_id: actor.reference.id.clone(),
        author: actor.reference.name.clone(),
        created_at: app.clock.now(),
    };
    let mut tx = app.db.begin().await?;
    db::locks::put(&mut tx, &lock).await?;
    let row = Audit::new(app, actor, format!("{target_type}.lock")).target(&lock.target, &lock.target_name);
    row.reason(reason).store(&mut tx).await?;
    tx.commit().await?;
    restore(app).await?;
    changed(app, &lock.target);
    Ok(lock)
}

/// Takes a lock away; where there is none, nothing changes.
///
/// # Errors
/// [`Error::NotFound`] for a target that is neither there nor locked.
pub async fn unlock(
    app: &App,
    actor: &Actor,
    host: &HostId,
    target_type: TargetType,
    name: &str,
) -> Result<()> {
    actor.require(Permission::Operate)?;
    // What is locked may be gone: its name then has to do.
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
    if db::locks::remove(&mut tx, &target).await? {
        let row = Audit::new(app, actor, format!("{target_type}.unlock")).target(&target, &name);
        row.store(&mut tx).await?;
        tx.commit().await?;
        restore(app).await?;
        changed(app, &target);
    }
    Ok(())
}

fn changed(app: &App, target: &Target) {
    // What was locked may be due for a sleep.
    app.rules_changed(Live::Target(target.clone()));
}
