//! Stores a plan: all of it in one transaction, each item with its audit row as if it were changed by hand.

use super::plan::{Op, Plan};
use crate::app::{Actor, App, Error, Live, Result, calendars, groups, hosts, locks, order, schedules};
use crate::db::{self, Tx};

/// Stores what a plan says; nothing of it where a part cannot be stored.
///
/// # Errors
/// [`Error::Stale`] and [`Error::Conflict`] where something has changed since the plan; database errors.
pub async fn apply(app: &App, actor: &Actor, plan: &Plan) -> Result<()> {
    let changed_hosts = || plan.ops.iter().filter(|op| matches!(op, Op::Host(_)));
    let _no_run_begins = match changed_hosts().next() {
        Some(_) => Some(app.active_runs.beginning().await),
        None => None,
    };
    for op in changed_hosts() {
        if let Op::Host(host) = op
            && host.0.is_some()
        {
            hosts::require_idle(app, &host.1.id).await?;
        }
    }
    let mut tx = app.db.begin().await?;
    plan.keyed.store_in(&mut tx).await?;
    for op in &plan.ops {
        write(&mut tx, app, actor, op, plan).await?;
    }
    tx.commit().await?;
    announce(app, plan).await
}

/// As [`apply`], where the plan is still the one with this hash.
///
/// # Errors
/// [`Error::Conflict`] where it is another one.
pub async fn apply_exactly(app: &App, actor: &Actor, plan: &Plan, hash: &str) -> Result<()> {
    if plan.hash != hash {
        let message = "something has changed since the plan was made; look at the new plan and apply that";
        return Err(Error::conflict("stale_plan", message));
    }
    apply(app, actor, plan).await
}

async fn write(tx: &mut Tx, app: &App, actor: &Actor, op: &Op, plan: &Plan) -> Result<()> {
    let now = app.clock.now();
    match op {
        Op::Host(host) => match &**host {
            (None, new) => hosts::insert_in(tx, app, actor, new).await,
            (Some(old), new) => hosts::replace_in(tx, app, actor, "host.update", old, new).await,
        },
        Op::Group(group) => groups::put_in(tx, app, actor, group.0.as_ref(), &group.1).await,
        Op::Member(of) => groups::add_member_in(tx, app, actor, &of.0, &of.1).await.map(drop),
        Op::MemberGone(of) => {
            groups::remove_member_in(tx, app, actor, &of.0, (&of.1, of.2.as_str())).await.map(drop)
        }
        Op::GroupDelete(group) => groups::delete_in(tx, app, actor, group).await,
        Op::Calendar(calendar) => match &**calendar {
            (None, new) => calendars::insert_in(tx, app, actor, new).await,
            (Some(old), new) => calendars::replace_in(tx, app, actor, old, new, &plan.book).await,
        },
        Op::CalendarDelete(calendar) => calendars::delete_in(tx, app, actor, calendar).await,
        Op::Lock(lock) => locks::put_in(tx, app, actor, lock).await,
        Op::Unlock(lock) => locks::remove_in(tx, app, actor, &lock.target, &lock.target_name).await.map(drop),
        Op::Edge(edge) => order::insert_in(tx, app, actor, edge).await,
        Op::EdgeGone(edge) => order::remove_in(tx, app, actor, edge).await,
        Op::Schedule(schedule) => {
            let (old, new, key) = &**schedule;
            schedules::put_in(tx, app, actor, old.as_ref(), new).await?;
            match old {
                None => db::slugs::set(tx, &new.id, key).await?,
                Some(_) => db::slugs::set_back(tx, &new.id).await?,
            }
            Ok(())
        }
        Op::ScheduleBack(schedule) => Ok(db::slugs::set_back(tx, &schedule.id).await?),
        Op::ScheduleGone(schedule) => {
            let is_on = schedule.spec.enabled;
            if is_on {
                let reason = "its rule has left the watched directory";
                schedules::switch_off_in(tx, app, actor, schedule, &plan.book, reason).await?;
            }
            Ok(db::slugs::set_gone(tx, &schedule.id, now, is_on).await?)
        }
        Op::ScheduleDelete(schedule) => schedules::delete_in(tx, app, actor, schedule).await,
    }
}

/// Brings the hosts in step and tells the scheduler and the browsers.
async fn announce(app: &App, plan: &Plan) -> Result<()> {
    if plan.ops.is_empty() {
        return Ok(());
    }
    if plan.ops.iter().any(|op| matches!(op, Op::Host(_))) {
        hosts::sync(app).await?;
    }
    locks::restore(app).await?;
    order::restore(app).await?;
    for op in &plan.ops {
        match op {
            Op::Lock(lock) | Op::Unlock(lock) => app.bus.send(Live::Target(lock.target.clone())),
            Op::Edge(edge) | Op::EdgeGone(edge) => order::notify_pages(app, edge),
            _ => {}
        }
    }
    schedules::tell(app);
    Ok(())
}
