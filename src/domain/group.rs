//! Groups: named sets of hosts, stacks and containers, across hosts. What is on a host or in a stack that is a member
//! is a member too.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::{GroupId, HostId};
use super::place::Place;
use super::target::{ContainerIdentity, Subject, Target};
use super::words::words;

/// Longest id, in characters.
pub const MAX_ID: usize = 32;
/// The most groups that one label names.
const MAX_LABEL_GROUPS: usize = 20;
/// Longest name, in characters.
pub const MAX_NAME: usize = 60;
/// Longest note, in characters.
pub const MAX_NOTE: usize = 2000;

words! {
    /// The colour of a group's tag.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum Colour {
        #[default]
        Grey,
        Blue,
        Green,
        Amber,
        Red,
        Violet,
        Teal,
        Pink,
    }
}

words! {
    /// The origin of a group or of a membership.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum GroupSource {
        /// A form of the web pages.
        Ui,
        Api,
        /// The label `docknap.group` of a container, or `docknap.stack.group` for its stack. Such a membership changes
        /// with the label only.
        Label,
        /// The settings file. Such a membership changes with the file only.
        File,
    }
}

/// The settings of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct GroupSpec {
    pub name: String,
    pub colour: Colour,
    pub note: String,
}

/// A stored group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub id: GroupId,
    pub spec: GroupSpec,
    /// The origin: a form, the API, or the label or file that was the first to name the group.
    pub source: GroupSource,
    /// The revision, which grows with every change; sent as `ETag`.
    pub rev: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A host, stack or container that belongs to a group by itself, not through its stack or host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub group: GroupId,
    pub target: Target,
    /// The display name of the target when it became a member.
    pub target_name: String,
    pub source: GroupSource,
}

/// The id that a text gives: 1 to [`MAX_ID`] small letters, digits and hyphens; `None` for any other text, and for `new`,
/// which is the address of the form for a new group.
pub fn parse_id(text: &str) -> Option<GroupId> {
    let fits = text != "new"
        && (1..=MAX_ID).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    fits.then(|| GroupId::from(text))
}

/// The groups that the value of a `docknap.group` label names, separated by commas or spaces; and the words that are no
/// id of a group.
pub fn label_groups(value: &str) -> (Vec<GroupId>, Vec<&str>) {
    let words = value.split([',', ' ']).filter(|word| !word.is_empty()).take(MAX_LABEL_GROUPS);
    let (ids, others): (Vec<_>, Vec<_>) =
        words.map(|word| (parse_id(word), word)).partition(|(id, _)| id.is_some());
    (ids.into_iter().filter_map(|(id, _)| id).collect(), others.into_iter().map(|(_, word)| word).collect())
}

/// The groups of every member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memberships(HashMap<Target, BTreeSet<GroupId>>);

impl Memberships {
    pub fn of(members: impl IntoIterator<Item = (GroupId, Target)>) -> Self {
        let mut groups: HashMap<Target, BTreeSet<GroupId>> = HashMap::new();
        for (group, target) in members {
            groups.entry(target).or_default().insert(group);
        }
        Self(groups)
    }

    /// The groups of a place: its own, and those of its stack and its host. A group as a whole is in itself.
    pub fn groups_of(&self, place: Place<'_>) -> BTreeSet<GroupId> {
        if let Some(group) = place.group {
            return BTreeSet::from([group.clone()]);
        }
        if self.0.is_empty() {
            return BTreeSet::new();
        }
        let container = place.container.map(|identity| Subject::Container(identity.clone()));
        let stack = place.stack.map(|name| Subject::Stack(name.to_owned()));
        let subjects = [container, stack, Some(Subject::Host)].into_iter().flatten();
        let found = subjects.filter_map(|subject| self.0.get(&Target { host: place.host.clone(), subject }));
        found.flatten().cloned().collect()
    }

