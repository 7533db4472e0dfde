//! The recent history of one container, as time ranges.

use jiff::Timestamp;

use super::ContainerView;
use crate::app::{Actor, App, Error, Result};
use crate::db;
use crate::domain::action::Action;
use crate::domain::inventory::{Check, Container, ContainerState};
use crate::domain::permission::Permission;

/// The state of a container during a time range, as far as DockNap knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Was {
    /// Running.
    Up,
    /// Put to sleep by DockNap.
    Napping,
    /// Stopped or paused, but not by DockNap.
    Down,
}

/// A time range with one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after the range.
    pub until: Timestamp,
    /// The state of the container.
    pub was: Was,
}

/// The history of a container since an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The time ranges in order, without those of which nothing is known.
    pub stretches: Vec<Stretch>,
    /// The duration of each start in milliseconds, oldest first.
    pub wakes: Vec<i64>,
}

/// The history of a container from `from` until now.
pub async fn past(app: &App, actor: &Actor, view: &ContainerView, from: Timestamp) -> Result<Past> {
    actor.require(Permission::View)?;
    let container = &view.container;
    let actions = db::steps::done_to(&app.db, &container.host, &container.identity, from).await?;
    let wakes = actions.iter().filter(|step| step.action == Action::Start).filter_map(|step| step.took_ms);
    Ok(Past {
        wakes: wakes.collect(),
        stretches: stretches(
            &actions.iter().map(|step| (step.at, step.action)).collect::<Vec<_>>(),
            now_of(app, view),
            from,
            app.clock.now(),
        ),
    })
}

/// The results of the last health checks of a container, oldest first. Calls Docker, and requires the permission to see
/// the output of programs (rulings 21).
///
/// # Errors
/// Where the actor lacks the permission, or Docker does not respond.
pub async fn health_log(app: &App, actor: &Actor, container: &Container) -> Result<Vec<Check>> {
    actor.require(Permission::Operate)?;
    let host = app.hosts.get(&container.host);
    let host = host.ok_or_else(|| Error::not_found("host", container.host.as_str()))?;
    let checks = host.health_log(&container.id).await;
    let mut checks = checks.map_err(|error| Error::Docker { message: error.to_string() })?;
    for check in &mut checks {
        check.at = check.at.map(|at| host.by_us(at));
    }
    Ok(checks)
}

/// The current state, and its begin where Docker provides one.
fn now_of(app: &App, view: &ContainerView) -> (Was, Option<Timestamp>) {
    let container = &view.container;
    let by_us = |theirs: Timestamp| app.hosts.get(&container.host).map_or(theirs, |host| host.by_us(theirs));
    if view.napping_since.is_some() {
        (Was::Napping, view.napping_since)
    } else if container.state.is_up() && container.state != ContainerState::Paused {
        (Was::Up, container.started_at.map(by_us))
    } else {
        (Was::Down, container.finished_at.map(by_us))
    }
}

/// The time ranges between `from` and `now`. Each action defines the state before and after it; where the current state
/// differs from the last one, somebody else changed it at Docker's time stamp.
fn stretches(
    actions: &[(Timestamp, Action)],
    (is, since): (Was, Option<Timestamp>),
    from: Timestamp,
    now: Timestamp,
) -> Vec<Stretch> {
    let after = |action: Action| match action {
        Action::Stop | Action::Pause => Was::Napping,
        Action::Start | Action::Restart | Action::Unpause => Was::Up,
    };
    let before = |action: Action| match action {
        Action::Stop | Action::Pause | Action::Restart => Was::Up,
        Action::Start | Action::Unpause => Was::Napping,
    };
    let mut marks: Vec<(Timestamp, Was)> = Vec::new();
    if let Some((_, first)) = actions.first() {
        marks.push((from, before(*first)));
    }
    marks.extend(actions.iter().map(|(at, action)| (*at, after(*action))));
    let last = marks.last().map(|(_, was)| *was);
    if last != Some(is) {
        match since {
            Some(since) if marks.last().is_none_or(|(at, _)| since > *at) => {
                marks.push((since.max(from), is))
            }
            // Docker provides no time stamp: the state is known only from now on.
            _ => marks.push((now, is)),
        }
    }
    let ends = marks.iter().skip(1).map(|(at, _)| *at).chain([now]);
    let mut found: Vec<Stretch> = marks
        .iter()
        .zip(ends)
        .map(|((at, was), until)| Stretch { from: *at, until, was: *was })
        .filter(|stretch| stretch.from < stretch.until)
        .collect();
    found.dedup_by(|next, kept| {
        let same = next.was == kept.was && next.from == kept.until;
        if same {
            kept.until = next.until;
        }
        same
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).expect("an instant")
    }

    fn in_hours(found: &[Stretch]) -> Vec<(i64, i64, Was)> {
        found.iter().map(|one| (one.from.as_second() / 3600, one.until.as_second() / 3600, one.was)).collect()
    }

    #[test]
    fn actions_define_the_state_before_and_after_them() {
        let actions = [(at(10), Action::Stop), (at(20), Action::Start), (at(22), Action::Restart)];
        let found = stretches(&actions, (Was::Up, Some(at(22))), at(0), at(30));
        assert_eq!(in_hours(&found), [(0, 10, Was::Up), (10, 20, Was::Napping), (20, 30, Was::Up)]);
        // Somebody else stopped it at 25.
        let found = stretches(&actions, (Was::Down, Some(at(25))), at(0), at(30));
        assert_eq!(in_hours(&found).last(), Some(&(25, 30, Was::Down)));
        // Without actions of DockNap the state is known since Docker's own time stamp.
        let found = stretches(&[], (Was::Up, Some(at(12))), at(0), at(30));
        assert_eq!(in_hours(&found), [(12, 30, Was::Up)]);
        let found = stretches(&[], (Was::Up, Some(at(-90))), at(0), at(30));
        assert_eq!(in_hours(&found), [(0, 30, Was::Up)]);
        assert_eq!(stretches(&[], (Was::Down, None), at(0), at(30)), []);
    }
}
