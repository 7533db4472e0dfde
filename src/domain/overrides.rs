//! Overrides: a desired state (awake, asleep or hold) that takes precedence over windows for a container, a stack, a
//! host, a group or everything, with a mandatory end and a reason (semantics §2).
//!
//! A [`Reach`] is what an override is for, and a [`Place`] is the container or stack that a query is about;
//! [`Reach::covers`] compares the two.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::group::Memberships;
use super::ids::{HostId, OverrideId};
use super::place::Place;
use super::run::ActorRef;
use super::target::{Subject, Target};
use super::time::{Instant, serialize_instant};
use super::words::words;

/// The longest duration of an override.
pub const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// The longest reason, in characters.
pub const MAX_REASON: usize = 500;

/// The reason of a run that wakes a target at the end of an `asleep` override.
pub const NAP_OVER: &str = "its nap is over: what slept for it wakes";
/// The reason of a run that puts a target back to sleep at the end of an `awake` override.
pub const WAKE_OVER: &str = "its time awake is over: what was woken for it sleeps again";

/// The reason of an override for a target that was found running during its sleep, if DockNap and Docker may both have
/// been down when the target started.
pub const FOUND_RUNNING: &str = "found running; it was started while nobody was watching";
/// The author kind for changes that were made outside DockNap.
pub const OUTSIDE: &str = "outside";

words! {
    /// The desired state that an override sets.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    #[schema(as = Wanted)]
    pub enum DesiredState {
        /// Running: napping containers are woken now and are not put to sleep before the end.
        Awake,
        /// Stopped or paused.
        Asleep,
        /// Unchanged: DockNap does nothing.
        Hold,
    }
}

impl DesiredState {
    /// The opposite of awake or asleep; a hold stays a hold.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Awake => Self::Asleep,
            Self::Asleep => Self::Awake,
            Self::Hold => Self::Hold,
        }
    }
}

/// The scope of an override. Within a layer the narrowest scope decides alone (rulings 1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// Everything on all hosts.
    All,
    /// A group, a host, a stack or a container.
    Target(Target),
}

impl Reach {
    /// The value of `target_type` in the API and the database: `all`, `group`, `host`, `stack`, `container`.
    pub fn type_str(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Target(target) => target.target_type().as_str(),
        }
    }

    /// The host of the scope; `None` for everything and for a group on all hosts.
    pub fn host(&self) -> Option<&HostId> {
        match self {
            Self::All => None,
            Self::Target(target) => target.on_host(),
        }
    }

    /// The database column beside host and type; see [`Target::identity_text`].
    pub fn identity_text(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::Target(target) => target.identity_text(),
        }
    }

    /// Reads a scope from database columns; `None` if the columns are invalid.
    pub fn from_columns(host: &str, kind: &str, identity: &str) -> Option<Self> {
        match kind {
            "all" => Some(Self::All),
            kind => Target::from_columns(host, kind, identity).map(Self::Target),
        }
    }

    /// How narrowly the scope covers a place: 0 = everything, then as [`Target::narrowness`]; `None` if it does not.
    pub fn covers(&self, place: Place<'_>, groups: &Memberships) -> Option<u8> {
        let Self::Target(target) = self else { return Some(0) };
        if target.on_host().is_some_and(|host| host != place.host) {
            return None;
        }
        let covers = match &target.subject {
            Subject::Group(id) => groups.holds(id, place),
            Subject::Host => true,
            Subject::Stack(name) => place.stack == Some(name.as_str()),
            Subject::Services { stack, services } => {
                place.stack == Some(stack.as_str()) && place.lies_in_services(services)
            }
            Subject::Container(identity) => place.container == Some(identity),
        };
        covers.then(|| target.narrowness())
    }

    /// Whether the scope is one stack or one container.
    pub fn is_narrow(&self) -> bool {
        matches!(self, Self::Target(target) if !target.is_wide())
    }
}

/// Serializes a desired state; `None` becomes `none`.
pub fn word<S: Serializer>(wanted: &Option<DesiredState>, to: S) -> Result<S::Ok, S::Error> {
    wanted.map_or("none", DesiredState::as_str).serialize(to)
}

/// One override.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Override {
    #[serde(skip)]
    pub id: OverrideId,
    #[serde(skip)]
    pub reach: Reach,
    /// The display name of the scope: of the stack, the container, the host or the group, or `everything`.
    #[serde(skip)]
    pub target_name: String,
    /// The desired state.
    #[serde(rename = "state")]
    pub wanted: DesiredState,
    /// The first instant at which the override is no longer active.
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Instant)]
    pub until: Timestamp,
    /// The reason: the author's text, or DockNap's for a change that was made elsewhere.
    pub reason: String,
    /// The user, token or other actor that created the override.
    #[serde(serialize_with = "name")]
    #[schema(value_type = String)]
    pub author: ActorRef,
    /// Whether the override records a manual start or stop inside a window (policy `respect`). Otherwise a user or a
    /// program created the override.
    pub by_hand: bool,
    /// Whether, at its end, the changes made for the override are reverted if no other rule decides then.
    pub puts_back: bool,
    /// The first instant at which the override is active.
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Instant)]
    pub created_at: Timestamp,
    /// The instant at which DockNap processed the end of the override; `null` while it is active.
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Option<Instant>)]
    pub closed_at: Option<Timestamp>,
    /// The reason of the end: `expired`, `ended by NAME`, `superseded`, `its target is gone`, or the action that ended
    /// the override.
    pub closed_reason: String,
}

/// Serializes an actor as its name.
fn name<S: Serializer>(author: &ActorRef, to: S) -> Result<S::Ok, S::Error> {
    author.name.serialize(to)
}

impl Override {
    /// The end of the override: the earlier of `until` and `closed_at`. `None` before its end is processed.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.closed_at.map(|at| at.min(self.until))
    }

    /// Whether the override is active at an instant.
    pub fn is_active(&self, at: Timestamp) -> bool {
        self.created_at <= at && at < self.until && self.closed_at.is_none_or(|closed| at < closed)
    }

    /// Whether the override exists because its target was found running during its sleep. It is unknown then whether
    /// somebody started the target.
    pub fn is_unproven(&self) -> bool {
        self.by_hand && self.author.kind == OUTSIDE && self.reason == FOUND_RUNNING
    }

    /// Whether a user or a program chose the end, with Nap, Wake or an override. Otherwise the override records a
    /// manual start or stop, and its end is the next edge of the schedule that was contradicted.
    pub fn has_chosen_end(&self) -> bool {
        !self.by_hand || self.puts_back
    }

    /// The reason of the run that reverts the changes at the end of the override; empty for a hold.
    pub fn end_told(&self) -> &'static str {
        match self.wanted {
            DesiredState::Asleep => NAP_OVER,
            DesiredState::Awake => WAKE_OVER,
            DesiredState::Hold => "",
        }
    }

    /// Whether the override is a hold for a group, a host or everything, which is the first layer.
    pub fn is_general_hold(&self) -> bool {
        self.wanted == DesiredState::Hold && !self.reach.is_narrow()
    }
}
