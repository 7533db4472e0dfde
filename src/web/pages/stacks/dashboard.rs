//! The dashboard: what sleeps, what comes next, what needs somebody, and every stack in a line.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Html;

use super::NextLine;
use super::needs::{self, HiddenNeed, Need, Sight};
use super::tile::Row;
use crate::app::needs::Hidden;
use crate::app::report::{self, Napped};
use crate::app::stacks::{self, ContainerView, Overview, ShownState, StackView};
use crate::app::{Actor, Result, history, needs as app_needs, schedules};
use crate::domain::inventory::Link as HostLink;
use crate::domain::run::Run;
use crate::domain::schedule::Schedule;
use crate::domain::sorted;
use crate::domain::target::Target;
use crate::web::auth::{Caller, Viewer};
use crate::web::filters;
use crate::web::htmx::Htmx;
use crate::web::pages::schedules::form::{Group, Preset, WINDOWS, targets};
use crate::web::picture::Donut;
use crate::web::shell::Shell;
use crate::web::view::{self, Badge, Choice, Link, Now, When};
use crate::web::{Web, error, pages};

/// Lines under "Next".
const COMING: usize = 3;

/// The host that does not answer.
#[derive(Clone, Debug)]
pub struct Away {
    /// What went wrong and what to do.
    pub reason: String,
    /// Since when.
    pub since: Option<When>,
    /// How old what is shown is.
    pub seen: Option<When>,
}

/// How long one of the longest sleepers napped this week.
#[derive(Clone, Debug)]
pub struct Sleeper {
    /// Its name and page.
    pub link: Link,
    /// Seconds.
    pub seconds: i64,
    /// `12 h 30 min`.
    pub text: String,
}

/// How long everything napped this week.
#[derive(Clone, Debug, Default)]
pub struct Slept {
    /// All of it, in words; empty while nothing has.
    pub total: String,
    /// The longest, at most so many.
    pub longest: Vec<Sleeper>,
}

impl Slept {
    /// The week so far, of what is still there by name.
    fn new(napped: &Napped, overview: &Overview) -> Self {
        let stack = |target: &Target| {
            overview.stacks.iter().find(|view| view.stack.key == target.key()).map(|view| &view.stack.name)
        };
        let loose = |target: &Target| {
            let view = overview.loose.iter().find(|view| view.container.key() == target.key());
            view.map(|view| &view.container.name)
        };
        let text = |seconds: i64| format!("{} h {} min", seconds / 3600, seconds % 3600 / 60);
        let longest =
            napped.each.iter().filter(|(_, seconds)| *seconds >= 60).filter_map(|(target, seconds)| {
                let name = stack(target).or_else(|| loose(target))?;
                let link =
                    Link::new(format!("/{}s/{}", target.target_type(), target.key()), view::shown_name(name));
                Some(Sleeper { link, seconds: *seconds, text: text(*seconds) })
            });
        Self {
            total: if napped.total_seconds < 60 { String::new() } else { text(napped.total_seconds) },
            longest: longest.take(COMING).collect(),
        }
    }
}

/// Which stacks are wanted, as the URL says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Find {
    /// A part of a name: of the stack or of a container of it.
    pub q: String,
    /// The word of a state.
    pub state: String,
    /// `show`: what the reader hid is listed too.
    pub hidden: String,
}

impl Find {
    fn names(&self, name: &str) -> bool {
        name.to_lowercase().contains(&self.q.trim().to_lowercase())
    }

    fn fits(&self, shown: ShownState) -> bool {
        self.state.is_empty() || Badge::from(shown).class == self.state
    }

    fn stack(&self, view: &StackView) -> bool {
        let named = || view.containers.iter().any(|one| self.names(&one.container.name));
        self.fits(view.shown) && (self.names(&view.stack.name) || named())
    }

