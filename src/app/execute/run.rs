//! Executes one run: issues each step once everything it waits for is done, and stores each outcome.
//!
//! Steps that become ready together are marked as issued in one transaction before the first of them calls Docker. A
//! run that is cancelled or gives up containers issues no more steps for them, and ends when the issued steps have
//! ended.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::locks::Lock;
use super::step::{Operation, Outcome, Seen, container_grace};
use super::usage::Looks;
use super::verdict::{mark_unapplied, record_end, undone, verdict};
use crate::app::Live;
use crate::app::error::Result;
use crate::db::{self, Tx};
use crate::domain::action::Action;
use crate::domain::inventory::ContainerState;
use crate::domain::nap::{Nap, NapKind, Sleep};
use crate::domain::run::{RunState, Step, StepState, Trigger};
use crate::domain::text::chain;

mod gates;
mod state;

use gates::{Gate, HEALTH_WAIT, limit};
pub(super) use state::RunExecutor;

/// Time a run may take beyond its graces and waits (rulings 10).
const BUDGET_MARGIN: Duration = Duration::from_secs(60);
/// First and longest wait between attempts to store an outcome in the database.
const STORE_RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

type StepFuture = BoxFuture<'static, (usize, Outcome)>;

impl RunExecutor {
    /// Executes the run until its end, or until the orderly shutdown of the process.
    pub async fn complete(mut self) {
        let (running, mut seen_running) = mpsc::unbounded_channel();
        let looks = self.begin_usage_readings();
        self.looks = Some(looks);
        let mut flights: FuturesUnordered<StepFuture> = FuturesUnordered::new();
        for index in self.in_state(StepState::Issued) {
            // Issued by an earlier process. No other step is executed yet, so the lock is free.
            let lock = self.app.active_runs.locks().take(self.host.id(), &self.steps[index].identity);
            flights.push(self.start_step(index, lock, None, true, &running));
        }
        let mut changes = self.host.changes();
        let locks = self.app.active_runs.locks().clone();
        loop {
            changes.mark_unchanged();
            let mut released = std::pin::pin!(locks.released());
            released.as_mut().enable();
            let look_again = if self.stop.is_cancelled() {
                None
            } else {
                self.close_impossible_steps().await;
                self.issue_ready_steps(&mut flights, &running).await
            };
            if flights.is_empty()
                && (self.stop.is_cancelled() || self.in_state(StepState::Pending).is_empty())
            {
                break;
            }
            let pending = !self.in_state(StepState::Pending).is_empty() && !self.stop.is_cancelled();
            // Every wait of a step ends with the time of the run at the latest.
            let look_again = [look_again, pending.then(|| self.time_limit(self.app.clock.monotonic()))]
                .into_iter()
                .flatten()
                .min();
            let wait = look_again.map(|at| at.saturating_sub(self.app.clock.monotonic()));
            tokio::select! {
                Some(first) = flights.next(), if !flights.is_empty() => {
                    let mut ended = vec![first];
                    while let Some(Some(next)) = flights.next().now_or_never() {
                        ended.push(next);
                    }
                    self.store_outcomes(ended).await;
                }
                Some((index, since)) = seen_running.recv() => { self.running.insert(index, since); }
                _ = changes.changed() => {}
                () = released => {}
                _ = self.control.changed() => {}
                () = self.stop.cancelled(), if !self.stop.is_cancelled() => {}
                () = self.app.clock.sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            }
        }
        if self.steps.iter().all(|step| step.state.is_terminal()) {
            self.finish().await;
        }
    }

    /// Takes over the usage readings made in advance for containers that are to be stopped, and begins readings of
    /// those that neither have one nor were read by the guard.
    fn begin_usage_readings(&mut self) -> Looks {
        let (inventory, now) = (self.host.inventory(), self.app.clock.now());
        let mut unseen = Vec::new();
        for step in &self.steps {
            let is_to_stop = step.action == Action::Stop && !step.state.is_terminal();
            if !is_to_stop || self.samples.contains_key(&step.identity) {
                continue;
            }
            let Some(container) =
                inventory.by_identity(&step.identity).filter(|one| one.state == ContainerState::Running)
            else {
                continue;
            };
            match self.app.active_runs.early().seen(container, false, now) {
                Some(Ok(usage)) => {
                    self.samples.insert(step.identity.clone(), usage.sample(container.started_at));
                }
                Some(Err(_)) | None => unseen.push(Arc::clone(container)),
            }
        }
        Looks::at(&self.host, &unseen, &self.run, &self.app.clock)
    }