    /// Whether a container is in a group that its stack is not in; `false` without a stack.
    pub fn set_apart(&self, container: &Target) -> bool {
        let place = Place::of_target(container);
        let stack = Place { container: None, services: None, ..place };
        place.stack.is_some() && self.groups_of(place) != self.groups_of(stack)
    }

    /// The target, or the parts of a group on the hosts where it has members, in order.
    pub fn parts(&self, target: &Target) -> Vec<Target> {
        match &target.subject {
            Subject::Group(group) if target.on_host().is_none() => {
                let hosts = self.hosts(group).into_iter();
                hosts.map(|host| Target { host, subject: target.subject.clone() }).collect()
            }
            _ => vec![target.clone()],
        }
    }

    /// Whether a place is in a group.
    pub fn holds(&self, group: &GroupId, place: Place<'_>) -> bool {
        self.groups_of(place).contains(group)
    }

    /// The members of a group that are members by themselves, in order.
    pub fn members(&self, group: &GroupId) -> BTreeSet<&Target> {
        self.0.iter().filter(|(_, groups)| groups.contains(group)).map(|(target, _)| target).collect()
    }

    /// The hosts on which a group has members, in order.
    pub fn hosts(&self, group: &GroupId) -> BTreeSet<HostId> {
        self.members(group).into_iter().map(|target| target.host.clone()).collect()
    }

    /// Whether a target lies on a host, or has a member there.
    pub fn touches_host(&self, target: &Target, host: &HostId) -> bool {
        match &target.subject {
            Subject::Group(group) if target.on_host().is_none() => self.hosts(group).contains(host),
            _ => target.host == *host,
        }
    }

    /// Whether two targets may have a container in common: they are equal, or one lies in the other, or a member of one
    /// does.
    pub fn overlap(&self, a: &Target, b: &Target) -> bool {
        a == b || self.lies_in(a, b) || self.lies_in(b, a)
    }

    /// Whether `inner`, or a member of it if it is a group, lies in `outer`.
    fn lies_in(&self, inner: &Target, outer: &Target) -> bool {
        if let Subject::Group(group) = &inner.subject {
            let is_in_part = |member: &Target| inner.on_host().is_none_or(|host| *host == member.host);
            let mut members = self.members(group).into_iter().filter(|member| is_in_part(member));
            return inner.subject == outer.subject
                || members.any(|member| self.overlap_narrow(member, outer));
        }
        self.overlap_narrow(inner, outer)
    }

    /// As [`Memberships::overlap`], where `inner` is no group.
    fn overlap_narrow(&self, inner: &Target, outer: &Target) -> bool {
        match &outer.subject {
            Subject::Group(group) => {
                let is_in_part = outer.on_host().is_none_or(|host| *host == inner.host);
                is_in_part && self.holds(group, Place::of_target(inner))
            }
            _ if inner.host != outer.host => false,
            Subject::Host => true,
            Subject::Stack(name) => match &inner.subject {
                Subject::Stack(other) | Subject::Services { stack: other, .. } => other == name,
                Subject::Container(ContainerIdentity::Service { project, .. }) => project == name,
                Subject::Host => true,
                Subject::Container(ContainerIdentity::Name(_)) | Subject::Group(_) => false,
            },
            Subject::Services { stack, services } => match &inner.subject {
                Subject::Stack(other) => other == stack,
                Subject::Services { stack: other, services: others } => {
                    other == stack && !services.is_disjoint(others)
                }
                Subject::Container(ContainerIdentity::Service { project, service, .. }) => {
                    project == stack && services.contains(service)
                }
                Subject::Host => true,
                Subject::Container(ContainerIdentity::Name(_)) | Subject::Group(_) => false,
            },
            Subject::Container(identity) => match &inner.subject {
                Subject::Container(other) => other == identity,
                Subject::Host => true,
                Subject::Stack(stack) => {
                    matches!(identity, ContainerIdentity::Service { project, .. } if project == stack)
                }
                Subject::Services { stack, services } => {
                    matches!(identity, ContainerIdentity::Service { project, service, .. }
                        if project == stack && services.contains(service))
                }
                Subject::Group(_) => false,
            },
        }
    }
}

