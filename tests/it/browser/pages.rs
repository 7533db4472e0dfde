//! Every page there is, named in one place: whoever looks at all of them looks at these.

use axum::http::Method;
use docknap::web;
use docknap::web::routes::Route;

use super::Visit;
use crate::support::app::TestApp;

/// What pages are about: keys of targets, ids of the rest.
#[derive(Clone, Debug)]
pub struct Things {
    /// A stack that is awake.
    pub stack: String,
    /// Another one.
    pub asleep: String,
    pub container: String,
    /// A container that is not there any more.
    pub gone: String,
    /// A schedule with sleep hours.
    pub window: String,
    /// One that fires.
    pub cron: String,
    /// One that meets another.
    pub met: String,
    /// A calendar that schedules go by.
    pub calendar: String,
    /// One that none does.
    pub unused: String,
    pub user: String,
    /// A run that went well.
    pub run: String,
    /// One that did not.
    pub failed: String,
}

/// One page.
pub struct PageOf {
    /// What a picture of it is called.
    pub name: &'static str,
    /// Where it is.
    pub path: String,
    /// Who sees it; nobody has logged in where it is empty.
    pub who: &'static str,
    /// What is pressed first; nothing where it is empty.
    pub press: &'static str,
}

/// Routes that answer a GET, and are no page of their own.
const NO_PAGES: [(&str, &str); 22] = [
    ("/audit.csv", "a file"),
    ("/audit.json", "a file"),
    ("/calendar/{file}", "a file for calendar apps"),
    ("/containers/{key}/tile", "a row of the first page"),
    ("/containers/{key}/{action}", "the same question as for a stack"),
    ("/events", "the stream"),
    ("/health/bundle", "a file"),
    ("/groups/{id}/delete", "the same question as for a calendar"),
    ("/groups/{id}/edit", "the form of a new group, filled"),
    ("/hosts/{id}/delete", "the same question as for a calendar"),
    ("/hosts/{id}/edit", "the form of a new host, filled"),
    ("/runs.csv", "a file"),
    ("/runs.json", "a file"),
    ("/runs/newer", "a button of the list of runs"),
    ("/schedules.yaml", "a file"),
    ("/schedules/zones", "the choices of a field"),
    ("/settings/backup/copies/{name}/delete", "the same question as for a calendar"),
    ("/settings/rules.yaml", "a file"),
    ("/setup", "there is somebody already; first_run.rs goes through it"),
    ("/simulate", "leads to the timeline"),
    ("/stacks/{key}/tile", "a row of the first page"),
    ("/welcome", "leads to its first step"),
];

/// Every page that a GET leads to.
pub fn every(things: &Things) -> Vec<PageOf> {
    let Things { stack, asleep, container, gone, window, cron, met, calendar, unused, user, run, failed } =
        things;
    let page = |name, path: &str| PageOf { name, path: path.to_owned(), who: "anna", press: "" };
    let pressed = |name, path: &str, press| PageOf { press, ..page(name, path) };
    let seen_by = |who, name, path: &str| PageOf { who, ..page(name, path) };
    vec![
        page("dashboard", "/"),
        page("dashboard-filtered", "/?state=napping"),
        page("stack", &format!("/stacks/{stack}")),
        page("stack-woken", &format!("/stacks/{asleep}")),
        page("stack-runs", &format!("/stacks/{stack}?tab=runs")),
        page("stack-audit", &format!("/stacks/{stack}?tab=audit")),
        page("stack-labels", &format!("/stacks/{stack}?tab=labels")),
        page("stack-order", &format!("/stacks/{stack}/order")),
        page("nap-question", &format!("/stacks/{stack}/nap")),
        page("stop-question", &format!("/stacks/{stack}/stop")),
        page("bulk-plan", &format!("/actions?do=nap&t=stack%2F{stack}&t=stack%2F{asleep}")),
        page("container", &format!("/containers/{container}")),
        page("container-gone", &format!("/containers/{gone}")),
        page("schedules", "/schedules"),
        page("schedule-new", &format!("/schedules/new?target=stack%2F{stack}")),
        page("schedule-week", &format!("/schedules/{window}")),
        pressed("schedule-sentence", &format!("/schedules/{window}"), "label:has(#view-sentence)"),
        pressed("schedule-text", &format!("/schedules/{window}"), "label:has(#view-text)"),
        page("schedule-cron", &format!("/schedules/{cron}")),
        pressed("schedule-cron-sentence", &format!("/schedules/{cron}"), "label:has(#view-sentence)"),
        page("schedules-meet", &format!("/schedules/{met}/conflict")),
        page("schedule-run-question", &format!("/schedules/{window}/run?edge=sleep")),
        page("schedule-delete-question", &format!("/schedules/{window}/delete")),
        page("schedule-copy-question", &format!("/schedules/{window}/copy")),
        page("schedule-move-question", &format!("/schedules/{cron}/move")),
        page("timeline-day", "/timeline?view=day"),
        page("timeline-week", "/timeline?view=week"),
        page("timeline-month", "/timeline?view=month"),
        page("timeline-agenda", "/timeline?view=agenda"),
        page("hosts", "/hosts"),
        page("host-new", "/hosts/new"),
        page("host", "/hosts/local"),
        page("groups", "/groups"),
        page("group-new", "/groups/new"),
        page("group", "/groups/evening"),
        page("calendars", "/calendars"),
        page("calendar-new", "/calendars/new"),
        page("calendar", &format!("/calendars/{calendar}")),
        page("calendar-delete-question", &format!("/calendars/{unused}/delete")),
        page("not-possible", &format!("/calendars/{calendar}/delete")),
        page("overrides", "/overrides"),
        page("override-new", "/overrides/new"),
        page("runs", "/runs"),
        page("runs-filtered", "/runs?state=attention&action=start"),
        page("run", &format!("/runs/{run}")),
        page("run-failed", &format!("/runs/{failed}")),
        page("run-retry-question", &format!("/runs/{failed}/retry")),
        page("report", "/report"),
        page("audit", "/audit"),
        page("users", "/users"),
        page("user-new", "/users/new"),
        page("user", &format!("/users/{user}")),
        page("user-delete-question", &format!("/users/{user}/delete")),
        page("settings", "/settings"),
        page("backup", "/settings/backup"),
        page("import", "/settings/import"),
        page("health", "/health"),
        page("welcome-docker", "/welcome/docker"),
        page("welcome-nap", "/welcome/nap"),
        page("profile", "/profile"),
        page("not-found", "/no-such-page"),
        seen_by("vera", "dashboard-viewer", "/"),
        seen_by("vera", "forbidden", "/users"),
        seen_by("", "login", "/login"),
        seen_by("", "invite-over", "/invite/it-was-used-already"),
    ]
}

