//! The dashboard: the "Needs attention" list, the next actions, the naps of this week, and the list of all stacks.

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
use crate::domain::ids::HostId;
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

/// The number of rows below "Next" and below "Napped this week".
const LINES: usize = 3;

/// The filter of the list, from the URL's query.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct DashboardFilter {
    /// A part of the name of a stack or of one of its containers.
    pub q: String,
    /// The CSS class of a state. Empty for all states.
    pub state: String,
    /// `show`: also list the lines of "Needs attention" that the reader hid.
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

    /// The URL of the dashboard with this search text and another state.
    fn href(&self, state: &str) -> String {
        let fields = [("q", self.q.trim()), ("state", state)];
        let fields: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        match serde_urlencoded::to_string(&fields) {
            Ok(query) if !query.is_empty() => format!("/?{query}"),
            _ => "/".to_owned(),
        }
    }
}

/// The dashboard.
#[derive(Template)]
#[template(path = "stacks/index.html", blocks = ["now", "board"])]
pub(super) struct Dashboard<'a> {
    shell: &'a Shell,
    sight: &'a AttentionInput,
    /// All stacks, then all containers without a stack.
    rows: Vec<Row<'a>>,
    /// How long targets napped this week.
    napped: Napped,
    /// The lines of "Needs attention".
    needs: Vec<AttentionItem>,
    /// The lines of "Needs attention" that the reader hid.
    hidden: Vec<AttentionItem>,
    /// The number of targets per state.
    donut: Donut,
    /// The filter of the list.
    find: DashboardFilter,
}

impl<'a> Dashboard<'a> {
    /// The first unreachable host: the reason, the instant at which the connection was lost, the instant of the shown
    /// data, and its id.
    fn away(&self) -> Option<(&str, Timestamp, Option<Timestamp>, &HostId)> {
        self.sight.overview.hosts.iter().find_map(|host| match &host.link {
            Link::Unreachable { reason, since } => Some((reason.as_str(), *since, host.seen_at, &host.id)),
            _ => None,
        })
    }

    /// Whether the hidden lines are listed too.
    fn shows_hidden(&self) -> bool {
        self.find.hidden == "show" && !self.hidden.is_empty()
    }

    /// The next actions, each with the name and host of its target.
    fn coming(&self) -> Vec<(&NextAction, &str, &HostId)> {
        let mut all: Vec<_> =
            self.rows.iter().filter_map(|row| Some((row.next?, row.name, &row.target.host))).collect();
        all.sort_by_key(|(next, name, _)| (next.at, *name));
        all.truncate(LINES);
        all
    }

    /// The targets to choose from for a first schedule. Empty if any target has a schedule, if the reader may not
    /// create one, or if a host is unreachable.
    fn begin(&self) -> Vec<Group> {
        let is_new = self.rows.iter().all(|row| row.next.is_none() && !row.wanted.has_window);
        if is_new && self.shell.can_operate() && self.away().is_none() {
            targets(&self.sight.overview, "", None)
        } else {
            Vec::new()
        }
    }

    /// The targets that napped longest this week and still exist, each with its name and the seconds.
    fn longest(&self) -> Vec<(&Target, &str, i64)> {
        let each = self.napped.each.iter().filter(|(_, seconds)| *seconds >= 60);
        let name = |target: &Target| self.rows.iter().find(|row| row.target == *target).map(|row| row.name);
        each.filter_map(|(target, seconds)| Some((target, name(target)?, *seconds))).take(LINES).collect()
    }

    /// The rows of a target type that match the filter.
    fn found(&self, kind: TargetType) -> Vec<&Row<'a>> {
        let of_kind = self.rows.iter().filter(|row| row.target.target_type() == kind);
        of_kind.filter(|row| self.find.fits(row)).collect()
    }
}

/// The states in the order of the donut chart and its legend.
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

/// Loads the dashboard for the user and passes it to `answer`.
async fn with_page<R: Needs>(
    page: &Page<R>,
    find: DashboardFilter,
    answer: impl FnOnce(&Dashboard<'_>) -> Result<Response>,
) -> Result<Response> {
    let (app, actor, shell) = (&page.app, &page.actor, &page.shell);
    let sight = &AttentionInput::load(page).await?;
    let hidden = service::hidden(app, actor).await?;
    let (needs, hidden) = attention::split(sight.needs(&shell.now), &hidden);
    let napped = report::week(app, actor, &shell.now.zone, shell.now.habits.week_start.day()).await?;
    let (stacks, loose) = (&sight.overview.stacks, &sight.overview.loose);
    let rows: Vec<Row> = stacks.iter().map(Row::from).chain(loose.iter().map(Row::from)).collect();
    let count = |state| rows.iter().filter(|row| row.shown == state).count();
    let donut = Donut::new(STATES.into_iter().map(|state| (state.into(), count(state))));
    answer(&Dashboard { shell, sight, rows, napped, needs, hidden, donut, find })
}

/// The parts of the dashboard that change with time, with a message in the corner.
pub(super) async fn now<R: Needs>(page: &Page<R>, find: DashboardFilter, message: Flash) -> Result<Response> {
    use axum::response::IntoResponse as _;
    with_page(page, find, |whole| Ok(message.beside(&page.shell, &whole.as_now())?.into_response())).await
}

pub(super) async fn index(page: Page, Query(find): Query<DashboardFilter>) -> Result<Response> {
    // htmx names the region that sent the request by its id. Any other source is the search form, which changes only
    // the list.
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
