//! The part of its target a run acts on, and the plan made from it.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::past::Past;
use crate::app::error::{Error, Result};
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, targets};
use crate::db;
use crate::domain::action::Action;
use crate::domain::ids::RunId;
use crate::domain::inventory::Inventory;
use crate::domain::overrides::DesiredState;
use crate::domain::permission::Permission;
use crate::domain::place::Place;
use crate::domain::plan::{Plan, PlanRequest, PlannedStep, Restore, SkippedStep, plan};
use crate::domain::run::{Run, StepState, Trigger};
use crate::domain::target::{ContainerIdentity, Target};

/// The plan of a request, without executing it. With `restore` as for a scheduled start: only napping containers wake.
///
/// # Errors
/// [`Error::Forbidden`], [`Error::NotFound`] for an unknown target, [`Error::Docker`] while its host cannot be reached.
pub async fn preview(
    app: &App,
    actor: &Actor,
    target: &Target,
    action: Action,
    restore: bool,
) -> Result<Plan> {
    actor.require(Permission::View)?;
    if target.on_host().is_none() {
        return preview_group(app, actor, target, action, restore).await;
    }
    let inventory = targets::reachable(app, &target.host)?;
    targets::known(&inventory, target)?;
    let book = RuleBook::load(app).await?;
    let restore = match restore {
        _ if target.is_wide() => Restore::Only,
        false => Restore::No,
        true => Restore::ElseAll,
    };
    let leave = HashMap::new();
    let zone = &book.zone.zone;
    let request = PlanRequest {
        subject: &target.subject,
        action,
        naps: book.naps(&target.host),
        restore,
        only: None,
        undoes: None,
        also: &[],
        leave: &leave,
        zone,
    };
    let mut plan = plan(request, &inventory);
    let moment = book.rules.at(app.clock.now());
    let desired = moment.desired(Place::of_target(target));
    if desired.wanted == Some(DesiredState::Hold) {
        plan.warnings.insert(0, format!("{}; this acts all the same", desired.why(zone)));
    }
    Ok(plan)
}

/// The plans of the parts of a group, one after another. Hosts that cannot be reached are told in a warning.
async fn preview_group(
    app: &App,
    actor: &Actor,
    group: &Target,
    action: Action,
    restore: bool,
) -> Result<Plan> {
    let mut whole = Plan::default();
    let parts = RuleBook::load(app).await?.rules.groups().parts(group);
    let several = parts.len() > 1;
    for part in parts {
        let Some(name) = app.hosts.get(&part.host).map(|host| host.name().to_owned()) else { continue };
        let placed = |container: String| if several { format!("{container} on {name}") } else { container };
        match Box::pin(preview(app, actor, &part, action, restore)).await {
            Ok(plan) => {
                let steps = plan.steps.into_iter();
                whole.steps.extend(steps.map(|one| PlannedStep { container: placed(one.container), ..one }));
                let skipped = plan.skipped.into_iter();
                whole
                    .skipped
                    .extend(skipped.map(|one| SkippedStep { container: placed(one.container), ..one }));
                whole.warnings.extend(
                    plan.warnings
                        .into_iter()
                        .map(|warning| if several { format!("On {name}: {warning}") } else { warning }),
                );
            }
            Err(Error::Docker { message } | Error::Conflict { message, .. }) => {
                whole.warnings.push(format!("On {name} nothing can be done now: {message}"));
            }
            Err(other) => return Err(other),
        }
    }
    Ok(whole)
}

/// The part of its target a run acts on.
pub(super) enum Share {
    /// The whole target.
    All,
    /// Only these containers: those an earlier run left unfinished, or those this run was first planned to put back.
    Only(HashSet<ContainerIdentity>),
    /// The containers an earlier run changed, to undo that.
    Undoes(Box<Past>),
}

impl Share {
    pub async fn of(app: &App, run: &Run) -> Result<Self> {
        let only = match &run.retry_of {
            None if run.puts_back => unfinished(app, &run.id).await?,
            None => None,
            Some(_) if run.trigger == Trigger::Undo => {
                // Where the earlier run is deleted, nothing is undone.
                let past = Past::of(app, run).await?;
                return Ok(
                    past.map_or_else(|| Self::Only(HashSet::new()), |past| Self::Undoes(Box::new(past)))
                );
            }
            Some(earlier) => unfinished(app, earlier).await?,
        };
        Ok(only.map_or(Self::All, Self::Only))
    }

    /// The plan of a run, from the inventory and the rules as of `now`.
    pub fn plan(&self, run: &Run, inventory: &Inventory, book: &RuleBook, now: Timestamp) -> Plan {
        let mut leave = book.left_alone(run, inventory, now);
        let restore = match run.restore {
            // A host or group may hold much that is off on purpose.
            _ if run.target.is_wide() => Restore::Only,
            false => Restore::No,
            true if run.is_level() => Restore::Only,
            true => Restore::ElseAll,
        };
        let naps = book.naps(&run.target.host);
        let (subject, zone) = (&run.target.subject, &book.zone.zone);
        let (only, undoes) = match self {
            Self::All => (None, None),
            Self::Only(only) => (Some(only), None),
            Self::Undoes(past) => {
                let reverse = past.reverse(inventory, naps);
                leave.extend(reverse.left);
                (None, Some(reverse.acts))
            }
        };
        let (undoes, also) = (undoes.as_ref(), run.also.as_slice());
        plan(
            PlanRequest {
                subject,
                action: run.action,
                naps,
                restore,
                only,
                undoes,
                also,
                leave: &leave,
                zone,
            },
            inventory,
        )
    }

    /// Whether the run undoes one that has not ended, so that its effects are not known yet.
    pub fn is_not_known_yet(&self) -> bool {
        matches!(self, Self::Undoes(past) if past.is_open())
    }
}

/// The containers of an earlier run whose steps did not succeed; `None` for a run without steps, since its host was
/// unreachable: then all members count.
async fn unfinished(app: &App, run: &RunId) -> Result<Option<HashSet<ContainerIdentity>>> {
    let steps = db::steps::of_run(&app.db, run).await?;
    if steps.is_empty() {
        return Ok(None);
    }
    let unfinished = steps.into_iter().filter(|step| step.wave > 0 && step.state != StepState::Succeeded);
    Ok(Some(unfinished.map(|step| step.identity).collect()))
}
