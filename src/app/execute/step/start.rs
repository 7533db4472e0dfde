//! Starts and restarts. A started container counts as up once it has stayed up; the result of a restart is always
//! checked.

use std::time::Duration;

use super::{BeforeRestart, Operation, Outcome, Trouble, Try, container_grace};
use crate::docker::DockerError;
use crate::domain::inventory::{Container, ContainerState, RestartPolicy};
use crate::domain::run::StepState;

/// How long a started container must stay up before its step succeeds (rulings 12).
const STARTED_FOR: Duration = Duration::from_secs(3);
impl Operation {
    pub(super) async fn start(&mut self, container: Container) -> Try {
        if container.state == ContainerState::Running {
            if self.resumed {
                return self.stays_up(&container).await;
            }
            let _ = self.running.send((self.index, container.started_at));
            return Ok(Outcome::succeeded("already running", false));
        }
        if container.state == ContainerState::Paused {
            return self.start_paused(&container).await;
        }
        if self.resumed && self.has_started(&container) && self.ended_by_itself(&container).await? {
            // The container was started and has ended since.
            return Ok(self.ended(&container).await);
        }
        self.launch(container).await
    }

    /// Unpauses a container that is to run.
    async fn start_paused(&mut self, container: &Container) -> Try {
        self.called = true;
        let answer = self.host.unpause(&container.id).await;
        let after = self.look_again().await?;
        match answer {
            Err(error) if after.state != ContainerState::Running => {
                if error.is_retryable() {
                    Err(error.into())
                } else {
                    Ok(self.refused(&after, &error).await)
                }
            }
            _ => self.stays_up(&after).await,
        }
    }

