//! Groups with their members and figures, for pages and API.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::slice::ChunkBy;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{known, not_found};
use crate::app::rulebook::RuleBook;
use crate::app::{Actor, App, Result, targets};
use crate::db;
use crate::docker::Host;
use crate::domain::group::{Group, GroupSource, Member, Memberships};
use crate::domain::ids::{GroupId, HostId};
use crate::domain::inventory::{Container, ContainerState, Inventory};
use crate::domain::nap::Naps;
use crate::domain::overrides::{Override, Reach};
use crate::domain::permission::Permission;
use crate::domain::place::Place;
use crate::domain::schedule::Schedule;
use crate::domain::target::{Subject, Target, TargetType};

/// A group with its members and figures.
#[derive(Clone, Debug)]
pub struct GroupView {
    pub group: Group,
    /// Ordered by host, kind and name.
    pub members: Vec<MemberView>,
    pub containers: Figures,
    /// Number of schedules that target the group.
    pub schedules: usize,
    /// The next action of its schedules.
    pub next: Option<NextOfGroup>,
    /// The overrides of the group that have not ended.
    pub overrides: Vec<Override>,
}

/// Containers now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = GroupFigures)]
pub struct Figures {
    pub containers: usize,
    /// Running and not paused.
    pub running: usize,
    /// Put to sleep by DockNap.
    pub napping: usize,
}

/// The next action of a group's schedules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextOfGroup {
    pub at: Timestamp,
    pub schedule: Schedule,
}

/// A host, stack or container that is a member by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    pub target: Target,
    /// The present name; the stored one while it is not there.
    pub name: String,
    /// The name of its host; the id of a host that is not there.
    pub host_name: String,
    /// Each way in which it is a member.
    pub sources: Vec<GroupSource>,
    /// Whether it is there now; `None` while its host has not been seen.
    pub exists: Option<bool>,
    pub containers: Figures,
}

impl MemberView {
    /// Whether the page and the API can end the membership, or a part of it.
    pub fn is_removable(&self) -> bool {
        self.sources.iter().any(|source| matches!(source, GroupSource::Ui | GroupSource::Api))
    }

    /// What makes it a member beside the page and the API: a label or the settings file.
    pub fn fixed_by(&self) -> Option<&'static str> {
        let has = |source| self.sources.contains(&source);
        match self.target.subject {
            _ if has(GroupSource::File) => Some("docknap.toml"),
            Subject::Stack(_) if has(GroupSource::Label) => Some("docknap.stack.group"),
            _ if has(GroupSource::Label) => Some("docknap.group"),
            _ => None,
        }
    }

    /// Whether it is known not to be there.
    pub fn is_gone(&self) -> bool {
        self.exists == Some(false)
    }

    /// The id of the host, the name of the stack or container.
    pub fn id_text(&self) -> String {
        match self.target.subject {
            Subject::Host => self.target.host.to_string(),
            _ => self.name.clone(),
        }
    }
}

impl GroupView {
    /// The members of each host.
    pub fn by_host(&self) -> ChunkBy<'_, MemberView, impl FnMut(&MemberView, &MemberView) -> bool> {
        self.members.chunk_by(|a, b| a.target.host == b.target.host)
    }

    /// Whether a label or the settings file makes something a member.
    pub fn is_named_elsewhere(&self) -> bool {
        self.members.iter().any(|member| member.fixed_by().is_some())
    }
}

/// What can become a member of a group, for the choices of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub target: Target,
    pub name: String,
    pub host_name: String,
}

/// The hosts with their containers, read once.
struct Fleet {
    hosts: Vec<(Arc<Host>, Inventory)>,
    book: Arc<RuleBook>,
}

impl Fleet {
    async fn read(app: &App) -> Result<Self> {
        let hosts = app.hosts.all().into_iter().map(|host| {
            let inventory = host.inventory();
            (host, inventory)
        });
        Ok(Self { hosts: hosts.collect(), book: RuleBook::load(app).await? })
    }

    fn host(&self, id: &HostId) -> Option<&(Arc<Host>, Inventory)> {
        self.hosts.iter().find(|(host, _)| host.id() == id)
    }

    /// Where a host stands in the lists; one that is not there comes last.
    fn rank_of(&self, id: &HostId) -> usize {
        self.hosts.iter().position(|(host, _)| host.id() == id).unwrap_or(self.hosts.len())
    }

    /// The containers of every group now.
    fn figures(&self, members: &[Member]) -> HashMap<GroupId, Figures> {
        let groups = Memberships::of(members.iter().map(|one| (one.group.clone(), one.target.clone())));
        let mut figures: HashMap<GroupId, Figures> = HashMap::new();
        for (host, inventory) in &self.hosts {
            let naps = self.book.naps(host.id());
            for container in inventory.members(&Subject::Host) {
                for group in groups.groups_of(Place::of(&container)) {
                    figures.entry(group).or_default().count(&container, naps, inventory);
                }
            }
        }
        figures
    }

