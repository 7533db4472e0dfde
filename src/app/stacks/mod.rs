//! Stacks and containers as pages and API show them: the state in Docker, the last action of DockNap, the next action.
//!
//! The data comes from the inventory, which Docker events keep current, and from a few queries whose number does not
//! depend on the number of containers; Docker itself is never called.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::rulebook::{FiresByTarget, RuleBook};
use super::suggest::suggest;
pub(super) use super::targets::inventory_of as inventory;
use super::{Actor, App, Error, Result};
use crate::db;
use crate::db::history::LastTouch;
use crate::docker::{Certificate, Host, Hosts};
pub use crate::domain::foretell::NextAction;
use crate::domain::group::{Area, Group, Memberships};
use crate::domain::ids::{HostId, RunId};
use crate::domain::inventory::{self, Completion, Container, Inventory, Link, Stack};
use crate::domain::nap::{Nap, Naps};
use crate::domain::permission::Permission;
use crate::domain::place::Place;
use crate::domain::run::StepState;
use crate::domain::target::{ContainerIdentity, Target, TargetType};
use crate::domain::text::shorten;

mod past;
mod shown;
mod view;
mod wakers;
mod wanted;
mod why;

pub use past::{Past, Stretch, Was, health_log, past};
pub use shown::ShownState;
use shown::{shown_of_container, shown_of_stack};
pub use view::{ContainerView, StackView};
pub use wakers::{Waker, wakers};
use wanted::Horizon;
pub use wanted::WantedView;
pub use why::clock_time;
use why::{Last, TextContext};

/// The state of the connection to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLink {
    /// The id of the host.
    pub id: HostId,
    pub name: String,
    /// The state of its connection.
    pub link: Link,
    /// When the inventory last matched Docker.
    pub seen_at: Option<Timestamp>,
    /// The certificates in use.
    pub certificates: Vec<Certificate>,
}

impl HostLink {
    pub fn is_connected(&self) -> bool {
        matches!(self.link, Link::Connected { .. })
    }

    fn of(host: &Host, inventory: Inventory) -> Self {
        let name = host.name().to_owned();
        Self {
            id: inventory.host,
            name,
            link: inventory.link,
            seen_at: inventory.seen_at,
            certificates: host.certificates(),
        }
    }
}

/// Everything the first page shows.
#[derive(Clone, Debug)]
pub struct Overview {
    /// The hosts, by id.
    pub hosts: Vec<HostLink>,
    /// All stacks, by host and name.
    pub stacks: Vec<StackView>,
    /// The containers without a stack, by host and name.
    pub loose: Vec<ContainerView>,
    /// All groups, by name.
    pub groups: Arc<Vec<Group>>,
    /// What is in which group.
    pub memberships: Arc<Memberships>,
}

impl Overview {
    /// Removes everything that is not in a part of everything. A stack stays whole if it or a container of it is in
    /// the part, and a host if something of it stays.
    pub fn narrow_to(&mut self, area: &Area) {
        if let Some(host) = &area.host {
            self.hosts.retain(|one| one.id == *host);
        }
        self.stacks.retain(|view| {
            let of_stack = || view.containers.iter().any(|one| area.holds(&one.container.target()));
            area.holds(&view.target()) || of_stack()
        });
        self.loose.retain(|view| area.holds(&view.container.target()));
        if let Some(group) = &area.group {
            let members = group.members();
            self.hosts.retain(|host| {
                self.stacks.iter().any(|view| view.stack.host == host.id)
                    || self.loose.iter().any(|view| view.container.host == host.id)
                    || members.iter().any(|member| member.host == host.id)
            });
        }
    }

    /// All containers: those of stacks, then those without one.
    pub fn containers(&self) -> impl Iterator<Item = &ContainerView> {
        self.stacks.iter().flat_map(|stack| &stack.containers).chain(&self.loose)
    }
}

/// All hosts, stacks and containers, with only the next change of the desired state of each.
pub async fn overview(app: &App, actor: &Actor) -> Result<Overview> {
    seen(app, actor, Horizon { changes: 1, span: None }).await
}

