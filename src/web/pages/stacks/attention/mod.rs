//! What a person should look at, each with what mends it, and what somebody hid for a while.

use std::cmp::Reverse;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::app::attention::{self as service, Hidden};
use crate::app::stacks::{self, Overview};
use crate::app::{Result, history, schedules};
use crate::domain::inventory::Link;
use crate::domain::run::Run;
use crate::domain::schedule::Schedule;
use crate::domain::text::hex;
use crate::web::auth::Needs;
use crate::web::page::Page;
use crate::web::pages::actions::Act;
use crate::web::view::Now;

mod lines;

/// What mends something: a button, and whether it does that at once, without a question.
pub(super) struct Cure {
    pub act: Act,
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
#[derive(Default)]
pub(super) struct AttentionItem {
    /// Stands for the thing and what happened to it: something new makes it another one. Empty where it cannot be
    /// hidden.
    pub id: String,
    /// `bad` or `warn`.
    pub tone: &'static str,
    pub icon: &'static str,
    /// What, as a link.
    pub title: String,
    pub text: String,
    /// Since when.
    pub at: Option<Timestamp>,
    /// Where to look.
    pub href: String,
    /// What mends it.
    pub cure: Option<Cure>,
    /// Until when it is hidden, where it is.
    pub until: Option<Timestamp>,
    /// Since when, where that alone tells it from the time before.
    since: Option<Timestamp>,
}

impl AttentionItem {
    /// The word in the URL that hides it, or shows it again.
    pub(super) fn turn(&self) -> &'static str {
        if self.until.is_none() { "hide" } else { "show" }
    }

    fn new(
        tone: &'static str,
        icon: &'static str,
        title: impl Into<String>,
        text: impl Into<String>,
        href: impl Into<String>,
    ) -> Self {
        Self { tone, icon, title: title.into(), text: text.into(), href: href.into(), ..Self::default() }
    }

    /// With all that makes what happened to the thing this and no other.
    fn known_by(self, parts: &[&str]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        Self { id: hex(&digest.finalize()[..8]), ..self }
    }

    fn at(self, at: Option<Timestamp>) -> Self {
        Self { at, ..self }
    }

    fn mended_by(self, cure: impl Into<Option<Cure>>) -> Self {
        Self { cure: cure.into(), ..self }
    }
}

/// All that is looked at for the first page.
pub(super) struct AttentionInput {
    /// Hosts, stacks and containers.
    pub overview: Overview,
    /// The newest runs.
    runs: Vec<Run>,
    /// Schedules whose account is gone, with its name.
    left: Vec<(Schedule, String)>,
    /// What stands in the way of storing anything.
    storage: Option<&'static str>,
}

impl AttentionInput {
    pub(super) async fn look<R: Needs>(page: &Page<R>) -> Result<Self> {
        let (app, actor, now) = (&page.app, &page.actor, &page.shell.now);
        Ok(Self {
            overview: stacks::board(app, actor, (now.midnight(0), now.midnight(1))).await?,
            runs: history::newest(app, actor).await?,
            left: schedules::left(app, actor).await?,
            storage: service::storage_fault(actor)?,
        })
    }

    /// Everything there is to look at was looked at.
    pub(super) fn is_whole(&self) -> bool {
        self.overview.hosts.iter().all(|host| matches!(host.link, Link::Connected { .. }))
    }

    /// What does not answer or store, what is unwell or failed now, stacks that are only partly up, what is not as its
    /// rule says, labels that mean nothing, schedules that nobody keeps, and each target whose newest run failed not
    /// long ago. The newest first; what has no known beginning comes last, but for what keeps DockNap itself from its
    /// work.
    pub(super) fn needs(&self, now: &Now) -> Vec<AttentionItem> {
        let mut needs = lines::all(self, now);
        needs.sort_by_key(|need| (!need.id.is_empty(), Reverse(need.at.map(jiff::Timestamp::as_second))));
        needs
    }
}

/// Those that are to be seen, and those that are hidden.
pub(super) fn part(needs: Vec<AttentionItem>, hidden: &[Hidden]) -> (Vec<AttentionItem>, Vec<AttentionItem>) {
    let (mut seen, mut unseen) = (Vec::new(), Vec::new());
    for need in needs {
        let is_new = |since: Timestamp| need.since.is_some_and(|begun| begun > since);
        match hidden.iter().find(|one| one.need == need.id && !is_new(one.since)) {
            Some(one) => unseen.push(AttentionItem { until: Some(one.until), ..need }),
            None => seen.push(need),
        }
    }
    (seen, unseen)
}
