//! Two containers of one compose number: compose leaves one beside the other when it is cut off in a re-creation. What
//! is done to the one that counts is done to the others too, except that none is started beside another one.

use super::{Operation, Outcome, Trouble, Try, container_grace};
use crate::docker::DockerError;
use crate::domain::action::Action;
use crate::domain::inventory::{Container, ContainerState, is_replaced_name};
use crate::domain::plan::{running_twin, with_twin};

impl Operation {
    /// The step, where others bear the number of its container.
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
            // It runs in the place of the one that compose was to put there.
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
            // After the one that counts: a restart that nobody answered is not asked for again.
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
        // The one that counts was as wanted, and the step did something all the same.
        let reason = twins.first().map_or(outcome.reason, |twin| with_twin(&twin.name));
        Ok(Outcome { reason, changed, ..outcome })
    }

    /// Those of some containers that are up and may be touched.
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

    /// Looks whether one of them is as wanted after Docker's answer; what is gone is.
    async fn became(
        &mut self,
        twin: &Container,
        answer: Result<(), DockerError>,
        otherwise: &str,
        is_so: impl Fn(ContainerState) -> bool,
    ) -> Result<(), Trouble> {
        self.asked = true;
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
