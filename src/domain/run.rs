//! Runs and their steps: a run is one execution of a request, and a step is one operation on a container. Holds their
//! states, their triggers and the fixed reasons that other code recognises.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::action::Action;
pub use super::dependency::Condition;
use super::guard::Guard;
use super::ids::{BatchId, HostId, RunId, ScheduleId, StepId};
use super::target::{ContainerIdentity, Target};
use super::time::{Instant, serialize_instant};
use super::words::words;

words! {
    /// The state of a run. All states except the first two are final (semantics §1).
    #[derive(
        Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
    )]
    #[serde(rename_all = "snake_case")]
    pub enum RunState {
        /// Stored; waits for its turn, its host or another run.
        Pending,
        /// In execution.
        Executing,
        /// All steps reached the requested state.
        Succeeded,
        /// No step reached the requested state.
        Failed,
        /// Some steps reached the requested state, others did not.
        Partial,
        /// Not executed on purpose; the reason says why.
        Skipped,
        /// The fire passed while DockNap was not running.
        Missed,
        /// A newer request replaced the run.
        Superseded,
        /// A person cancelled the run.
        Cancelled,
        /// Cut off during the execution, at a point after which a repetition is not safe.
        Interrupted,
    }
}

impl RunState {
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

words! {
    /// The state of a step.
    #[derive(
        Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
    )]
    #[serde(rename_all = "snake_case")]
    pub enum StepState {
        /// Not started.
        Pending,
        /// Recorded in the database; the Docker call follows or was sent.
        Issued,
        /// The container is in the requested state.
        Succeeded,
        /// The container is not in the requested state; the error says why.
        Failed,
        /// Not executed on purpose; the reason says why.
        Skipped,
        /// Cut off at a point after which a repetition is not safe.
        Interrupted,
    }
}

impl StepState {
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

words! {
    /// What caused a run (rulings 11).
    #[derive(
        Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
    )]
    #[serde(rename_all = "snake_case")]
    pub enum Trigger {
        /// Button on a page, including "run now".
        Manual,
        /// Button for several targets.
        Bulk,
        /// The HTTP API.
        Api,
        /// Schedule, on time.
        Schedule,
        /// Schedule that came from a label.
        Label,
        /// Schedule, late but within its catch-up time.
        CatchUp,
        /// Edge of a window.
        Window,
        /// Start of an override, or a fire that an override deferred to its end.
        Override,
        /// Repetition of the failed steps of an earlier run.
        Retry,
        /// Reversal of an earlier run, on request.
        Undo,
    }
}

impl Trigger {
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

impl RunState {
    /// Whether the state is final.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Executing)
    }

    /// Where the state stands in a summary of several runs: first what somebody should look at, then what goes on, then
    /// what ended without doing anything.
    pub fn rank(self) -> u8 {
        match self {
            Self::Failed => 0,
            Self::Interrupted => 1,
            Self::Partial => 2,
            Self::Missed => 3,
            Self::Executing => 4,
            Self::Pending => 5,
            Self::Cancelled => 6,
            Self::Superseded => 7,
            Self::Skipped => 8,
            Self::Succeeded => 9,
        }
    }

    /// Whether a person should look at the run.
    pub fn needs_attention(self) -> bool {
        matches!(self, Self::Failed | Self::Partial | Self::Interrupted)
    }
}

impl StepState {
    /// Whether the state is final.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Issued)
    }
}

// Stored with every run and every row of the audit log.
/// The actor: a user or program that makes a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ActorJson)]
pub struct ActorRef {
    /// `user`, `token`, `scheduler` or `cli`.
    pub kind: String,
    /// The id of the account, where there is one.
    pub id: Option<String>,
    /// The name at the time of the request.
    pub name: String,
}

/// Prefix of the skip reason of a container that is already in the requested state.
pub const ALREADY: &str = "already";
/// Skip reason of a completed one-shot.
pub const COMPLETED: &str = "completed";
/// Skip reason of a presumed one-shot, whose end was not observed: a person decides about its start.
pub const UNWATCHED: &str = "ended with 0 while nobody watched";
/// Prefix of the reason of a run that found every container in the requested state.
pub const NOTHING_TO_DO: &str = "nothing to do";

