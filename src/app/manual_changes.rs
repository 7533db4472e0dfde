//! What a request by a person, a token or a cron schedule means for the windows and overrides it goes against
//! (rulings 3): by policy it lives until the next edge, is put back after a grace, or is only recorded.

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
use crate::domain::run::{Run, Step, Trigger};
use crate::domain::target::{ContainerIdentity, Target};
use crate::domain::window::Phase;

/// A run with its steps, and what its policy is decided by.
#[derive(Clone, Copy)]
pub(crate) struct ManualChange<'a> {
    pub app: &'a App,
    pub actor: &'a Actor,
    pub run: &'a Run,
    pub steps: &'a [Step],
    pub inventory: &'a Inventory,
    pub rules: &'a Rules,
    /// For a run that begins at once the instant at which it was made, by which an undo finds what was stored for it.
    pub now: Timestamp,
}

impl ManualChange<'_> {
    /// Stores beside the run what becomes of the windows and overrides it goes against. What changes nothing goes
    /// against nothing: an unpause of what is stopped must not be told as a wake.
    pub async fn apply_policy(&self, tx: &mut Tx) -> Result<()> {
        let is_fire = matches!(
            self.run.trigger,
            Trigger::Schedule | Trigger::CatchUp | Trigger::Label | Trigger::Override
        );
        self.apply(tx, is_fire).await
    }

    /// The same for a run that begins with another plan than the one it was asked for with. What overrides say by now
    /// was said later than the run was asked for, or by it: it goes against windows alone.
    pub async fn apply_policy_as_it_begins(&self, tx: &mut Tx) -> Result<()> {
        self.apply(tx, true).await
    }

    async fn apply(&self, tx: &mut Tx, windows_alone: bool) -> Result<()> {
        let Self { run, inventory, rules, now, .. } = *self;
        if rules.is_empty() || !run.action.sets_state() {
            return Ok(());
        }
        let ask = if windows_alone { contradiction::answer_to_fire } else { contradiction::answer };
        let inside = inventory.members(&run.target.subject);
        let identities = inside.iter().map(|member| &member.identity);
        for target in contradiction::speakers(&run.target, identities, rules) {
            let mut members = self.members(&target);
            // While the host is away nobody knows what there is to do.
            let acts = |member: &ContainerIdentity| {
                self.steps.iter().any(|step| step.identity == *member && !step.state.is_terminal())
            };
            if inventory.is_connected() && !members.iter().any(|(member, _)| acts(member)) {
                continue;
            }
            match ask(rules, &target, run.action, now) {
                Some(Answer::Respect { wanted, until }) => {
                    if until.is_none() {
                        self.leave_to_their_own(&mut members, &target);
                    }
                    let new = self.respected(&target, wanted, until);
                    overrides::record_override(tx, self.app, self.actor, new, &target.host, &members, now)
                        .await?;
                }
                Some(Answer::Enforce(wanted)) => {
                    // What the run leaves as it is, was so on purpose.
                    members.retain(|(_, was)| was.is_some());
                    self.put_back_later(tx, &members, wanted).await?;
                }
                Some(Answer::Observe) | None => {}
            }
        }
        Ok(())
    }

    /// Stores beside the run the override that makes it last, as its asker wished. Where none is needed, what the run
    /// goes against in members with rules of their own is answered as for any other.
    pub async fn make_last(&self, tx: &mut Tx, new: NewOverride) -> Result<()> {
        let target = &self.run.target;
        let mut members = self.members(target);
        if new.until.is_none() {
            self.leave_to_their_own(&mut members, target);
            let rules = &self.rules.without_own(target);
            ManualChange { rules, ..*self }.apply_policy(tx).await?;
        }
        let changes = members.iter().any(|(_, was)| was.is_some());
        let extends = self.rules.overrides().iter().any(|one| one.reach == new.reach && one.puts_back);
        let new = NewOverride { puts_back: new.puts_back && (changes || extends), ..new };
        overrides::record_override(tx, self.app, self.actor, new, &target.host, &members, self.now).await
    }

    /// The members that an override of a target speaks for, with how each was before the run changes it.
    fn members(&self, target: &Target) -> Vec<Changed> {
        let was = |member: &ContainerIdentity| {
            let step = self.steps.iter().find(|step| step.identity == *member && !step.state.is_terminal());
            let is_up =
                || self.inventory.by_identity(member).is_some_and(|container| container.state.is_up());
            match step.map(|step| step.action) {
                Some(Action::Stop | Action::Pause) => Some(Phase::Awake),
                Some(Action::Start | Action::Unpause) => Some(Phase::Asleep),
                Some(Action::Restart) => None,
                // What there is to do shows when its host is back: as it was when it was last seen.
                None if self.inventory.is_connected() => None,
                None if self.run.action.reverses_order() => is_up().then_some(Phase::Awake),
                None => (!is_up()).then_some(Phase::Asleep),
            }
        };
        let members = targets::members(self.inventory, target).into_iter();
        members.map(|member| (member.clone(), was(&member))).collect()
    }

    /// Members that windows of their own speak for follow those, where no override is needed for their stack.
    fn leave_to_their_own(&self, members: &mut Vec<Changed>, target: &Target) {
        members.retain(|(member, _)| {
            let own = Target::container(target.host.clone(), member.clone());
            own == *target || self.rules.windows_on(&own).next().is_none()
        });
    }

    /// The override by which windows respect the run.
    fn respected(&self, target: &Target, wanted: DesiredState, until: Option<Timestamp>) -> NewOverride {
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

    /// After the grace it is as the window wants it again.
    async fn put_back_later(&self, tx: &mut Tx, members: &[Changed], wanted: DesiredState) -> Result<()> {
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
