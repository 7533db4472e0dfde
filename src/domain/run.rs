//! One execution of a request, and its steps.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::action::Action;
pub use super::dependency::Condition;
use super::guard::Guard;
use super::ids::{HostId, RunId, ScheduleId, StepId};
use super::target::{ContainerIdentity, Target};
use super::time::{Instant, serialize_instant};
use super::words::words;

words! {
    /// Where a run stands. Every state but the first two is terminal and never changes (semantics §1).
    #[derive(
        Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
    )]
    #[serde(rename_all = "snake_case")]
    pub enum RunState {
        /// Stored, waiting for its turn, its host, or another run.
        Pending,
        /// Being driven.
        Executing,
        /// All steps are as wanted.
        Succeeded,
        /// No step is as wanted.
        Failed,
        /// Some steps are as wanted, some are not.
        Partial,
        /// Deliberately not done; the reason says why.
        Skipped,
        /// Its instant passed while DockNap was down.
        Missed,
        /// A newer request took its place.
        Superseded,
        /// A person called it off.
        Cancelled,
        /// Cut off half-way in a way that must not be repeated.
        Interrupted,
    }
}

impl RunState {
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

words! {
    /// Where a step stands.
    #[derive(
        Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
    )]
    #[serde(rename_all = "snake_case")]
    pub enum StepState {
        /// Not begun.
        Pending,
        /// Committed to, and sent to Docker or about to be.
        Issued,
        /// As wanted.
        Succeeded,
        /// Not as wanted; the error says why.
        Failed,
        /// Not done, on purpose; the reason says why.
        Skipped,
        /// Cut off in a way that must not be repeated.
        Interrupted,
    }
}

impl StepState {
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

words! {
    /// What made a run (rulings 11).
    #[derive(
        Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
    )]
    #[serde(rename_all = "snake_case")]
    pub enum Trigger {
        /// A button, or "run now".
        Manual,
        /// A button over several targets.
        Bulk,
        /// The HTTP API.
        Api,
        /// A schedule, on time.
        Schedule,
        /// A schedule that came from a label.
        Label,
        /// A schedule, late but within its catch-up.
        CatchUp,
        /// A window's edge.
        Window,
        /// An override that begins, or a fire that it held back until its end.
        Override,
        /// The failed steps of an earlier run, again.
        Retry,
        /// The reverse of an earlier run, by whom asked for that.
        Undo,
    }
}

impl Trigger {
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

impl RunState {
    /// Ended for good.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Executing)
    }

    /// Ended in a way somebody should look at.
    pub fn needs_attention(self) -> bool {
        matches!(self, Self::Failed | Self::Partial | Self::Interrupted)
    }
}

impl StepState {
    /// Ended for good.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Issued)
    }
}

// As a run and an audit row remember it.
/// Who asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ActorJson)]
pub struct ActorRef {
    /// `user`, `token`, `scheduler` or `cli`.
    pub kind: String,
    /// The account's id, where there is one.
    pub id: Option<String>,
    /// The name at that time.
    pub name: String,
}

/// How the reason begins where a container is as it should be.
pub const ALREADY: &str = "already";
/// The reason for a one-shot that did its work.
pub const COMPLETED: &str = "completed";
/// The reason for one that is only believed to be that: a person says whether it is started.
pub const UNWATCHED: &str = "ended with 0 while nobody watched";
/// How the reason of a run begins that found everything as it was to be.
pub const NOTHING_TO_DO: &str = "nothing to do";

/// The first Docker call of a run happens no later than this after its claim (rulings 10).
pub const DEADLINE: Duration = Duration::from_secs(15 * 60);

/// One execution of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The schedule that made it.
    pub schedule_id: Option<ScheduleId>,
    /// That schedule's name at the time.
    pub schedule_name: Option<String>,
    /// What it acts on.
    pub target: Target,
    /// The target's name as shown.
    pub target_name: String,
    /// What it does.
    pub action: Action,
    /// What made it.
    pub trigger: Trigger,
    /// Who asked.
    pub actor: ActorRef,
    /// The nominal instant of a scheduled run; never "now".
    pub fire_at: Option<Timestamp>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it began to be driven.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Where it stands.
    pub state: RunState,
    /// Why it stands there, in words; empty where the state says all.
    pub reason: String,
    /// Why it was asked for, in words: the layer that decided, with its text; empty where actor and trigger say all.
    pub why: String,
    /// The last instant for its first Docker call.
    pub deadline_at: Timestamp,
    /// How often its host was tried in vain.
    pub attempt: i64,
    /// Stop grace in seconds, where the request sets one.
    pub stop_timeout_seconds: Option<i64>,
    /// The run whose failed steps this one repeats, or which it undoes.
    pub retry_of: Option<RunId>,
    /// For a `missed` summary row: the first and last missed instants and how many there were.
    pub missed: Option<MissedSpan>,
    /// Only what was napping is started (rulings 5): set for a scheduled start.
    pub restore: bool,
    /// It puts back what an override changed: it acts on the containers of its first plan alone.
    pub puts_back: bool,
    /// For a start: containers that nobody watched as they ended, and that were asked for all the same.
    pub also: Vec<ContainerIdentity>,
    /// What may hold it back for a while, by its schedule as it was when this was stored.
    pub guard: Option<Guard>,
    /// While the guard holds it back: when it looks again.
    pub look_at: Option<Timestamp>,
    /// Until when busy containers are waited for, once some were found busy.
    pub busy_until: Option<Timestamp>,
}