    fn container(&self, view: &ContainerView) -> bool {
        self.fits(view.shown) && self.names(&view.container.name)
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

/// A state to filter by.
#[derive(Clone, Debug)]
pub struct StateChip {
    /// Where it leads.
    pub href: String,
    /// The state; `None` = all of them.
    pub state: Option<Badge>,
    /// How many are so.
    pub count: usize,
    /// It is the one in force.
    pub chosen: bool,
}

/// The first page.
#[derive(Template, Clone, Debug)]
#[template(path = "stacks/index.html", blocks = ["now", "board"])]
pub struct Dashboard {
    pub shell: Shell,
    /// The host that does not answer.
    pub away: Option<Away>,
    /// Every host was looked at.
    pub looked: bool,
    /// How many are in which state.
    pub donut: Donut,
    /// How long everything napped this week.
    pub slept: Slept,
    /// What a person should look at.
    pub needs: Vec<Need>,
    /// What of that the reader hid.
    pub hidden: Vec<HiddenNeed>,
    /// That is listed too.
    pub shows_hidden: bool,
    /// What comes next.
    pub coming: Vec<NextLine>,
    /// Nothing has a rule yet: the targets to begin with, and ready-made hours.
    pub begin: Option<Vec<Group>>,
    /// Ready-made hours.
    pub presets: Vec<Preset>,
    /// What is looked for.
    pub find: Find,
    /// This page with what is looked for.
    pub here: String,
    /// The states there are.
    pub chips: Vec<StateChip>,
    /// What may be done to what is chosen.
    pub deeds: Vec<Choice>,
    /// There is something, whether it fits or not.
    pub any: bool,
    /// The stacks.
    pub stacks: Vec<Row>,
    /// The containers without a stack.
    pub loose: Vec<Row>,
}

impl Dashboard {
    /// The first page from one look at everything and the newest runs.
    pub fn new(
        shell: Shell,
        sight: Sight<'_>,
        hidden: &[Hidden],
        napped: &Napped,
        find: Find,
        now: &Now,
    ) -> Self {
        let overview = sight.overview;
        let (needs, hidden) = needs::part(sight.needs(now), hidden, now);
        let operates = shell.can_operate();
        let away = overview.hosts.iter().find_map(|host| match &host.link {
            HostLink::Unreachable { reason, since } => Some(Away {
                reason: reason.clone(),
                since: Some(now.when(*since)),
                seen: host.seen_at.map(|at| now.when(at)),
            }),
            _ => None,
        });
        let donut = donut(overview);
        let coming = coming(overview, now);
        let ruled = overview.stacks.iter().any(|view| view.wanted.has_window)
            || overview.loose.iter().any(|view| view.wanted.has_window);
        let begin = (operates && coming.is_empty() && !ruled && away.is_none())
            .then(|| targets(overview, "", None))
            .filter(|groups| !groups.is_empty());
        let stacks = overview.stacks.iter().filter(|view| find.stack(view));
        let loose = overview.loose.iter().filter(|view| find.container(view));
        Self {
            slept: Slept::new(napped, overview),
            needs,
            shows_hidden: find.hidden == "show" && !hidden.is_empty(),
            hidden,
            looked: sight.is_whole(),
            coming,
            begin,
            presets: WINDOWS[..3].to_vec(),
            chips: chips(&donut, &find),
            deeds: if operates { pages::bulk::choices() } else { Vec::new() },
            any: donut.total > 0,
            stacks: stacks.map(|view| Row::stack(view, operates, now)).collect(),
            loose: loose.map(|view| Row::container(view, operates, now)).collect(),
            here: find.href(&find.state),
            donut,
            find,
            away,
            shell,
        }
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

fn donut(overview: &Overview) -> Donut {
    let of = |state: ShownState| {
        overview.stacks.iter().filter(|view| view.shown == state).count()
            + overview.loose.iter().filter(|view| view.shown == state).count()
    };
    Donut::new(STATES.into_iter().map(|state| (state.into(), of(state))))
}

fn chips(donut: &Donut, find: &Find) -> Vec<StateChip> {
    let all =
        StateChip { href: find.href(""), state: None, count: donut.total, chosen: find.state.is_empty() };
    let some = donut.arcs.iter().map(|arc| StateChip {
        href: find.href(arc.state.class),
        state: Some(arc.state),
        count: arc.count,
        chosen: find.state == arc.state.class,
    });
    std::iter::once(all).chain(some).collect()
}

fn coming(overview: &Overview, now: &Now) -> Vec<NextLine> {
    let stacks =
        overview.stacks.iter().flat_map(|view| view.next.iter().map(|next| (next, &view.stack.name)));
    let loose =
        overview.loose.iter().flat_map(|view| view.next.iter().map(|next| (next, &view.container.name)));
    let mut all: Vec<_> = stacks.chain(loose).collect();
    sorted::by_key(&mut all, |(next, name)| (next.at, name.as_str()));
    all.into_iter().take(COMING).map(|(next, name)| NextLine::new(next, Some(name), now)).collect()
}

/// What is looked at for the page.
struct Seen {
    overview: Overview,
    runs: Vec<Run>,
    left: Vec<(Schedule, String)>,
    storage: Option<&'static str>,
}

impl Seen {
    async fn look(web: &Web, actor: &Actor, now: &Now) -> Result<Self> {
        let day = (now.midnight(0), now.midnight(1));
        Ok(Self {
            overview: stacks::board(&web.app, actor, day).await?,
            runs: history::newest(&web.app, actor).await?,
            left: schedules::left(&web.app, actor).await?,
            storage: app_needs::storage_fault(actor)?,
        })
    }

    fn sight(&self) -> Sight<'_> {
        Sight { overview: &self.overview, runs: &self.runs, left: &self.left, storage: self.storage }
    }
}

/// What needs attention now, whether somebody hid it or not.
pub(super) async fn needs_now(web: &Web, actor: &Actor, shell: &Shell) -> Result<Vec<Need>> {
    let now = pages::now(web, shell);
    Ok(Seen::look(web, actor, &now).await?.sight().needs(&now))
}

/// The page as somebody sees it now.
pub(super) async fn page(web: &Web, actor: &Actor, shell: Shell, find: Find) -> Result<Dashboard> {
    let now = pages::now(web, &shell);
    let seen = Seen::look(web, actor, &now).await?;
    let hidden = app_needs::hidden(&web.app, actor).await?;
    let napped = report::week(&web.app, actor, &now.zone, now.habits.week_start.day()).await?;
    Ok(Dashboard::new(shell, seen.sight(), &hidden, &napped, find, &now))
}

pub(super) async fn index(
    State(web): State<Web>,
    caller: Caller<Viewer>,
    htmx: Htmx,
    Query(find): Query<Find>,
    shell: Shell,
) -> Result<Html<String>> {
    let page = page(&web, &caller.actor, shell, find).await?;
    // The region that asks says so by its id; a search is about the list.
    let text = match htmx.source.as_deref().filter(|_| htmx.partial) {
        None => page.render(),
        Some(source) if source.ends_with("#now") => page.as_now().render(),
        Some(_) => page.as_board().render(),
    };
    Ok(Html(text.map_err(error::internal)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_lives_in_the_url() {
        let find = Find { q: " a&b ".to_owned(), state: "napping".to_owned(), ..Find::default() };
        assert_eq!(find.href("running"), "/?q=a%26b&state=running");
        assert_eq!(Find::default().href(""), "/");
        assert!(Find { q: "MED".to_owned(), ..Find::default() }.names("media"));
    }
}
