//! Builds the lines of the "Needs attention" list, with one function for each kind of cause.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::{AttentionInput, AttentionItem, Cure};
use crate::app::backup::copies::Trouble;
use crate::app::history::FAILURE_HOURS;
use crate::app::hosts::expiry;
use crate::app::rules_file::FolderFault;
use crate::app::stacks::{ContainerView, HostLink, ShownState, StackView};
use crate::domain::action::Action;
use crate::domain::ids::HostId;
use crate::domain::inventory::{Link, StackStatus, labels};
use crate::domain::overrides::{DesiredState, Override};
use crate::domain::plan::NOTHING_NAPPED;
use crate::domain::run::{Run, RunState};
use crate::domain::schedule::Schedule;
use crate::domain::target::{Subject, Target};
use crate::domain::text::capital;
use crate::web::pages::actions::{Act, TargetAction};
use crate::web::pages::runs::words;
use crate::web::shell::Shell;
use crate::web::view::{self, Badge, Now, shown_name};

/// The longest time in seconds that a target may take to reach its wanted state.
const SETTLE_SECONDS: i64 = 120;

/// A short list of names, as in `a, b, c and 2 more`.
fn short_list(names: &[String]) -> String {
    view::first_few(names, ", ", " and ")
}

fn names<'a>(of: impl Iterator<Item = &'a ContainerView>) -> String {
    short_list(&of.map(|view| shown_name(&view.container.name)).collect::<Vec<_>>())
}

/// The data for the lines, and the present time.
struct Lines<'a> {
    input: &'a AttentionInput,
    shell: &'a Shell,
    now: &'a Now,
}

/// All lines, unsorted.
pub(super) fn all(input: &AttentionInput, shell: &Shell) -> Vec<AttentionItem> {
    let AttentionInput { overview, runs, left, storage, backup, folder, .. } = input;
    let lines = Lines { input, shell, now: &shell.now };
    let (stacks, loose) = (|| overview.stacks.iter(), || overview.loose.iter());
    let mut items: Vec<AttentionItem> = storage.map(unstored).into_iter().collect();
    items.extend(backup.as_ref().map(backup_trouble));
    items.extend(folder.iter().map(not_followed));
    items.extend(overview.hosts.iter().filter_map(unreachable));
    items.extend(overview.hosts.iter().filter_map(|host| lines.ending_certificate(host)));
    items.extend(overview.containers().filter_map(|view| lines.unwell(view)));
    items.extend(overview.containers().filter_map(|view| lines.crashed(view)));
    items.extend(stacks().filter_map(|view| lines.partly_up(view)));
    items.extend(stacks().filter_map(|view| lines.drifted_stack(view)));
    items.extend(loose().filter_map(|view| lines.drifted(view)));
    items.extend(stacks().filter_map(|view| {
        let members: Vec<&ContainerView> = view.containers.iter().collect();
        lines.found(&members, &view.target(), &view.stack.name)
    }));
    items.extend(
        loose().filter_map(|view| lines.found(&[view], &view.container.target(), &view.container.name)),
    );
    items.extend(overview.containers().filter_map(|view| lines.odd_label(view)));
    items.extend(lines.ownerless(left));
    items.extend(lines.newest(runs).filter_map(|run| lines.failed(run)));
    items
}

/// The database cannot store anything. The line has no id, because hiding it could not be stored either.
fn unstored(fault: &'static str) -> AttentionItem {
    let again = Act::post("Try again", "rotate-cw", "/needs/storage", "to store");
    AttentionItem::new("bad", "triangle-alert", "Nothing can be stored", capital(fault), "/health")
        .with_cure(Cure::at_once(again))
}

fn backup_trouble(trouble: &Trouble) -> AttentionItem {
    let item = |tone: &'static str, title: &'static str, text: String| {
        AttentionItem::new(tone, "triangle-alert", title, text, "/settings/backup")
    };
    match trouble {
        Trouble::Failed(failure) => item("bad", "The backup failed", capital(&failure.message))
            .with_id_from(&["backup", "failed", &failure.message])
            .at(Some(failure.at)),
        Trouble::Old(last) => item(
            "warn",
            "The last backup is old",
            "Daily copies are on, but none was made for a week".to_owned(),
        )
        .with_id_from(&["backup", "old", &last.to_string()])
        .at(Some(*last)),
    }
}

