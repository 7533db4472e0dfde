//! What a request by a person, a token or a cron schedule means for the windows and overrides it goes against
//! (rulings 3): by policy it lives until the next edge, is put back after a grace, or is only recorded.

use jiff::Timestamp;

use super::execute::Prepared;
use super::overrides::{self, Changed, Wish};
use super::{Actor, App, Result};
use crate::db::{self, Tx};
use crate::domain::action::Action;
use crate::domain::applied::{Applied, GRACE};
use crate::domain::contradiction::{self, Answer};
use crate::domain::desired::Rules;
use crate::domain::ids::HostId;
use crate::domain::inventory::Inventory;
use crate::domain::overrides::{Reach, Wanted};
use crate::domain::run::{Run, Trigger};
use crate::domain::target::{ContainerIdentity, Target};
use crate::domain::window::Mood;

/// Stores beside a run what becomes of the windows and overrides it goes against, as of `now`: for a run that begins at
/// once the instant at which it was made, by which an undo finds it. What changes nothing goes against nothing: an unpause
/// of what is stopped must not be told as a wake.
pub(crate) async fn answer(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    prepared: &Prepared,
    inventory: &Inventory,
    rules: &Rules,
    now: Timestamp,
) -> Result<()> {
    let is_fire = matches!(
        prepared.run.trigger,
        Trigger::Schedule | Trigger::CatchUp | Trigger::Label | Trigger::Override
    );
    answer_by(tx, app, actor, prepared, inventory, rules, is_fire, now).await
}

/// The same for a run that begins with another plan than the one it was asked for with. What overrides say by now was
/// said later than the run was asked for, or by it: it goes against windows alone.
pub(crate) async fn answer_as_it_begins(
    tx: &mut Tx,
    app: &App,
    prepared: &Prepared,
    inventory: &Inventory,
    rules: &Rules,
    now: Timestamp,
) -> Result<()> {
    let actor = Actor::of(prepared.run.actor.clone());
    answer_by(tx, app, &actor, prepared, inventory, rules, true, now).await
}

#[expect(clippy::too_many_arguments, reason = "what a run is asked with, and how")]
async fn answer_by(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    prepared: &Prepared,
    inventory: &Inventory,
    rules: &Rules,
    windows_alone: bool,
    now: Timestamp,
) -> Result<()> {
    let run = &prepared.run;
    if rules.is_empty() || !run.action.sets_state() {
        return Ok(());
    }
    let ask = if windows_alone { contradiction::answer_to_fire } else { contradiction::answer };
    let inside = inventory.members(&run.target.subject);
    let speakers = contradiction::speakers(&run.target, inside.iter().map(|member| &member.identity), rules);
    for target in speakers {
        let mut members = members(prepared, inventory, &target);
        // While the host is away nobody knows what there is to do.
        let acts = |member: &ContainerIdentity| {
            prepared.steps.iter().any(|step| step.identity == *member && !step.state.is_terminal())
        };
        if inventory.is_connected() && !members.iter().any(|(member, _)| acts(member)) {
            continue;
        }
        let Some(answer) = ask(rules, &target, run.action, now) else { continue };
        if matches!(answer, Answer::Respect { until: None, .. }) {
            leave_to_their_own(&mut members, &target.host, rules, &target);
        }
        one(tx, app, actor, run, &target, members, answer, now).await?;
    }
    Ok(())
}

/// Stores beside a run the override that makes it last, as its asker wished. Where none is needed, what the run goes
/// against in members with rules of their own is answered as for any other.
pub(crate) async fn make_last(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    prepared: &Prepared,
    inventory: &Inventory,
    rules: &Rules,
    wish: Wish,
) -> Result<()> {
    let (target, now) = (&prepared.run.target, prepared.run.created_at);
    let mut all = members(prepared, inventory, target);
    if wish.until.is_none() {
        leave_to_their_own(&mut all, &target.host, rules, target);
        answer(tx, app, actor, prepared, inventory, &rules.without_own(target), now).await?;
    }
    let changes = all.iter().any(|(_, was)| was.is_some());
    let extends = rules.overrides().iter().any(|one| one.reach == wish.reach && one.puts_back);
    let wish = Wish { puts_back: wish.puts_back && (changes || extends), ..wish };
    overrides::respect(tx, app, actor, wish, &target.host, &all, now).await
}

/// The members that an override of a target speaks for, with how each was before the run changes it.
fn members(prepared: &Prepared, inventory: &Inventory, target: &Target) -> Vec<Changed> {
    let was = |member: &ContainerIdentity| {
        let step = prepared.steps.iter().find(|step| step.identity == *member && !step.state.is_terminal());
        let is_up = || inventory.by_identity(member).is_some_and(|container| container.state.is_up());
        match step.map(|step| step.action) {
            Some(Action::Stop | Action::Pause) => Some(Mood::Awake),
            Some(Action::Start | Action::Unpause) => Some(Mood::Asleep),
            Some(Action::Restart) => None,
            // What there is to do shows when its host is back: as it was when it was last seen.
            None if inventory.is_connected() => None,
            None if prepared.run.action.reverses_order() => is_up().then_some(Mood::Awake),
            None => (!is_up()).then_some(Mood::Asleep),
        }
    };
    let members = overrides::members(inventory, target).into_iter();
    members.map(|member| (member.clone(), was(&member))).collect()
}

/// Members that windows of their own speak for follow those, where no override is needed for their stack.
fn leave_to_their_own(members: &mut Vec<Changed>, host: &HostId, rules: &Rules, target: &Target) {
    members.retain(|(member, _)| {
        let own = Target::container(host.clone(), member.clone());
        own == *target || rules.windows_on(&own).next().is_none()
    });
}

#[expect(clippy::too_many_arguments, reason = "all that an act by hand is judged by")]
async fn one(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    run: &Run,
    target: &Target,
    mut members: Vec<Changed>,
    answer: Answer,
    now: Timestamp,
) -> Result<()> {
    match answer {
        Answer::Respect { wanted, until } => {
            let wish = Wish {
                reach: Reach::Target(target.clone()),
                target_name: if *target == run.target {
                    run.target_name.clone()
                } else {
                    super::execute::name_of(app, target)
                },
                wanted,
                until,
                reason: format!("{} by {}", contradiction::done(run.action), run.actor.name),
                by_hand: true,
                puts_back: false,
            };
            overrides::respect(tx, app, actor, wish, &target.host, &members, now).await
        }
        Answer::Enforce(wanted) => {
            // What the run leaves as it is, was so on purpose.
            members.retain(|(_, was)| was.is_some());
            put_back_later(tx, &target.host, &members, wanted, now).await
        }
        Answer::Observe => Ok(()),
    }
}

/// After the grace it is as the window wants it again.
async fn put_back_later(
    tx: &mut Tx,
    host: &HostId,
    members: &[Changed],
    wanted: Wanted,
    now: Timestamp,
) -> Result<()> {
    let mood = if wanted == Wanted::Asleep { Mood::Asleep } else { Mood::Awake };
    let known = db::applied::of_host_in(tx, host).await?;
    for (member, _) in members {
        let before = known.get(member).cloned().unwrap_or_else(|| Applied::now(mood, now));
        let applied = Applied { put_back_at: Some(now + GRACE), ..before };
        db::applied::put(tx, host, member, &applied).await?;
    }
    Ok(())
}
