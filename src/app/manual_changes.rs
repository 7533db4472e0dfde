//! The effect of a requested action on the windows and overrides that it contradicts (rulings 3). The request comes
//! from a person, an API token or a cron schedule. Depending on the policy of the window, the new state lasts until the
//! next edge, is reverted after a grace period, or is only recorded.

use jiff::Timestamp;

use super::overrides::{self, Changed, NewOverride};
use super::{Actor, App, Result, targets};
use crate::db::{self, Tx};
use crate::domain::action::Action;
use crate::domain::applied::{Applied, GRACE};
use crate::domain::contradiction::{self, Answer};
use crate::domain::desired::Rules;
use crate::domain::inventory::Inventory;
use crate::domain::overrides::{DesiredState, Reach};
use crate::domain::place::Place;
use crate::domain::run::{Run, Step, Trigger};
use crate::domain::target::{ContainerIdentity, Target};
use crate::domain::window::Phase;

/// A run, its steps, and the data that decide the policy.
#[derive(Clone, Copy)]
pub(crate) struct ManualChange<'a> {
    pub app: &'a App,
    pub actor: &'a Actor,
    pub run: &'a Run,
    pub steps: &'a [Step],
    pub inventory: &'a Inventory,
    pub rules: &'a Rules,
    /// The instant at which a run that begins at once was created; undo finds the stored rows by this instant.
    pub now: Timestamp,
}

