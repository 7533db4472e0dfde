//! The timeline over a whole DockNap: each view, what leads from it, and what it does not claim.

use docknap::app::schedules::{self, Draft};
use docknap::domain::action::Action;
use docknap::domain::ids::HostId;
use docknap::domain::run::{RunState, Trigger};
use docknap::domain::schedule::{Source, When};
use docknap::domain::target::{self, Target};
use docknap::sim::World;
use scraper::{Html, Selector};

use crate::on_both_engines;
use crate::support::app::{Answer, TestApp};
use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;
use crate::support::rows;

/// A Friday noon in UTC, which is the default zone here.
const NOW: &str = "2026-11-27T12:00:00Z";

on_both_engines!(runs_are_found_by_when_they_ended, the_last_run_before_is_known_of_each_target);

fn run(id: &str, stack: &str, action: Action, ended: &str, state: RunState) -> docknap::domain::run::Run {
    let at = rows::at(ended);
    docknap::domain::run::Run {
        target: Target::stack(HostId::local(), stack),
        target_name: stack.to_owned(),
        action,
        state,
        created_at: at,
        started_at: Some(at),
        finished_at: Some(at),
        ..rows::run(id)
    }
}

/// An id as it would have been made at that instant.
fn timed(mut run: docknap::domain::run::Run, tail: u8) -> docknap::domain::run::Run {
    let hex = format!("{:012x}", run.created_at.as_millisecond());
    run.id = format!("{}-{}-7000-8000-0000000000{tail:02x}", &hex[..8], &hex[8..]).into();
    run
}

async fn runs_are_found_by_when_they_ended(test: TestDb) {
    let night = [
        ("media", Action::Stop, "2026-11-26T23:00:00Z", RunState::Succeeded),
        ("media", Action::Start, "2026-11-27T07:00:00Z", RunState::Partial),
        ("wiki", Action::Restart, "2026-11-27T09:00:00Z", RunState::Skipped),
        ("wiki", Action::Restart, "2026-11-28T00:00:00Z", RunState::Failed),
    ];
    for (number, (stack, action, ended, state)) in (0..).zip(night) {
        let run = timed(run("x", stack, action, ended, state), number);
        rows::store_runs(&test.db, &[(run, vec![])]).await;
    }
    let found = async |from: &str, until: &str, limit| -> Vec<String> {
        let runs = docknap::db::timeline::ended(&test.db, rows::at(from), rows::at(until), limit)
            .await
            .expect("reads");
        runs.iter().map(|run| format!("{} {} {}", run.action, run.target_name, run.state)).collect()
    };
    let day = ("2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z");
    assert_eq!(found(day.0, day.1, 10).await, ["start media partial", "restart wiki skipped"], "half-open");
    assert_eq!(found(day.0, day.1, 1).await, ["restart wiki skipped"], "the newest");
    assert_eq!(found("2026-11-20T00:00:00Z", day.0, 10).await, ["stop media succeeded"]);
}

async fn the_last_run_before_is_known_of_each_target(test: TestDb) {
    let story = [
        ("media", Action::Stop, "2026-11-26T22:00:00Z", RunState::Succeeded),
        ("media", Action::Restart, "2026-11-26T23:00:00Z", RunState::Succeeded),
        ("wiki", Action::Start, "2026-11-26T07:00:00Z", RunState::Partial),
        ("wiki", Action::Stop, "2026-11-26T08:00:00Z", RunState::Failed),
        ("shop", Action::Stop, "2026-10-01T08:00:00Z", RunState::Succeeded),
        ("media", Action::Start, "2026-11-27T07:00:00Z", RunState::Succeeded),
    ];
    for (number, (stack, action, ended, state)) in (0..).zip(story) {
        let run = timed(run("x", stack, action, ended, state), number);
        rows::store_runs(&test.db, &[(run, vec![])]).await;
    }
    let (from, until) = (rows::at("2026-10-27T00:00:00Z"), rows::at("2026-11-27T00:00:00Z"));
    let runs = docknap::db::timeline::last_before(&test.db, from, until).await.expect("reads");
    let mut told: Vec<String> =
        runs.iter().map(|run| format!("{} {}", run.action, run.target_name)).collect();
    told.sort();
    assert_eq!(told, ["start wiki", "stop media"]);
}