    fn in_state(&self, state: StepState) -> Vec<usize> {
        (0..self.steps.len()).filter(|index| self.steps[*index].state == state).collect()
    }

    /// Ends pending steps that will never be issued: a newer run took the container, the run is cancelled, its time is
    /// up, or a step they wait for failed.
    async fn close_impossible_steps(&mut self) {
        loop {
            let control = self.control.borrow().clone();
            let now = self.app.clock.now();
            let late = self.is_late();
            let mut closed = Vec::new();
            let mut waits_on = None;
            for index in self.in_state(StepState::Pending) {
                let gate = match control.ends(&self.steps[index].identity) {
                    Some(reason) => Gate::Never(reason),
                    None => self.gate(index),
                };
                match gate {
                    Gate::Never(reason) => closed.push((index, StepState::Skipped, reason)),
                    Gate::Late(_, reason) => waits_on = waits_on.or(Some((index, reason))),
                    _ => {}
                }
            }
            // Steps that wait for a closed step are closed first, in the next iteration: that reason says more than the
            // time.
            if closed.is_empty() && late {
                let up = |index| (index, StepState::Failed, "the run's time was up".to_owned());
                closed.extend(self.in_state(StepState::Pending).into_iter().map(up));
            }
            if closed.is_empty() {
                self.store_wait_note(waits_on).await;
                return;
            }
            for (index, state, reason) in &closed {
                let step = &mut self.steps[*index];
                if let Some(looks) = &mut self.looks {
                    looks.take(&step.identity);
                }
                step.state = *state;
                match state {
                    StepState::Failed => step.error = Some(reason.clone()),
                    _ => step.reason.clone_from(reason),
                }
                step.finished_at = Some(now);
            }
            let ended: Vec<usize> = closed.into_iter().map(|(index, ..)| index).collect();
            self.store_steps(&ended, &[]).await;
        }
    }

    /// Stores in the run which step still waits although its own time is over; an empty note where there is none.
    async fn store_wait_note(&mut self, step: Option<(usize, String)>) {
        let words = step.map_or_else(String::new, |(index, reason)| {
            let container = &self.steps[index].container;
            format!("{reason}; {container} waits on, until the run's deadline")
        });
        if words == self.waits_for {
            return;
        }
        match db::runs::note(&self.app.db, &self.run.id, &words).await {
            Ok(()) => {
                self.waits_for = words;
                self.announce();
            }
            Err(error) => {
                tracing::warn!(run = %self.run.id, error = %chain(&error), "what a run waits for cannot be stored")
            }
        }
    }

    /// Whether the time of the run is up, so that no more steps are issued.
    fn is_late(&self) -> bool {
        // One reading of the clock for both sides: after the deadline, `time_limit` returns `now`.
        let now = self.app.clock.monotonic();
        now >= self.time_limit(now)
    }

    /// When the run stops issuing steps, on the monotonic clock, which reads `now`: at the deadline while no step is
    /// issued and for a resumed run, otherwise when the budget is used up (rulings 10). Time in which other runs
    /// blocked this one does not count.
    fn time_limit(&self, now: Duration) -> Duration {
        if self.resumed || self.steps.iter().all(|step| step.issued_at.is_none()) {
            return self.deadline(now);
        }
        let blocked_for =
            self.blocked_for + self.blocked_since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        (self.begun + self.budget() + blocked_for).max(self.deadline(now))
    }

