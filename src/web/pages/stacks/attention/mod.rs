//! The "Needs attention" list of the dashboard: conditions that a user should look at, each with a button that helps,
//! and the lines that the user hid for a while.

use std::cmp::Reverse;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::app::attention::{self as service, Hidden};
use crate::app::backup::copies::{self, Trouble};
use crate::app::rules_file::{self, FolderFault};
use crate::app::schedules::{LabelFaults, label_faults};
use crate::app::stacks::{self, Overview};
use crate::app::{Result, history, schedules};
use crate::domain::group::Area;
use crate::domain::inventory::Link;
use crate::domain::run::Run;
use crate::domain::schedule::Schedule;
use crate::domain::text::hex;
use crate::web::auth::Needs;
use crate::web::page::Page;
use crate::web::pages::actions::Act;
use crate::web::shell::Shell;

mod lines;

/// The button of a line, and whether the button acts at once, without a confirmation.
pub(super) struct Cure {
    pub act: Act,
    pub at_once: bool,
}

impl Cure {
    fn with_confirmation(act: Act) -> Self {
        Self { act, at_once: false }
    }

    fn at_once(act: Act) -> Self {
        Self { act, at_once: true }
    }
}

/// One line of the list.
#[derive(Default)]
pub(super) struct AttentionItem {
    /// A hash of the object and of its condition. A new condition has another id, so that a hidden line shows again.
    /// Empty for a line that cannot be hidden.
    pub id: String,
    /// `bad` or `warn`.
    pub tone: &'static str,
    pub icon: &'static str,
    /// The text of the line's link.
    pub title: String,
    pub text: String,
    /// When the condition began.
    pub at: Option<Timestamp>,
    /// The path of the page with the details.
    pub href: String,
    /// The button of the line.
    pub cure: Option<Cure>,
    /// The end of the time for which the line is hidden. `None` for a visible line.
    pub until: Option<Timestamp>,
    /// When the condition began, if the id alone does not tell this occurrence from the one before.
    since: Option<Timestamp>,
}

impl AttentionItem {
    /// The last segment of the URL that hides the line or shows it again.
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

    /// Sets the id from all parts that identify the object and its condition.
    fn with_id_from(self, parts: &[&str]) -> Self {
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

    fn with_cure(self, cure: impl Into<Option<Cure>>) -> Self {
        Self { cure: cure.into(), ..self }
    }
}

/// The data from which the lines are built.
pub(super) struct AttentionInput {
    /// Hosts, stacks and containers.
    pub overview: Overview,
    /// The newest runs.
    runs: Vec<Run>,
    /// Schedules whose owner's account was deleted, each with that account's name.
    left: Vec<(Schedule, String)>,
    /// What is wrong with labels.
    labels: LabelFaults,
    /// Why the database cannot store anything. `None` if it can.
    storage: Option<&'static str>,
    /// What is wrong with the backups; for admins only.
    backup: Option<Trouble>,
    /// What is wrong with the watched directory.
    folder: Option<FolderFault>,
}

impl AttentionInput {
    /// The data of a part of everything.
    pub(super) async fn load<R: Needs>(page: &Page<R>, area: &Area) -> Result<Self> {
        let (app, actor, now) = (&page.app, &page.actor, &page.shell.now);
        let mut overview = stacks::board(app, actor, (now.midnight(0), now.midnight(1))).await?;
        let (mut runs, mut left) = (history::newest(app, actor).await?, schedules::left(app, actor).await?);
        overview.narrow_to(area);
        runs.retain(|run| area.holds(&run.target));
        left.retain(|(schedule, _)| area.holds(&schedule.spec.target));
        let backup = copies::trouble(app, actor).await?;
        let folder = rules_file::folder_fault(app, actor)?;
        let labels = label_faults(app, actor, area.host.as_ref()).await?;
        Ok(Self { overview, runs, left, labels, storage: service::storage_fault(actor)?, backup, folder })
    }

    /// Whether all hosts were reachable, so that no line is missing.
    pub(super) fn is_whole(&self) -> bool {
        self.overview.hosts.iter().all(|host| matches!(host.link, Link::Connected { .. } | Link::Disabled))
    }

    /// All lines: a faulty database, failed or old backups, a faulty watched directory, unreachable hosts, unhealthy or
    /// crashed containers, stacks that are only partly up, targets that are not in the wanted state, unreadable labels,
    /// schedules without an owner, and targets whose newest run failed recently. Lines that cannot be hidden come first,
    /// then the newest conditions. Lines without a known beginning come last.
    pub(super) fn needs(&self, shell: &Shell) -> Vec<AttentionItem> {
        let mut needs = lines::all(self, shell);
        needs.sort_by_key(|need| (!need.id.is_empty(), Reverse(need.at.map(jiff::Timestamp::as_second))));
        needs
    }
}

/// Splits the lines into visible and hidden ones.
pub(super) fn split(
    needs: Vec<AttentionItem>,
    hidden: &[Hidden],
) -> (Vec<AttentionItem>, Vec<AttentionItem>) {
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
