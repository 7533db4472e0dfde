//! Two containers with one compose number ("twins"): compose leaves both when a re-creation is interrupted. An action
//! on the main one is repeated for its twins, except that no twin is started while another runs.

use super::{Operation, Outcome, Trouble, Try, container_grace};
use crate::docker::DockerError;
use crate::domain::action::Action;
use crate::domain::inventory::{Container, ContainerState, is_replaced_name};
use crate::domain::plan::{running_twin, with_twin};

impl Operation {
    /// Executes the step for a container with twins.
    pub(super) async fn act_on_all(&mut self, container: Container, ids: &[String]) -> Try {
        let twins = self.up(ids).await?;
        let are = |state| twins.iter().filter(move |twin| twin.state == state);
        let mut changed = false;
        match self.action {
            Action::Start if container.state != ContainerState::Running => {
                if let Some(twin) = twins.iter().find(|twin| twin.state != ContainerState::Paused) {
                    return Ok(Outcome::skipped(running_twin(&twin.name)));
                }
            }
            // A leftover of compose runs in place of the container that was to replace it.
            Action::Start if is_replaced_name(&container.name) => {
                return Ok(Outcome::skipped(running_twin(&container.name)));
            }
            Action::Start => {}
            Action::Stop => {
                for twin in &twins {
                    let answer = self.host.stop(&twin.id, self.grace, container_grace(twin)).await;
                    self.became(twin, answer, "still runs", |state| !state.is_up()).await?;
                    changed = true;
                }
            }
            Action::Pause => {
                for twin in are(ContainerState::Running) {
                    let answer = self.host.pause(&twin.id).await;
                    self.became(twin, answer, "was not paused", |state| state != ContainerState::Running)
                        .await?;
                    changed = true;
                }
            }
            Action::Unpause => changed |= self.unpause_all(are(ContainerState::Paused)).await?,
            // Twins restart after the main container: a restart without a response is not repeated.
            Action::Restart => {
                let is_first = !self.resumed;
                let outcome = self.act(container).await?;
                for twin in are(ContainerState::Running).filter(|_| is_first) {
                    let answer = self.host.restart(&twin.id, self.grace, container_grace(twin)).await;
                    if let Err(error) = answer {
                        return Ok(Outcome::failed(failed(twin, "was not restarted", Some(&error))));
                    }
                }
                return Ok(outcome);
            }
        }
        let outcome = self.act(container).await?;
        if outcome.changed || !changed {
            return Ok(outcome);
        }
        // The main container was already in the target state, but the step changed a twin.
        let reason = twins.first().map_or(outcome.reason, |twin| with_twin(&twin.name));
        Ok(Outcome { reason, changed, ..outcome })
    }

    /// The containers with these ids that are up and not protected.
    async fn up(&self, ids: &[String]) -> Result<Vec<Container>, Trouble> {
        let mut up = Vec::new();
        for id in ids {
            let found = self.host.inspect(id).await?;
            up.extend(found.filter(|one| one.state.is_up() && one.protection.is_none()));
        }
        Ok(up)
    }

    async fn unpause_all(&mut self, twins: impl Iterator<Item = &Container>) -> Result<bool, Trouble> {
        let mut changed = false;
        for twin in twins {
            let answer = self.host.unpause(&twin.id).await;
            self.became(twin, answer, "is still paused", |state| state != ContainerState::Paused).await?;
            changed = true;
        }
        Ok(changed)
    }

    /// Checks after Docker's response whether a twin is in the target state; a missing one counts as such.
    async fn became(
        &mut self,
        twin: &Container,
        answer: Result<(), DockerError>,
        otherwise: &str,
        is_so: impl Fn(ContainerState) -> bool,
    ) -> Result<(), Trouble> {
        self.called = true;
        if let Err(error) = &answer
            && error.is_retryable()
        {
            return Err(Trouble::Away(error.to_string()));
        }
        match self.host.inspect(&twin.id).await? {
            Some(after) if !is_so(after.state) => {
                Err(Outcome::failed(failed(twin, otherwise, answer.err().as_ref())).into())
            }
            _ => Ok(()),
        }
    }
}

fn failed(twin: &Container, what: &str, error: Option<&DockerError>) -> String {
    let why = error.map_or_else(String::new, |error| format!(": {error}"));
    format!("{}, which bears the same number, {what}{why}", twin.name)
}
