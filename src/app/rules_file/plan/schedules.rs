//! The schedules of a plan.

use std::collections::{HashMap, HashSet};

use super::super::aim::TARGET;
use super::super::document::{Item, Section};
use super::super::export::is_written;
use super::super::keys::{Keyed, Taken};
use super::{Deed, Op, Origin, Planner};
use crate::app::schedules::{self as service, Draft, Planned};
use crate::app::{Error, FieldError};
use crate::db::slugs::Known;
use crate::domain::host::MAX_ID;
use crate::domain::ids::ScheduleId;
use crate::domain::schedule::{Schedule, Source};
use crate::domain::target::{ContainerIdentity, Subject, Target, TargetType};

/// An item whose target is found.
struct Aimed<'a> {
    item: &'a Item,
    draft: Draft,
    target: Target,
    key: Option<String>,
}

impl Planner<'_> {
    pub(super) fn schedules(&mut self, items: &[Item], keyed: &Keyed) {
        let (origin, source) = match self.origin {
            Origin::Import => (Source::is_editable as fn(Source) -> bool, Source::Import),
            Origin::Folder => (is_of_folder as fn(Source) -> bool, Source::File),
        };
        let known: Vec<&(Schedule, Known)> =
            keyed.schedules.iter().filter(|(one, _)| origin(one.source)).collect();
        let by_key: HashMap<(&Target, &str), &(Schedule, Known)> = known
            .iter()
            .map(|one| ((&one.0.spec.target, one.1.slug.as_deref().unwrap_or_default()), *one))
            .collect();
        let mut taken = Taken::default();
        let mut aimed = Vec::new();
        for item in items {
            if let Some(one) = self.aimed(item, keyed) {
                if let Some(key) = &one.key
                    && !taken.take(&one.target, key)
                {
                    self.fault(
                        item,
                        "key",
                        "another schedule of this target has this key; choose another one",
                    );
                    continue;
                }
                aimed.push(one);
            }
        }
        let mut found: HashSet<ScheduleId> = HashSet::new();
        for Aimed { item, draft, target, key } in aimed {
            let key = key.unwrap_or_else(|| taken.free(&target, &draft.slug_base()));
            let by_id = || known.iter().copied().find(|(one, _)| Some(one.id.as_str()) == item.text("id"));
            // A container that was named before its host had listed it is known by its service from then on.
            let by_name = || {
                let Subject::Container(ContainerIdentity::Service { .. }) = &target.subject else {
                    return None;
                };
                let name = ContainerIdentity::Name(draft.target_id.clone().unwrap_or_default());
                let named = Target::container(target.host.clone(), name);
                by_key.get(&(&named, key.as_str())).copied()
            };
            let old = by_key.get(&(&target, key.as_str())).copied().or_else(by_id).or_else(by_name);
            if let Some((one, _)) = old
                && !found.insert(one.id.clone())
            {
                self.fault(item, "key", "another item of the file is this schedule already");
                continue;
            }
            self.schedule(item, draft, old, key, source);
        }
        let left = known.into_iter().filter(|(one, _)| !found.contains(&one.id));
        let left: Vec<_> = left.filter(|(one, _)| self.is_left(one)).collect();
        for (one, known) in left {
            match self.origin {
                Origin::Import => {
                    self.version(one.id.as_str(), one.rev);
                    self.step(Section::Schedules, Deed::Delete, one.title(), Vec::new());
                    self.ops.push(Op::ScheduleDelete(Box::new(one.clone())));
                }
                Origin::Folder if known.gone_at.is_none() => {
                    self.step(Section::Schedules, Deed::Delete, one.title(), Vec::new());
                    self.ops.push(Op::ScheduleGone(Box::new(one.clone())));
                }
                Origin::Folder => {}
            }
        }
    }

    /// Whether a schedule that the file does not hold goes.
    fn is_left(&self, schedule: &Schedule) -> bool {
        match self.origin {
            Origin::Import => self.prune && is_written(schedule, self.app.clock.now()),
            Origin::Folder => true,
        }
    }

    fn aimed<'a>(&mut self, item: &'a Item, keyed: &Keyed) -> Option<Aimed<'a>> {
        let mut draft: Draft = self.draft(item)?;
        let key = item.text("key").map(str::to_owned);
        if key.as_deref().is_some_and(|key| !is_key(key)) {
            let message = format!("use 1 to {MAX_KEY} lower-case letters, digits and hyphens");
            self.fault(item, "key", &message);
        }
        let (target, name) = match self.aim.find(&item.fields, TARGET) {
            Ok((target, name)) => (self.stored_target(item, target, &name, keyed), name),
            Err((field, message)) => {
                self.fault(item, &field, &message);
                return None;
            }
        };
        // A name may mean another container later.
        self.versions.push(format!("{target:?}"));
        draft.id = None;
        draft.calendar_id = None;
        if let Some(name) = item.text("calendar") {
            let lower = name.to_lowercase();
            let found = self.book.calendars.iter().find(|one| one.name.to_lowercase() == lower);
            draft.calendar_id = found.map(|one| one.id.to_string());
            if draft.calendar_id.is_none() {
                draft.calendar_effect = None;
                let message = "there is no calendar of this name, neither here nor in the file";
                self.fault(item, "calendar", message);
            }
        }
        let services = match service::check_services(&draft, target.target_type()) {
            Ok(services) => services,
            Err(message) => {
                self.fault(item, "services", &message);
                return None;
            }
        };
        let (target, name) = service::narrowed(target, name, services);
        draft.target_id = Some(name);
        draft.known = Some(target.clone());
        Some(Aimed { item, draft, target, key })
    }

    /// A target as the stored schedules know it, where nothing of its name is there now. While a host is away, a name
    /// says neither on which host a stack is nor to which service a container belongs.
    fn stored_target(&self, item: &Item, target: Target, name: &str, keyed: &Keyed) -> Target {
        let inventory = self.app.hosts.get(&target.host).map(|host| host.inventory());
        let is_there = inventory.is_some_and(|inventory| !inventory.members(&target.subject).is_empty());
        if is_there || target.is_wide() || item.text("identity").is_some() {
            return target;
        }
        let is_alike = |stored: &Schedule| match &stored.spec.target.subject {
            Subject::Stack(stack) | Subject::Services { stack, .. } => {
                target.subject.stack() == Some(stack.as_str())
            }
            Subject::Container(_) => {
                target.target_type() == TargetType::Container && stored.spec.target_name == name
            }
            Subject::Host | Subject::Group(_) => false,
        };
        let stored = keyed.schedules.iter().filter(|(one, known)| known.gone_at.is_none() && is_alike(one));
        let stored: Vec<&Target> = stored.map(|(one, _)| &one.spec.target).collect();
        let here = stored.iter().find(|one| one.host == target.host);
        let elsewhere = stored.first().filter(|_| item.text("host").is_none());
        match here.or(elsewhere) {
            Some(Target { host, subject: Subject::Services { stack, .. } }) => {
                Target::stack(host.clone(), stack.clone())
            }
            Some(stored) => Target::clone(stored),
            None => target,
        }
    }

    fn schedule(
        &mut self,
        item: &Item,
        mut draft: Draft,
        old: Option<&(Schedule, Known)>,
        key: String,
        source: Source,
    ) {
        let is_gone = old.is_some_and(|(_, known)| known.gone_at.is_some());
        if let Some((one, known)) = old
            && self.origin == Origin::Folder
            && (!is_gone || known.off_reason.is_none())
            && draft.enabled != Some(false)
        {
            // The switch of the page stays.
            draft.enabled = Some(one.spec.enabled);
        }
        let stored = old.map(|(one, _)| one);
        let planned = match service::planned(self.app, self.actor, &draft, stored, source, &self.book) {
            Ok(planned) => planned,
            Err(Error::Invalid(found)) if is_over(&found) => {
                // It has done what it was for, or came too late; the rest of the file still counts.
                self.same += 1;
                self.warnings.push(format!("{}: its instant has passed; it is left as it is.", item.path));
                return;
            }
            Err(Error::Invalid(found)) => {
                for mut fault in found {
                    if fault.field == "calendar_id" {
                        "calendar".clone_into(&mut fault.field);
                    }
                    self.fault(item, &fault.field, &fault.message);
                }
                return;
            }
            Err(other) => {
                self.fault(item, "", &other.to_string());
                return;
            }
        };
        let Planned { schedule: new, warnings } = planned;
        let title = new.title();
        match stored {
            Some(old) if *old == new && !is_gone => {
                self.same += 1;
                return;
            }
            Some(old) if *old == new => {
                self.step(Section::Schedules, Deed::Change, title.clone(), Vec::new());
                self.ops.push(Op::ScheduleBack(Box::new(old.clone())));
            }
            Some(old) => {
                self.version(old.id.as_str(), old.rev);
                let changes = service::changed_fields(old, &new);
                self.step(Section::Schedules, Deed::Change, title.clone(), changes);
                self.ops.push(Op::Schedule(Box::new((Some(old.clone()), new, key))));
            }
            None => {
                self.step(Section::Schedules, Deed::Create, title.clone(), Vec::new());
                self.ops.push(Op::Schedule(Box::new((None, new, key))));
            }
        }
        self.warnings
            .extend(warnings.into_iter().map(|warning| format!("{} ({title}): {warning}", item.path)));
    }
}

/// The longest key: that of a name with a number.
const MAX_KEY: usize = MAX_ID + 8;

fn is_key(text: &str) -> bool {
    (1..=MAX_KEY).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether all that is wrong with a schedule is that its single instant has passed.
fn is_over(found: &[FieldError]) -> bool {
    matches!(found, [fault] if fault.field == "at" && fault.message == service::PASSED)
}

fn is_of_folder(source: Source) -> bool {
    source == Source::File
}
