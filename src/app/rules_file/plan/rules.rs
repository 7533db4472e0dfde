//! Hosts, groups, calendars, locks and order of a plan.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::aim::TARGET;
use super::super::document::{Item, Section, text_of};
use super::{Deed, Op, Planner};
use crate::app::groups::{self, GroupDraft};
use crate::app::hosts::{self, HostDraft};
use crate::app::rulebook::RuleBook;
use crate::app::{Result, calendars, dates, locks, memberships, order};
use crate::db;
use crate::domain::audit::Change;
use crate::domain::calendar::CalendarDraft;
use crate::domain::dependency::AddedEdge;
use crate::domain::group::{Group, GroupSource, Member};
use crate::domain::host::id_from;
use crate::domain::inventory::Inventory;
use crate::domain::target::{Target, TargetType};

const TWICE: &str = "the file holds it twice; take one out";

impl Planner<'_> {
    /// Reads the groups that can be named.
    pub(super) async fn groups_known(&mut self) -> Result<()> {
        let (groups, _) = memberships::known(self.app).await?;
        self.aim.groups = groups.into_iter().map(|one| (one.id, one.spec.name)).collect();
        Ok(())
    }

    pub(super) async fn hosts(&mut self, items: &[Item]) -> Result<()> {
        let mut known = hosts::records(self.app).await?;
        let mut seen = HashSet::new();
        for item in items {
            let Some(draft) = self.draft::<HostDraft>(item) else { continue };
            if item.text("key").is_some_and(|key| key != "set") {
                let message =
                    "a rules file holds no secrets: write `set`, and enter the key on the page of the host";
                self.fault(item, "key", message);
                continue;
            }
            let id = named_id(item);
            if !seen.insert(id.clone()) {
                self.fault(item, "id", TWICE);
                continue;
            }
            let at = known.iter().position(|one| one.id.as_str() == id);
            let old = at.and_then(|at| known.get(at)).cloned();
            if old.as_ref().is_some_and(|old| !old.is_editable()) {
                self.fault(item, "id", "this host comes from the settings; take it out of the file");
                continue;
            }
            let new = match hosts::planned(self.app, &draft, old.as_ref(), &known) {
                Ok(new) => new,
                Err(error) => {
                    self.refuse(item, error)?;
                    continue;
                }
            };
            if !new.enabled && draft.enabled != Some(false) {
                self.warnings.push(format!(
                    "{} ({}): it is disabled until its private key is entered on its page.",
                    item.path, new.id
                ));
            }
            match (&old, at) {
                (Some(old), _) if *old == new => self.same += 1,
                (Some(old), Some(at)) => {
                    self.version(old.id.as_str(), old.rev);
                    let changes = hosts::changed_fields(old, &new);
                    self.step(Section::Hosts, Deed::Change, new.spec.name.clone(), changes);
                    known.swap_remove(at);
                    known.push(new.clone());
                    self.ops.push(Op::Host(Box::new((Some(old.clone()), new))));
                }
                _ => {
                    self.step(Section::Hosts, Deed::Create, new.spec.name.clone(), Vec::new());
                    self.aim.hosts.push((new.id.clone(), new.spec.name.clone()));
                    known.push(new.clone());
                    self.ops.push(Op::Host(Box::new((None, new))));
                }
            }
        }
        Ok(())
    }

    pub(super) async fn groups(&mut self, items: &[Item]) -> Result<()> {
        let (mut known, _) = memberships::known(self.app).await?;
        let members = db::groups::members(&self.app.db).await?;
        let mut seen = HashSet::new();
        for item in items {
            let Some(draft) = self.draft::<GroupDraft>(item) else { continue };
            let id = named_id(item);
            if !seen.insert(id.clone()) {
                self.fault(item, "id", TWICE);
                continue;
            }
            let at = known.iter().position(|one| one.id.as_str() == id);
            let old = at.and_then(|at| known.get(at)).cloned();
            let new = match groups::planned(self.app, &draft, old.as_ref(), &known, GroupSource::Api) {
                Ok(new) => new,
                Err(error) => {
                    self.refuse(item, error)?;
                    continue;
                }
            };
            if let Some(at) = at {
                known.swap_remove(at);
            }
            known.push(new.clone());
            self.aim.groups.retain(|(known, _)| *known != new.id);
            self.aim.groups.push((new.id.clone(), new.spec.name.clone()));
            self.group(item, old, new, &members);
        }
        if self.prune {
            for group in
                known.into_iter().filter(|one| groups::is_stored(one) && !seen.contains(one.id.as_str()))
            {
                self.version(group.id.as_str(), group.rev);
                self.step(Section::Groups, Deed::Delete, group.spec.name.clone(), Vec::new());
                self.ops.push(Op::GroupDelete(Box::new(group)));
            }
        }
        Ok(())
    }

    /// A group with its members; `all` are the stored members of all groups.
    fn group(&mut self, item: &Item, old: Option<Group>, new: Group, all: &[Member]) {
        let of_group: Vec<&Member> = all.iter().filter(|one| one.group == new.id).collect();
        let mut changes = Vec::new();
        let mut listed: HashSet<Target> = HashSet::new();
        let mut added = Vec::new();
        for (at, fields) in item.maps("members").into_iter().enumerate() {
            let (target, target_name) = match self.aim.find(fields, TARGET) {
                Ok((target, _)) if target.target_type() == TargetType::Group => {
                    let message = "groups have no groups as members; use host, stack or container";
                    self.fault(item, &format!("members[{at}].target_type"), message);
                    continue;
                }
                Ok(found) => found,
                Err((field, message)) => {
                    self.fault(item, &format!("members[{at}].{field}"), &message);
                    continue;
                }
            };
            if !listed.insert(target.clone()) {
                self.fault(item, &format!("members[{at}]"), TWICE);
            } else if !of_group.iter().any(|one| one.target == target) {
                changes.push(Change::to("member", groups::shown(&target, &target_name)));
                added.push(Member { group: new.id.clone(), target, target_name, source: GroupSource::Api });
            }
        }
        // A group without a list of members says nothing about them.
        let prunes = self.prune && item.fields.contains_key("members");
        let gone = of_group.into_iter().filter(|one| prunes && !listed.contains(&one.target));
        let gone: Vec<&Member> = gone.collect();
        changes.extend(gone.iter().map(|one| Change {
            field: "member".to_owned(),
            old: Some(groups::shown(&one.target, &one.target_name)),
            new: None,
        }));
        let stored = old.as_ref().filter(|old| groups::is_stored(old));
        let is_same = stored.is_some_and(|old| old.spec == new.spec);
        if is_same && changes.is_empty() {
            self.same += 1;
            return;
        }
        let name = new.spec.name.clone();
        match stored {
            None => self.step(Section::Groups, Deed::Create, name, Vec::new()),
            Some(old) => {
                let fields = groups::changed_fields(old, &new);
                let changes = fields.into_iter().chain(changes).collect();
                self.version(old.id.as_str(), old.rev);
                self.step(Section::Groups, Deed::Change, name, changes);
            }
        }
        let writes = added.into_iter().map(|member| Op::Member(Box::new((new.clone(), member))));
        let removals = gone
            .into_iter()
            .map(|one| Op::MemberGone(Box::new((new.clone(), one.target.clone(), one.target_name.clone()))));
        self.ops.extend(writes.chain(removals));
        if !is_same {
            self.ops.push(Op::Group(Box::new((old, new))));
        }
    }

    pub(super) async fn calendars(&mut self, items: &[Item]) -> Result<()> {
        let known = db::calendars::revisions(&self.app.db).await?;
        let month = dates::today(self.app).first_of_month();
        let mut book = RuleBook::clone(&self.book);
        let mut seen = HashSet::new();
        for item in items {
            let Some(draft) = self.draft::<CalendarDraft>(item) else { continue };
            let lower = draft.name.trim().to_lowercase();
            if !seen.insert(lower.clone()) {
                self.fault(item, "name", TWICE);
                continue;
            }
            let id = known.iter().find(|(_, name, _)| name.to_lowercase() == lower).map(|(id, ..)| id);
            let old = match id {
                Some(id) => db::calendars::get(&self.app.db, id).await?,
                None => None,
            };
            let new = match calendars::planned(self.app, &draft, old.as_ref()).await {
                Ok(new) => new,
                Err(error) => {
                    self.refuse(item, error)?;
                    continue;
                }
            };
            match &old {
                Some(old) if *old == new => {
                    self.same += 1;
                    continue;
                }
                Some(old) => {
                    self.version(old.id.as_str(), old.rev);
                    let changes = calendars::changed_fields(old, &new);
                    self.step(Section::Calendars, Deed::Change, new.spec.name.clone(), changes);
                }
                None => self.step(Section::Calendars, Deed::Create, new.spec.name.clone(), Vec::new()),
            }
            book = book.with_dates(dates::expand(new.clone(), month).await?);
            self.ops.push(Op::Calendar(Box::new((old, new))));
        }
        self.book = Arc::new(book);
        if self.prune {
            for (id, name, _) in known.iter().filter(|(_, name, _)| !seen.contains(&name.to_lowercase())) {
                let Some(calendar) = db::calendars::get(&self.app.db, id).await? else { continue };
                self.version(id.as_str(), calendar.rev);
                self.step(Section::Calendars, Deed::Delete, name.clone(), Vec::new());
                self.ops.push(Op::CalendarDelete(Box::new(calendar)));
            }
        }
        Ok(())
    }

    pub(super) async fn locks(&mut self, items: &[Item]) -> Result<()> {
        let known = db::locks::all(&self.app.db).await?;
        let mut seen = HashSet::new();
        for item in items {
            let (target, name) = match self.aim.find(&item.fields, TARGET) {
                Ok((target, _)) if target.is_wide() => {
                    self.fault(item, "target_type", "use stack or container");
                    continue;
                }
                Ok(found) => found,
                Err((field, message)) => {
                    self.fault(item, &field, &message);
                    continue;
                }
            };
            if !seen.insert(target.clone()) {
                self.fault(item, "target_id", TWICE);
                continue;
            }
            let reason = item.text("reason").unwrap_or_default();
            let new = match locks::planned(self.app, self.actor, target, name, reason) {
                Ok(new) => new,
                Err(error) => {
                    self.refuse(item, error)?;
                    continue;
                }
            };
            match known.iter().find(|one| one.target == new.target) {
                Some(old) if old.reason == new.reason => self.same += 1,
                Some(old) => {
                    let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
                    let (before, after) = (filled(&old.reason), filled(&new.reason));
                    let changes = Change::between([("reason", before, after)]);
                    self.step(Section::Locks, Deed::Change, new.target_name.clone(), changes);
                    self.ops.push(Op::Lock(Box::new(new)));
                }
                None => {
                    self.step(Section::Locks, Deed::Create, new.target_name.clone(), Vec::new());
                    self.ops.push(Op::Lock(Box::new(new)));
                }
            }
        }
        if self.prune {
            for lock in known.into_iter().filter(|one| !seen.contains(&one.target)) {
                self.step(Section::Locks, Deed::Delete, lock.target_name.clone(), Vec::new());
                self.ops.push(Op::Unlock(Box::new(lock)));
            }
        }
        Ok(())
    }

    pub(super) async fn order(&mut self, items: &[Item]) -> Result<()> {
        let known = db::order_edges::all(&self.app.db).await?;
        let mut edges: Vec<(&Item, AddedEdge)> = Vec::new();
        for item in items {
            if let Some(edge) = self.edge(item) {
                if edges.iter().any(|(_, other)| is_same_pair(other, &edge)) {
                    self.fault(item, "dependency_id", TWICE);
                } else {
                    edges.push((item, edge));
                }
            }
        }
        let (kept, gone): (Vec<_>, Vec<_>) = known
            .into_iter()
            .partition(|one| !self.prune || edges.iter().any(|(_, edge)| is_same_pair(edge, one)));
        for edge in gone {
            self.step(Section::Order, Deed::Delete, title(&edge), Vec::new());
            self.ops.push(Op::EdgeGone(Box::new(edge)));
        }
        // Each new edge is checked for a cycle beside those before it.
        let mut beside = kept.clone();
        for (item, edge) in edges {
            let old = kept.iter().find(|one| is_same_pair(one, &edge));
            if let Some(old) = old
                && (old.condition, old.wait_seconds) == (edge.condition, edge.wait_seconds)
            {
                self.same += 1;
                continue;
            }
            let inventory = self.app.hosts.get(&edge.host).map(|host| host.inventory());
            let mut inventory = inventory.unwrap_or_else(|| Inventory::empty(edge.host.clone()));
            let of_host = beside.iter().filter(|one| one.host == edge.host && !is_same_pair(one, &edge));
            inventory.added = Arc::new(of_host.cloned().collect());
            if let Err(error) = order::refuse_cycle(&edge, &inventory) {
                self.refuse(item, error)?;
                continue;
            }
            match old {
                Some(old) => {
                    let wait = |edge: &AddedEdge| edge.wait_seconds.map(|seconds| seconds.to_string());
                    let condition = |edge: &AddedEdge| Some(edge.condition.to_string());
                    let changes = Change::between([
                        ("condition", condition(old), condition(&edge)),
                        ("wait_seconds", wait(old), wait(&edge)),
                    ]);
                    self.step(Section::Order, Deed::Change, title(&edge), changes);
                    self.ops.push(Op::EdgeGone(Box::new(old.clone())));
                }
                None => self.step(Section::Order, Deed::Create, title(&edge), Vec::new()),
            }
            beside.push(edge.clone());
            self.ops.push(Op::Edge(Box::new(edge)));
        }
        Ok(())
    }

    fn edge(&mut self, item: &Item) -> Option<AddedEdge> {
        let draft = self.draft::<order::Draft>(item)?;
        let mut ends = Vec::new();
        for fields in [
            ["dependant_type", "dependant_id", "dependant_identity"],
            ["dependency_type", "dependency_id", "dependency_identity"],
        ] {
            match self.aim.find(&item.fields, fields) {
                Ok((target, _)) if target.is_wide() => {
                    self.fault(item, fields[0], "use stack or container");
                }
                Ok((target, name)) => ends.push((name, target)),
                Err((field, message)) => self.fault(item, &field, &message),
            }
        }
        let mut faults = Vec::new();
        let terms = order::terms(&draft, &mut faults);
        self.faults.extend(item.faults(faults));
        let (dependency, dependant) = (ends.pop()?, ends.pop()?);
        if dependant.1.host != dependency.1.host {
            self.fault(item, "host", "both are on one host; say which");
            return None;
        }
        Some(order::planned(self.app, self.actor, dependant, dependency, terms))
    }
}

/// The id of a host or group: as it is written, or made from the name.
fn named_id(item: &Item) -> String {
    let made = || id_from(text_of(&item.fields, "name").unwrap_or_default());
    item.text("id").map_or_else(made, str::to_owned)
}

fn is_same_pair(one: &AddedEdge, other: &AddedEdge) -> bool {
    one.host == other.host && one.dependant == other.dependant && one.dependency == other.dependency
}

fn title(edge: &AddedEdge) -> String {
    format!("{} after {}", edge.dependant_name, edge.dependency_name)
}