/// As [`overview`], with the desired state over a time range.
pub async fn board(app: &App, actor: &Actor, span: (Timestamp, Timestamp)) -> Result<Overview> {
    seen(app, actor, Horizon { changes: 1, span: Some(span) }).await
}

/// All hosts, stacks and containers, with the desired state as far ahead as `look`.
async fn seen(app: &App, actor: &Actor, look: Horizon) -> Result<Overview> {
    actor.require(Permission::View)?;
    let known = Known::read(app, look).await?;
    let groups = Arc::clone(&known.book.groups);
    let memberships = Arc::clone(known.book.rules.groups());
    let mut overview =
        Overview { hosts: Vec::new(), stacks: Vec::new(), loose: Vec::new(), groups, memberships };
    for host in app.hosts.all() {
        let inventory = host.inventory();
        let here = known.here(&inventory);
        overview.stacks.extend(inventory.stacks().into_iter().map(|stack| here.stack(stack)));
        overview.loose.extend(inventory.loose().into_iter().map(|container| here.container(container, None)));
        overview.hosts.push(HostLink::of(&host, inventory));
    }
    Ok(overview)
}

/// The state of the connections to all hosts.
pub fn hosts(app: &App, actor: &Actor) -> Result<Vec<HostLink>> {
    actor.require(Permission::View)?;
    Ok(app.hosts.all().iter().map(|host| HostLink::of(host, host.inventory())).collect())
}

/// All stacks, by host and name.
pub async fn list(app: &App, actor: &Actor) -> Result<Vec<StackView>> {
    Ok(seen(app, actor, wanted::FEW).await?.stacks)
}

/// One stack, by its exact name or its key.
///
/// # Errors
/// [`Error::NotFound`] with similar names.
pub async fn get(app: &App, actor: &Actor, host: &HostId, name_or_key: &str) -> Result<StackView> {
    stack(app, actor, host, name_or_key, wanted::FEW).await
}

/// As [`get`], with the desired state over a time range.
pub async fn get_over(
    app: &App,
    actor: &Actor,
    host: &HostId,
    name_or_key: &str,
    span: (Timestamp, Timestamp),
) -> Result<StackView> {
    stack(app, actor, host, name_or_key, Horizon { span: Some(span), ..wanted::FEW }).await
}

async fn stack(
    app: &App,
    actor: &Actor,
    host: &HostId,
    name_or_key: &str,
    look: Horizon,
) -> Result<StackView> {
    actor.require(Permission::View)?;
    let inventory = inventory(app, host)?;
    let stack = inventory
        .stack(name_or_key)
        .or_else(|| inventory.stacks().into_iter().find(|stack| stack.key == name_or_key))
        .ok_or_else(|| Error::NotFound {
            what: "stack",
            name: shorten(name_or_key),
            near: suggest(name_or_key, inventory.stacks().iter().map(|stack| stack.name.as_str())),
        })?;
    Ok(Known::read(app, look).await?.here(&inventory).stack(stack))
}

/// All containers, in a stack or not, by host and name.
pub async fn containers(app: &App, actor: &Actor) -> Result<Vec<ContainerView>> {
    actor.require(Permission::View)?;
    let known = Known::read(app, wanted::FEW).await?;
    let mut views = Vec::new();
    for inventory in inventories(app) {
        let (here, stacks) = (known.here(&inventory), inventory.stacks());
        let groups: HashMap<&str, OfStack<'_>> =
            stacks.iter().map(|stack| (stack.name.as_str(), here.group(stack, &stack.containers))).collect();
        views.extend(inventory.containers.iter().map(|container| {
            let group = container.stack().and_then(|stack| groups.get(stack));
            here.container(Arc::clone(container), group)
        }));
    }
    Ok(views)
}

/// One container, by its exact name or its key.
///
/// # Errors
/// [`Error::NotFound`] with similar names.
pub async fn container(app: &App, actor: &Actor, host: &HostId, name_or_key: &str) -> Result<ContainerView> {
    one(app, actor, host, name_or_key, wanted::FEW).await
}

