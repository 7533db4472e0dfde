//! What a request by a person, a token or a cron schedule means for the windows and overrides it goes against
//! (rulings 3): by policy it lives until the next edge, is put back after a grace, or is only recorded.

use super::overrides::{self, Wish};
use super::{Actor, App, Result, rules};
use crate::db::{self, Tx};
use crate::domain::action::Action;
use crate::domain::applied::{Applied, GRACE};
use crate::domain::desired::{Layer, Rules};
use crate::domain::ids::HostId;
use crate::domain::inventory::Inventory;
use crate::domain::overrides::{LONGEST, Place, Reach, Wanted};
use crate::domain::run::Run;
use crate::domain::schedule::Policy;
use crate::domain::target::{ContainerIdentity, Subject, Target};
use crate::domain::window::Mood;

/// Stores beside a run what becomes of the windows and overrides it goes against.
pub(crate) async fn answer(
    tx: &mut Tx,
    app: &App,
    actor: &Actor,
    run: &Run,
    inventory: &Inventory,
    rules: &Rules,
) -> Result<()> {
    if rules.is_empty() || !run.action.sets_state() {
        return Ok(());
    }
    for target in speakers(&run.target, inventory, rules) {
        let members = overrides::members(inventory, &target);
        one(tx, app, actor, run, rules, &target, &members).await?;
    }
    Ok(())
}

/// The target itself, and those of a stack's containers that have windows of their own.
fn speakers(target: &Target, inventory: &Inventory, rules: &Rules) -> Vec<Target> {
    let mut speakers = vec![target.clone()];
    if matches!(target.subject, Subject::Stack(_)) {
        let own = inventory.members(&target.subject).into_iter().map(|member| member.target());
        speakers.extend(own.filter(|member| {
            rules.windows().iter().any(|rule| rule.target == *member)
                || rules.overrides().iter().any(|one| one.reach == Reach::Target(member.clone()))
        }));
    }
    speakers
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
    let now = app.clock.now();
    let place = Place::of_target(target);
    let desired = rules.at(now).desired(place);
    let Some(wanted @ (Wanted::Awake | Wanted::Asleep)) = desired.wanted else { return Ok(()) };
    if !rules::contradicts(run.action, wanted) {
        return Ok(());
    }
    let policy = match desired.layer {
        Layer::Window(rule, _) => rule.policy,
        // An override is there because somebody asked for it; who acts against it means it.
        Layer::Hold(_) | Layer::Override(_) | Layer::None => Policy::Respect,
    };
    match policy {
        Policy::Respect => {
            let until = rules.next_transitions(place, now, 1).first().map(|change| change.at);
            let opposite = if wanted == Wanted::Awake { Wanted::Asleep } else { Wanted::Awake };
            let wish = Wish {
                reach: Reach::Target(target.clone()),
                target_name: if *target == run.target {
                    run.target_name.clone()
                } else {
                    super::execute::name_of(app, target)
                },
                wanted: opposite,
                until: until.unwrap_or(now + LONGEST).min(now + LONGEST),
                reason: format!("{} by {}", done(run.action), run.actor.name),
                by_hand: true,
            };
            overrides::respect(tx, app, actor, wish, &target.host, members).await
        }
        Policy::Enforce => put_back_later(tx, app, &target.host, members, wanted).await,
        Policy::Observe => Ok(()),
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
    let known = db::applied::of_host(&app.db, host).await?;
    for member in members {
        let before = known.get(member).cloned().unwrap_or_else(|| Applied::now(mood, now));
        let applied = Applied { put_back_at: Some(now + GRACE), ..before };
        db::applied::put(tx, host, member, &applied).await?;
    }
    Ok(())
}

/// "started", "stopped", as the reason of an override.
pub(crate) fn done(action: Action) -> &'static str {
    match action {
        Action::Start => "started",
        Action::Stop => "stopped",
        Action::Restart => "restarted",
        Action::Pause => "paused",
        Action::Unpause => "unpaused",
    }
}
