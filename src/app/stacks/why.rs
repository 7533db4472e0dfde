//! Why a stack or container is as it is: who acted last, as long as it is still as they left it.

use jiff::Timestamp;

use super::{AT_WORK, ContainerView, Known, UNTOUCHED, clock_time};
use crate::db::history::LastTouch;
use crate::domain::action::Action;
use crate::domain::inventory::{Container, ContainerState, Stack, StackStatus};
use crate::domain::nap::Nap;
use crate::domain::target::Target;
use crate::domain::text::small;

impl Known {
    /// Tells of the last run that touched a container, as long as the container is still as that run left it.
    pub(super) fn why(
        &self,
        container: &Container,
        nap: Option<&Nap>,
        touch: Option<&LastTouch>,
        completed: bool,
    ) -> String {
        if self.is_busy(container) {
            return AT_WORK.to_owned();
        }
        let Some(touch) = touch else { return UNTOUCHED.to_owned() };
        if completed {
            return "It has done its work and ended".to_owned();
        }
        let up = container.state.is_up();
        let ours = |theirs: Timestamp| self.by_us(container, theirs);
        // What a run left undone is not of anybody else's making, unless it changed after it.
        let left_so = |at: Option<Timestamp>| touch.partly && at.is_none_or(|at| at <= touch.finished_at);
        match touch.action {
            _ if container.state == ContainerState::Paused && nap.is_none() => {
                self.outside("Paused", None, touch)
            }
            Action::Stop | Action::Pause if up && left_so(container.started_at.map(ours)) => {
                format!("Stayed up when {}", small(&self.tell(touch)))
            }
            Action::Start | Action::Unpause | Action::Restart
                if !up && left_so(container.finished_at.map(ours)) =>
            {
                format!("Did not come up when {}", small(&self.tell(touch)))
            }
            Action::Stop | Action::Pause if nap.is_none() && up => {
                self.outside("Started", container.started_at.map(ours), touch)
            }
            Action::Start | Action::Unpause | Action::Restart if !up => {
                self.outside("Stopped", container.finished_at.map(ours), touch)
            }
            // It was down before the stop that skipped it.
            Action::Stop | Action::Pause if nap.is_none() => "Stopped outside DockNap".to_owned(),
            _ => self.tell(touch),
        }
    }

    fn outside(&self, what: &str, at: Option<Timestamp>, touch: &LastTouch) -> String {
        match at.filter(|at| *at > touch.finished_at) {
            Some(at) => {
                format!("{what} outside DockNap, {}", clock_time(at, self.now, &self.facts.zone.zone))
            }
            None => format!("{what} outside DockNap"),
        }
    }

    /// "Stopped by schedule Office nights, 23:00 yesterday"
    fn tell(&self, touch: &LastTouch) -> String {
        let by = match &touch.schedule_name {
            Some(name) => format!("schedule {name}"),
            None => touch.actor.name.clone(),
        };
        format!(
            "{} by {by}, {}",
            past(touch.action),
            clock_time(touch.finished_at, self.now, &self.facts.zone.zone)
        )
    }

    pub(super) fn why_of_stack(
        &self,
        stack: &Stack,
        target: &Target,
        containers: &[ContainerView],
        napping: bool,
        protected: Option<&str>,
    ) -> String {
        if let Some(reason) = protected {
            return format!("DockNap never touches it: {reason}");
        }
        if containers.iter().any(|view| self.is_busy(&view.container)) {
            return AT_WORK.to_owned();
        }
        let Some(touch) = self.facts.touches.get(target) else {
            // Only single containers were touched, if any.
            return containers
                .iter()
                .filter(|view| view.napping_since.is_some())
                .max_by_key(|view| view.napping_since)
                .map_or_else(
                    || UNTOUCHED.to_owned(),
                    |view| format!("{}: {}", view.container.name, view.last),
                );
        };
        let asleep = matches!(touch.action, Action::Stop | Action::Pause);
        match stack.status {
            StackStatus::Running if asleep => "Started outside DockNap".to_owned(),
            StackStatus::Stopped if !asleep => "Stopped outside DockNap".to_owned(),
            StackStatus::Paused if !asleep => "Paused outside DockNap".to_owned(),
            StackStatus::Stopped if asleep && !napping => "Stopped outside DockNap".to_owned(),
            StackStatus::Partial => {
                let changed = containers.iter().find(|view| view.last.contains("outside DockNap"));
                match changed {
                    Some(view) => format!("{}; {}: {}", self.tell(touch), view.container.name, view.last),
                    None if touch.partly => format!("{}, only in part", self.tell(touch)),
                    None => self.tell(touch),
                }
            }
            _ => self.tell(touch),
        }
    }
}

fn past(action: Action) -> &'static str {
    match action {
        Action::Start => "Started",
        Action::Stop => "Stopped",
        Action::Restart => "Restarted",
        Action::Pause => "Paused",
        Action::Unpause => "Unpaused",
    }
}