/// As [`container`], with the desired state over a time range.
pub async fn container_over(
    app: &App,
    actor: &Actor,
    host: &HostId,
    name_or_key: &str,
    span: (Timestamp, Timestamp),
) -> Result<ContainerView> {
    one(app, actor, host, name_or_key, Horizon { span: Some(span), ..wanted::FEW }).await
}

async fn one(
    app: &App,
    actor: &Actor,
    host: &HostId,
    name_or_key: &str,
    look: Horizon,
) -> Result<ContainerView> {
    actor.require(Permission::View)?;
    let inventory = inventory(app, host)?;
    let found = inventory
        .by_name(name_or_key)
        .or_else(|| inventory.by_key(name_or_key))
        .cloned()
        .ok_or_else(|| Error::NotFound {
            what: "container",
            name: shorten(name_or_key),
            near: suggest(name_or_key, inventory.containers.iter().map(|container| container.name.as_str())),
        })?;
    let known = Known::read(app, look).await?;
    let stack = found.stack().and_then(|stack| inventory.stack(stack));
    let here = known.here(&inventory);
    let group = stack.as_ref().map(|stack| here.group(stack, &stack.containers));
    Ok(here.container(found, group.as_ref()))
}

/// The inventories of all hosts, by host id.
pub(super) fn inventories(app: &App) -> Vec<Inventory> {
    app.hosts.all().into_iter().map(|host| host.inventory()).collect()
}

/// The key of the stack or container with this name on any host, for links.
pub fn key_of(app: &App, kind: TargetType, name: &str) -> Option<String> {
    inventories(app).into_iter().find_map(|inventory| match kind {
        TargetType::Stack => inventory.stack(name).map(|stack| stack.key),
        TargetType::Container => inventory.by_name(name).map(|container| container.key()),
        TargetType::Host | TargetType::Group => None,
    })
}

/// The data needed for the views of all hosts.
struct Known {
    book: Arc<RuleBook>,
    /// The last run that changed each target.
    touches: HashMap<Target, Arc<LastTouch>>,
    fires: Arc<FiresByTarget>,
    text_context: TextContext,
    hosts: Hosts,
    /// The containers that active runs may act on.
    busy: HashMap<HostId, HashSet<ContainerIdentity>>,
    look: Horizon,
}

/// The last run that changed each target. The last run of a host, a group or services counts for the stacks and
/// containers that it changed.
async fn last_touches(app: &App) -> Result<HashMap<Target, Arc<LastTouch>>> {
    let all: Vec<Arc<LastTouch>> =
        db::history::last_touches(&app.db).await?.into_iter().map(Arc::new).collect();
    let is_several = |target: &Target| target.is_wide() || target.subject.services().is_some();
    let wide: HashMap<&RunId, &Arc<LastTouch>> =
        all.iter().filter(|touch| is_several(&touch.target)).map(|touch| (&touch.run_id, touch)).collect();
    let mut touches: HashMap<Target, Arc<LastTouch>> =
        all.iter().map(|touch| (touch.target.clone(), Arc::clone(touch))).collect();
    if wide.is_empty() {
        return Ok(touches);
    }
    let ids: Vec<RunId> = wide.keys().map(|id| (*id).clone()).collect();
    let steps = db::history::steps(&app.db, &ids).await?;
    for step in steps.iter().filter(|step| step.wave > 0 && step.state == StepState::Succeeded) {
        let (target, touch) = (step.target(), wide[&step.run_id]);
        let stack = Place::of_target(&target).stack.map(|name| Target::stack(target.host.clone(), name));
        for changed in [Some(target), stack].into_iter().flatten() {
            let known = touches.entry(changed).or_insert_with(|| Arc::clone(touch));
            if known.finished_at < touch.finished_at {
                *known = Arc::clone(touch);
            }
        }
    }
    Ok(touches)
}

/// The data needed for the views of one host.
struct Here<'a> {
    known: &'a Known,
    inventory: &'a Inventory,
    naps: &'a Naps,
    /// The containers that active runs may act on: their changes meanwhile are not caused by others.
    busy: Option<&'a HashSet<ContainerIdentity>>,
    host: Option<Arc<Host>>,
}

