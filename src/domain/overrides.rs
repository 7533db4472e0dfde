//! Wishes that outrank the windows for a while: awake, asleep or hold, for a container, a stack, a host or everything,
//! with a mandatory end and a reason (semantics §2).

use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::ids::{HostId, OverrideId};
use super::run::ActorRef;
use super::target::{Subject, Target, TargetType};
use super::time::{Instant, serialize_instant};
use super::words::words;

/// The longest override.
pub const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// The longest reason, in characters.
pub const MAX_REASON: usize = 500;

/// Why something wakes at the end of a nap.
pub const NAP_OVER: &str = "its nap is over: what slept for it wakes";
/// Why something sleeps again at the end of a wake.
pub const WAKE_OVER: &str = "its time awake is over: what was woken for it sleeps again";

/// Why something stays awake that runs in its sleep, where DockNap and Docker may both have been down when it started.
pub const FOUND_RUNNING: &str = "found running; it was started while nobody was watching";
/// Who did something without a word to DockNap, as the kind of an author.
pub const OUTSIDE: &str = "outside";

words! {
    /// What an override wants.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
    #[serde(rename_all = "lowercase")]
    #[schema(as = Wanted)]
    pub enum DesiredState {
        /// Up: what naps is woken now, and not put to sleep before the end.
        Awake,
        /// Stopped or paused.
        Asleep,
        /// As it is: nothing is touched.
        Hold,
    }
}

impl DesiredState {
    /// Asleep for awake, and the reverse; a hold has no opposite.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Awake => Self::Asleep,
            Self::Asleep => Self::Awake,
            Self::Hold => Self::Hold,
        }
    }
}

/// What an override or a rule reaches. Ordered from wide to narrow: within a layer the narrowest that says anything
/// decides alone (rulings 1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// Everything DockNap knows.
    All,
    /// Everything on one host.
    Host(HostId),
    /// A stack or a container.
    Target(Target),
}

impl Reach {
    /// The word of `target_type`: `all`, `host`, `stack`, `container`.
    pub fn type_str(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Host(_) => "host",
            Self::Target(target) => target.target_type().as_str(),
        }
    }

    /// The host it is on; `None` for everything.
    pub fn host(&self) -> Option<&HostId> {
        match self {
            Self::All => None,
            Self::Host(host) => Some(host),
            Self::Target(target) => Some(&target.host),
        }
    }

    /// What the database keeps beside host and type: the stack's name or the container's identity.
    pub fn identity_text(&self) -> String {
        match self {
            Self::All | Self::Host(_) => String::new(),
            Self::Target(target) => target.identity_text(),
        }
    }

    /// Rebuilds it from stored columns; `None` where they hold what DockNap never wrote.
    pub fn from_columns(host: &str, kind: &str, identity: &str) -> Option<Self> {
        match kind {
            "all" => Some(Self::All),
            "host" => Some(Self::Host(HostId::from(host))),
            kind => {
                TargetType::parse(kind)?;
                Target::from_columns(host, kind, identity).map(Self::Target)
            }
        }
    }

    /// How narrowly it covers a place, where it does: 0 = everything … 3 = this container alone.
    pub fn covers(&self, place: Place<'_>) -> Option<u8> {
        match self {
            Self::All => Some(0),
            Self::Host(host) => (host == place.host).then_some(1),
            Self::Target(target) if target.host != *place.host => None,
            Self::Target(target) => match &target.subject {
                Subject::Stack(name) => (place.stack == Some(name.as_str())).then_some(2),
                Subject::Container(identity) => (place.container == Some(identity)).then_some(3),
            },
        }
    }
}

/// Writes what is wanted as a word, `none` where nothing is.
pub fn word<S: Serializer>(wanted: &Option<DesiredState>, to: S) -> Result<S::Ok, S::Error> {
    wanted.map_or("none", DesiredState::as_str).serialize(to)
}

/// Where something stands: a container with its stack, or a stack as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place<'a> {
    /// The Engine.
    pub host: &'a HostId,
    /// The stack it is, or belongs to.
    pub stack: Option<&'a str>,
    /// The container, where it is one.
    pub container: Option<&'a super::target::ContainerIdentity>,
}

impl<'a> Place<'a> {
    /// Where a container stands.
    pub fn of(container: &'a super::inventory::Container) -> Self {
        Self { host: &container.host, stack: container.stack(), container: Some(&container.identity) }
    }

    /// Where a target stands: a stack as a whole, or a container.
    pub fn of_target(target: &'a Target) -> Self {
        match &target.subject {
            Subject::Stack(name) => Self { host: &target.host, stack: Some(name), container: None },
            Subject::Container(identity) => {
                let stack = match identity {
                    super::target::ContainerIdentity::Service { project, .. } => Some(project.as_str()),
                    super::target::ContainerIdentity::Name(_) => None,
                };
                Self { host: &target.host, stack, container: Some(identity) }
            }
        }
    }
}

/// One wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Override {
    #[serde(skip)]
    pub id: OverrideId,
    #[serde(skip)]
    pub reach: Reach,
    // The name of what it reaches, for people: the stack's or container's, the host's, or `everything`.
    #[serde(skip)]
    pub target_name: String,
    #[serde(rename = "state")]
    pub wanted: DesiredState,
    // The first instant at which it no longer counts.
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Instant)]
    pub until: Timestamp,
    // In the author's words, or in DockNap's where somebody else acted.
    pub reason: String,
    #[serde(serialize_with = "name")]
    #[schema(value_type = String)]
    pub author: ActorRef,
    /// It remembers what somebody did by hand (policy `respect`), rather than being asked for.
    pub by_hand: bool,
    /// At its end what it changed becomes as it was, where no window and no other override decides then.
    pub puts_back: bool,
    // From when it counts.
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Instant)]
    pub created_at: Timestamp,
    /// When it ended and was dealt with; `null` while it counts.
    #[serde(serialize_with = "serialize_instant")]
    #[schema(value_type = Option<Instant>)]
    pub closed_at: Option<Timestamp>,
    /// How it ended: `expired`, `ended by NAME`, `superseded`, `its target is gone`, or by what act of somebody.
    pub closed_reason: String,
}

/// Writes somebody by name alone.
fn name<S: Serializer>(author: &ActorRef, to: S) -> Result<S::Ok, S::Error> {
    author.name.serialize(to)
}

impl Override {
    /// When it ceased to count, once it was dealt with.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.closed_at.map(|at| at.min(self.until))
    }

    /// Whether it counts at an instant.
    pub fn is_active(&self, at: Timestamp) -> bool {
        self.created_at <= at && at < self.until && self.closed_at.is_none_or(|closed| at < closed)
    }

    /// It keeps awake what was found running in its sleep: somebody may have started it, and nobody can tell.
    pub fn is_unproven(&self) -> bool {
        self.by_hand && self.author.kind == OUTSIDE && self.reason == FOUND_RUNNING
    }

    /// Somebody chose its end, with Nap, Wake or an override; else it follows from what somebody did by hand, and the
    /// schedule that was contradicted decides again then.
    pub fn has_chosen_end(&self) -> bool {
        !self.by_hand || self.puts_back
    }

    /// Why what it changed becomes as it was, at its end.
    pub fn end_told(&self) -> &'static str {
        match self.wanted {
            DesiredState::Asleep => NAP_OVER,
            DesiredState::Awake => WAKE_OVER,
            DesiredState::Hold => "",
        }
    }

    /// A hold over a host or everything: the uppermost layer.
    pub fn is_general_hold(&self) -> bool {
        self.wanted == DesiredState::Hold && !matches!(self.reach, Reach::Target(_))
    }
}
