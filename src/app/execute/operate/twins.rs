//! Two containers of one compose number: compose leaves one beside the other when it is cut off in a re-creation.

use super::{Operation, Outcome, Trouble, container_grace};
use crate::domain::inventory::Container;

impl Operation {
    /// Those of some containers that run and may be touched.
    pub(super) async fn running(&self, ids: &[String]) -> Result<Vec<Container>, Trouble> {
        let mut running = Vec::new();
        for id in ids {
            let found = self.host.inspect(id).await?;
            running.extend(found.filter(|one| one.state.is_up() && one.protection.is_none()));
        }
        Ok(running)
    }

    /// Stops another container of the same number: compose leaves one behind when it is cut off in a re-creation.
    pub(super) async fn stop_twin(&mut self, twin: &Container) -> Result<(), Trouble> {
        self.asked = true;
        let answer = self.host.stop(&twin.id, self.grace, container_grace(twin)).await;
        if let Err(error) = &answer
            && error.is_retryable()
        {
            return Err(Trouble::Away(error.to_string()));
        }
        let after = self.host.inspect(&twin.id).await?;
        if !after.is_some_and(|after| after.state.is_up()) {
            return Ok(());
        }
        let why = answer.err().map_or_else(String::new, |error| format!(": {error}"));
        Err(Outcome::failed(format!("{}, which bears the same number, still runs{why}", twin.name)).into())
    }
}