    /// Sum over waves of the graces and waits, plus a margin. The steps of a wave larger than the parallelism run in
    /// turns.
    fn budget(&self) -> Duration {
        let inventory = self.host.inventory();
        let mut budget = BUDGET_MARGIN;
        for wave in 1..=self.steps.iter().map(|step| step.wave).max().unwrap_or(0) {
            let steps = || self.steps.iter().filter(|step| step.wave == wave);
            let requested = self.run.stop_timeout_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            let own = |step: &Step| {
                inventory.by_identity(&step.identity).map_or(10, |one| u64::from(container_grace(one)))
            };
            let grace = steps().map(|step| requested.unwrap_or_else(|| own(step))).max().unwrap_or(0);
            let turns = steps().count().div_ceil(self.host.parallelism().max(1));
            let waits = steps().flat_map(|step| &step.wait_for).map(limit);
            budget += Duration::from_secs(grace) * u32::try_from(turns).unwrap_or(u32::MAX)
                + waits.max().unwrap_or(HEALTH_WAIT);
        }
        budget
    }

    /// Measures the time in which a step was ready but none was in progress, because other runs held locks or permits.
    fn measure_blocked_time(&mut self, is_blocked: bool) {
        let now = self.app.clock.monotonic();
        match (is_blocked, self.blocked_since) {
            (true, None) => self.blocked_since = Some(now),
            (false, Some(since)) => {
                self.blocked_for += now.saturating_sub(since);
                self.blocked_since = None;
            }
            _ => {}
        }
    }

    /// Issues every ready step, all in one transaction, and starts them. Returns when to check the waits again.
    async fn issue_ready_steps(
        &mut self,
        flights: &mut FuturesUnordered<StepFuture>,
        running: &mpsc::UnboundedSender<Seen>,
    ) -> Option<Duration> {
        let mut look_again: Option<Duration> = None;
        let mut ready: Vec<(usize, Lock, OwnedSemaphorePermit)> = Vec::new();
        let mut blocked = false;
        for index in self.in_state(StepState::Pending) {
            match self.gate(index) {
                Gate::Open => {
                    // The permit is taken before the lock: releasing a lock wakes all waiting runs, this one too, so
                    // that runs without a permit would wake each other for ever.
                    let Some(permit) = self.app.active_runs.permit(self.host.id(), self.host.parallelism())
                    else {
                        // A step of this run frees a permit, or the release of a lock announces one.
                        blocked = true;
                        break;
                    };
                    let Some(lock) =
                        self.app.active_runs.locks().take(self.host.id(), &self.steps[index].identity)
                    else {
                        blocked = true;
                        continue;
                    };
                    ready.push((index, lock, permit));
                }
                Gate::Shut(Some(at)) => look_again = Some(look_again.map_or(at, |sooner| sooner.min(at))),
                Gate::Late(at, _) => look_again = Some(look_again.map_or(at, |sooner| sooner.min(at))),
                Gate::Shut(None) | Gate::Never(_) => {}
            }
        }
        self.measure_blocked_time(blocked && ready.is_empty() && flights.is_empty());
        if ready.is_empty() {
            return look_again;
        }
        let indexes: Vec<usize> = ready.iter().map(|(index, ..)| *index).collect();
        if !self.commit_to(&indexes).await {
            return look_again;
        }
        for (index, lock, permit) in ready {
            flights.push(self.start_step(index, Some(lock), Some(permit), false, running));
        }
        look_again
    }

    /// Stores `issued_at` of these steps before any call to Docker. Retries a failing database until the deadline;
    /// `false` where the steps could not be stored.
    async fn commit_to(&mut self, indexes: &[usize]) -> bool {
        let mut wait = STORE_RETRY.0;
        loop {
            let now = self.app.clock.now();
            match self.try_commit_to(indexes, now).await {
                Ok(()) => {
                    for index in indexes {
                        self.steps[*index].state = StepState::Issued;
                        self.steps[*index].issued_at = Some(now);
                    }
                    self.announce();
                    return true;
                }
                Err(error) => {
                    tracing::error!(run = %self.run.id, error = %chain(&error), "a step cannot be stored; not acting");
                    if self.is_late() || self.stop.is_cancelled() {
                        return false;
                    }
                    self.app.clock.sleep(wait).await;
                    wait = (wait * 2).min(STORE_RETRY.1);
                }
            }
        }
    }

