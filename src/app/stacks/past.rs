//! What DockNap did to one container lately, as stretches of time.

use jiff::Timestamp;

use super::ContainerView;
use crate::app::{Actor, App, Error, Result};
use crate::db;
use crate::domain::action::Action;
use crate::domain::inventory::{Check, Container, ContainerState};
use crate::domain::permission::Permission;

/// How a container was from one instant to another, as far as DockNap knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Was {
    /// Its process ran.
    Up,
    /// DockNap had put it to sleep.
    Napping,
    /// It was down, by nobody's wish that DockNap knows.
    Down,
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
    /// How it was.
    pub was: Was,
}

/// What was done to a container since an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// How it was, in order; a time of which nothing is known is left out.
    pub stretches: Vec<Stretch>,
    /// How long each start took, in milliseconds, oldest first.
    pub wakes: Vec<i64>,
}

/// What DockNap did to a container since `from`, and how that left it until now.
pub async fn past(app: &App, actor: &Actor, view: &ContainerView, from: Timestamp) -> Result<Past> {
    actor.require(Permission::View)?;
    let container = &view.container;
    let deeds = db::steps::done_to(&app.db, &container.host, &container.identity, from).await?;
    let wakes = deeds.iter().filter(|deed| deed.action == Action::Start).filter_map(|deed| deed.took_ms);
    Ok(Past {
        wakes: wakes.collect(),
        stretches: stretches(
            &deeds.iter().map(|deed| (deed.at, deed.action)).collect::<Vec<_>>(),
            now_of(app, view),
            from,
            app.clock.now(),
        ),
    })
}

/// What the last health checks of a container said, oldest first. Asks Docker, and only for those who may see what
/// programs print (rulings 21).
///
/// # Errors
/// Where the actor may not look, or Docker does not answer.
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

/// How it is, and since when where Docker says so.
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

/// The stretches between `from` and `now`. What was done tells how it was before and after; where it is otherwise now,
/// somebody else changed it at the time that Docker says.
fn stretches(
    deeds: &[(Timestamp, Action)],
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
    if let Some((_, first)) = deeds.first() {
        marks.push((from, before(*first)));
    }
    marks.extend(deeds.iter().map(|(at, action)| (*at, after(*action))));
    let last = marks.last().map(|(_, was)| *was);
    if last != Some(is) {
        match since {
            Some(since) if marks.last().is_none_or(|(at, _)| since > *at) => {
                marks.push((since.max(from), is))
            }
            // Docker tells no time: from here on is all that is known.
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

    fn told(found: &[Stretch]) -> Vec<(i64, i64, Was)> {
        found.iter().map(|one| (one.from.as_second() / 3600, one.until.as_second() / 3600, one.was)).collect()
    }

    #[test]
    fn what_was_done_tells_how_it_was() {
        let deeds = [(at(10), Action::Stop), (at(20), Action::Start), (at(22), Action::Restart)];
        let found = stretches(&deeds, (Was::Up, Some(at(22))), at(0), at(30));
        assert_eq!(told(&found), [(0, 10, Was::Up), (10, 20, Was::Napping), (20, 30, Was::Up)]);
        // Somebody else stopped it at 25.
        let found = stretches(&deeds, (Was::Down, Some(at(25))), at(0), at(30));
        assert_eq!(told(&found).last(), Some(&(25, 30, Was::Down)));
        // Nothing of ours: known since Docker's own time.
        let found = stretches(&[], (Was::Up, Some(at(12))), at(0), at(30));
        assert_eq!(told(&found), [(12, 30, Was::Up)]);
        let found = stretches(&[], (Was::Up, Some(at(-90))), at(0), at(30));
        assert_eq!(told(&found), [(0, 30, Was::Up)]);
        assert_eq!(stretches(&[], (Was::Down, None), at(0), at(30)), []);
    }
}
