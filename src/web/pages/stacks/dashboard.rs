//! The dashboard: what sleeps, what comes next, what needs somebody, and every stack in a line.

use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use jiff::Timestamp;

use super::attention::{self, AttentionInput, AttentionItem};
use super::tile::Row;
use crate::app::Result;
use crate::app::attention as service;
use crate::app::report::{self, Napped};
use crate::app::stacks::{NextAction, ShownState};
use crate::domain::action::Action;
use crate::domain::inventory::Link;
use crate::domain::overrides::DesiredState;
use crate::domain::target::{Target, TargetType};
use crate::web::auth::Needs;
use crate::web::filters;
use crate::web::page::Page;
use crate::web::pages::actions::{OFFERED, TargetAction};
use crate::web::pages::choices::{Group, WINDOWS, targets};
use crate::web::picture::Donut;
use crate::web::shell::{Flash, Shell};
use crate::web::view::{self, Badge};

/// Lines under "Next", and under "Napped this week".
const LINES: usize = 3;

/// Which stacks are wanted, as the URL says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct DashboardFilter {
    /// A part of a name: of the stack or of a container of it.
    pub q: String,
    /// The word of a state.
    pub state: String,
    /// `show`: what the reader hid is listed too.
    pub hidden: String,
}

impl DashboardFilter {
    fn names(&self, name: &str) -> bool {
        name.to_lowercase().contains(&self.q.trim().to_lowercase())
    }

    fn fits(&self, row: &Row) -> bool {
        let is_named =
            || self.names(row.name) || row.members.iter().any(|one| self.names(&one.container.name));
        (self.state.is_empty() || Badge::from(row.shown).class == self.state) && is_named()
    }

    /// The page with this choice, and another state.
    fn href(&self, state: &str) -> String {
        let fields = [("q", self.q.trim()), ("state", state)];
        let fields: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        match serde_urlencoded::to_string(&fields) {
            Ok(query) if !query.is_empty() => format!("/?{query}"),
            _ => "/".to_owned(),
        }
    }
}

/// The first page.
#[derive(Template)]
#[template(path = "stacks/index.html", blocks = ["now", "board"])]
pub(super) struct Dashboard<'a> {
    shell: &'a Shell,
    sight: &'a AttentionInput,
    /// Everything there is: the stacks, then the containers without one.
    rows: Vec<Row<'a>>,
    /// How long everything napped this week.
    napped: Napped,
    /// What a person should look at.
    needs: Vec<AttentionItem>,
    /// What of that the reader hid.
    hidden: Vec<AttentionItem>,
    /// How many are in which state.
    donut: Donut,
    /// What is looked for.
    find: DashboardFilter,
}

impl<'a> Dashboard<'a> {
    /// The host that does not answer: why, since when, and from when what is shown is.
    fn away(&self) -> Option<(&str, Timestamp, Option<Timestamp>)> {
        self.sight.overview.hosts.iter().find_map(|host| match &host.link {
            Link::Unreachable { reason, since } => Some((reason.as_str(), *since, host.seen_at)),
            _ => None,
        })
    }

    /// What is hidden is listed too.
    fn shows_hidden(&self) -> bool {
        self.find.hidden == "show" && !self.hidden.is_empty()
    }

    /// What comes next, with the name of what it is done to.
    fn coming(&self) -> Vec<(&NextAction, &str)> {
        let mut all: Vec<_> = self.rows.iter().filter_map(|row| Some((row.next?, row.name))).collect();
        all.sort_by_key(|(next, name)| (next.at, *name));
        all.truncate(LINES);
        all
    }

    /// Nothing has a rule yet: the targets to begin with.
    fn begin(&self) -> Vec<Group> {
        let is_new = self.rows.iter().all(|row| row.next.is_none() && !row.wanted.has_window);
        if is_new && self.shell.can_operate() && self.away().is_none() {
            targets(&self.sight.overview, "", None)
        } else {
            Vec::new()
        }
    }

    /// What napped longest this week and is still there, by name.
    fn longest(&self) -> Vec<(&Target, &str, i64)> {
        let each = self.napped.each.iter().filter(|(_, seconds)| *seconds >= 60);
        let name = |target: &Target| self.rows.iter().find(|row| row.target == *target).map(|row| row.name);
        each.filter_map(|(target, seconds)| Some((target, name(target)?, *seconds))).take(LINES).collect()
    }

    /// Those of a kind that are looked for.
    fn found(&self, kind: TargetType) -> Vec<&Row<'a>> {
        let of_kind = self.rows.iter().filter(|row| row.target.target_type() == kind);
        of_kind.filter(|row| self.find.fits(row)).collect()
    }
}

/// The states in the order of a donut and its list.
const STATES: [ShownState; 10] = [
    ShownState::Running,
    ShownState::Starting,
    ShownState::Napping,
    ShownState::Partial,
    ShownState::Unhealthy,
    ShownState::RestartLooping,
    ShownState::Paused,
    ShownState::Stopped,
    ShownState::Completed,
    ShownState::Unreachable,
];

/// The page as somebody sees it now, given to `answer`.
async fn with_page<R: Needs>(
    page: &Page<R>,
    find: DashboardFilter,
    answer: impl FnOnce(&Dashboard<'_>) -> Result<Response>,
) -> Result<Response> {
    let (app, actor, shell) = (&page.app, &page.actor, &page.shell);
    let sight = &AttentionInput::look(page).await?;
    let hidden = service::hidden(app, actor).await?;
    let (needs, hidden) = attention::part(sight.needs(&shell.now), &hidden);
    let napped = report::week(app, actor, &shell.now.zone, shell.now.habits.week_start.day()).await?;
    let (stacks, loose) = (&sight.overview.stacks, &sight.overview.loose);
    let rows: Vec<Row> = stacks.iter().map(Row::from).chain(loose.iter().map(Row::from)).collect();
    let count = |state| rows.iter().filter(|row| row.shown == state).count();
    let donut = Donut::new(STATES.into_iter().map(|state| (state.into(), count(state))));
    answer(&Dashboard { shell, sight, rows, napped, needs, hidden, donut, find })
}

/// What is of the moment, with a message in the corner.
pub(super) async fn now<R: Needs>(page: &Page<R>, find: DashboardFilter, told: Flash) -> Result<Response> {
    use axum::response::IntoResponse as _;
    with_page(page, find, |whole| Ok(told.beside(&page.shell, &whole.as_now())?.into_response())).await
}

pub(super) async fn index(page: Page, Query(find): Query<DashboardFilter>) -> Result<Response> {
    // The region that asks says so by its id; a search is about the list.
    let region = page.htmx.source.as_deref().filter(|_| page.htmx.partial);
    with_page(&page, find, |whole| match region {
        None => page.render(whole),
        Some(source) if source.ends_with("#now") => page.render(&whole.as_now()),
        Some(_) => page.render(&whole.as_board()),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_lives_in_the_url() {
        let find = DashboardFilter {
            q: " a&b ".to_owned(),
            state: "napping".to_owned(),
            ..DashboardFilter::default()
        };
        assert_eq!(find.href("running"), "/?q=a%26b&state=running");
        assert_eq!(DashboardFilter::default().href(""), "/");
        assert!(DashboardFilter { q: "MED".to_owned(), ..DashboardFilter::default() }.names("media"));
    }
}