    async fn try_commit_to(&self, indexes: &[usize], now: Timestamp) -> Result<()> {
        let mut tx = self.app.db.begin().await?;
        for index in indexes {
            db::steps::issue(&mut tx, &self.steps[*index].id, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    fn start_step(
        &mut self,
        index: usize,
        lock: Option<Lock>,
        permit: Option<OwnedSemaphorePermit>,
        resumed: bool,
        running: &mpsc::UnboundedSender<Seen>,
    ) -> StepFuture {
        let step = &self.steps[index];
        let operation = Operation {
            index,
            host: Arc::clone(&self.host),
            clock: self.app.clock.clone(),
            identity: step.identity.clone(),
            action: step.action,
            wakes: self.run.action == Action::Start,
            issued_at: step.issued_at.unwrap_or_else(|| self.app.clock.now()),
            grace: self.run.stop_timeout_seconds.and_then(|seconds| u32::try_from(seconds).ok()),
            retry_until: self.run.deadline_at,
            resumed,
            called: false,
            running: running.clone(),
            control: self.control.clone(),
            before_restart: None,
            // A restart step has a reason only where the container restarts because of another one.
            brings_back: step.action == Action::Restart && !step.reason.is_empty(),
            sample: self.samples.get(&step.identity).copied(),
            look: self.looks.as_mut().map(|looks| looks.take(&step.identity)),
        };
        async move {
            let outcome = Box::pin(operation.perform()).await;
            // The lock is dropped last: its release wakes runs that wait for a permit too.
            drop(permit);
            drop(lock);
            outcome
        }
        .boxed()
    }

    /// Applies the outcomes of operations to their steps, and stores them.
    async fn store_outcomes(&mut self, ended: Vec<(usize, Outcome)>) {
        let now = self.app.clock.now();
        let mut changed = Vec::new();
        let indexes: Vec<usize> = ended.iter().map(|(index, _)| *index).collect();
        for (index, outcome) in ended {
            let step = &mut self.steps[index];
            step.state = outcome.state;
            if !outcome.reason.is_empty() {
                step.reason = outcome.reason;
            }
            step.finished_at = Some(now);
            step.duration_ms = step.issued_at.map(|issued| now.as_millisecond() - issued.as_millisecond());
            step.exit_code = outcome.exit_code;
            step.error = outcome.error;
            step.output = outcome.output;
            if outcome.changed {
                self.samples.insert(step.identity.clone(), outcome.sample);
                self.ends.extend(outcome.ended.map(|ended| (step.identity.clone(), ended)));
                changed.push(index);
            }
        }
        self.store_steps(&indexes, &changed).await;
    }

    /// Stores steps that ended, and the naps of changed containers. Retries until the database accepts them, since the
    /// changes have already happened.
    async fn store_steps(&self, indexes: &[usize], changed: &[usize]) {
        let mut wait = STORE_RETRY.0;
        while let Err(error) = self.try_store_steps(indexes, changed).await {
            wait = self.after_failed_store("an outcome", &error, wait).await;
        }
        let ended = indexes.iter().map(|index| &self.steps[*index].identity);
        self.app.active_runs.ended(&self.run.id, ended);
        self.announce();
    }

    async fn try_store_steps(&self, indexes: &[usize], changed: &[usize]) -> Result<()> {
        let mut tx = self.app.db.begin().await?;
        for index in indexes {
            db::steps::finish(&mut tx, &self.steps[*index]).await?;
        }
        for index in changed {
            self.store_nap(&mut tx, &self.steps[*index]).await?;
        }
        tx.commit().await?;
        if !changed.is_empty() {
            // Docker events that arrived before the sleep was stored had no effect, so the sleeps are checked again.
            self.app.sleeps.wake();
        }
        Ok(())
    }

    async fn store_nap(&self, tx: &mut Tx, step: &Step) -> Result<()> {
        let kind = match step.action {
            Action::Stop => NapKind::Stop,
            Action::Pause => NapKind::Pause,
            Action::Start | Action::Restart | Action::Unpause => {
                db::naps::remove(tx, &step.host, &step.identity).await?;
                let issued_at = step.issued_at.unwrap_or_else(|| self.app.clock.now());
                db::sleeps::end(tx, &step.host, &step.identity, issued_at).await?;
                return Ok(());
            }
        };
        // An undo of a start whose container was not napping: the container is off again, and no wake edge may start
        // it.
        if let Some(undone) = self.run.retry_of.as_ref().filter(|_| self.run.trigger == Trigger::Undo)
            && !db::sleeps::was_ended_by(tx, &step.host, &step.identity, undone).await?
        {
            db::naps::remove(tx, &step.host, &step.identity).await?;
            return Ok(());
        }
        let ended = step.finished_at.unwrap_or_else(|| self.app.clock.now());
        // Docker's own time stamp is preferred: our clock converted to the Engine's is accurate only to about a second,
        // and a start just before the stop would look like one after it.
        let by_docker = self.ends.get(&step.identity).filter(|_| kind == NapKind::Stop);
        let since = by_docker.copied().unwrap_or_else(|| self.host.by_engine(ended));
        let nap = Nap { kind, run_id: self.run.id.clone(), since };
        db::naps::put(tx, &step.host, &step.identity, &nap).await?;
        self.remember_sleep(tx, step, kind, ended).await
    }

    /// Stores the begin of a sleep. After a crash the container may have slept for a while already: Docker has the time
    /// stamp.
    async fn remember_sleep(&self, tx: &mut Tx, step: &Step, kind: NapKind, ended: Timestamp) -> Result<()> {
        let inventory = self.host.inventory();
        let container = inventory.by_identity(&step.identity);
        let by_our_clock = |at: Option<Timestamp>| at.map(|at| self.host.by_us(at));
        let issued = step.issued_at.unwrap_or(ended);
        let stopped =
            by_our_clock(container.and_then(|one| one.finished_at)).filter(|_| kind == NapKind::Stop);
        let sleep = Sleep {
            host: step.host.clone(),
            identity: step.identity.clone(),
            kind,
            run_id: self.run.id.clone(),
            from: stopped.filter(|at| *at >= issued && *at <= ended).unwrap_or(ended),
            until: None,
            sample: self.samples.get(&step.identity).copied().unwrap_or_default(),
        };
        db::sleeps::begin(tx, &sleep, by_our_clock(container.and_then(|one| one.started_at))).await?;
        Ok(())
    }

    /// Stores the final state of the run and its audit row.
    async fn finish(&self) {
        let (state, reason) = verdict(&self.run, &self.steps, &self.control.borrow());
        let mut wait = STORE_RETRY.0;
        while let Err(error) = self.try_finish(state, &reason).await {
            wait = self.after_failed_store("the end of a run", &error, wait).await;
        }
        let took = self.app.clock.monotonic().saturating_sub(self.begun);
        self.app.vitals.counters.run_ended(&self.run, state, Some(took));
        tracing::info!(run = %self.run.id, target = %self.run.target_name, action = %self.run.action,
            state = %state, reason, "run ended");
        // Removed before the announcement, so that nobody who reacts to it still finds the run active.
        self.app.active_runs.leave(&self.run.id);
        self.announce();
    }

    async fn try_finish(&self, state: RunState, reason: &str) -> Result<()> {
        let mut tx = self.app.db.begin().await?;
        if db::runs::finish(&mut tx, &self.run.id, state, reason, self.app.clock.now()).await? {
            record_end(&mut tx, &self.app, &self.run, state, reason).await?;
            let control = self.control.borrow().clone();
            if control.cancelled_by().is_none() {
                // Containers that newer runs took over are excluded.
                let mut left = undone(&self.steps);
                left.retain(|identity| control.taken_by(identity).is_none());
                mark_unapplied(&mut tx, &self.run, &left).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// Waits after a failed attempt to store something; returns the wait after the next failure.
    async fn after_failed_store(&self, what: &str, error: &crate::app::Error, wait: Duration) -> Duration {
        tracing::error!(run = %self.run.id, error = %chain(&error), "{what} cannot be stored; trying again");
        self.app.clock.sleep(wait).await;
        (wait * 2).min(STORE_RETRY.1)
    }

    fn announce(&self) {
        self.app.bus.send(Live::Run(self.run.target.clone()));
    }
}
