//! What somebody hides on the first page for a while, and what of the program itself needs attention there.

use std::time::Duration;

use jiff::Timestamp;

use super::{Actor, App, Error, Live, Result, vitals};
use crate::db;
pub use crate::db::hidden_needs::Hidden;
use crate::domain::ids::UserId;
use crate::domain::permission::Permission;

/// How long something stays hidden.
pub const HIDES_FOR: Duration = Duration::from_secs(24 * 3600);

/// The account whose first page it is.
fn account(actor: &Actor) -> Result<UserId> {
    actor.require(Permission::View)?;
    let id = actor.reference.id.clone().map(UserId);
    id.ok_or_else(|| Error::not_found("user", actor.reference.name.clone()))
}

/// What somebody hid, as far as it is hidden still.
pub async fn hidden(app: &App, actor: &Actor) -> Result<Vec<Hidden>> {
    Ok(db::hidden_needs::of_user(&app.db, &account(actor)?, app.clock.now()).await?)
}

/// Hides something from somebody, and answers until when. Nobody but they are touched by it, so it is in no log. Who
/// asks sees to it that `need` is the id of something that is there.
pub async fn hide(app: &App, actor: &Actor, need: &str) -> Result<Timestamp> {
    let user = account(actor)?;
    let since = app.clock.now();
    let until = since + HIDES_FOR;
    let mut tx = app.db.begin().await?;
    db::hidden_needs::put(&mut tx, &user, &Hidden { need: need.to_owned(), since, until }).await?;
    tx.commit().await?;
    app.bus.send(Live::Needs);
    Ok(until)
}

/// Shows something to somebody again.
pub async fn show(app: &App, actor: &Actor, need: &str) -> Result<()> {
    let user = account(actor)?;
    let mut tx = app.db.begin().await?;
    db::hidden_needs::remove(&mut tx, &user, need).await?;
    tx.commit().await?;
    app.bus.send(Live::Needs);
    Ok(())
}

/// What stands in the way of storing anything, in words; `None` where nothing is known to.
pub fn storage_fault(actor: &Actor) -> Result<Option<&'static str>> {
    actor.require(Permission::View)?;
    Ok(db::storage::fault())
}

/// Asks the database anew whether it stores what is written.
pub async fn try_storage(app: &App, actor: &Actor) -> Result<bool> {
    actor.require(Permission::Operate)?;
    Ok(vitals::is_alive(app).await && db::storage::fault().is_none())
}

/// Tries to connect to every host that does not answer, now rather than at the end of its wait.
pub fn try_hosts(app: &App, actor: &Actor) -> Result<()> {
    actor.require(Permission::Operate)?;
    for host in app.hosts.all() {
        if !host.inventory().is_connected() {
            host.hurry();
        }
    }
    Ok(())
}
