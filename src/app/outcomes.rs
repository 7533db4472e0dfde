//! How the runs of past days ended, kept: what has ended stays as it is, and a month of many runs is long to count.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::history::RunFilter;
use crate::domain::run::RunState;
use crate::domain::target::ContainerIdentity;

/// Lists of runs of which the days are kept, those looked at last.
const LISTS: usize = 16;
/// A run has the instant at which it was asked for; until it is stored so much time may pass.
const STORED_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// How many of a stretch of time are in which state.
pub(super) type Counts = Vec<(RunState, i64)>;

/// What was counted of past stretches of time.
#[derive(Debug, Default)]
pub struct Outcomes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    lists: Vec<List>,
    /// Grows when runs were forgotten.
    revision: u64,
}

#[derive(Debug)]
struct List {
    filter: RunFilter,
    touching: Vec<ContainerIdentity>,
    past: HashMap<(Timestamp, Timestamp), Counts>,
}

impl Outcomes {
    /// The counts of the first stretches between `edges`, as far as they are known; and the revision that
    /// [`Outcomes::keep`] wants to be told.
    pub(super) fn known(
        &self,
        filter: &RunFilter,
        touching: &[ContainerIdentity],
        edges: &[Timestamp],
    ) -> (Vec<Counts>, u64) {
        let state = self.lock();
        let list = state.lists.iter().find(|list| list.filter == *filter && list.touching == touching);
        let known = |pair: &[Timestamp]| list.and_then(|list| list.past.get(&(pair[0], pair[1]))).cloned();
        (edges.windows(2).map_while(known).collect(), state.revision)
    }

    /// Keeps what cannot change any more. Where a list shows some states alone, nobody sees whether a run is open that
    /// will be in one of them.
    pub(super) fn keep(
        &self,
        filter: &RunFilter,
        touching: &[ContainerIdentity],
        edges: &[Timestamp],
        counts: &[Counts],
        now: Timestamp,
        revision: u64,
    ) {
        if filter.state.is_some() || filter.attention {
            return;
        }
        let stored = now.saturating_sub(STORED_WITHIN).unwrap_or(now);
        let is_past = |(pair, counts): &(&[Timestamp], &Counts)| {
            pair[1] <= stored && counts.iter().all(|(state, _)| state.is_terminal())
        };
        let past = edges.windows(2).zip(counts).filter(is_past);
        let past = past.map(|(pair, counts)| ((pair[0], pair[1]), counts.clone())).collect();
        let mut state = self.lock();
        if state.revision != revision {
            return;
        }
        state.lists.retain(|list| list.filter != *filter || list.touching != touching);
        if state.lists.len() == LISTS {
            state.lists.remove(0);
        }
        state.lists.push(List { filter: filter.clone(), touching: touching.to_vec(), past });
    }

    /// Runs were forgotten: what was counted may be too many.
    pub fn forget(&self) {
        let mut state = self.lock();
        state.lists.clear();
        state.revision += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
