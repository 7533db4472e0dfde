//! Plan of a request: the steps in waves, and the skipped containers with the reasons. A plan is only a value; previews
//! show it and the execution carries it out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::action::Action;
use super::inventory::{
    Completion, Container, ContainerState, Health, Inventory, Kind, is_replaced_name, patience,
};
use super::nap::Naps;
use super::order::{self, Edge, added};
use super::run::{ALREADY, COMPLETED, Condition, UNWATCHED, WaitFor};
use super::target::{self, ContainerIdentity, Subject};

mod warnings;

/// The steps of an action, before its execution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = PlanJson)]
pub struct Plan {
    // In the order of execution.
    pub steps: Vec<PlannedStep>,
    // Sorted by name.
    pub skipped: Vec<SkippedStep>,
    // Full sentences.
    pub warnings: Vec<String>,
}

/// A planned operation on a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = PlannedJson)]
pub struct PlannedStep {
    /// The number of the wave, from 1. Steps of one wave run at the same time.
    pub wave: u32,
    pub container: String,
    // Identity that survives a re-creation.
    #[serde(skip)]
    pub identity: ContainerIdentity,
    pub action: Action,
    pub wait_for: Vec<WaitFor>,
    /// An explanation, where the step does not follow from the action alone.
    pub because: Option<String>,
}

/// A container that is skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SkippedStep {
    pub container: String,
    /// Identity that survives a re-creation.
    #[serde(skip)]
    pub identity: ContainerIdentity,
    /// The reason: "already stopped", "protected: it is DockNap itself".
    pub reason: String,
    /// Whether the container ended with exit code 0 while DockNap did not observe it: a start with its name in
    /// `also_start` starts it too.
    pub unwatched: bool,
}

impl Plan {
    /// Explanation of a plan without steps; `None` if there are steps.
    pub fn idle(&self) -> Option<String> {
        let reasons = || self.skipped.iter().map(|skipped| &*skipped.reason);
        self.steps.is_empty().then(|| why_idle(reasons()))
    }

    /// Number of waves.
    pub fn waves(&self) -> u32 {
        self.steps.iter().map(|step| step.wave).max().unwrap_or(0)
    }
}

/// Explanation of an empty plan: the first two distinct ones of the skip reasons.
pub fn why_idle<'a>(reasons: impl IntoIterator<Item = &'a str>) -> String {
    let mut shown: Vec<&str> = Vec::new();
    for reason in reasons {
        if shown.len() < 2 && !shown.contains(&reason) {
            shown.push(reason);
        }
    }
    if shown.is_empty() { "there is nothing to do".to_owned() } else { shown.join(", ") }
}

/// Prefix of the skip reason of a wake if no member naps.
pub const NOTHING_NAPPED: &str = "nothing_napped";
/// First words of the reason for leaving out a container that does not run.
pub const NOT_RUNNING: &str = "not running";

/// Input of [`plan`].
#[derive(Clone, Copy, Debug)]
pub struct PlanRequest<'a> {
    /// What to act on.
    pub subject: &'a Subject,
    /// Requested action.
    pub action: Action,
    /// Naps on the host.
    pub naps: &'a Naps,
    /// For a start: selection of the members to start.
    pub restore: Restore,
    /// For a retry: the only members to act on; the others are skipped.
    pub only: Option<&'a HashSet<ContainerIdentity>>,
    /// For an undo: action for each container; members without an entry are skipped.
    pub undoes: Option<&'a HashMap<ContainerIdentity, Action>>,
    /// For a start: presumed one-shots to start anyway, although their end was not observed.
    pub also: &'a [ContainerIdentity],
    /// Members to skip, with the reason.
    pub leave: &'a HashMap<ContainerIdentity, String>,
    /// Time zone of the times in sentences.
    pub zone: &'a TimeZone,
}

/// Selection of the members that a start acts on (rulings 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restore {
    /// All members that should run.
    No,
    /// Napping members, or all members that should run if none naps. Used by scheduled starts.
    ElseAll,
    /// Napping members only. Used at the end of a window's sleep.
    Only,
}