/// The data shared by the containers of a stack, computed once.
struct OfStack<'a> {
    completion: Completion<'a>,
    /// Whether a container of the stack naps.
    naps: bool,
    /// The desired state of the stack, and of each container without a rule of its own.
    wanted: Arc<WantedView>,
    /// The newest run that changed the stack.
    touch: Option<&'a Arc<LastTouch>>,
    /// The next action on the stack.
    next: Option<Arc<NextAction>>,
}

impl Known {
    async fn read(app: &App, look: Horizon) -> Result<Self> {
        let mut busy = HashMap::new();
        for host in inventories(app).into_iter().map(|inventory| inventory.host) {
            let touched = app.active_runs.touched(&host).into_iter();
            busy.insert(host, touched.map(|(identity, _)| identity).collect::<HashSet<_>>());
        }
        let book = RuleBook::load(app).await?;
        let fires = book.fires_by_target(app).await?;
        let touches = last_touches(app).await?;
        let text_context = TextContext { now: app.clock.now(), zone: book.zone.zone.clone() };
        Ok(Self { book, touches, fires, text_context, hosts: app.hosts.clone(), busy, look })
    }

    fn here<'a>(&'a self, inventory: &'a Inventory) -> Here<'a> {
        Here {
            known: self,
            inventory,
            naps: self.book.naps(&inventory.host),
            busy: self.busy.get(&inventory.host),
            host: self.hosts.get(&inventory.host),
        }
    }

    fn groups_of(&self, place: Place<'_>) -> Vec<Group> {
        let ids = self.book.rules.groups().groups_of(place);
        self.book.groups.iter().filter(|group| ids.contains(&group.id)).cloned().collect()
    }

    /// The desired state of a target by windows and overrides.
    fn wanted(&self, target: &Target) -> Arc<WantedView> {
        let (place, TextContext { now, zone }) = (Place::of_target(target), &self.text_context);
        Arc::new(WantedView::new(&self.book.rules, place, *now, zone, self.look))
    }
}