    /// Starts a container without a running process.
    async fn launch(&mut self, container: Container) -> Try {
        let mut id = container.id.clone();
        let mut failure = None;
        for _ in 0..2 {
            self.called = true;
            match self.host.start(&id).await {
                Ok(()) => {
                    failure = None;
                    break;
                }
                Err(error @ DockerError::NotFound { .. }) => {
                    let found = self.look_again().await?;
                    if found.id == id {
                        // The container exists: something that it needs was not found.
                        return Ok(self.refused(&found, &error).await);
                    }
                    id = found.id;
                    failure = Some(error);
                }
                Err(error @ DockerError::Server { status: 500, .. }) => {
                    let found = self.look_again().await?;
                    if found.state == ContainerState::Running {
                        failure = None;
                        break;
                    }
                    if is_runtime_error(&found) {
                        return Ok(self.refused(&found, &error).await);
                    }
                    failure = Some(error);
                }
                Err(error @ (DockerError::Conflict { .. } | DockerError::Refused { .. })) => {
                    let found = self.look_again().await?;
                    if found.state == ContainerState::Running {
                        failure = None;
                        break;
                    }
                    if found.state == ContainerState::Paused {
                        return self.start_paused(&found).await;
                    }
                    return Ok(self.refused(&found, &error).await);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(failure) = failure {
            return Ok(Outcome::failed(failure.to_string()));
        }
        self.stays_up(&self.look_again().await?).await
    }

    /// Watches a started container; succeeds once it has been running for [`STARTED_FOR`].
    async fn stays_up(&self, container: &Container) -> Try {
        if container.state != ContainerState::Running {
            return self.did_not_last(container).await;
        }
        let started_at = container.started_at;
        let _ = self.running.send((self.index, started_at));
        let until = self.clock.now() + STARTED_FOR;
        loop {
            // The inventory may still show the state before this start: only entries of this start count.
            self.until(until, |seen| {
                seen.started_at > started_at
                    || (seen.started_at == started_at && seen.state != ContainerState::Running)
            })
            .await;
            let after = self.look_again().await?;
            if after.state != ContainerState::Running {
                return self.did_not_last(&after).await;
            }
            if after.started_at != started_at {
                return Ok(Outcome::failed("it was restarted within 3 s of its start").exit(&after));
            }
            if self.clock.now() >= until {
                return Ok(Outcome::succeeded("", true));
            }
        }
    }

    /// The outcome of a start that did not last. Where a restart of the Docker daemon ended the container, the start is
    /// retried.
    async fn did_not_last(&self, container: &Container) -> Try {
        if self.ended_by_itself(container).await? {
            return Ok(self.ended(container).await);
        }
        Err(Trouble::Away("Docker's daemon was restarted while it started".to_owned()))
    }

    /// Whether a started container ended by itself, and not because its daemon ended. A completed one-shot that others
    /// wait for counts as ended by itself in both cases: it is not repeated.
    async fn ended_by_itself(&self, container: &Container) -> Result<bool, Trouble> {
        let may_be_the_daemon = container.state == ContainerState::Exited && self.has_started(container);
        if !may_be_the_daemon || (container.looks_completed() && self.host.inventory().is_awaited(container))
        {
            return Ok(true);
        }
        match self.host.remembers_start(container).await {
            Err(error @ DockerError::Unreachable { .. }) => Err(error.into()),
            // Unknown: not retried, to avoid starting it again and again.
            remembers => Ok(remembers.unwrap_or(true)),
        }
    }

    /// The outcome of a start whose container ended by itself.
    async fn ended(&self, container: &Container) -> Outcome {
        match container.state {
            ContainerState::Paused => Outcome::succeeded("somebody paused it at once", true),
            _ if container.looks_completed() => Outcome::succeeded("completed", true).exit(container),
            ContainerState::Restarting => {
                self.with_output(container, "it keeps restarting: its program ends right after the start")
                    .await
            }
            _ => self.with_output(container, &exit_words(container)).await,
        }
    }

    /// The outcome of a start that Docker refused: Docker's message, with advice where a container it needs was
    /// re-created.
    async fn refused(&self, container: &Container, error: &DockerError) -> Outcome {
        let mut words = error.to_string();
        if let Some(donor) = container.network_mode.strip_prefix("container:")
            && error.names(donor)
            && matches!(error, DockerError::NotFound { .. } | DockerError::Server { .. })
        {
            words.push_str(
                ". It uses the network of a container that is no longer there or was re-created: \
                 re-create it with compose, so that it finds the new one",
            );
        }
        self.with_output(container, &words).await
    }

    async fn with_output(&self, container: &Container, error: &str) -> Outcome {
        // Optional: a proxy may refuse access to the log.
        let lines = self.host.last_lines(&container.id).await.unwrap_or_default();
        let output = (!lines.is_empty()).then(|| lines.join("\n"));
        Outcome { output, ..Outcome::failed(error) }.exit(container)
    }

    pub(super) async fn restart(&mut self, container: Container) -> Try {
        if self.resumed {
            return self.restarted(&container).await;
        }
        if container.state != ContainerState::Running {
            if self.brings_back {
                return self.start(container).await;
            }
            return Ok(Outcome::skipped("not running: a restart would start it"));
        }
        self.before_restart = Some(BeforeRestart { started_at: container.started_at });
        self.called = true;
        match self.host.restart(&container.id, self.grace, container_grace(&container)).await {
            Ok(()) => self.stays_up(&self.look_again().await?).await,
            // The restart may be done, half done or not done. The call is never repeated.
            Err(
                error @ (DockerError::NotFound { .. }
                | DockerError::TimedOut
                | DockerError::Unreachable { .. }
                | DockerError::Server { .. }
                | DockerError::Conflict { .. }),
            ) => {
                let after = self.look_again().await?;
                if !error.is_retryable() && after.id == container.id && after.state.is_up() {
                    let is_new = after.started_at != container.started_at;
                    return if is_new {
                        self.stays_up(&after).await
                    } else {
                        Ok(Outcome::failed(error.to_string()))
                    };
                }
                self.restarted(&after).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the container was started after this step was issued.
    fn has_started(&self, container: &Container) -> bool {
        let issued_at = self.host.by_engine(self.issued_at);
        container.started_at.is_some_and(|started| started >= issued_at)
    }

    /// The outcome of a restart without a known response: done, half done or not done (semantics §4).
    async fn restarted(&mut self, container: &Container) -> Try {
        if !container.state.is_up() {
            // Half a restart leaves the container down: start it.
            return self.launch(container.clone()).await;
        }
        let is_new = match &self.before_restart {
            Some(before) => container.started_at != before.started_at,
            None => self.has_started(container),
        };
        if is_new {
            return self.stays_up(container).await;
        }
        Ok(Outcome {
            state: StepState::Interrupted,
            error: Some("cut off in a restart that did not happen; it is not repeated by itself".to_owned()),
            ..Outcome::succeeded("", false)
        })
    }
}

/// Whether the exit code is one that the runtime sets when it cannot run the program.
fn is_runtime_error(container: &Container) -> bool {
    matches!(container.exit_code, Some(125..=128))
}

/// The meaning of an exit code, as a sentence.
fn exit_words(container: &Container) -> String {
    match container.exit_code {
        Some(0) if container.restart_policy == RestartPolicy::No => {
            "it ended right after the start".to_owned()
        }
        Some(126) => "its program may not be executed (exit code 126)".to_owned(),
        Some(127) => "its program was not found (exit code 127)".to_owned(),
        Some(137) => {
            "it was killed right after the start (exit code 137), perhaps for lack of memory".to_owned()
        }
        Some(code) => format!("it ended right after the start (exit code {code})"),
        None => format!("it is {} right after the start", container.state.as_str()),
    }
}