/// Plan of a request for the containers that the Engine has now.
pub fn plan(request: PlanRequest<'_>, inventory: &Inventory) -> Plan {
    let members = inventory.members(request.subject);
    let context = PlanContext::new(request, inventory, &members);
    let mut draft = Draft { plan: Plan::default(), chosen: Vec::new() };
    for member in &members {
        match context.decide(member) {
            Ok((action, because)) => {
                draft.chosen.push(Chosen { member: Arc::clone(member), action, because });
            }
            Err(reason) => draft.skip(member, reason),
        }
    }
    if matches!(request.action, Action::Start | Action::Restart) {
        draft.add_restarts(inventory);
    }
    draft.order(request.action, &members, inventory);
    draft.warn(request, inventory);
    draft.plan.skipped.sort_by(|a, b| a.container.cmp(&b.container));
    draft.plan
}

/// Inputs of the decision about a member, besides the member itself.
struct PlanContext<'a> {
    request: PlanRequest<'a>,
    inventory: &'a Inventory,
    /// Members that still nap.
    napping: HashSet<&'a ContainerIdentity>,
    /// By stack; a container outside a stack is never completed.
    completions: HashMap<&'a str, Completion<'a>>,
    /// Other containers with the identity of a member.
    twins: HashMap<&'a ContainerIdentity, Vec<&'a Container>>,
}

/// Action on a member, with an explanation if needed; or the reason to skip it.
type Decision = Result<(Action, Option<String>), String>;

impl<'a> PlanContext<'a> {
    fn new(request: PlanRequest<'a>, inventory: &'a Inventory, members: &'a [Arc<Container>]) -> Self {
        let napping: HashSet<_> = members
            .iter()
            .filter(|member| {
                request.naps.get(&member.identity).is_some_and(|nap| nap.holds(member, inventory))
            })
            .map(|member| &member.identity)
            .collect();
        let mut completions = HashMap::new();
        for stack in members.iter().filter_map(|member| member.stack()) {
            completions.entry(stack).or_insert_with(|| {
                let all = inventory.containers.of_stack(stack);
                let naps = all.iter().any(|one| napping.contains(&one.identity));
                inventory.completion(all, naps)
            });
        }
        let all = match request.subject {
            Subject::Stack(name) | Subject::Services { stack: name, .. } => {
                inventory.containers.of_stack(name)
            }
            Subject::Container(identity) => inventory.containers.with_identity(identity),
            Subject::Host | Subject::Group(_) => inventory.containers.iter().collect(),
        };
        let chosen: HashSet<&str> = members.iter().map(|member| member.id.as_str()).collect();
        let mut twins: HashMap<_, Vec<&Container>> = HashMap::new();
        for one in all.into_iter().filter(|one| one.is_ordinary() && !chosen.contains(one.id.as_str())) {
            twins.entry(&one.identity).or_default().push(one);
        }
        Self { request, inventory, napping, completions, twins }
    }

