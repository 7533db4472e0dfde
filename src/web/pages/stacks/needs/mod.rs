//! What a person should look at, each with what mends it, and what somebody hid for a while.

use std::cmp::Reverse;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::app::needs::Hidden;
use crate::app::stacks::Overview;
use crate::domain::run::Run;
use crate::domain::schedule::Schedule;
use crate::domain::sorted;
use crate::domain::text::hex;
use crate::web::pages::actions::Act;
use crate::web::view::{Now, When};

pub(super) mod acts;
mod lines;

/// What mends something.
#[derive(Clone, Debug)]
pub struct Cure {
    /// The button, and where it leads.
    pub act: Act,
    /// It is done at once, without a question.
    pub at_once: bool,
}

impl Cure {
    fn asks(act: Act) -> Self {
        Self { act, at_once: false }
    }

    fn at_once(act: Act) -> Self {
        Self { act, at_once: true }
    }
}

/// Something a person should look at.
#[derive(Clone, Debug)]
pub struct Need {
    /// Stands for the thing and what happened to it: something new makes it another one. Empty where it cannot be hidden.
    pub id: String,
    /// `bad` or `warn`.
    pub tone: &'static str,
    pub icon: &'static str,
    /// What, as a link.
    pub title: String,
    pub text: String,
    /// Since when.
    pub when: Option<When>,
    /// Where to look.
    pub href: String,
    /// What mends it.
    pub cure: Option<Cure>,
    /// Since when, where that alone tells it from the time before.
    since: Option<Timestamp>,
}

impl Need {
    /// Where it is hidden, or shown again.
    pub fn turn(&self, hides: bool) -> String {
        format!("/needs/{}/{}", self.id, if hides { "hide" } else { "show" })
    }

    /// The id of what happened to a thing, by all that makes it this and no other.
    fn id(parts: &[&str]) -> String {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        hex(&digest.finalize()[..8])
    }
}

/// What somebody hid, with the end of that.
#[derive(Clone, Debug)]
pub struct HiddenNeed {
    pub need: Need,
    /// Until when.
    pub until: When,
}

/// All that is looked at for them.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// Hosts, stacks and containers.
    pub overview: &'a Overview,
    /// The newest runs.
    pub runs: &'a [Run],
    /// Schedules whose account is gone, with its name.
    pub left: &'a [(Schedule, String)],
    /// What stands in the way of storing anything.
    pub storage: Option<&'static str>,
}

impl Sight<'_> {
    /// Everything there is to look at was looked at.
    pub fn is_whole(&self) -> bool {
        use crate::domain::inventory::Link;
        self.overview.hosts.iter().all(|host| matches!(host.link, Link::Connected { .. }))
    }

    /// What does not answer or store, what is unwell or failed now, stacks that are only partly up, what is not as its
    /// rule says, labels that mean nothing, schedules that nobody keeps, and each target whose newest run failed not long
    /// ago. The newest first; what has no known beginning comes last, but for what keeps DockNap itself from its work.
    pub fn needs(&self, now: &Now) -> Vec<Need> {
        let mut needs = lines::all(self, now);
        sorted::by_key(&mut needs, |need| {
            (!need.id.is_empty(), Reverse(need.when.as_ref().map(|when| when.iso.clone())))
        });
        needs
    }
}

/// Those that are to be seen, and those that are hidden.
pub fn part(needs: Vec<Need>, hidden: &[Hidden], now: &Now) -> (Vec<Need>, Vec<HiddenNeed>) {
    let (mut seen, mut unseen) = (Vec::new(), Vec::new());
    for need in needs {
        let is_new = |since: Timestamp| need.since.is_some_and(|begun| begun > since);
        match hidden.iter().find(|one| one.need == need.id && !is_new(one.since)) {
            Some(one) => unseen.push(HiddenNeed { need, until: now.when(one.until) }),
            None => seen.push(need),
        }
    }
    (seen, unseen)
}
