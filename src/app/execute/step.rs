//! One step against Docker: look, call, look again.
//!
//! What Docker answers is a hint; what the container is afterwards is the outcome (semantics §6). Every operation can
//! be taken up again after a crash: it first looks whether the container is already as wanted.

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
/// After a crash, a stop that was under way gets its grace and this much more before it is asked for again.
const STOP_MARGIN: Duration = Duration::from_secs(5);
/// How long the inventory may take to show what a step made so.
const SHOWN_WITHIN: Duration = Duration::from_secs(2);
/// First and longest wait between tries of an Engine that does not answer.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A step's index, and since when its container runs.
pub(super) type Seen = (usize, Option<Timestamp>);

/// One step, with all it needs.
pub(super) struct Operation {
    /// Position in the run.
    pub index: usize,
    pub host: Arc<Host>,
    pub clock: Clock,
    pub identity: ContainerIdentity,
    pub action: Action,
    /// It is to be up, however it went down: a step of a start, though it may be planned as an unpause.
    pub wakes: bool,
    /// When it was committed to.
    pub issued_at: Timestamp,
    /// Stop grace in seconds, where the request sets one.
    pub grace: Option<u32>,
    /// An Engine that does not answer is tried until then.
    pub retry_until: Timestamp,
    /// The call may have been carried out already: a process that is gone committed to it, or it was made and not
    /// answered.
    pub resumed: bool,
    /// This process has made the call.
    pub asked: bool,
    /// Told as soon as a started container is seen running, so that its dependants can go on.
    pub running: mpsc::UnboundedSender<Seen>,
    pub control: watch::Receiver<Control>,
    /// It restarts since another one did, and is to run afterwards whatever that one's end made of it.
    pub brings_back: bool,
    /// Set once a restart was asked for by this process.
    pub before_restart: Option<BeforeRestart>,
    /// What it had in use, once somebody has looked: at most one look before a stop (rulings 7).
    pub sample: Option<Sample>,
    /// That look: under way, or to be made.
    pub look: Option<UsageLook>,
}

/// A container as it was before its restart was asked for.
pub(super) struct BeforeRestart {
    started_at: Option<Timestamp>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub state: StepState,
    pub reason: String,
    pub error: Option<String>,
    pub exit_code: Option<i64>,
    /// When its process ended, by Docker's own time stamp.
    pub ended: Option<Timestamp>,
    /// The last log lines of a failed start.
    pub output: Option<String>,
    /// The container changed because of us: what a nap is made of.
    pub changed: bool,
    /// What it had in use before it was stopped, where that was seen.
    pub sample: Sample,
}

/// Why one try did not end the step.
enum Trouble {
    /// The Engine did not answer; it may a little later.
    Away(String),
    /// This is how it ended.
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
    /// Does the step, trying an Engine that does not answer again until the deadline.
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
            // A look that was not answered leaves nothing behind.
            self.resumed |= self.asked;
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

    /// The container that bears the identity now.
    async fn look(&self) -> Result<Option<Container>, Trouble> {
        Ok(self.host.resolve(&self.identity).await?)
    }

    /// The container after a call; one that is gone ends the step.
    async fn look_again(&self) -> Result<Container, Trouble> {
        match self.look().await? {
            Some(container) => Ok(container),
            None => Err(self.gone().into()),
        }
    }

    /// A container that is no longer there: as good as stopped, and nothing to start.
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
            // dockerd finishes a stop after its client is gone: give it the time before asking again.
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
            self.asked = true;
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
                        // Re-created in between: once more, on the new one.
                        self.asked = true;
                        self.host.stop(&found.id, self.grace, grace).await?;
                        failure = None;
                    }
                }
                Err(error) => return Err(error.into()),
            }
            let after = self.look_again().await?;
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
        self.asked = true;
        let answer = self.host.pause(&container.id).await;
        self.judge(answer, ContainerState::Paused).await
    }

    async fn unpause(&mut self, container: Container) -> Try {
        // An unpause of what is not paused is answered with 500: so look first.
        match container.state {
            ContainerState::Running => {
                let _ = self.running.send((self.index, container.started_at));
                let reason = if self.resumed { "" } else { "already running" };
                return Ok(Outcome::succeeded(reason, self.resumed));
            }
            ContainerState::Paused => {}
            // What a restart of the daemon ended in its sleep is woken all the same.
            _ if self.wakes => {
                let outcome = self.start(container).await?;
                if outcome.state == StepState::Succeeded && outcome.changed && outcome.reason.is_empty() {
                    return Ok(Outcome { reason: "it was no longer paused: started".to_owned(), ..outcome });
                }
                return Ok(outcome);
            }
            _ => return Ok(Outcome::skipped("not paused")),
        }
        self.asked = true;
        let answer = self.host.unpause(&container.id).await;
        let outcome = self.judge(answer, ContainerState::Running).await?;
        let _ = self.running.send((self.index, container.started_at));
        Ok(outcome)
    }

    /// Looks whether a container is as wanted after an answer that says yes or no.
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

    /// Waits until the inventory shows what is so now: whoever plans next plans from it.
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

    /// Waits until `instant`, or until the inventory shows a container of ours that `is_so`.
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

/// The grace Docker gives a container that no request sets, in seconds.
pub(super) fn container_grace(container: &Container) -> u32 {
    container.stop_timeout.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(DOCKER_GRACE)
}

fn stop_reason(container: &Container) -> &'static str {
    if container.exit_code == Some(137) { "killed: it did not end within its grace" } else { "" }
}
