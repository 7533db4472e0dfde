//! One step against Docker: check the container, call Docker, check again.
//!
//! Docker's response is only a hint; the state of the container afterwards is the outcome (semantics §6). Every
//! operation can be resumed after a crash: it first checks whether the container already is in the target state.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::active_runs::Control;
use super::usage::UsageLook;
use crate::clock::Clock;
use crate::docker::{DockerError, Host};
use crate::domain::action::Action;
use crate::domain::inventory::{Container, ContainerState, Kind};
use crate::domain::nap::Sample;
use crate::domain::run::StepState;
use crate::domain::target::ContainerIdentity;

mod start;
mod twins;

/// Docker's own stop grace where the container sets none, in seconds.
const DOCKER_GRACE: u32 = 10;
/// After a crash, an issued stop gets its grace plus this time before the call is repeated.
const STOP_MARGIN: Duration = Duration::from_secs(5);
/// How long the inventory may take to show the result of a step.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);
/// First and longest wait between retries while the Engine does not respond.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The index of a step, and the start time of its running container.
pub(super) type Seen = (usize, Option<Timestamp>);

/// One step with everything its execution needs.
pub(super) struct Operation {
    /// Index of the step in the run.
    pub index: usize,
    pub host: Arc<Host>,
    pub clock: Clock,
    pub identity: ContainerIdentity,
    pub action: Action,
    /// Whether the container must end up running, whatever stopped it: true for steps of a start, also those planned as
    /// an unpause.
    pub wakes: bool,
    /// When the step was marked as issued.
    pub issued_at: Timestamp,
    /// Stop grace in seconds, where the request sets one.
    pub grace: Option<u32>,
    /// The end of the retries while the Engine does not respond.
    pub retry_until: Timestamp,
    /// Whether Docker may have executed the call already: an earlier process issued the step, or a call of this process
    /// got no response.
    pub resumed: bool,
    /// Whether this process has made the call.
    pub called: bool,
    /// Receives a started container as soon as it is seen running, so that its dependants can proceed.
    pub running: mpsc::UnboundedSender<Seen>,
    pub control: watch::Receiver<Control>,
    /// Whether the container restarts only because another one does. Then it must run afterwards, even if the end of
    /// the other one stopped it.
    pub brings_back: bool,
    /// The state before the call; set once this process has called a restart.
    pub before_restart: Option<BeforeRestart>,
    /// The usage of the container once it has been read: at most one reading before a stop (rulings 7).
    pub sample: Option<Sample>,
    /// The reading itself: in progress, or still to be made.
    pub look: Option<UsageLook>,
}

/// A container as it was before the restart call.
pub(super) struct BeforeRestart {
    started_at: Option<Timestamp>,
}

/// The outcome of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub state: StepState,
    pub reason: String,
    pub error: Option<String>,
    pub exit_code: Option<i64>,
    /// When the process of the container ended, by Docker's own time stamp.
    pub ended: Option<Timestamp>,
    /// The last log lines of a failed start.
    pub output: Option<String>,
    /// Whether this step changed the container, which decides about its nap.
    pub changed: bool,
    /// The usage of the container before the stop, where it was read.
    pub sample: Sample,
}

/// Why an attempt stopped early.
enum Trouble {
    /// The Engine did not respond; a retry may succeed.
    Away(String),
    /// The step has ended with this outcome.
    Ended(Box<Outcome>),
}

type Try = Result<Outcome, Trouble>;

impl Outcome {
    fn succeeded(reason: impl Into<String>, changed: bool) -> Self {
        Self {
            state: StepState::Succeeded,
            reason: reason.into(),
            error: None,
            exit_code: None,
            ended: None,
            output: None,
            changed,
            sample: Sample::default(),
        }
    }

    fn failed(error: impl Into<String>) -> Self {
        Self { state: StepState::Failed, error: Some(error.into()), ..Self::succeeded("", false) }
    }

    fn skipped(reason: impl Into<String>) -> Self {
        Self { state: StepState::Skipped, ..Self::succeeded(reason, false) }
    }

    fn exit(self, container: &Container) -> Self {
        Self { exit_code: container.exit_code, ended: container.finished_at, ..self }
    }
}

impl From<Outcome> for Trouble {
    fn from(outcome: Outcome) -> Self {
        Self::Ended(Box::new(outcome))
    }
}

impl From<DockerError> for Trouble {
    fn from(error: DockerError) -> Self {
        if error.is_retryable() {
            Self::Away(error.to_string())
        } else {
            Outcome::failed(error.to_string()).into()
        }
    }
}