impl ManualChange<'_> {
    /// Stores the consequences for the contradicted windows and overrides in the transaction of the run. An action that
    /// changes nothing has no consequences: an unpause of a stopped container must not count as a wake.
    pub async fn apply_policy(&self, tx: &mut Tx) -> Result<()> {
        let is_fire = matches!(
            self.run.trigger,
            Trigger::Schedule | Trigger::CatchUp | Trigger::Label | Trigger::Override
        );
        self.apply(tx, is_fire).await
    }

    /// As [`Self::apply_policy`], for a run that begins with a different plan than at the request. Only windows are
    /// considered then: overrides that exist by now are newer than the request, or were created by it.
    pub async fn apply_policy_as_it_begins(&self, tx: &mut Tx) -> Result<()> {
        self.apply(tx, true).await
    }

    async fn apply(&self, tx: &mut Tx, windows_alone: bool) -> Result<()> {
        let Self { run, inventory, rules, now, .. } = *self;
        if rules.is_empty() || !run.action.sets_state() {
            return Ok(());
        }
        let decide = if windows_alone { contradiction::answer_to_fire } else { contradiction::answer };
        let inside = inventory.members(&run.target.subject);
        let identities = inside.iter().map(|member| &member.identity);
        for target in contradiction::speakers(&run.target, identities, rules) {
            let mut members = self.members(&target);
            // The steps are not known while the host is disconnected.
            let acts = |member: &ContainerIdentity| {
                self.steps.iter().any(|step| step.identity == *member && !step.state.is_terminal())
            };
            if inventory.is_connected() && !members.iter().any(|(member, _)| acts(member)) {
                continue;
            }
            match decide(rules, &target, run.action, now) {
                Some(Answer::Respect { wanted, until }) => {
                    if until.is_none() {
                        self.drop_members_with_own_windows(&mut members, &target);
                    }
                    let new = self.override_for(&target, wanted, until);
                    overrides::record_override(tx, self.app, self.actor, new, &target.host, &members, now)
                        .await?;
                }
                Some(Answer::Enforce(wanted)) => {
                    // A container without a step keeps its state, which was intended.
                    members.retain(|(_, was)| was.is_some());
                    self.schedule_put_back(tx, &members, wanted).await?;
                }
                Some(Answer::Observe) | None => {}
            }
        }
        Ok(())
    }

    /// Stores the override requested with the run, which makes the new state last. Where no override is needed, the
    /// policy is applied to members with rules of their own.
    pub async fn make_last(&self, tx: &mut Tx, new: NewOverride) -> Result<()> {
        let target = &self.run.target;
        let mut members = self.members(target);
        if new.until.is_none() {
            self.drop_members_with_own_windows(&mut members, target);
            let rules = &self.rules.without_own(target);
            ManualChange { rules, ..*self }.apply_policy(tx).await?;
        } else {
            self.supersede_within(tx, &new, &members).await?;
        }
        let changes = members.iter().any(|(_, was)| was.is_some());
        let extends = self.rules.overrides().iter().any(|one| one.reach == new.reach && one.puts_back);
        let new = NewOverride { puts_back: new.puts_back && (changes || extends), ..new };
        overrides::record_override(tx, self.app, self.actor, new, &target.host, &members, self.now).await
    }

    /// Supersedes the overrides of stacks and services inside the target that require another state, except holds: they
    /// are narrower than the new override and would revert the action at once. Those of single containers are
    /// superseded where the new override is stored.
    async fn supersede_within(&self, tx: &mut Tx, new: &NewOverride, members: &[Changed]) -> Result<()> {
        let Target { host, subject } = &self.run.target;
        for one in db::overrides::open_on(tx, host).await? {
            let Reach::Target(target) = &one.reach else { continue };
            let opposes = one.wanted != DesiredState::Hold && one.wanted != new.wanted;
            let inside = targets::members(self.inventory, target);
            let is_within = target.subject.stack().is_some()
                && target.subject != *subject
                && target.narrowness() > self.run.target.narrowness()
                && !inside.is_empty()
                && inside.iter().all(|one| members.iter().any(|(member, _)| member == one));
            if opposes && is_within {
                db::overrides::close(tx, &one.id, self.now, "superseded").await?;
            }
        }
        Ok(())
    }

    /// The members that an override of `target` applies to, each with its state before the run.
    fn members(&self, target: &Target) -> Vec<Changed> {
        let was = |member: &ContainerIdentity| {
            let step = self.steps.iter().find(|step| step.identity == *member && !step.state.is_terminal());
            let is_up =
                || self.inventory.by_identity(member).is_some_and(|container| container.state.is_up());
            match step.map(|step| step.action) {
                Some(Action::Stop | Action::Pause) => Some(Phase::Awake),
                Some(Action::Start | Action::Unpause) => Some(Phase::Asleep),
                Some(Action::Restart) => None,
                // The step is not planned while the host is disconnected: the last known state is used.
                None if self.inventory.is_connected() => None,
                None if self.run.action.reverses_order() => is_up().then_some(Phase::Awake),
                None => (!is_up()).then_some(Phase::Asleep),
            }
        };
        let members = targets::members(self.inventory, target).into_iter();
        members.map(|member| (member.clone(), was(&member))).collect()
    }

    /// Removes members with windows narrower than the target: they follow those windows, because the target needs no
    /// override.
    fn drop_members_with_own_windows(&self, members: &mut Vec<Changed>, target: &Target) {
        members.retain(|(member, _)| {
            let own = Target::container(target.host.clone(), member.clone());
            let decides = self.rules.windows_for(Place::of_target(&own)).first().copied();
            decides.is_none_or(|rule| rule.target.narrowness() <= target.narrowness())
        });
    }

    /// The override by which the windows respect the run.
    fn override_for(&self, target: &Target, wanted: DesiredState, until: Option<Timestamp>) -> NewOverride {
        let run = self.run;
        NewOverride {
            reach: Reach::Target(target.clone()),
            target_name: if *target == run.target {
                run.target_name.clone()
            } else {
                targets::name(self.app, target)
            },
            wanted,
            until,
            reason: format!("{} by {}", contradiction::done(run.action), run.actor.name),
            by_hand: true,
            puts_back: false,
        }
    }

    /// Schedules the return to the window's state after the grace period.
    async fn schedule_put_back(&self, tx: &mut Tx, members: &[Changed], wanted: DesiredState) -> Result<()> {
        let host = &self.run.target.host;
        let phase = if wanted == DesiredState::Asleep { Phase::Asleep } else { Phase::Awake };
        let known = db::applied::of_host(&mut *tx, host).await?;
        for (member, _) in members {
            let before = known.get(member).cloned().unwrap_or_else(|| Applied::now(phase, self.now));
            let applied = Applied { put_back_at: Some(self.now + GRACE), ..before };
            db::applied::put(tx, host, member, &applied).await?;
        }
        Ok(())
    }
}