fn world() -> World {
    World::new()
        .stack("media", |s| s.service("web", |c| c).service("db", |c| c))
        .stack("wiki", |s| s.service("app", |c| c))
        .stack("idle", |s| s.service("app", |c| c))
}

async fn save(test: &TestApp, draft: Draft) {
    schedules::create(&test.app, &person(), &draft, Source::Api).await.expect("it is saved");
}

fn window(target: (&str, &str), text: &str, name: &str) -> Draft {
    let of = |text: &str| Some(text.to_owned());
    Draft {
        name: of(name),
        target_type: of(target.0),
        target_id: of(target.1),
        kind: of("window"),
        window: of(text),
        enabled: Some(true),
        ..Draft::default()
    }
}

fn cron(target: (&str, &str), text: &str, action: &str) -> Draft {
    let of = |text: &str| Some(text.to_owned());
    Draft { window: None, kind: of("cron"), cron: of(text), action: of(action), ..window(target, "", "") }
}

async fn site() -> TestApp {
    let test = TestApp::over(Bench::new(NOW, world()).await).await;
    save(&test, window(("stack", "media"), "sleep 23:00-07:00", "Nights")).await;
    save(&test, cron(("stack", "wiki"), "30 14 * * *", "restart")).await;
    save(&test, window(("container", "media-db-1"), "sleep 20:00-21:00", "Backup")).await;
    test
}

/// Half an hour after `Nights` has put media to sleep.
async fn nap(test: &TestApp) {
    let bench = test.bench();
    bench.leap_to(rows::at("2026-11-27T23:00:00Z")).await;
    bench.tick().await;
    bench.settle().await;
    bench.quiet().await;
    bench.leap_to(rows::at("2026-11-27T23:30:00Z")).await;
}

fn lane(stack: &str) -> String {
    format!("#lane-{}", target::key(&HostId::local(), stack))
}

fn hrefs(answer: &Answer, css: &str) -> Vec<String> {
    let css = Selector::parse(css).expect("a selector");
    let page = Html::parse_document(&answer.body);
    page.select(&css).filter_map(|link| link.value().attr("href").map(str::to_owned)).collect()
}

fn many(answer: &Answer, css: &str) -> usize {
    Html::parse_document(&answer.body).select(&Selector::parse(css).expect("a selector")).count()
}

#[tokio::test]
async fn a_day_shows_the_plan_over_what_is_known() {
    let test = site().await;
    let mut otto = test.operator().await;
    let page = otto.get("/timeline?view=day").await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(page.text("main h2"), "Friday 27 November 2026");
    let media = lane("media");
    let told = page.text(&format!("{media} title"));
    // The rule was made just now: before that it said nothing.
    assert!(told.contains("Planned: awake 12:00 – 23:00, asleep 23:00 – 24:00"), "{told}");
    assert!(told.contains("Was: nothing known"), "nothing was done yet: {told}");
    assert_eq!(many(&page, &format!("{media} rect[data-state=napping]")), 1);
    assert_eq!(many(&page, &format!("{} path[data-state=fires]", lane("wiki"))), 1);
    assert_eq!(page.attribute(&format!("{media} .now"), "d").as_deref(), Some("M720 0v44"));
    // A container with a rule of its own has its lane below its stack's; what nobody speaks of is named.
    assert_eq!(page.text("li.lane .sub"), "of media");
    assert_eq!(page.text("#idle a"), "idle");
    // The same in words.
    assert!(page.text("#words").contains("restart at 14:30"), "{}", page.text("#words"));
    // An hour to come opens a new rule for it, and the form takes it up.
    let new = hrefs(&page, &format!("{media} .slots a"));
    assert_eq!(new.len(), 12, "{new:?}");
    let form = otto.get(&new[1]).await;
    assert_eq!(form.attribute("#window", "value").as_deref(), Some("sleep Fri 13:00-14:00"), "{}", new[1]);
    let picked = format!("stack/{}", target::key(&HostId::local(), "media"));
    assert_eq!(form.attribute("#target option[selected]", "value"), Some(picked));
    // A viewer makes none.
    let page = test.viewer().await.get("/timeline?view=day").await;
    assert!(hrefs(&page, ".slots a").is_empty());
}