/// The watched directory has a fault; its last good rules stay.
fn not_followed(fault: &FolderFault) -> AttentionItem {
    let title = "The rules directory is not followed";
    let item = AttentionItem::new("warn", "triangle-alert", title, shown_name(&fault.text), "/schedules");
    item.with_id_from(&["rules", &fault.text, &fault.since.to_string()]).at(Some(fault.since))
}

fn unreachable(host: &HostLink) -> Option<AttentionItem> {
    let Link::Unreachable { reason, since } = &host.link else { return None };
    let (id, name) = (host.id.as_str(), host.name.as_str());
    let title = format!("Host {} does not answer", shown_name(name));
    let connect = Act::post("Connect now", "rotate-cw", "/needs/hosts", format!("to host {name}"));
    let item =
        AttentionItem::new("bad", Badge::UNREACHABLE.icon, title, shown_name(reason), format!("/hosts/{id}"));
    let item = item.with_id_from(&["host", id, &since.to_string()]).at(Some(*since));
    Some(item.with_cure(Cure::at_once(connect)))
}

fn page(view: &ContainerView) -> String {
    view::target_page(&view.container.target())
}

fn instant(at: Option<Timestamp>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

impl<'a> Lines<'a> {
    /// The certificate of a host that ends first, if that is soon. A hidden line shows again at the next notice.
    fn ending_certificate(&self, host: &HostLink) -> Option<AttentionItem> {
        let one = expiry::first_to_end(&host.certificates, self.now.at)?;
        let days = expiry::notice(one.not_after, self.now.at)?;
        let (id, name) = (host.id.as_str(), shown_name(&host.name));
        let when = self.now.when(one.not_after);
        let (tone, title) = match days {
            0 => ("bad", format!("A certificate for host {name} has ended")),
            3 => ("bad", format!("A certificate for host {name} ends {}", when.relative)),
            _ => ("warn", format!("A certificate for host {name} ends {}", when.relative)),
        };
        let text =
            format!("{} {}, until {}: renew it", one.role.whose(), shown_name(&one.subject), when.short);
        let item = AttentionItem::new(tone, "lock", title, text, format!("/hosts/{id}"));
        Some(item.with_id_from(&["certificate", id, &one.not_after.to_string(), &days.to_string()]))
    }

    /// A name to show, with its host where there is more than one.
    fn placed(&self, name: &str, host: &HostId) -> String {
        shown_name(&self.shell.placed(name, host))
    }

    /// One line for all schedules without an owner.
    fn ownerless(&self, left: &[(Schedule, String)]) -> Option<AttentionItem> {
        let (first, by) = left.first()?;
        let titles: Vec<String> =
            left.iter().map(|(one, _)| self.placed(&one.title(), &one.spec.target.host)).collect();
        let ids: Vec<&str> = left.iter().map(|(one, _)| one.id.as_str()).collect();
        let gone = if left.iter().all(|(_, other)| other == by) {
            format!("The account {} was deleted", shown_name(by))
        } else {
            "Their accounts were deleted".to_owned()
        };
        let (title, text, href) = match left {
            [_] => (format!("{} has no owner", titles[0]), gone, format!("/schedules/{}", first.id)),
            all => {
                let title = format!("{} schedules have no owner", all.len());
                (title, format!("{gone}: {}", short_list(&titles)), "/schedules".to_owned())
            }
        };
        let count = view::count(left.len(), "schedule");
        let adopt = Act::post("Take over", "circle-user", "/needs/owners", count);
        let item = AttentionItem::new("warn", "circle-user", title, text, href);
        Some(item.with_id_from(&["left", &ids.join(" ")]).with_cure(Cure::at_once(adopt)))
    }

    fn unwell(&self, view: &ContainerView) -> Option<AttentionItem> {
        let container = &view.container;
        let (text, action, since) = match view.shown {
            ShownState::Unhealthy => ("Its health check fails", Action::Restart, container.unhealthy_since),
            ShownState::RestartLooping => {
                ("It ends again and again, and Docker brings it back each time", Action::Stop, None)
            }
            _ => return None,
        };
        // The start of the present execution. A container that restarts again and again has no meaningful start.
        let up = container.started_at.filter(|_| view.shown != ShownState::RestartLooping);
        let badge = Badge::from(view.shown);
        let title =
            format!("{} is {}", self.placed(&container.name, &container.host), badge.word.to_lowercase());
        let item = AttentionItem::new("warn", badge.icon, title, text, page(view));
        let item = item.with_id_from(&["unwell", badge.word, &container.id, &instant(up)]).at(since);
        Some(AttentionItem { since, ..item.with_cure(self.cure(view, action)) })
    }

    fn odd_label(&self, view: &ContainerView) -> Option<AttentionItem> {
        let first = self.input.labels.of(&view.container).and_then(|faults| faults.iter().next());
        let problem = match first {
            // The sentence about a label that is no rule names it.
            Some((label, sentence)) if sentence.starts_with(label.as_str()) => sentence.clone(),
            Some((label, sentence)) => format!("{label}: {sentence}"),
            None => labels::problems(&view.container.labels).into_iter().next()?,
        };
        let title = format!(
            "{} has a label DockNap cannot read",
            self.placed(&view.container.name, &view.container.host)
        );
        let item = AttentionItem::new("warn", "triangle-alert", title, shown_name(&problem), page(view));
        Some(item.with_id_from(&["label", &view.container.key(), &problem]))
    }

    /// The button for an action on a container. `None` if DockNap must not act on the container.
    fn cure(&self, view: &ContainerView, action: Action) -> Option<Cure> {
        let is_touched = view.protected.is_none() && view.container.is_ordinary();
        let act = || {
            Act::new(
                TargetAction::Do(action),
                &view.container.target(),
                &self.shell.placed(&view.container.name, &view.container.host),
            )
        };
        is_touched.then(act).map(Cure::with_confirmation)
    }

    /// Whether a run on this target is under way.
    fn is_busy(&self, target: &Target) -> bool {
        let groups = &self.input.overview.memberships;
        let acts_on_it = |run: &&Run| {
            let is_several = run.target.is_wide() || run.target.subject.services().is_some();
            run.target == *target || is_several && groups.overlap(&run.target, target)
        };
        self.input.runs.iter().filter(acts_on_it).any(|run| !run.state.is_terminal())
    }

    /// Whether the present wanted state began long enough ago for the container to have reached it.
    fn has_settled(&self, view: &ContainerView) -> bool {
        let now = self.now.at;
        let begun = now.checked_sub(SignedDuration::from_secs(SETTLE_SECONDS)).unwrap_or(Timestamp::MIN);
        view.wanted.intervals.iter().any(|interval| interval.from <= begun && now < interval.until)
    }

    fn crashed(&self, view: &ContainerView) -> Option<AttentionItem> {
        let (code, container) = (view.failure()?, &view.container);
        let stack = container.stack().map(|name| Target::stack(container.host.clone(), name));
        if self.is_busy(&container.target()) || stack.is_some_and(|stack| self.is_busy(&stack)) {
            return None;
        }
        let title = format!("{} ended with exit code {code}", self.placed(&container.name, &container.host));
        let by = view.by_hand().map(|by| self.now.words(&shown_name(&by)));
        let text = by.unwrap_or_else(|| "It is down".to_owned());
        let item = AttentionItem::new("bad", "circle-x", title, text, page(view)).at(container.finished_at);
        let item = item.with_id_from(&["crashed", &container.id, &instant(container.finished_at)]);
        Some(item.with_cure(self.cure(view, Action::Start)))
    }

    /// A stack that is only partly up. Containers that nap, failed or completed do not count as down, and a failed one
    /// has a line of its own.
    fn partly_up(&self, view: &StackView) -> Option<AttentionItem> {
        let (target, name) = (view.target(), &view.stack.name);
        if view.stack.status != StackStatus::Partial || self.is_busy(&target) {
            return None;
        }
        let is_down = |one: &&ContainerView| {
            one.shown == ShownState::Stopped && one.container.is_ordinary() && one.failure().is_none()
        };
        let down: Vec<&ContainerView> = view.containers.iter().filter(is_down).collect();
        let (first, more) = (down.first()?, down.len() - 1);
        let others = if more > 0 { format!(", and {more} more") } else { String::new() };
        let by = first.by_hand().unwrap_or_else(|| "DockNap was not watching when it ended".to_owned());
        let text = format!("{} is down{others}. {}", shown_name(&first.container.name), shown_name(&by));
        let ends = down.iter().map(|one| format!("{} {:?}", one.container.id, one.container.finished_at));
        let ends = ends.collect::<Vec<_>>().join(" ");
        let start = || {
            Cure::with_confirmation(Act::new(
                TargetAction::Do(Action::Start),
                &target,
                &self.shell.placed(name, &target.host),
            ))
        };
        let title = format!("{} is only partly up", self.placed(name, &target.host));
        let (icon, href) = (Badge::PARTIAL.icon, view::target_page(&target));
        let item = AttentionItem::new("warn", icon, title, self.now.words(&text), href)
            .with_id_from(&["partly", &view.stack.key, &ends])
            .at(down.iter().filter_map(|one| one.container.finished_at).max());
        Some(item.with_cure(view.protected.is_none().then(start)))
    }

    fn drifted_stack(&self, view: &StackView) -> Option<AttentionItem> {
        let (wanted, off) = view.drifted()?;
        let target = view.target();
        if self.is_busy(&target) || !off.iter().any(|one| self.has_settled(one)) {
            return None;
        }
        let which = names(off.iter().copied());
        Some(self.drift(wanted, &off, &target, &view.stack.name, &which))
    }

    fn drifted(&self, view: &ContainerView) -> Option<AttentionItem> {
        let (wanted, target) = (view.drifted()?, view.container.target());
        let tells = !self.is_busy(&target) && self.has_settled(view);
        tells.then(|| self.drift(wanted, &[view], &target, &view.container.name, "It"))
    }

    /// The line for a target whose containers in `off` are not in the wanted state.
    fn drift(
        &self,
        wanted: DesiredState,
        off: &[&ContainerView],
        target: &Target,
        name: &str,
        which: &str,
    ) -> AttentionItem {
        let asleep = wanted == DesiredState::Asleep;
        let does = match (asleep, off.len()) {
            (true, 0..2) => "runs in its sleep hours",
            (true, _) => "run in their sleep hours",
            (false, 0..2) => "sleeps in its waking hours",
            (false, _) => "sleep in their waking hours",
        };
        let text = match off.iter().find_map(|view| view.by_hand()) {
            Some(by) => self.now.words(&format!("{which} {does}. {}", shown_name(&by))),
            None => format!("{which} {does}"),
        };
        let (is, should) = if asleep { ("up", "asleep") } else { ("napping", "awake") };
        let title = format!("{} is {is} although it should be {should}", self.placed(name, &target.host));
        // The drift is identified by the wanted state, its end, and the instant since which each container in `off` has
        // its present state.
        let mut mark = wanted.as_str().to_owned();
        for view in off {
            let change = view.wanted.transitions.first().map(|change| change.at);
            let since = if asleep { view.container.started_at } else { view.napping_since };
            let _ = write!(mark, " {} {change:?} {since:?}", view.container.id);
        }
        let act = if asleep { TargetAction::Nap } else { TargetAction::Wake };
        AttentionItem::new("warn", Badge::DRIFTED.icon, title, text, view::target_page(target))
            .with_id_from(&["drift", &target.key(), &mark])
            .with_cure(Cure::with_confirmation(Act::new(act, target, &self.shell.placed(name, &target.host))))
    }

    /// One line for all containers of a target that were found running in their sleep window without a known cause.
    fn found(&self, of: &[&ContainerView], target: &Target, name: &str) -> Option<AttentionItem> {
        let up = of.iter().filter(|view| view.container.state.is_up());
        let found = up.filter_map(|view| {
            Some((*view, view.wanted.by_override.as_ref().filter(|one| one.is_unproven())?))
        });
        let found: Vec<(&ContainerView, &Override)> = found.collect();
        let until = self.now.when(found.first()?.1.until).short;
        let which = match target.subject {
            Subject::Container(_) => "S".to_owned(),
            _ => format!("{}: s", names(found.iter().map(|(view, _)| *view))),
        };
        let ids: Vec<&str> = found.iter().map(|(_, one)| one.id.as_str()).collect();
        let (page, shown) = (view::target_page(target), self.placed(name, &target.host));
        let again = Act::post("Nap again", "moon", format!("{page}/nap-again"), shown.as_str());
        let title = format!("{shown} was found running in its sleep hours");
        let text = format!("{which}tarted while nobody was watching, so it stays awake until {until}");
        let item = AttentionItem::new("warn", Badge::DRIFTED.icon, title, text, page)
            .with_id_from(&["found", &target.key(), &ids.join(" ")])
            .at(found.iter().map(|(_, one)| one.created_at).max());
        Some(item.with_cure(Cure::at_once(again)))
    }

    /// The newest recent run of each target. Runs that never began do not count, except those that found nothing to
    /// wake, and those whose host was away for as long as they could wait. While it is away its own line tells enough.
    fn newest(&self, runs: &'a [Run]) -> impl Iterator<Item = &'a Run> {
        let hours = SignedDuration::from_hours(FAILURE_HOURS);
        let oldest = self.now.at.checked_sub(hours).unwrap_or(Timestamp::MIN);
        let mut seen: Vec<&Target> = Vec::new();
        let is_away = |run: &Run| {
            let mut hosts = self.input.overview.hosts.iter();
            hosts.any(|host| host.id == run.target.host && matches!(host.link, Link::Unreachable { .. }))
        };
        let waited = move |run: &Run| run.state == RunState::Failed && run.attempt > 0 && !is_away(run);
        let tells = move |run: &&Run| {
            run.started_at.is_some() || run.reason.starts_with(NOTHING_NAPPED) || waited(run)
        };
        runs.iter().filter(move |run| run.created_at >= oldest).filter(tells).filter(move |run| {
            // A later run of the whole stack is one of its services too.
            let is_of_whole = |later: &&Target| {
                let services = run.target.subject.services();
                let stack = run.target.subject.stack().filter(|_| services.is_some());
                later.host == run.target.host
                    && later.subject.services().is_none()
                    && later.subject.stack().is_some()
                    && later.subject.stack() == stack
            };
            let is_newest = !seen.contains(&&run.target) && !seen.iter().any(is_of_whole);
            seen.push(&run.target);
            is_newest
        })
    }

    fn failed(&self, run: &Run) -> Option<AttentionItem> {
        let name = self.placed(&run.target_name, &run.target.host);
        let href = format!("/runs/{}", run.id);
        let item = if run.state == RunState::Skipped && run.reason.starts_with(NOTHING_NAPPED) {
            let start = Act::new(
                TargetAction::Do(Action::Start),
                &run.target,
                &self.shell.placed(&run.target_name, &run.target.host),
            );
            let start = match &run.schedule_id {
                // The button of the stack would start all of it.
                Some(id) if run.target.subject.services().is_some() => {
                    Act { href: format!("/schedules/{id}/run?edge=wake"), ..start }
                }
                _ => start,
            };
            let text = "DockNap had put nothing of it to sleep";
            AttentionItem::new("warn", "sunrise", format!("Nothing of {name} was woken"), text, href)
                .with_cure(Cure::with_confirmation(Act { label: "Start all now", ..start }))
        } else if run.state.needs_attention() {
            let badge = Badge::from(run.state);
            let title = format!("{} {name}: {}", run.action.label(), badge.word.to_lowercase());
            let label = if run.state == RunState::Partial { "Retry failed only" } else { "Try again" };
            let retry = Act { label, of: name, ..Act::retry(run) };
            AttentionItem::new("bad", badge.icon, title, words::in_short(&run.reason, self.now), href)
                .with_cure(Cure::at_once(retry))
        } else {
            return None;
        };
        Some(item.with_id_from(&["run", run.id.as_str()]).at(Some(run.finished_at.unwrap_or(run.created_at))))
    }
}