    /// Name of another container with the member's identity whose state meets `is_so`.
    fn twin(&self, member: &Container, is_so: impl Fn(ContainerState) -> bool) -> Option<&'a str> {
        let twins = self.twins.get(&member.identity)?;
        twins.iter().find(|twin| is_so(twin.state)).map(|twin| twin.name.as_str())
    }

    fn decide(&self, member: &Container) -> Decision {
        match member.kind {
            Kind::Ordinary => {}
            Kind::OneOff => return Err("a one-off container is left alone".to_owned()),
            Kind::Hook => return Err("a compose hook is left alone".to_owned()),
            Kind::SwarmTask => return Err("a swarm task: swarm would replace it".to_owned()),
        }
        if let Some(protection) = &member.protection {
            return Err(format!("protected: {}", protection.reason()));
        }
        if let Some(reason) = target::unschedulable_name(&member.name) {
            return Err(reason.to_owned());
        }
        if let Some(reason) = self.request.leave.get(&member.identity) {
            return Err(reason.clone());
        }
        if self.request.only.is_some_and(|only| !only.contains(&member.identity)) {
            return Err("not part of the retry".to_owned());
        }
        if self.request.undoes.is_some_and(|undoes| !undoes.contains_key(&member.identity)) {
            return Err("not part of what is undone".to_owned());
        }
        let with = |is_so: fn(ContainerState) -> bool| self.twin(member, is_so).map(with_twin);
        let running = |state| state == ContainerState::Running;
        let paused = |state| state == ContainerState::Paused;
        let undone = self.request.undoes.and_then(|undoes| undoes.get(&member.identity));
        match undone.copied().unwrap_or(self.request.action) {
            Action::Start => self.decide_start(member),
            Action::Stop if let Some(twin) = with(ContainerState::is_up) => Ok((Action::Stop, Some(twin))),
            Action::Stop if member.state.is_up() => Ok((Action::Stop, None)),
            Action::Stop if self.is_completed(member) => Err(COMPLETED.to_owned()),
            Action::Stop => Err(format!("{ALREADY} stopped")),
            Action::Restart if running(member.state) => Ok((Action::Restart, with(running))),
            Action::Restart => Err(format!("{NOT_RUNNING}: a restart would start it")),
            Action::Pause if let Some(twin) = with(running) => Ok((Action::Pause, Some(twin))),
            Action::Pause if running(member.state) => Ok((Action::Pause, None)),
            Action::Pause if member.state == ContainerState::Paused => Err(format!("{ALREADY} paused")),
            Action::Pause => Err(NOT_RUNNING.to_owned()),
            Action::Unpause if let Some(twin) = with(paused) => Ok((Action::Unpause, Some(twin))),
            Action::Unpause if paused(member.state) => Ok((Action::Unpause, None)),
            Action::Unpause => Err("not paused".to_owned()),
        }
    }

    fn decide_start(&self, member: &Container) -> Decision {
        match member.state {
            // The container that compose was replacing still runs instead of its successor.
            ContainerState::Running
                if is_replaced_name(&member.name) && self.twin(member, |_| true).is_some() =>
            {
                return Err(running_twin(&member.name));
            }
            ContainerState::Running => return Err(format!("{ALREADY} running")),
            ContainerState::Removing | ContainerState::Dead => return Err("it is being removed".to_owned()),
            _ => {}
        }
        // A paused twin was paused together with the member and does not prevent its start.
        if let Some(twin) = self.twin(member, |state| state.is_up() && state != ContainerState::Paused) {
            return Err(running_twin(twin));
        }
        if member.auto_remove {
            return Err("it was made with --rm: Docker removes it when it ends".to_owned());
        }
        if !self.napping.contains(&member.identity) {
            match self.request.restore {
                Restore::Only if self.napping.is_empty() => {
                    return Err(format!("{NOTHING_NAPPED}: {}", self.not_napping_reason(member)));
                }
                Restore::Only => return Err(self.not_napping_reason(member)),
                Restore::ElseAll if !self.napping.is_empty() => return Err(self.not_napping_reason(member)),
                Restore::ElseAll | Restore::No => {}
            }
        }
        if self.is_completed(member) {
            return match self.completion(member).is_some_and(|known| known.is_guess(member)) {
                false => Err(COMPLETED.to_owned()),
                true if self.request.also.contains(&member.identity) => {
                    Ok((Action::Start, Some("nobody watched it end, and it was asked for".to_owned())))
                }
                true => Err(UNWATCHED.to_owned()),
            };
        }
        if member.state == ContainerState::Paused {
            return Ok((Action::Unpause, Some("it is paused".to_owned())));
        }
        Ok((Action::Start, None))
    }

    /// Skip reason of a member that does not nap: how its process ended, if that was observed.
    fn not_napping_reason(&self, member: &Container) -> String {
        let trace = self.inventory.traces.get(&member.identity);
        let observed = trace.and_then(|trace| Some((trace, trace.ended_by_itself(member)?)));
        match observed {
            Some((trace, by_itself)) => {
                let at = trace.seen_at.to_zoned(self.request.zone.clone()).strftime("%H:%M on %Y-%m-%d");
                let what = if by_itself { "it ended by itself" } else { "it was stopped by hand" };
                format!("{what} at {at}")
            }
            None => "DockNap did not put it to sleep".to_owned(),
        }
    }

    /// Whether a member is a completed one-shot that stays off. A napping member is none, since it was running when it
    /// was stopped. The target of a request for one container is always acted on, and so are the members of a retry or
    /// an undo.
    fn is_completed(&self, member: &Container) -> bool {
        !matches!(self.request.subject, Subject::Container(_))
            && self.request.only.is_none()
            && self.request.undoes.is_none()
            && !self.napping.contains(&member.identity)
            && self.completion(member).is_some_and(|known| known.holds(member))
    }

    fn completion(&self, member: &Container) -> Option<&Completion<'a>> {
        self.completions.get(member.stack()?)
    }
}