#[tokio::test]
async fn a_run_that_has_passed_is_a_click_away_and_tells_what_was() {
    let test = site().await;
    nap(&test).await;
    let mut otto = test.operator().await;
    let page = otto.get("/timeline?view=day&date=2026-11-27").await;
    let media = lane("media");
    let told = page.text(&format!("{media} title"));
    assert!(told.contains("asleep 23:00 – 23:30") && told.contains("stop at 23:00: succeeded"), "{told}");
    let links = hrefs(&page, &format!("{media} .slots a"));
    assert_eq!(links.len(), 1, "{links:?}");
    let run = otto.get(&links[0]).await;
    assert!(run.text("h1").contains("Stop media"), "{}", run.text("h1"));
    // Somebody starts it behind our back: since then nothing is claimed.
    let bench = test.bench();
    bench.sim.start("media-web-1").expect("it starts");
    bench.settle().await;
    let page = otto.get("/timeline?view=day&date=2026-11-27").await;
    let told = page.text(&format!("{media} title"));
    assert!(!told.contains("asleep 23:00 – 23:30"), "{told}");
    // The list has both, what was and what comes.
    let list = otto.get("/timeline?view=agenda&date=2026-11-27&to=2026-11-28").await;
    let told = list.text("#ahead");
    assert!(told.contains("23:00 Stop media Nights") && told.contains("Succeeded"), "{told}");
    assert!(told.contains("07:00 Awake media Nights"), "{told}");
    assert!(hrefs(&list, "#ahead a.last").contains(&links[0]), "{links:?}");
}

#[tokio::test]
async fn a_week_counts_what_happens_in_each_hour() {
    let test = site().await;
    save(&test, cron(("stack", "idle"), "5 23 * * *", "stop")).await;
    let mut otto = test.operator().await;
    let page = otto.get("/timeline?view=week&date=2026-11-30").await;
    assert_eq!(page.text("main h2"), "30 Nov – 6 Dec 2026");
    assert_eq!(many(&page, "#heat [data-heat]"), 7 * 24);
    let title = |css: &str| page.attribute(css, "title").expect(css);
    assert_eq!(title("#heat [data-heat='2']"), "Mon 30 Nov 23:00: 2 changes");
    assert_eq!(many(&page, "#heat [data-heat='2']"), 7);
    assert_eq!(many(&page, "#heat [data-heat='0']"), 7 * 24 - 7 * 5, "07, 14, 20, 21 and 23");
    let hour = hrefs(&page, "#heat > a[data-heat='0']");
    assert!(hour[0].contains("window=sleep+Mon+00%3A00-01%3A00"), "{}", hour[0]);
    // Every hour is within reach of the keyboard.
    assert_eq!(many(&page, "#heat [tabindex]"), 0);
    // An hour that has passed without anything is left blank.
    let page = otto.get("/timeline?view=week").await;
    assert_eq!(many(&page, "#heat [data-heat]"), 7 * 24 - 4 * 24 - 12);
}

#[tokio::test]
async fn a_month_has_a_cell_for_each_day_with_what_happens() {
    let test = site().await;
    let mut vera = test.viewer().await;
    let page = vera.get("/timeline?view=month&date=2026-12-10").await;
    assert_eq!(page.text("main h2"), "December 2026");
    assert_eq!(many(&page, "#month td"), 35);
    assert_eq!(many(&page, "#month td[data-off]"), 4, "30 November and the first of January");
    let title = page.attribute("#month td:not([data-off]) a", "title").expect("a day");
    assert_eq!(title, "Tuesday 1 December: 2 sleeps, 2 wakes, 1 other");
    let day = hrefs(&page, "#month td:not([data-off]) a");
    assert_eq!(day[0], "/timeline?view=day&date=2026-12-01");
    assert_eq!(many(&vera.get("/timeline?view=month").await, "#month [aria-current=date]"), 1);
}