/// Fires that passed while `DockNap` was down.
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
    /// A run that is asked for at `now` and has not begun.
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
        }
    }

    /// Whether it makes a window's or an override's state so, rather than doing something once. A fire that an override
    /// held back has its schedule.
    pub fn is_level(&self) -> bool {
        match self.trigger {
            Trigger::Window => true,
            Trigger::Override => self.schedule_id.is_none(),
            _ => false,
        }
    }

    /// A guard holds it back, or has not looked yet.
    pub fn is_guarded(&self) -> bool {
        self.state == RunState::Pending && self.guard.is_some()
    }

    /// Whether it does all that another is to do, as long as it has not ended: the same thing to the same target, and
    /// neither only the part of it that naps nor only what an earlier one left undone, unless the other is no more than
    /// that. One that a guard holds back counts only for another that is guarded: what goes at once takes its place.
    pub fn does_all_of(&self, other: &Self) -> bool {
        self.target == other.target
            && self.action == other.action
            && (!self.restore || other.restore)
            && (!self.puts_back || other.puts_back)
            && (self.retry_of.is_none() || self.retry_of == other.retry_of)
            && (other.also.is_empty() || self.also == other.also)
            && (other.guard.is_some() || !self.is_guarded())
    }

    /// How long after its instant it began, once it did; what is not late at all is not told.
    pub fn late_ms(&self) -> Option<i64> {
        let due = match self.trigger {
            // A level: what it does at a save, or at the end of an override, is not late for the edge it is for.
            Trigger::Window => self.fire_at?.max(self.created_at),
            _ => self.fire_at?,
        };
        let late = self.started_at?.as_millisecond() - due.as_millisecond();
        (late > 0).then_some(late)
    }

    /// When it ended, else began, else was due, else was asked for.
    pub fn latest_at(&self) -> Timestamp {
        self.finished_at.or(self.started_at).or(self.fire_at).unwrap_or(self.created_at)
    }

    /// How long it took to do what it did; `None` where that was left out on purpose.
    pub fn worked_ms(&self) -> Option<i64> {
        self.duration_ms().filter(|_| self.state != RunState::Skipped)
    }

    /// How long it took, once it ended.
    pub fn duration_ms(&self) -> Option<i64> {
        Some(self.finished_at?.as_millisecond() - self.started_at?.as_millisecond())
    }
}

/// One container operation of a run.
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
    /// From 1; steps of a wave go together. 0 for what was left alone.
    pub wave: i64,
    #[serde(skip)]
    pub host: HostId,
    // The name when planned.
    pub container: String,
    // What survives its re-creation.
    #[serde(skip)]
    pub identity: ContainerIdentity,
    // May differ from the run's (a restart "because it shares X's network").
    pub action: Action,
    #[serde(skip)]
    pub wait_for: Vec<WaitFor>,
    pub state: StepState,
    pub reason: String,
    // When it was committed to, before the Docker call.
    #[serde(rename = "started_at", serialize_with = "serialize_instant")]
    #[schema(value_type = Option<Instant>)]
    pub issued_at: Option<Timestamp>,
    // When its outcome was known.
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Option<Instant>)]
    pub finished_at: Option<Timestamp>,
    pub duration_ms: Option<i64>,
    pub exit_code: Option<i64>,
    pub error: Option<String>,
    /// The last log lines of a failed start; for operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

impl Step {
    /// Its container.
    pub fn target(&self) -> Target {
        Target::container(self.host.clone(), self.identity.clone())
    }

    /// What went wrong, where that is told.
    pub fn fault(&self) -> Option<&str> {
        self.error.as_deref().filter(|error| !error.is_empty())
    }

    /// Not as wanted, or cut off.
    pub fn is_bad(&self) -> bool {
        matches!(self.state, StepState::Failed | StepState::Interrupted)
    }

    /// Skipped since its container is as the run wants it.
    pub fn is_so_already(&self) -> bool {
        self.state == StepState::Skipped
            && (self.reason.starts_with(ALREADY) || self.reason == COMPLETED || self.reason == UNWATCHED)
    }
}

/// What a step waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WaitFor {
    /// The container waited for, by name when planned.
    pub container: String,
    /// Its identity text.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub identity: String,
    /// What must be so of it.
    pub condition: Condition,
    /// How long it is waited for, in seconds; the usual time where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seconds: Option<i64>,
    /// It is part of another stack: waited for only while a run of its own is at work on it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub elsewhere: bool,
}