/// Explanation of a step that also acts on another container with the same number.
pub fn with_twin(twin: &str) -> String {
    format!("with {twin}, which bears the same number")
}

/// Reason not to start a container while another one with the same number runs.
pub fn running_twin(twin: &str) -> String {
    format!("{twin} runs and bears the same number: remove one of the two")
}

struct Draft {
    plan: Plan,
    chosen: Vec<Chosen>,
}

struct Chosen {
    member: Arc<Container>,
    action: Action,
    because: Option<String>,
}

impl Draft {
    fn skip(&mut self, container: &Container, reason: impl Into<String>) {
        let reason = reason.into();
        self.plan.skipped.push(SkippedStep {
            container: container.name.clone(),
            identity: container.identity.clone(),
            unwatched: reason == UNWATCHED,
            reason,
        });
    }

    fn has(&self, container: &Container) -> bool {
        self.chosen.iter().any(|chosen| chosen.member.identity == container.identity)
    }

    /// Adds the restarts that follow from the chosen steps. After a start or restart of X, the containers in X's
    /// network or another of its namespaces must restart to find it again (rulings 13). After a restart of X, so must
    /// those with `restart: true` on X.
    fn add_restarts(&mut self, inventory: &Inventory) {
        let mut with: HashMap<(&str, &str), Vec<&Arc<Container>>> = HashMap::new();
        for one in inventory.containers.iter() {
            for service in &one.restarts_with {
                with.entry((one.stack().unwrap_or_default(), service)).or_default().push(one);
            }
        }
        let mut next = 0;
        while next < self.chosen.len() {
            let parent = Arc::clone(&self.chosen[next].member);
            let action = self.chosen[next].action;
            next += 1;
            if action == Action::Unpause {
                continue;
            }
            for (dependant, tie) in order::residents(&parent, inventory) {
                let because = format!("because it shares {}'s {}", parent.name, tie.noun());
                let warning = format!("uses {}'s {} and loses it", parent.name, tie.noun());
                self.add_restart(dependant, because, &warning);
            }
            let (Some(stack), Some(service), Action::Restart) = (parent.stack(), parent.service(), action)
            else {
                continue;
            };
            for dependant in with.get(&(stack, service)).into_iter().flatten() {
                let because = format!("because it is to restart with {}", parent.name);
                let warning = format!("is to restart with {} and is left as it is", parent.name);
                self.add_restart(dependant, because, &warning);
            }
        }
    }

    fn add_restart(&mut self, dependant: &Arc<Container>, because: String, warning: &str) {
        if dependant.state != ContainerState::Running || self.has(dependant) || !dependant.is_ordinary() {
            return;
        }
        if let Some(protection) = &dependant.protection {
            let reason = protection.reason();
            self.plan.warnings.push(format!("{} {warning}: it is protected ({reason})", dependant.name));
            return;
        }
        // The dependant may have been skipped as "already running".
        self.plan.skipped.retain(|skipped| skipped.identity != dependant.identity);
        self.chosen.push(Chosen {
            member: Arc::clone(dependant),
            action: Action::Restart,
            because: Some(because),
        });
    }