impl Visit {
    /// Opens a page as whoever sees it; `now` is who is logged in, and who is afterwards.
    pub async fn open(&self, page: &PageOf, now: &mut &'static str) {
        if *now != page.who {
            self.driver.delete_all_cookies().await.expect("they go");
            if !page.who.is_empty() {
                self.log_in(page.who, super::PASSWORD).await;
            }
            *now = page.who;
        }
        self.goto(&page.path).await;
        self.find("main h1").await;
        if !page.press.is_empty() {
            // What is pressed makes the page say anew what it means.
            let watch =
                "document.addEventListener('htmx:after:swap', () => { window.swapped = true; }); return true";
            assert!(self.ask::<bool>(watch).await);
            self.press(page.press).await;
            self.until("it says what that means", "return window.swapped").await;
        }
        if !page.who.is_empty() {
            self.until("the stream has begun", "return Boolean(document.body._htmx?.sse?.reader)").await;
        }
        self.until_idle().await;
    }
}

/// Whether a path is one of a route; a fixed word is told from one that stands for something.
fn matches(route: &Route, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let (wanted, given): (Vec<_>, Vec<_>) = (route.path.split('/').collect(), path.split('/').collect());
    wanted.len() == given.len()
        && wanted.iter().zip(&given).all(|(wanted, given)| {
            if wanted.starts_with('{') { is_id(given) || is_free(wanted) } else { wanted == given }
        })
}

/// Ids and keys begin with a zero here, but for the host that is always there and the group of `filled.rs`.
fn is_id(given: &str) -> bool {
    given.starts_with('0') || ["local", "evening"].contains(&given)
}

/// What stands for an action may be any word.
fn is_free(parameter: &str) -> bool {
    ["{action}", "{token}"].contains(&parameter)
}

#[tokio::test]
async fn no_page_is_forgotten() {
    let test = TestApp::new().await;
    let id = |number: u32| format!("0{number}");
    let things = Things {
        stack: id(1),
        asleep: id(2),
        container: id(3),
        gone: id(4),
        window: id(5),
        cron: id(6),
        met: id(7),
        calendar: id(8),
        unused: id(12),
        user: id(9),
        run: id(10),
        failed: id(11),
    };
    let pages = every(&things);
    let table = web::table(&test.web);
    let gets =
        || table.iter().filter(|route| route.method == Method::GET && !route.path.starts_with("/api/"));
    for route in gets() {
        let is_listed = pages.iter().any(|page| matches(route, &page.path));
        let is_excused = NO_PAGES.iter().any(|(path, _)| *path == route.path);
        assert!(is_listed || is_excused, "{} is in no list of tests/it/browser/pages.rs", route.path);
        assert!(!(is_listed && is_excused), "{} is in both lists", route.path);
    }
    for (path, why) in NO_PAGES {
        assert!(gets().any(|route| route.path == path), "{path} ({why}) is no route any more");
    }
    for page in &pages {
        let known = gets().any(|route| matches(route, &page.path));
        assert!(known || page.path == "/no-such-page", "{} is no page any more", page.path);
        let same = pages.iter().filter(|one| one.name == page.name).count();
        assert_eq!(same, 1, "two pictures are called {}", page.name);
    }
}