    fn member(&self, member: &Member, sources: Vec<GroupSource>) -> MemberView {
        let target = member.target.clone();
        let Some((host, inventory)) = self.host(&target.host) else {
            return MemberView {
                name: member.target_name.clone(),
                host_name: target.host.to_string(),
                target,
                sources,
                exists: Some(false),
                containers: Figures::default(),
            };
        };
        let naps = self.book.naps(host.id());
        let found = inventory.members(&target.subject);
        let mut containers = Figures::default();
        for container in found.iter().filter(|container| container.is_ordinary()) {
            containers.count(container, naps, inventory);
        }
        let name = match target.subject {
            Subject::Host => host.name().to_owned(),
            _ => targets::present_name(inventory, &target, Some(member.target_name.as_str())),
        };
        let is_there = matches!(target.subject, Subject::Host) || !found.is_empty();
        MemberView {
            name,
            host_name: host.name().to_owned(),
            target,
            sources,
            exists: (is_there || inventory.seen_at.is_some()).then_some(is_there),
            containers,
        }
    }

    /// The members of one group: each once, with all its sources.
    fn members(&self, id: &GroupId, all: &[Member]) -> Vec<MemberView> {
        let mut of: Vec<(&Member, Vec<GroupSource>)> = Vec::new();
        for member in all.iter().filter(|member| member.group == *id) {
            match of.iter_mut().find(|(known, _)| known.target == member.target) {
                Some((_, sources)) => sources.push(member.source),
                None => of.push((member, vec![member.source])),
            }
        }
        let mut views: Vec<MemberView> =
            of.into_iter().map(|(member, sources)| self.member(member, sources)).collect();
        views.sort_by(|a, b| self.order(a, b));
        views
    }

    fn order(&self, a: &MemberView, b: &MemberView) -> Ordering {
        let kind = |view: &MemberView| match view.target.subject {
            Subject::Host | Subject::Group(_) => 0,
            Subject::Stack(_) | Subject::Services { .. } => 1,
            Subject::Container(_) => 2,
        };
        let place = |view: &MemberView| (self.rank_of(&view.target.host), view.target.host.clone());
        place(a).cmp(&place(b)).then_with(|| kind(a).cmp(&kind(b))).then_with(|| a.name.cmp(&b.name))
    }
}

impl Figures {
    fn count(&mut self, container: &Container, naps: &Naps, inventory: &Inventory) {
        self.containers += 1;
        let runs = container.state.is_up() && container.state != ContainerState::Paused;
        self.running += usize::from(runs);
        let naps = naps.get(&container.identity).is_some_and(|nap| nap.holds(container, inventory));
        self.napping += usize::from(naps);
    }
}

/// All groups by name.
pub async fn list(app: &App, actor: &Actor) -> Result<Vec<GroupView>> {
    actor.require(Permission::View)?;
    let (groups, members) = known(app).await?;
    let fleet = Fleet::read(app).await?;
    let figures = fleet.figures(&members);
    let schedules = db::groups::schedules(&app.db).await?;
    let now = app.clock.now();
    let view = |group: Group| {
        let target = Target::group(group.id.clone());
        let own: Vec<&Schedule> = schedules.iter().filter(|one| one.spec.target == target).collect();
        let next = |schedule: &Schedule| {
            let at = fleet.book.next_at(schedule).filter(|_| schedule.spec.enabled)?;
            Some(NextOfGroup { at, schedule: schedule.clone() })
        };
        let counts = |one: &&Override| {
            let subject = match &one.reach {
                Reach::Target(target) => Some(&target.subject),
                Reach::All => None,
            };
            subject == Some(&target.subject) && one.until > now
        };
        GroupView {
            members: fleet.members(&group.id, &members),
            containers: figures.get(&group.id).copied().unwrap_or_default(),
            schedules: own.len(),
            next: own.into_iter().filter_map(next).min_by_key(|next| next.at),
            overrides: fleet.book.rules.overrides().iter().filter(counts).cloned().collect(),
            group,
        }
    };
    Ok(groups.into_iter().map(view).collect())
}

/// One group.
///
/// # Errors
/// [`Error::NotFound`](crate::app::Error::NotFound).
pub async fn get(app: &App, actor: &Actor, id: &GroupId) -> Result<GroupView> {
    let mut groups = list(app, actor).await?.into_iter();
    groups.find(|one| one.group.id == *id).ok_or_else(|| not_found(id))
}

/// The hosts, stacks and containers without a stack that can become members of a group: those that are no members yet,
/// and that DockNap may act on. Ordered by kind, host and name.
pub fn candidates(app: &App, view: &GroupView) -> Vec<Candidate> {
    let members: HashSet<&Target> = view.members.iter().map(|member| &member.target).collect();
    let mut candidates = Vec::new();
    for host in app.hosts.all() {
        let inventory = host.inventory();
        let mut add = |target: Target, name: &str| {
            if !members.contains(&target) {
                let (name, host_name) = (name.to_owned(), host.name().to_owned());
                candidates.push(Candidate { target, name, host_name });
            }
        };
        add(Target::host(host.id().clone()), host.name());
        for stack in inventory.stacks() {
            if stack.containers.iter().any(|one| one.is_ordinary() && one.protection.is_none()) {
                add(Target::stack(host.id().clone(), stack.name.clone()), &stack.name);
            }
        }
        for container in inventory.loose() {
            if container.is_ordinary() && container.protection.is_none() {
                add(container.target(), &container.name);
            }
        }
    }
    let kind = |candidate: &Candidate| match candidate.target.target_type() {
        TargetType::Host | TargetType::Group => 0,
        TargetType::Stack => 1,
        TargetType::Container => 2,
    };
    // Stable: within a kind the order of the hosts and of the names stays.
    candidates.sort_by_key(kind);
    candidates
}
