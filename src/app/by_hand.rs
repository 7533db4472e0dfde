//! What a request by a person, a token or a cron schedule means for the windows and overrides it goes against
//! (rulings 3): by policy it lives until the next edge, is put back after a grace, or is only recorded.

use super::execute::Prepared;
use super::overrides::{self, Wish};
use super::{Actor, App, Result};
use crate::db::{self, Tx};
use crate::domain::applied::{Applied, GRACE};
use crate::domain::contradiction::{self, Answer};
use crate::domain::desired::Rules;
use crate::domain::ids::HostId;
use crate::domain::inventory::Inventory;
use crate::domain::overrides::{Place, Reach, Wanted};
use crate::domain::run::{Run, Trigger};
use crate::domain::target::{ContainerIdentity, Target};
use crate::domain::window::Mood;

/// Stores beside a run what becomes of the windows and overrides it goes against. What changes nothing goes against
/// nothing: an unpause of what is stopped must not be told as a wake.
pub(crate) async fn answer(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    prepared: &Prepared,
    inventory: &Inventory,
    rules: &Rules,
) -> Result<()> {
    let run = &prepared.run;
    if rules.is_empty() || !run.action.sets_state() {
        return Ok(());
    }
    let inside = inventory.members(&run.target.subject);
    let speakers = contradiction::speakers(&run.target, inside.iter().map(|member| &member.identity), rules);
    for target in speakers {
        let members = overrides::members(inventory, &target);
        // While the host is away nobody knows what there is to do.
        let acts = |member: &ContainerIdentity| {
            prepared.steps.iter().any(|step| step.identity == *member && !step.state.is_terminal())
        };
        if inventory.is_connected() && !members.iter().any(acts) {
            continue;
        }
        one(tx, app, actor, run, rules, &target, &members).await?;
    }
    Ok(())
}

async fn one(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    run: &Run,
    rules: &Rules,
    target: &Target,
    members: &[ContainerIdentity],
) -> Result<()> {
    let by_fire =
        matches!(run.trigger, Trigger::Schedule | Trigger::CatchUp | Trigger::Label | Trigger::Override);
    let answer = if by_fire { contradiction::answer_to_fire } else { contradiction::answer };
    match answer(rules, Place::of_target(target), run.action, app.clock.now()) {
        Some(Answer::Respect { wanted, until }) => {
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
            };
            overrides::respect(tx, app, actor, wish, &target.host, members).await
        }
        Some(Answer::Enforce(wanted)) => put_back_later(tx, app, &target.host, members, wanted).await,
        Some(Answer::Observe) | None => Ok(()),
    }
}

/// After the grace it is as the window wants it again.
async fn put_back_later(
    tx: &mut Tx,
    app: &App,
    host: &HostId,
    members: &[ContainerIdentity],
    wanted: Wanted,
) -> Result<()> {
    let now = app.clock.now();
    let mood = if wanted == Wanted::Asleep { Mood::Asleep } else { Mood::Awake };
    let known = db::applied::of_host_in(tx, host).await?;
    for member in members {
        let before = known.get(member).cloned().unwrap_or_else(|| Applied::now(mood, now));
        let applied = Applied { put_back_at: Some(now + GRACE), ..before };
        db::applied::put(tx, host, member, &applied).await?;
    }
    Ok(())
}
