//! Load readings that guards have made of the containers of pending runs.

use std::collections::{HashMap, HashSet};

use parking_lot::{Mutex, MutexGuard};

use crate::docker::Usage;
use crate::domain::guard::Load;
use crate::domain::ids::RunId;
use crate::domain::inventory::Container;
use crate::domain::nap::Sample;
use crate::domain::target::ContainerIdentity;

/// Readings by run: `None` while in progress, otherwise not evaluated yet.
#[derive(Debug, Default)]
pub(super) struct Looks {
    readings: Mutex<HashMap<RunId, Option<Vec<Looked>>>>,
    /// Samples of the containers of runs that may begin: there is no second reading before a stop.
    seen: Mutex<HashMap<RunId, HashMap<ContainerIdentity, Sample>>>,
}

/// The result of one reading of one container.
#[derive(Clone, Debug)]
pub(super) struct Looked {
    identity: ContainerIdentity,
    load: Load,
    sample: Sample,
}

impl Looked {
    pub fn of(container: &Container, usage: std::result::Result<Usage, String>) -> Self {
        let (cpu_percent, sample) = match usage {
            Ok(usage) => {
                let percent = usage.cpu.and_then(|cpu| cpu.percent());
                (Ok(percent.unwrap_or(0)), usage.sample(container.started_at))
            }
            Err(error) => (Err(error), Sample::default()),
        };
        let load = Load { container: container.name.clone(), cpu_percent };
        Self { identity: container.identity.clone(), load, sample }
    }
}

impl Looks {
    pub fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Option<Vec<Looked>>>> {
        self.readings.lock()
    }

    /// Removes the readings of runs that are no longer pending.
    pub fn keep(&self, pending: &HashSet<&RunId>) {
        self.lock().retain(|id, _| pending.contains(id));
        self.seen.lock().retain(|id, _| pending.contains(id));
    }

    /// Removes and returns the samples of a run that begins.
    pub fn seen(&self, run: &RunId) -> HashMap<ContainerIdentity, Sample> {
        self.seen.lock().remove(run).unwrap_or_default()
    }

    pub fn remember(&self, run: &RunId, looked: Vec<Looked>) -> Vec<Load> {
        let mut loads = Vec::with_capacity(looked.len());
        let mut samples = HashMap::new();
        for Looked { identity, load, sample } in looked {
            loads.push(load);
            samples.insert(identity, sample);
        }
        self.seen.lock().insert(run.clone(), samples);
        loads
    }
}