impl Operation {
    /// Executes the step; retries until the deadline while the Engine does not respond.
    pub async fn perform(mut self) -> (usize, Outcome) {
        let mut wait = BACK_OFF.0;
        loop {
            let away = match self.attempt().await {
                Ok(outcome) => {
                    if outcome.state == StepState::Succeeded {
                        self.until_shown().await;
                    }
                    let sample = self.sample.unwrap_or_default();
                    return (self.index, Outcome { sample, ..outcome });
                }
                Err(Trouble::Ended(outcome)) => return (self.index, *outcome),
                Err(Trouble::Away(reason)) => reason,
            };
            // A check without a response has changed nothing; only a call may have.
            self.resumed |= self.called;
            if self.clock.now() + wait > self.retry_until {
                return (self.index, Outcome::failed(format!("{away}; tried until the run's deadline")));
            }
            tokio::select! {
                () = self.clock.sleep(self.clock.jittered(wait)) => {}
                _ = self.control.wait_for(|control| control.ends(&self.identity).is_some()) => {
                    return (self.index, Outcome::failed(format!("{away}; not tried again")));
                }
            }
            wait = (wait * 2).min(BACK_OFF.1);
        }
    }

    async fn attempt(&mut self) -> Try {
        let Some((container, twins)) = self.host.resolve_all(&self.identity).await? else {
            return Ok(self.gone());
        };
        if let Some(protection) = &container.protection {
            return Ok(Outcome::skipped(format!("protected: {}", protection.reason())));
        }
        if container.kind != Kind::Ordinary {
            return Ok(Outcome::skipped("not a container that DockNap acts on"));
        }
        if twins.is_empty() { self.act(container).await } else { self.act_on_all(container, &twins).await }
    }

    async fn act(&mut self, container: Container) -> Try {
        match self.action {
            Action::Start => self.start(container).await,
            Action::Stop => self.stop(container).await,
            Action::Restart => self.restart(container).await,
            Action::Pause => self.pause(container).await,
            Action::Unpause => self.unpause(container).await,
        }
    }

    /// The container that has the identity now.
    async fn look(&self) -> Result<Option<Container>, Trouble> {
        Ok(self.host.resolve(&self.identity).await?)
    }

    /// The container after a call; a missing one ends the step.
    async fn look_again(&self) -> Result<Container, Trouble> {
        match self.look().await? {
            Some(container) => Ok(container),
            None => Err(self.gone().into()),
        }
    }

    /// The outcome for a container that no longer exists: a stop has succeeded, a start has failed, and other actions
    /// are skipped.
    fn gone(&self) -> Outcome {
        match self.action {
            Action::Stop => Outcome::succeeded("the container is gone", true),
            Action::Pause | Action::Restart | Action::Unpause => Outcome::skipped("the container is gone"),
            Action::Start => Outcome::failed("the container is gone; create it again with compose"),
        }
    }

    async fn stop(&mut self, container: Container) -> Try {
        if !container.state.is_up() {
            let reason = if self.resumed { "" } else { "already stopped" };
            return Ok(Outcome::succeeded(reason, self.resumed).exit(&container));
        }
        let grace = container_grace(&container);
        if self.resumed {
            // dockerd completes a stop after its client is gone: wait for that before repeating the call.
            let patience = Duration::from_secs(self.grace.unwrap_or(grace).into()) + STOP_MARGIN;
            self.until(self.issued_at + patience, |container| !container.state.is_up()).await;
            let container = self.look_again().await?;
            if !container.state.is_up() {
                return Ok(Outcome::succeeded("", true).exit(&container));
            }
        }
        if self.sample.is_none()
            && container.state == ContainerState::Running
            && let Some(look) = &mut self.look
        {
            self.sample = look.at(&container, &self.host, &self.clock).await;
        }
        let mut failure = None;
        for _ in 0..2 {
            self.called = true;
            match self.host.stop(&container.id, self.grace, grace).await {
                Ok(()) => failure = None,
                Err(
                    error @ (DockerError::TimedOut
                    | DockerError::Server { .. }
                    | DockerError::Conflict { .. }),
                ) => {
                    failure = Some(error);
                }
                Err(error @ DockerError::NotFound { .. }) => {
                    let found = self.look_again().await?;
                    failure = Some(error);
                    if found.state.is_up() && found.id != container.id {
                        // Re-created meanwhile: stop the new container.
                        self.called = true;
                        self.host.stop(&found.id, self.grace, grace).await?;
                        failure = None;
                    }
                }
                Err(error) => return Err(error.into()),
            }
            let after = self.look_again().await?;
            if after.state == ContainerState::Paused && matches!(failure, Some(DockerError::Server { .. })) {
                // Podman does not stop a paused container. Whatever the answer, the stop is tried once more.
                let _ = self.host.unpause(&after.id).await;
            }
            if !after.state.is_up() {
                let late = || self.look.take().and_then(|look| look.so_far(&container));
                self.sample = self.sample.or_else(late);
                return Ok(Outcome::succeeded(stop_reason(&after), true).exit(&after));
            }
            if failure.is_none() {
                return Ok(Outcome::failed(
                    "Docker said it stopped, but it runs again: something else starts it",
                ));
            }
        }
        Ok(Outcome::failed(format!(
            "it still runs: {}",
            failure.map_or_else(String::new, |failure| failure.to_string())
        )))
    }