/// Time limit from the claim of a run to its first Docker call (rulings 10).
pub const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// One execution of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub id: RunId,
    /// Schedule that created the run.
    pub schedule_id: Option<ScheduleId>,
    /// Name of that schedule when the run was created.
    pub schedule_name: Option<String>,
    pub target: Target,
    /// Display name of the target.
    pub target_name: String,
    pub action: Action,
    pub trigger: Trigger,
    pub actor: ActorRef,
    /// Planned instant of a scheduled run, never the current time.
    pub fire_at: Option<Timestamp>,
    pub created_at: Timestamp,
    /// Start of the execution.
    pub started_at: Option<Timestamp>,
    /// End of the run, in any final state.
    pub finished_at: Option<Timestamp>,
    pub state: RunState,
    /// Explanation of the state; empty if the state is enough.
    pub reason: String,
    /// Explanation of the request: the deciding layer with its text; empty if actor and trigger are enough.
    pub why: String,
    /// Latest instant for the first Docker call.
    pub deadline_at: Timestamp,
    /// Number of failed attempts to reach the host.
    pub attempt: i64,
    /// Stop grace period in seconds, if the request sets one.
    pub stop_timeout_seconds: Option<i64>,
    /// Run whose failed steps this one repeats, or that this one undoes.
    pub retry_of: Option<RunId>,
    /// For a summary row in state `missed`: the first and last missed instants and their number.
    pub missed: Option<MissedSpan>,
    /// Whether only napping containers are started (rulings 5); set for a scheduled start.
    pub restore: bool,
    /// Whether the run reverts the changes of an override; it then acts only on the containers of its first plan.
    pub puts_back: bool,
    /// For a start: presumed one-shots to start anyway, although their end was not observed.
    pub also: Vec<ContainerIdentity>,
    /// Guard that may delay the run, as the schedule had it when the run was stored.
    pub guard: Option<Guard>,
    /// Next check, while the guard delays the run.
    pub look_at: Option<Timestamp>,
    /// End of the wait for busy containers, once some were found busy.
    pub busy_until: Option<Timestamp>,
    /// Binds the runs of one fire of a group's schedule together; each is on another host.
    pub batch: Option<BatchId>,
    /// Containers that the run leaves to another schedule, with the reasons.
    pub leaves: BTreeMap<ContainerIdentity, String>,
}

/// Several fires that passed while DockNap was not running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = MissedJson)]
pub struct MissedSpan {
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Instant)]
    pub first: Timestamp,
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Instant)]
    pub last: Timestamp,
    pub count: i64,
}

