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
use crate::app::stacks::{HostLink, NextAction, ShownState};
use crate::domain::action::Action;
use crate::domain::group::Group as GroupOfHosts;
use crate::domain::ids::HostId;
use crate::domain::inventory::Link;
use crate::domain::overrides::DesiredState;
use crate::domain::target::{Target, TargetType};
use crate::web::auth::Needs;
use crate::web::filters;
use crate::web::form::Typed;
use crate::web::list::ListQuery;
use crate::web::page::Page;
use crate::web::pages::actions::{OFFERED, TargetAction};
use crate::web::pages::choices::{Group, WINDOWS, targets};
use crate::web::picture::Donut;
use crate::web::shell::{Flash, Shell};
use crate::web::view::{self, Badge};

/// The number of rows below "Next" and below "Napped this week".
const LINES: usize = 3;

/// The query parameters: a host; a group; a part of the name of a stack or of one of its containers; the CSS class of a state;
/// `hidden=show` to list the lines of "Needs attention" that the reader hid.
const FIELDS: [&str; 5] = ["host", "group", "q", "state", "hidden"];

/// The filter of the dashboard.
pub(super) fn find(typed: Typed) -> ListQuery {
    ListQuery::new("/", &FIELDS, typed)
}

/// Whether a row matches the filters in the query, except host and group.
fn fits(find: &ListQuery, row: &Row) -> bool {
    let (text, state) = (find.get("q").trim().to_lowercase(), find.get("state"));
    let has_text = |name: &str| name.to_lowercase().contains(&text);
    let is_named = || has_text(row.name) || row.members.iter().any(|one| has_text(&one.container.name));
    (state.is_empty() || Badge::from(row.shown).class == state) && is_named()
}

/// The rows of one host.
struct HostRows<'a> {
    /// The host; `None` where there is only one, which has no heading.
    host: Option<&'a HostLink>,
    stacks: Vec<&'a Row<'a>>,
    /// The containers without a stack.
    loose: Vec<&'a Row<'a>>,
}

impl HostRows<'_> {
    fn is_empty(&self) -> bool {
        self.stacks.is_empty() && self.loose.is_empty()
    }

    /// The beginning of the ids of its headings; empty where there is only one host.
    fn id(&self) -> String {
        self.host.map(|host| format!("{}-", host.id)).unwrap_or_default()
    }

    /// The number of its stacks, and of its containers without a stack, in words.
    fn counts(&self) -> String {
        let counts = [(self.stacks.len(), "stack"), (self.loose.len(), "container")];
        let words = counts.into_iter().filter(|(number, _)| *number > 0);
        words.map(|(number, noun)| view::count(number, noun)).collect::<Vec<_>>().join(", ")
    }
}

/// The hosts of one group, or the hosts that are in no group.
struct Section<'a> {
    group: Option<&'a GroupOfHosts>,
    /// Whether it has a heading, because there is a group of hosts.
    is_titled: bool,
    hosts: Vec<HostRows<'a>>,
}

impl Section<'_> {
    /// The id of its heading.
    fn id(&self) -> String {
        self.group.map_or_else(|| "no-group".to_owned(), |group| format!("group-{}", group.id))
    }

    /// The level of the headings of its hosts.
    fn level(&self) -> u8 {
        if self.is_titled { 3 } else { 2 }
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
    /// The filters.
    find: ListQuery,
}