    async fn pause(&mut self, container: Container) -> Try {
        match container.state {
            ContainerState::Paused if self.resumed => return Ok(Outcome::succeeded("", true)),
            ContainerState::Paused => return Ok(Outcome::succeeded("already paused", false)),
            ContainerState::Running => {}
            _ => return Ok(Outcome::skipped("not running")),
        }
        self.called = true;
        let answer = self.host.pause(&container.id).await;
        self.judge(answer, ContainerState::Paused).await
    }

    async fn unpause(&mut self, container: Container) -> Try {
        // Docker answers 500 to an unpause of a container that is not paused, so the state is checked first.
        match container.state {
            ContainerState::Running => {
                let _ = self.running.send((self.index, container.started_at));
                let reason = if self.resumed { "" } else { "already running" };
                return Ok(Outcome::succeeded(reason, self.resumed));
            }
            ContainerState::Paused => {}
            // A paused container that a daemon restart stopped is started instead.
            _ if self.wakes => {
                let outcome = self.start(container).await?;
                if outcome.state == StepState::Succeeded && outcome.changed && outcome.reason.is_empty() {
                    return Ok(Outcome { reason: "it was no longer paused: started".to_owned(), ..outcome });
                }
                return Ok(outcome);
            }
            _ => return Ok(Outcome::skipped("not paused")),
        }
        self.called = true;
        let answer = self.host.unpause(&container.id).await;
        let outcome = self.judge(answer, ContainerState::Running).await?;
        let _ = self.running.send((self.index, container.started_at));
        Ok(outcome)
    }

    /// Checks the state of the container after Docker's response, whether that is a success or an error.
    async fn judge(&self, answer: Result<(), DockerError>, wanted: ContainerState) -> Try {
        let failure = match answer {
            Ok(()) => None,
            Err(error @ (DockerError::Unreachable { .. } | DockerError::ProxyRefused { .. })) => {
                return Err(error.into());
            }
            Err(error) => Some(error),
        };
        let after = self.look_again().await?;
        if after.state == wanted {
            return Ok(Outcome::succeeded("", true));
        }
        Ok(Outcome::failed(match failure {
            Some(error) => error.to_string(),
            None => format!("Docker said it was done, but the container is {}", after.state.as_str()),
        })
        .exit(&after))
    }

    /// Waits until the inventory shows the result, since the next plan is made from the inventory.
    async fn until_shown(&self) {
        let instant = self.clock.now() + SHOWN_WITHIN;
        self.until_seen(instant, |seen| match (self.action, seen) {
            (Action::Stop, seen) => seen.is_none_or(|seen| !seen.state.is_up()),
            (_, None) => true,
            (Action::Pause, Some(seen)) => seen.state == ContainerState::Paused,
            (Action::Start | Action::Restart | Action::Unpause, Some(seen)) => {
                seen.state == ContainerState::Running || seen.looks_completed()
            }
        })
        .await;
    }

    /// Waits until `instant`, or until the inventory shows the container in a state for which `is_so` returns `true`.
    async fn until(&self, instant: Timestamp, is_so: impl Fn(&Container) -> bool) {
        self.until_seen(instant, |seen| seen.is_some_and(&is_so)).await;
    }

    async fn until_seen(&self, instant: Timestamp, is_so: impl Fn(Option<&Container>) -> bool) {
        let mut changes = self.host.changes();
        loop {
            changes.mark_unchanged();
            if is_so(self.host.inventory().by_identity(&self.identity).map(AsRef::as_ref)) {
                return;
            }
            tokio::select! {
                () = self.clock.sleep_until(instant) => return,
                changed = changes.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// The stop grace of a container where the request sets none, in seconds.
pub(super) fn container_grace(container: &Container) -> u32 {
    container.stop_timeout.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(DOCKER_GRACE)
}

fn stop_reason(container: &Container) -> &'static str {
    if container.exit_code == Some(137) { "killed: it did not end within its grace" } else { "" }
}