impl Run {
    /// Pending run that is requested at `now`.
    pub fn new(
        id: RunId,
        target: Target,
        target_name: String,
        action: Action,
        trigger: Trigger,
        actor: ActorRef,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            schedule_id: None,
            schedule_name: None,
            target,
            target_name,
            action,
            trigger,
            actor,
            fire_at: None,
            created_at: now,
            started_at: None,
            finished_at: None,
            state: RunState::Pending,
            reason: String::new(),
            why: String::new(),
            deadline_at: now + DEADLINE,
            attempt: 0,
            stop_timeout_seconds: None,
            retry_of: None,
            missed: None,
            restore: false,
            puts_back: false,
            also: Vec::new(),
            guard: None,
            look_at: None,
            busy_until: None,
            batch: None,
            leaves: BTreeMap::new(),
        }
    }

    /// Whether the run establishes the state of a window or an override, as opposed to a single action. A fire that an
    /// override deferred is a single action, recognisable by its schedule.
    pub fn is_level(&self) -> bool {
        match self.trigger {
            Trigger::Window => true,
            Trigger::Override => self.schedule_id.is_none(),
            _ => false,
        }
    }

    /// Whether a guard delays the run or has still to check it.
    pub fn is_guarded(&self) -> bool {
        self.state == RunState::Pending && self.guard.is_some()
    }

    /// Whether this run, while it has not ended, covers everything that `other` would do: same target, same action, and
    /// no restriction (to napping containers, to the changes of an override, to the steps of a retry) that `other` does
    /// not have. A run that a guard delays does not cover an `other` without a guard, which replaces it.
    pub fn does_all_of(&self, other: &Self) -> bool {
        self.target == other.target
            && self.action == other.action
            && (!self.restore || other.restore)
            && (!self.puts_back || other.puts_back)
            && (self.retry_of.is_none() || self.retry_of == other.retry_of)
            && (other.also.is_empty() || self.also == other.also)
            && (other.guard.is_some() || !self.is_guarded())
    }

    /// Delay in milliseconds from the planned instant to the start of the execution; `None` if it has not started or is
    /// not late.
    pub fn late_ms(&self) -> Option<i64> {
        let due = match self.trigger {
            // A run for a window's state may follow a save or the end of an override; it is not late relative to the
            // earlier edge.
            Trigger::Window => self.fire_at?.max(self.created_at),
            _ => self.fire_at?,
        };
        let late = self.started_at?.as_millisecond() - due.as_millisecond();
        (late > 0).then_some(late)
    }

    /// End of the run, else its start, else its planned instant, else its creation.
    pub fn latest_at(&self) -> Timestamp {
        self.finished_at.or(self.started_at).or(self.fire_at).unwrap_or(self.created_at)
    }

    /// Duration in milliseconds; `None` if the run has not ended or was skipped.
    pub fn worked_ms(&self) -> Option<i64> {
        self.duration_ms().filter(|_| self.state != RunState::Skipped)
    }

    /// Duration in milliseconds, once the run has ended.
    pub fn duration_ms(&self) -> Option<i64> {
        Some(self.finished_at?.as_millisecond() - self.started_at?.as_millisecond())
    }
}

/// An operation on a container, as part of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = StepJson)]
pub struct Step {
    #[serde(skip)]
    pub id: StepId,
    #[serde(skip)]
    pub run_id: RunId,
    // Position in the plan, from 0.
    #[serde(skip)]
    pub ordinal: i64,
    /// The number of the wave, from 1; steps of one wave run at the same time. 0 for a skipped container.
    pub wave: i64,
    #[serde(skip)]
    pub host: HostId,
    // The name at the time of planning.
    pub container: String,
    // Identity that survives a re-creation.
    #[serde(skip)]
    pub identity: ContainerIdentity,
    // May differ from the action of the run (a restart "because it shares X's network").
    pub action: Action,
    #[serde(skip)]
    pub wait_for: Vec<WaitFor>,
    pub state: StepState,
    pub reason: String,
    // When the step was recorded as issued, before its Docker call.
    #[serde(rename = "started_at", serialize_with = "serialize_instant")]
    #[schema(value_type = Option<Instant>)]
    pub issued_at: Option<Timestamp>,
    // When the outcome was known.
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Option<Instant>)]
    pub finished_at: Option<Timestamp>,
    pub duration_ms: Option<i64>,
    pub exit_code: Option<i64>,
    pub error: Option<String>,
    /// The last log lines of a failed start; only for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

impl Step {
    /// Container of the step.
    pub fn target(&self) -> Target {
        Target::container(self.host.clone(), self.identity.clone())
    }

    /// Error text, if there is one.
    pub fn fault(&self) -> Option<&str> {
        self.error.as_deref().filter(|error| !error.is_empty())
    }

    /// Whether the step failed or was interrupted.
    pub fn is_bad(&self) -> bool {
        matches!(self.state, StepState::Failed | StepState::Interrupted)
    }

    /// Whether the step was skipped because its container is already in the requested state.
    pub fn is_so_already(&self) -> bool {
        self.state == StepState::Skipped
            && (self.reason.starts_with(ALREADY) || self.reason == COMPLETED || self.reason == UNWATCHED)
    }
}

/// A condition that a step waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WaitFor {
    /// The name of the container to wait for, at the time of planning.
    pub container: String,
    /// The identity of that container, as text.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub identity: String,
    /// The state that the container must have.
    pub condition: Condition,
    /// How long to wait, in seconds; without a value the usual time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seconds: Option<i64>,
    /// Whether the container belongs to another stack: the step waits for it only while another run acts on it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub elsewhere: bool,
}