#[tokio::test]
async fn each_view_leads_on_and_keeps_what_is_picked() {
    let test = site().await;
    let mut vera = test.viewer().await;
    let wiki = format!("stack%2F{}", target::key(&HostId::local(), "wiki"));
    for (view, earlier, later) in [
        ("day", "2026-11-29", "2026-12-01"),
        ("week", "2026-11-23", "2026-12-07"),
        ("month", "2026-10-01", "2026-12-01"),
        ("agenda", "2026-11-23", "2026-12-07"),
    ] {
        let page = vera.get(&format!("/timeline?view={view}&date=2026-11-30&target={wiki}")).await;
        assert_eq!(page.status, 200, "{view}: {}", page.text("main"));
        let links = hrefs(&page, ".range a");
        assert_eq!(
            links.first().cloned(),
            Some(format!("/timeline?view={view}&date={earlier}&target={wiki}"))
        );
        assert_eq!(links.last().cloned(), Some(format!("/timeline?view={view}&date={later}&target={wiki}")));
        assert_eq!(page.text(".filters [aria-current]").to_lowercase(), view);
        assert!(!page.text("#timeline").contains("media"), "{view}: {}", page.text("#timeline"));
        // The region alone is what htmx gets, at each minute and after each run.
        let part = vera.get_part(&format!("/timeline?view={view}&date=2026-11-30&target={wiki}")).await;
        assert!(part.body.starts_with("<div class=\"stack\" id=\"timeline\""), "{view}: {}", part.body);
        let again = part.attribute("#timeline", "hx-get").expect("it is live");
        assert!(again.contains(&format!("view={view}")) && again.contains(&wiki), "{again}");
    }
    // What has passed does not change any more.
    let page = vera.get("/timeline?view=day&date=2026-11-20").await;
    assert_eq!(page.attribute("#timeline", "hx-get"), None);
    assert!(page.text("#timeline").contains("Nothing on this day"), "{}", page.text("#timeline"));
    assert_eq!(
        vera.get("/simulate?from=2026-11-28&to=2026-11-29").await.location(),
        "/timeline?view=agenda&date=2026-11-28&to=2026-11-29"
    );
    for (query, field) in [
        ("view=day&date=soon", "date"),
        ("view=month&date=2031-01-01", "date"),
        ("view=agenda&date=2026-11-30&to=2026-11-01", "to"),
    ] {
        let page = vera.get(&format!("/timeline?{query}")).await;
        assert_eq!(page.status, 422, "{query}");
        assert_eq!(page.attribute(&format!("#{field}"), "aria-invalid").as_deref(), Some("true"), "{query}");
    }
}

#[tokio::test]
async fn an_empty_week_says_so_and_leads_to_the_first_rule() {
    let test = TestApp::over(Bench::new(NOW, world()).await).await;
    let page = test.operator().await.get("/timeline?view=week").await;
    assert!(page.text("#timeline").contains("Nothing planned this week"), "{}", page.text("#timeline"));
    assert_eq!(hrefs(&page, "#timeline a"), ["/schedules/new"]);
    let page = test.viewer().await.get("/timeline?view=week").await;
    assert!(hrefs(&page, "#timeline a").is_empty());
}

