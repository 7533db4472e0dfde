//! What windows and overrides want of a stack or container, as its page shows it.

use super::actions::Act;
use crate::app::stacks::WantedView;
use crate::domain::desired::Transition;
use crate::domain::overrides::{Override, Wanted};
use crate::domain::target::TargetType;
use crate::web::view::{self, Badge, Now, When};

impl From<Wanted> for Badge {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Awake => Self::AWAKE,
            Wanted::Asleep => Self::ASLEEP,
            Wanted::Hold => Self::HELD,
        }
    }
}

/// An override or hold that counts now.
#[derive(Clone, Debug)]
pub struct Imposed {
    pub id: String,
    /// What it wants.
    pub state: Badge,
    pub until: When,
    /// What comes then, where nothing else decides: ", then wakes"; else empty.
    pub then: &'static str,
    /// Somebody chose that end: it does not just follow from what somebody did by hand.
    pub chosen: bool,
    /// Why, and who wanted it.
    pub why: String,
}

impl Imposed {
    /// The override that counts, with what comes at its end.
    pub fn of(wanted: &WantedView, now: &Now) -> Option<Self> {
        let then = match wanted.then {
            Some(Wanted::Awake) => ", then wakes",
            Some(Wanted::Asleep) => ", then sleeps again",
            Some(Wanted::Hold) | None => "",
        };
        wanted.by_override.as_ref().map(|one| Self { then, ..Self::new(one, now) })
    }

    /// An override as a page shows it.
    pub fn new(one: &Override, now: &Now) -> Self {
        let author = view::shown_name(&one.author.name);
        Self {
            id: one.id.to_string(),
            state: one.wanted.into(),
            until: now.when(one.until),
            then: "",
            chosen: one.has_chosen_end(),
            why: match view::shown_name(&one.reason) {
                reason if reason.is_empty() => format!("by {author}"),
                reason if one.by_hand => now.words(&reason),
                reason => format!("{reason} (by {author})"),
            },
        }
    }
}

/// A change to come.
#[derive(Clone, Debug)]
pub struct Change {
    /// What is wanted from then on; `None` = it is left alone.
    pub state: Option<Badge>,
    pub when: When,
    /// Who says so; empty for nobody.
    pub by: String,
    /// That schedule's page.
    pub href: Option<String>,
}

impl Change {
    fn new(change: &Transition, now: &Now) -> Self {
        Self {
            state: change.wanted.map(Badge::from),
            when: now.when(change.at),
            by: view::shown_name(&change.by),
            href: change.schedule.as_ref().map(|id| format!("/schedules/{id}")),
        }
    }
}

/// What counts now and what comes next.
#[derive(Clone, Debug, Default)]
pub struct WantedPanel {
    /// An override or hold that counts now.
    pub imposed: Option<Imposed>,
    /// The next changes.
    pub changes: Vec<Change>,
}

impl WantedPanel {
    /// What counts now and what comes next of a stack or container.
    pub fn new(wanted: &WantedView, now: &Now) -> Self {
        Self {
            imposed: Imposed::of(wanted, now),
            changes: wanted.transitions.iter().map(|change| Change::new(change, now)).collect(),
        }
    }
}

/// The buttons of a target, with naps in place of stops and starts where it has sleep hours.
pub fn with_naps(
    acts: Vec<Act>,
    wanted: &WantedView,
    kind: TargetType,
    key: &str,
    name: &str,
    (up, down): (bool, bool),
) -> Vec<Act> {
    if acts.is_empty() || !wanted.has_window && wanted.by_override.is_none() {
        return acts;
    }
    let mut naps = Act::naps(kind, key, name, up, down);
    naps.extend(acts.into_iter().filter(|act| act.action != "start" && act.action != "stop"));
    naps
}