impl<'a> Here<'a> {
    fn group(&self, stack: &Stack, members: &'a [Arc<Container>]) -> OfStack<'a> {
        let target = Target::stack(stack.host.clone(), stack.name.clone());
        let naps = members.iter().any(|member| self.nap(member).is_some());
        OfStack {
            completion: self.inventory.completion(members, naps),
            naps,
            wanted: self.known.wanted(&target),
            touch: self.known.touches.get(&target),
            next: self.next(&target, None),
        }
    }

    fn stack(&self, mut stack: Stack) -> StackView {
        let members = stack.containers.clone();
        let group = self.group(&stack, &members);
        self.count_naps(&mut stack, &group);
        let containers: Vec<ContainerView> =
            members.iter().map(|container| self.container(Arc::clone(container), Some(&group))).collect();
        let ordinary = || containers.iter().filter(|view| view.container.is_ordinary());
        let protected = if ordinary().next().is_some() && ordinary().all(|view| view.protected.is_some()) {
            ordinary().find_map(|view| view.protected.clone())
        } else {
            None
        };
        // Protected containers stay up through every nap.
        let counted = || ordinary().filter(|view| view.protected.is_none() || view.napping_since.is_some());
        // Containers that were already stopped or completed before the nap do not make the stack count as stopped by
        // others.
        let napping =
            counted().any(|view| view.napping_since.is_some()) && counted().all(|view| !view.is_at_work());
        let next = group.next.iter().chain(containers.iter().filter_map(|view| view.next.as_ref()));
        let next = next.min_by_key(|next| next.at).cloned();
        StackView {
            shown: shown_of_stack(&stack, &ordinary().map(|view| view.shown).collect::<Vec<_>>(), napping),
            touch: group.touch.cloned(),
            text_context: self.known.text_context.clone(),
            wanted: Arc::clone(&group.wanted),
            next,
            napping,
            protected,
            containers,
            groups: self.known.groups_of(Place::of_target(&Target::stack(stack.host.clone(), &*stack.name))),
            stack,
        }
    }

    /// `group` is the shared data of its stack; `None` for a container without one.
    fn container(&self, container: Arc<Container>, group: Option<&OfStack<'_>>) -> ContainerView {
        let nap = self.nap(&container);
        let completed = nap.is_none() && group.is_some_and(|group| group.completion.holds(&container));
        let protected = container.protection.as_ref().map(|protection| protection.reason().to_owned());
        let target = container.target();
        let rules = &self.known.book.rules;
        let own_rule = rules.names(&target) || rules.groups().set_apart(&target);
        let wanted = match group {
            Some(group) if !own_rule => Arc::clone(&group.wanted),
            _ => self.known.wanted(&target),
        };
        let stack = container.stack().map(|stack| Target::stack(container.host.clone(), stack.to_owned()));
        let next = match group {
            _ if protected.is_some() || !container.is_ordinary() => None,
            Some(group) if !own_rule && !self.has_own_fires(&target, stack.as_ref()) => group.next.clone(),
            _ => self.next(&target, stack.as_ref()),
        };
        let trace = self.inventory.traces.get(&container.identity);
        let last = if self.busy.is_some_and(|busy| busy.contains(&container.identity)) {
            Last::AtWork
        } else {
            let touch = [self.known.touches.get(&target), group.and_then(|group| group.touch)]
                .into_iter()
                .flatten()
                .max_by_key(|touch| touch.finished_at);
            Last::of(&container, nap, touch, completed, trace, |theirs| self.by_us(theirs))
        };
        ContainerView {
            shown: shown_of_container(&container, self.inventory.is_connected(), nap.is_some(), completed),
            protected,
            last,
            seen: trace.filter(|trace| trace.tells_of(&container)).map(|trace| (trace.did, trace.seen_at)),
            text_context: self.known.text_context.clone(),
            wanted,
            own_rule,
            napping_since: nap.map(|nap| self.by_us(nap.since)),
            next,
            groups: self.known.groups_of(Place::of(&container)),
            container,
        }
    }

    /// Adds napping containers to the counts of stopped ones. The inventory does not know naps, so that it takes some
    /// for completed one-shots and does not count them.
    fn count_naps(&self, stack: &mut Stack, group: &OfStack<'_>) {
        let uncounted = self.inventory.completion(&stack.containers, false);
        let naps = |container: &&Arc<Container>| self.nap(container).is_some() && uncounted.holds(container);
        let mistaken = if group.naps { stack.containers.iter().filter(naps).count() } else { 0 };
        let mistaken = u32::try_from(mistaken).unwrap_or(u32::MAX);
        stack.counts.stopped = stack.counts.stopped.saturating_add(mistaken);
        stack.counts.total = stack.counts.total.saturating_add(mistaken);
        if self.inventory.is_connected() {
            stack.status = inventory::status(stack.counts);
        }
    }

    /// Whether a cron or one-off schedule is for this container, or for services of its stack that it belongs to.
    fn has_own_fires(&self, container: &Target, stack: Option<&Target>) -> bool {
        let fires = &self.known.fires;
        let of_stack = stack.and_then(|stack| fires.get(stack)).map(Vec::as_slice).unwrap_or_default();
        let place = Place::of_target(container);
        fires.contains_key(container)
            || of_stack.iter().any(|(_, schedule, _)| {
                let services = schedule.spec.target.subject.services();
                services.is_some_and(|services| place.lies_in_services(services))
            })
    }

    /// The next action on a target, which belongs to `stack`.
    fn next(&self, target: &Target, stack: Option<&Target>) -> Option<Arc<NextAction>> {
        let Known { book, fires, text_context, .. } = self.known;
        let standing = book.standing(self.inventory, target);
        book.foretold(fires, target, stack, standing, text_context.now).next().map(Arc::new)
    }

    /// A time stamp of the Engine, converted to our clock.
    fn by_us(&self, theirs: Timestamp) -> Timestamp {
        self.host.as_ref().map_or(theirs, |host| host.by_us(theirs))
    }

    /// The nap of a container, where it still holds.
    fn nap(&self, container: &Container) -> Option<&'a Nap> {
        self.naps.get(&container.identity).filter(|nap| nap.holds(container, self.inventory))
    }
}