#[tokio::test]
async fn a_rule_that_cannot_be_read_is_listed_above() {
    let test = site().await;
    let mut broken = rows::schedule("broken");
    broken.spec.when = When::Cron("61 * * * *".to_owned());
    broken.spec.name = "<b>Old".to_owned();
    rows::store_schedules(&test.app.db, &[broken]).await;
    for view in ["day", "week", "month", "agenda"] {
        let page = test.viewer().await.get(&format!("/timeline?view={view}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let note = page.text("main > .note");
        assert!(note.contains("<b>Old cannot be read and does nothing"), "{view}: {note}");
        assert_eq!(hrefs(&page, "main > .note a"), ["/schedules/broken"]);
    }
}

#[tokio::test]
async fn hostile_names_are_text_in_every_view() {
    let name = "\"><svg onload=x>, click from:body";
    let world = World::new().stack(name, |s| s.service("web", |c| c));
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    save(&test, window(("stack", name), "sleep 23:00-07:00", "</title><script>x</script>")).await;
    let stopped = timed(run("x", name, Action::Stop, "2026-11-27T09:00:00Z", RunState::Succeeded), 1);
    let stopped = docknap::domain::run::Run { trigger: Trigger::Manual, ..stopped };
    rows::store_runs(&test.app.db, &[(stopped, vec![])]).await;
    let mut otto = test.operator().await;
    for view in ["day", "week", "month", "agenda"] {
        let page = otto.get(&format!("/timeline?view={view}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        assert_eq!(many(&page, "[onload], main script"), 0, "{view}");
        if view != "week" && view != "month" {
            assert!(page.text("#timeline").contains(name), "{view}: {}", page.text("#timeline"));
        }
    }
}

/// What a page says with a time of day on a clock of 24 hours: texts and titles, but for what is typed as it stands.
fn on_24_hours(page: &Answer) -> Vec<String> {
    let html = Html::parse_document(&page.body);
    let typed = ["code", "pre", "option", "script", "textarea"];
    let texts = html.tree.nodes().filter_map(|node| {
        let parent =
            node.parent().and_then(|parent| parent.value().as_element().map(|of| of.name().to_owned()));
        let text = node.value().as_text()?.to_string();
        (!parent.is_some_and(|name| typed.contains(&name.as_str()))).then_some(text)
    });
    let titles = html.tree.nodes().filter_map(|node| node.value().as_element()).flat_map(|element| {
        ["title", "aria-label"].into_iter().filter_map(|name| element.attr(name)).map(str::to_owned)
    });
    let is_24 = |text: &String| {
        text.match_indices(':').any(|(at, _)| {
            let (before, after) = (&text.as_bytes()[..at], &text.as_bytes()[at + 1..]);
            let digits = before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            let minutes = after.len() >= 2 && after[..2].iter().all(u8::is_ascii_digit);
            let seconds = before.get(at.wrapping_sub(3)).is_some_and(|byte| *byte == b':');
            let half = text[at + 1..].split('\u{a0}').nth(1).is_some_and(|rest| rest.starts_with(['a', 'p']));
            let iso = before.get(at.wrapping_sub(3)).is_some_and(|byte| *byte == b'T');
            digits == 2 && minutes && !seconds && !half && !iso
        })
    };
    texts.chain(titles).filter(is_24).take(5).collect()
}

#[tokio::test]
async fn whoever_likes_twelve_hours_and_sundays_reads_no_other() {
    let test = site().await;
    nap(&test).await;
    let mut otto = test.operator().await;
    let media = target::key(&HostId::local(), "media");
    let pages = [
        "/",
        "/schedules",
        "/runs",
        "/audit",
        "/report",
        "/overrides",
        "/calendars",
        "/timeline?view=day",
        "/timeline?view=week",
        "/timeline?view=month",
        "/timeline?view=agenda",
        "/welcome/nap",
    ];
    let mut pages: Vec<String> = pages.map(str::to_owned).to_vec();
    pages.push(format!("/stacks/{media}"));
    pages.push(format!("/stacks/{media}/stop"));
    let stack = otto.get(&format!("/stacks/{media}")).await;
    let found = |css: &str| hrefs(&stack, css);
    pages.extend(found("a[href*='/containers/']").into_iter().filter(|href| !href.contains("/stop")).take(1));
    pages.extend(found("a[href^='/schedules/0']").into_iter().take(1));
    let runs = otto.get("/runs").await;
    pages.extend(hrefs(&runs, "a[href^='/runs/0']").into_iter().take(2));
    assert!(pages.len() >= 17, "{pages:?}");
    let told = async |client: &mut crate::support::app::Client, page: &str| {
        let answer = client.get(page).await;
        assert_eq!(answer.status, 200, "{page}: {}", answer.body);
        on_24_hours(&answer)
    };
    assert!(!told(&mut otto, "/schedules").await.is_empty(), "they are found where they are");
    otto.post("/profile", &[("clock", "12"), ("week_start", "sun"), ("theme", "system")]).await;
    for page in &pages {
        assert_eq!(told(&mut otto, page).await, Vec::<String>::new(), "{page}");
    }
    let week = otto.get("/timeline?view=week").await;
    assert_eq!(week.text("main h2"), "22 – 28 November 2026");
    let month = otto.get("/timeline?view=month").await;
    assert!(month.text("#month thead").starts_with("Sun"), "{}", month.text("#month thead"));
    let report = otto.get("/report").await;
    assert!(report.body.contains("22–28 Nov"), "the week of the report begins on Sunday");
}