impl Dashboard<'_> {
    /// The first unreachable host if no host answers: the reason, the instant at which the connection was lost, the
    /// instant of the shown data, and its id. A host that is away while another one answers has a line below "Needs
    /// attention", and only its own rows are out of date.
    fn away(&self) -> Option<(&str, Timestamp, Option<Timestamp>, &HostId)> {
        let hosts = &self.sight.overview.hosts;
        if hosts.iter().any(HostLink::is_connected) {
            return None;
        }
        hosts.iter().find_map(|host| match &host.link {
            Link::Unreachable { reason, since } => Some((reason.as_str(), *since, host.seen_at, &host.id)),
            _ => None,
        })
    }

    /// The names of the hosts that do not answer while another one does; empty if all answer.
    fn unchecked(&self) -> String {
        let is_unchecked = |host: &&HostLink| !host.is_connected() && host.link != Link::Disabled;
        let names = self.sight.overview.hosts.iter().filter(is_unchecked);
        let names: Vec<String> = names.map(|host| view::shown_name(&host.name)).collect();
        if self.sight.overview.hosts.iter().any(HostLink::is_connected) {
            view::first_few(&names, ", ", " and ")
        } else {
            String::new()
        }
    }

    /// Whether the hidden lines are listed too.
    fn shows_hidden(&self) -> bool {
        self.find.get("hidden") == "show" && !self.hidden.is_empty()
    }

    /// The value of `hidden` that lists the hidden lines, or leaves them out again.
    fn turned(&self) -> &'static str {
        if self.shows_hidden() { "" } else { "show" }
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
    /// create one, or if no host answers.
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

    /// Whether no row matches the filter.
    fn finds_nothing(&self) -> bool {
        self.found().iter().flat_map(|section| &section.hosts).all(HostRows::is_empty)
    }

    /// The rows that match the filter, by group of hosts and host. A host in several groups is listed in the first of
    /// them, or in that of the filter.
    fn found(&self) -> Vec<Section<'_>> {
        let mut hosts = self.by_host();
        let overview = &self.sight.overview;
        let mut groups: Vec<&GroupOfHosts> = overview.groups.iter().collect();
        groups.sort_by_key(|group| group.id.as_str() != self.find.get("group"));
        let mut sections = Vec::new();
        for group in groups {
            let members = overview.memberships.members(&group.id);
            let is_in = |rows: &mut HostRows<'_>| {
                rows.host.is_some_and(|host| members.contains(&Target::host(host.id.clone())))
            };
            let hosts: Vec<_> = hosts.extract_if(.., is_in).collect();
            if !hosts.is_empty() {
                sections.push(Section { group: Some(group), is_titled: true, hosts });
            }
        }
        sections.sort_by_key(|section| {
            overview.groups.iter().position(|group| Some(&group.id) == section.group.map(|one| &one.id))
        });
        if !hosts.is_empty() {
            sections.push(Section { group: None, is_titled: !sections.is_empty(), hosts });
        }
        sections
    }

    /// The rows that match the filter, by host.
    fn by_host(&self) -> Vec<HostRows<'_>> {
        let of = |kind: TargetType, host: Option<&HostLink>| {
            let is_here = |row: &&Row| {
                row.target.target_type() == kind && host.is_none_or(|host| host.id == row.target.host)
            };
            self.rows.iter().filter(is_here).filter(|row| fits(&self.find, row)).collect()
        };
        let rows = |host| HostRows {
            host,
            stacks: of(TargetType::Stack, host),
            loose: of(TargetType::Container, host),
        };
        if self.shell.hosts.len() == 1 {
            return vec![rows(None)];
        }
        // While something is searched, only the hosts with a match are of interest.
        let searches = ["q", "state"].iter().any(|field| !self.find.get(field).trim().is_empty());
        let hosts = self.sight.overview.hosts.iter().map(|host| rows(Some(host)));
        hosts.filter(|rows| !searches || !rows.is_empty()).collect()
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
    find: ListQuery,
    answer: impl FnOnce(&Dashboard<'_>) -> Result<Response>,
) -> Result<Response> {
    let (app, actor, shell) = (&page.app, &page.actor, &page.shell);
    let area = find.area(shell)?;
    let sight = &AttentionInput::load(page, &area).await?;
    let hidden = service::hidden(app, actor).await?;
    let (needs, hidden) = attention::split(sight.needs(shell), &hidden);
    let first = shell.now.habits.week_start.day();
    let napped = report::week(app, actor, &area, &shell.now.zone, first).await?;
    let (stacks, loose) = (&sight.overview.stacks, &sight.overview.loose);
    let rows: Vec<Row> = stacks.iter().map(Row::from).chain(loose.iter().map(Row::from)).collect();
    let count = |state| rows.iter().filter(|row| row.shown == state).count();
    let donut = Donut::new(STATES.into_iter().map(|state| (state.into(), count(state))));
    answer(&Dashboard { shell, sight, rows, napped, needs, hidden, donut, find })
}

/// The parts of the dashboard that change with time, with a message in the corner.
pub(super) async fn now<R: Needs>(page: &Page<R>, find: ListQuery, message: Flash) -> Result<Response> {
    use axum::response::IntoResponse as _;
    with_page(page, find, |whole| Ok(message.beside(&page.shell, &whole.as_now())?.into_response())).await
}

pub(super) async fn index(page: Page, Query(typed): Query<Typed>) -> Result<Response> {
    // htmx names the region that sent the request by its id. Any other source is the search form, which changes only
    // the list.
    let region = page.htmx.source.as_deref().filter(|_| page.htmx.partial);
    with_page(&page, find(typed), |whole| match region {
        None => page.render(whole),
        Some(source) if source.ends_with("#now") => page.render(&whole.as_now()),
        Some(_) => page.render(&whole.as_board()),
    })
    .await
}
