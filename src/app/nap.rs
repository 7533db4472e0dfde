//! The services behind the buttons Nap now and Wake until (rulings 6). Both submit a run, and store an override for the
//! time that the new state lasts.

use std::sync::Arc;

use jiff::Timestamp;

use super::execute::{self, Request, Submitted};
use super::overrides::{self, NewOverride};
use super::rulebook::RuleBook;
use super::{Actor, App, Error, Result, targets, zone};
use crate::domain::action::Action;
use crate::domain::desired::Rules;
use crate::domain::ids::ScheduleId;
use crate::domain::overrides::{DesiredState, Reach};
use crate::domain::permission::Permission;
use crate::domain::place::Place;
use crate::domain::run::Trigger;
use crate::domain::target::Target;

/// Options of a nap or wake request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NapRequest {
    /// End, in the formats of [`overrides::end`]; empty = the next edge of the windows to the opposite state.
    pub until: Option<String>,
    /// The reason; may be empty.
    pub reason: Option<String>,
    /// The window schedule whose next edge is brought forward: id and title.
    pub schedule: Option<(ScheduleId, String)>,
}

impl NapRequest {
    fn why(&self) -> &str {
        self.reason.as_deref().map(str::trim).unwrap_or_default()
    }
}

/// The expected course of a nap or wake of a target, for the choice of its end.
#[derive(Clone, Debug)]
pub struct Course {
    rules: Arc<Rules>,
    target: Target,
    made: DesiredState,
    now: Timestamp,
}

impl Course {
    /// Loads the course under the present windows.
    pub async fn load(app: &App, target: &Target, made: DesiredState) -> Result<Self> {
        let rules = Arc::clone(&RuleBook::load(app).await?.rules);
        Ok(Self { rules, target: target.clone(), made, now: app.clock.now() })
    }

    /// Whether the target is woken rather than put to sleep.
    pub fn wakes(&self) -> bool {
        self.made == DesiredState::Awake
    }

    /// Whether windows apply to the target.
    pub fn has_hours(&self) -> bool {
        !self.rules.windows_for(Place::of_target(&self.target)).is_empty()
    }

    /// The edge at which the windows end the state, where no end is chosen.
    pub fn edge(&self) -> Option<Timestamp> {
        self.rules.next_window_edge(Place::of_target(&self.target), self.now, Some(self.made.other()))
    }

    /// Whether the target changes to the opposite state at the chosen end; `false` where its windows keep the state.
    pub fn turns_at(&self, end: Timestamp) -> bool {
        self.rules.at(end).by_window(Place::of_target(&self.target)).wanted != Some(self.made)
    }
}

/// The action that puts a target to sleep: the one of its window, otherwise a stop.
pub async fn mode(app: &App, target: &Target) -> Result<Action> {
    let book = RuleBook::load(app).await?;
    Ok(book.rules.windows_for(Place::of_target(target)).first().map_or(Action::Stop, |rule| rule.sleep))
}

/// Puts a target to sleep with the action of its window. Where a window applies or an end is given, the sleep lasts
/// until then.
///
/// # Errors
/// [`Error::Invalid`] for an invalid end or reason; the errors of [`execute::submit`].
pub async fn nap(
    app: &App,
    actor: &Actor,
    target: &Target,
    asked: &NapRequest,
    trigger: Trigger,
) -> Result<Submitted> {
    actor.require(Permission::Operate)?;
    let mode = mode(app, target).await?;
    let lasting = lasting(app, actor, target, asked, DesiredState::Asleep).await?;
    let (schedule, reason) = (asked.schedule.clone(), asked.why().to_owned());
    let request = Request { schedule, reason, lasting, ..Request::now(mode, target.clone(), trigger) };
    execute::submit(app, actor, request).await
}

/// Wakes the napping containers of a target, or starts the target where none is napping, and keeps it awake until the
/// end.
///
/// # Errors
/// As [`nap`].
pub async fn wake(
    app: &App,
    actor: &Actor,
    target: &Target,
    asked: &NapRequest,
    trigger: Trigger,
) -> Result<Submitted> {
    actor.require(Permission::Operate)?;
    let lasting = lasting(app, actor, target, asked, DesiredState::Awake).await?;
    let (schedule, reason) = (asked.schedule.clone(), asked.why().to_owned());
    let start = Request::now(Action::Start, target.clone(), trigger);
    let request = Request { schedule, reason, restore: true, lasting, ..start };
    execute::submit(app, actor, request).await
}

/// The override that makes the new state last. Its `until` is `None` where the windows need no override; the result is
/// `None` where no end is given and no rule applies to the target.
async fn lasting(
    app: &App,
    actor: &Actor,
    target: &Target,
    asked: &NapRequest,
    wanted: DesiredState,
) -> Result<Option<NewOverride>> {
    let typed = asked.until.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let until: Option<Timestamp> = match typed {
        Some(typed) => {
            let zone = zone::default_zone(app).await?.zone;
            let until = overrides::end(Some(typed), app.clock.now(), &zone);
            Some(until.map_err(|message| Error::field("until", message))?)
        }
        None => overrides::lasts(app, target, wanted).await?,
    };
    let reason = asked.why();
    if reason.chars().count() > crate::domain::overrides::MAX_REASON || reason.chars().any(char::is_control) {
        return Err(Error::field("reason", "use one line of 500 characters at most"));
    }
    let word = if wanted == DesiredState::Awake { "woken" } else { "put to sleep" };
    if until.is_none() && !RuleBook::load(app).await?.rules.speak_of(Place::of_target(target)) {
        return Ok(None);
    }
    Ok(Some(NewOverride {
        reach: Reach::Target(target.clone()),
        target_name: targets::name(app, target),
        wanted,
        until,
        reason: if reason.is_empty() {
            format!("{word} by {}", actor.reference.name)
        } else {
            reason.to_owned()
        },
        by_hand: reason.is_empty(),
        puts_back: true,
    }))
}
