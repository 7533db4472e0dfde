//! Messages on the first page: hiding one of them for a while for one account, and the problems of DockNap itself
//! (storage, hosts that are not connected) with a retry for each. The pages and the API call these functions.

use std::time::Duration;

use jiff::Timestamp;

use super::{Actor, App, Error, Live, Result, vitals};
use crate::db;
pub use crate::db::hidden_needs::Hidden;
use crate::domain::ids::UserId;
use crate::domain::permission::Permission;

/// How long a message stays hidden.
pub const HIDES_FOR: Duration = Duration::from_secs(24 * 3600);

/// The account of the caller.
///
/// # Errors
/// [`Error::Forbidden`] without [`Permission::View`]; [`Error::NotFound`] where the caller has no account.
fn account(actor: &Actor) -> Result<UserId> {
    actor.require(Permission::View)?;
    let id = actor.reference.id.clone().map(UserId);
    id.ok_or_else(|| Error::not_found("user", actor.reference.name.clone()))
}

/// The messages that the caller has hidden and whose time has not expired.
pub async fn hidden(app: &App, actor: &Actor) -> Result<Vec<Hidden>> {
    Ok(db::hidden_needs::of_user(&app.db, &account(actor)?, app.clock.now()).await?)
}

/// Hides a message from the caller and returns the instant at which the message appears again. The change affects the
/// caller's own page only, so no audit row is written. The caller of this function checks that `need` is the id of an
/// existing message.
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

/// Shows a hidden message to the caller again.
pub async fn show(app: &App, actor: &Actor, need: &str) -> Result<()> {
    let user = account(actor)?;
    let mut tx = app.db.begin().await?;
    db::hidden_needs::remove(&mut tx, &user, need).await?;
    tx.commit().await?;
    app.bus.send(Live::Needs);
    Ok(())
}

/// The reason why nothing can be written to the database, as a sentence; `None` while no reason is known.
pub fn storage_fault(actor: &Actor) -> Result<Option<&'static str>> {
    actor.require(Permission::View)?;
    Ok(db::storage::fault())
}

/// Checks the database again and returns whether writes succeed.
pub async fn try_storage(app: &App, actor: &Actor) -> Result<bool> {
    actor.require(Permission::Operate)?;
    Ok(vitals::is_alive(app).await && db::storage::fault().is_none())
}

/// Tries to connect to every disconnected host at once instead of at its next retry.
pub fn try_hosts(app: &App, actor: &Actor) -> Result<()> {
    actor.require(Permission::Operate)?;
    for host in app.hosts.all() {
        if !host.inventory().is_connected() {
            host.hurry();
        }
    }
    Ok(())
}