/// The filter of a list by a group: its members, and what is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InGroup {
    pub id: GroupId,
    memberships: Arc<Memberships>,
}

impl InGroup {
    pub fn new(id: GroupId, memberships: Arc<Memberships>) -> Self {
        Self { id, memberships }
    }

    /// Whether a target is in the group. The group as a whole and its part on a host are.
    pub fn holds(&self, target: &Target) -> bool {
        self.memberships.holds(&self.id, Place::of_target(target))
    }

    /// The hosts, stacks and containers that are members by themselves, in order.
    pub fn members(&self) -> BTreeSet<&Target> {
        self.memberships.members(&self.id)
    }
}

/// The part of everything that a list or page is about; the default is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// Only what is on this host.
    pub host: Option<HostId>,
    /// Only what is in this group.
    pub group: Option<InGroup>,
}

impl Area {
    /// Whether a target belongs to the part.
    pub fn holds(&self, target: &Target) -> bool {
        self.host.as_ref().is_none_or(|host| target.host == *host)
            && self.group.as_ref().is_none_or(|group| group.holds(target))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nas() -> HostId {
        HostId::from("nas")
    }

    fn web() -> ContainerIdentity {
        ContainerIdentity::Service { project: "media".to_owned(), service: "web".to_owned(), number: 1 }
    }

    fn evening() -> GroupId {
        GroupId::from("evening")
    }

    #[test]
    fn what_is_in_a_member_is_a_member() {
        let stack = Target::stack(nas(), "media");
        let groups =
            Memberships::of([(evening(), stack.clone()), (GroupId::from("lab"), Target::host(nas()))]);
        let of = |target: &Target| groups.groups_of(Place::of_target(target)).len();
        assert_eq!(of(&stack), 2);
        assert_eq!(of(&Target::container(nas(), web())), 2);
        assert_eq!(of(&Target::stack(nas(), "other")), 1);
        assert_eq!(of(&Target::stack(HostId::from("vps"), "media")), 0);
    }

    #[test]
    fn targets_overlap_where_they_may_share_a_container() {
        let (stack, container) = (Target::stack(nas(), "media"), Target::container(nas(), web()));
        let elsewhere = Target::stack(HostId::from("vps"), "media");
        let groups = Memberships::of([(evening(), container.clone())]);
        let group = Target::group(evening());
        let part = Target { host: HostId::from("vps"), subject: group.subject.clone() };
        let services = |names: &[&str]| {
            Target::services(nas(), "media", names.iter().map(|name| (*name).to_owned()).collect())
        };
        let (web, db) = (services(&["web", "worker"]), services(&["db"]));
        for (a, b, is) in [
            (&stack, &container, true),
            (&stack, &Target::host(nas()), true),
            (&group, &container, true),
            (&group, &stack, true),
            (&group, &Target::host(nas()), true),
            (&group, &group, true),
            (&group, &elsewhere, false),
            (&part, &stack, false),
            (&stack, &elsewhere, false),
            (&group, &Target::stack(nas(), "other"), false),
            (&Target::stack(nas(), "other"), &container, false),
            (&web, &container, true),
            (&web, &stack, true),
            (&web, &services(&["worker"]), true),
            (&web, &Target::host(nas()), true),
            (&web, &group, true),
            (&web, &db, false),
            (&db, &container, false),
            (&web, &elsewhere, false),
        ] {
            assert_eq!((groups.overlap(a, b), groups.overlap(b, a)), (is, is), "{a:?} {b:?}");
        }
    }

    #[test]
    fn an_id_is_a_slug() {
        for (text, is) in
            [("evening", true), ("lab-2", true), ("", false), ("Lab", false), ("a b", false), ("new", false)]
        {
            assert_eq!(parse_id(text).is_some(), is, "{text}");
        }
        assert!(parse_id(&"a".repeat(33)).is_none());
    }
}