    /// Sorts the chosen members into waves, and adds to each step what it waits for.
    fn order(&mut self, action: Action, members: &[Arc<Container>], inventory: &Inventory) {
        // The edges include all members, so that a step can wait for the health of a container that already runs.
        let mut nodes: Vec<Arc<Container>> =
            self.chosen.iter().map(|chosen| Arc::clone(&chosen.member)).collect();
        let chosen = nodes.len();
        nodes.extend(members.iter().filter(|member| !self.has(member)).cloned());
        let (mut edges, notes) = order::edges(&nodes, inventory);
        self.plan.warnings.extend(notes);
        if action.reverses_order() {
            for edge in &mut edges {
                (edge.dependant, edge.dependency) = (edge.dependency, edge.dependant);
                edge.condition = Condition::Stopped;
            }
        }
        edges.retain(|edge| edge.dependant < chosen);
        let (mut inner, outer): (Vec<Edge>, Vec<Edge>) =
            edges.into_iter().partition(|edge| edge.dependency < chosen);
        let names: Vec<String> = nodes.iter().take(chosen).map(|node| node.name.clone()).collect();
        let (waves, cycles) = order::waves(&names, &mut inner);
        self.plan.warnings.extend(cycles);
        let mut waits: Vec<Vec<WaitFor>> = vec![Vec::new(); chosen];
        for edge in &inner {
            waits[edge.dependant].push(wait(&nodes[edge.dependency], edge));
        }
        for edge in &outer {
            let dependency = &nodes[edge.dependency];
            match condition_state(dependency, edge.condition, inventory) {
                ConditionState::Met => {}
                ConditionState::Wait => waits[edge.dependant].push(wait(dependency, edge)),
                ConditionState::Never => self.plan.warnings.push(format!(
                    "{} depends on {}, which stays off; it is not waited for",
                    nodes[edge.dependant].name, dependency.name
                )),
            }
        }
        for (member, waits) in nodes.iter().zip(&mut waits) {
            if waits.is_empty() {
                waits.extend(elsewhere(member, action.reverses_order(), inventory));
            }
        }
        self.warn_about_other_stacks(&nodes[..chosen], action, inventory);
        let mut steps: Vec<PlannedStep> = std::mem::take(&mut self.chosen)
            .into_iter()
            .zip(waves)
            .zip(waits)
            .map(|((chosen, wave), mut wait_for)| {
                wait_for.sort_by(|a, b| a.container.cmp(&b.container));
                PlannedStep {
                    wave,
                    container: chosen.member.name.clone(),
                    identity: chosen.member.identity.clone(),
                    action: chosen.action,
                    wait_for,
                    because: chosen.because,
                }
            })
            .collect();
        steps.sort_by(|a, b| a.wave.cmp(&b.wave).then_with(|| a.container.cmp(&b.container)));
        self.plan.steps = steps;
    }
}

fn wait(container: &Container, edge: &Edge) -> WaitFor {
    WaitFor {
        container: container.name.clone(),
        identity: container.identity.to_text(),
        condition: edge.condition,
        seconds: seconds(container, edge.condition, edge.wait_seconds),
        elsewhere: false,
    }
}

/// Time limit of a wait in seconds: `limit` of the edge, else the limit of the container's health check if that is
/// longer than usual.
fn seconds(container: &Container, condition: Condition, limit: Option<i64>) -> Option<i64> {
    let slow = container.health_patience > patience::USUAL && condition == Condition::ServiceHealthy;
    limit.or(slow.then_some(container.health_patience))
}

/// Waits of a step for containers of other stacks, by the edges that people added. Steps that already wait for a
/// container of their own plan need none, since they come later anyway.
fn elsewhere(member: &Container, reverses: bool, inventory: &Inventory) -> Vec<WaitFor> {
    let mut waits = Vec::new();
    for edge in inventory.added.iter().filter(|edge| !edge.is_within_a_stack()) {
        let (mine, theirs) =
            if reverses { (&edge.dependency, &edge.dependant) } else { (&edge.dependant, &edge.dependency) };
        if !added::names(mine, member) {
            continue;
        }
        let others = inventory.containers.iter().filter(|other| added::names(theirs, other));
        let condition = if reverses { Condition::Stopped } else { edge.condition };
        waits.extend(others.map(|other| WaitFor {
            container: other.name.clone(),
            identity: other.identity.to_text(),
            condition,
            seconds: seconds(other, condition, edge.wait_seconds),
            elsewhere: true,
        }));
    }
    waits
}

enum ConditionState {
    Met,
    Wait,
    Never,
}

/// Whether a condition on a container without a step is met, can be waited for, or will not be met.
fn condition_state(dependency: &Container, condition: Condition, inventory: &Inventory) -> ConditionState {
    let running = dependency.state == ContainerState::Running;
    let completed = inventory.is_completed(dependency);
    match condition {
        Condition::Stopped => ConditionState::Met,
        Condition::ServiceStarted if running || completed => ConditionState::Met,
        Condition::ServiceCompletedSuccessfully if completed => ConditionState::Met,
        Condition::ServiceCompletedSuccessfully if running => ConditionState::Wait,
        Condition::ServiceHealthy if running && dependency.health == Health::Healthy => ConditionState::Met,
        Condition::ServiceHealthy if running => ConditionState::Wait,
        _ => ConditionState::Never,
    }
}
