//! Every page, every part of one and every answer of the API in the demo's world at a frozen instant, as an admin, an
//! operator and a viewer see them, held to the files in `tests/goldens`: one for each route, with what the admin sees,
//! and how it differs for the others. What is not meant to change, does not.
//!
//! After a change that is meant: `UPDATE_GOLDENS=1 cargo nextest run --all-features -E 'test(/goldens::/)'`, and read
//! the difference. It is a commit of its own, with its reason.

mod normal;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use docknap::app::calendars;
use docknap::app::groups::{self, GroupDraft, MemberDraft};
use docknap::app::schedules::{self, Draft};
use docknap::domain::action::Action;
use docknap::domain::calendar::CalendarDraft;
use docknap::domain::group::GroupSource;
use docknap::domain::ids::HostId;
use docknap::domain::permission::Role;
use docknap::domain::schedule::Source;
use docknap::domain::target::{TargetType, key};
use docknap::sim::demo;
use docknap::web;
use docknap::web::routes::Access;

use crate::support::app::{Answer, Client, HTMX, TestApp};
use crate::support::bench::{Bench, person};
use crate::windows::{pass, wish};
use normal::Names;

/// A Wednesday at noon; two nights later everything is looked at.
const BEGIN: &str = "2027-03-03T12:00:00Z";
const END: &str = "2027-03-05T12:30:00Z";

/// Routes that are left out, and why.
const LEFT_OUT: [(&str, &str); 4] = [
    ("/api/openapi.json", "a file already, held to by a test of its own"),
    ("/events", "a stream without an end"),
    ("/health", "figures of this process and machine"),
    ("/health/bundle", "the same"),
];

/// The demo's world after two days: schedules of every kind, naps, runs that failed, what people did.
async fn world() -> TestApp {
    let test = TestApp::over(Bench::new(BEGIN, demo::world()).await).await;
    let bench = test.bench();
    let draft = CalendarDraft {
        name: "Days off".to_owned(),
        dates: vec!["2027-03-29".to_owned()],
        yearly: vec!["12-25".to_owned()],
        ..CalendarDraft::default()
    };
    let days_off = calendars::create(&test.app, &person(), &draft).await.expect("it is stored");
    let calendar = days_off.id.to_string();
    let stack = |name: &str| Draft {
        target_type: Some("stack".to_owned()),
        target_id: Some(name.to_owned()),
        timezone: Some("Europe/Berlin".to_owned()),
        ..Draft::default()
    };
    let text = |text: &str| Some(text.to_owned());
    let evening = GroupDraft { name: text("Evening"), colour: text("violet"), ..GroupDraft::default() };
    let evening =
        groups::create(&test.app, &person(), &evening, GroupSource::Ui).await.expect("it is stored");
    for (target_type, target_id) in [("stack", "media"), ("container", "adguard")] {
        let member = MemberDraft { host: None, target_type: text(target_type), target_id: text(target_id) };
        let added = groups::add_member(&test.app, &person(), &evening.id, &member, GroupSource::Ui).await;
        added.expect("it is a member");
    }
    let drafts = [
        Draft {
            name: text("Nights"),
            window: text("sleep Mon-Fri 23:00-07:00"),
            note: text("Nobody works then."),
            calendar_id: Some(calendar),
            calendar_effect: text("as:Sun"),
            ..stack("billing-stack")
        },
        Draft {
            window: text("awake 08:00-22:00"),
            mode: text("pause"),
            policy: text("enforce"),
            ..stack("media")
        },
        Draft { cron: text("30 6 * * 1-5"), action: text("start"), ..stack("staging-shop") },
        Draft {
            cron: text("0 19 * * *"),
            action: text("stop"),
            enabled: Some(false),
            ..stack("staging-shop")
        },
        Draft { cron: text("0 23 * * *"), action: text("restart"), ..stack("billing-stack") },
        Draft { at: text("2027-03-20T12:00"), action: text("stop"), ..stack("monitoring") },
        Draft {
            target_type: text("container"),
            target_id: text("speedtest"),
            cron: text("*/20 * * * *"),
            action: text("restart"),
            ..Draft::default()
        },
    ];
    for draft in drafts {
        schedules::create(&test.app, &test.actor(Role::Admin).await, &draft, Source::Ui)
            .await
            .expect("it is saved");
    }
    bench.carry_out(Action::Start, Bench::stack("monitoring")).await;
    for instant in
        ["2027-03-03T21:00:00Z", "2027-03-03T22:00:00Z", "2027-03-04T05:30:00Z", "2027-03-04T06:00:00Z"]
    {
        pass(bench, instant).await;
    }
    bench.sim.start("staging-shop-mysql-1").ok();
    for instant in
        ["2027-03-04T07:00:00Z", "2027-03-04T21:00:00Z", "2027-03-04T22:00:00Z", "2027-03-05T06:00:00Z"]
    {
        pass(bench, instant).await;
    }
    wish(bench, "stack", "monitoring", "hold", "7h").await;
    wish(bench, "stack", "staging-shop", "awake", "2h").await;
    docknap::app::locks::lock(
        &test.app,
        &test.actor(Role::Admin).await,
        &HostId::local(),
        TargetType::Container,
        "speedtest",
        "being looked at",
    )
    .await
    .expect("it is locked");
    bench.sim.exit("billing-stack-cache-1", 3);
    pass(bench, END).await;
    test
}

/// What a table's ids are called here.
async fn names(test: &TestApp) -> (Names, BTreeMap<&'static str, Vec<String>>) {
    let docknap::db::Db::Sqlite { readers, .. } = &test.app.db else { panic!("SQLite") };
    let mut names = Names::default();
    let mut ids = BTreeMap::new();
    for (table, word) in [
        ("users", "user"),
        ("schedules", "schedule"),
        ("runs", "run"),
        ("steps", "step"),
        ("calendars", "calendar"),
        ("overrides", "override"),
        ("audit", "row"),
    ] {
        let sql = sqlx::AssertSqlSafe(format!("SELECT id FROM {table} ORDER BY id"));
        let rows: Vec<(String,)> = sqlx::query_as(sql).fetch_all(readers).await.expect("they read");
        for (number, (id,)) in rows.iter().enumerate() {
            names.add(id, format!("({word} {})", number + 1));
        }
        ids.insert(word, rows.into_iter().map(|(id,)| id).collect());
    }
    names.add(test.app.config.data_dir.display().to_string(), "(data)");
    names.add(test.bench().sim.docker_host(), "(socket)");
    (names, ids)
}

/// What is asked for of a route: each way to fill its parameters that shows something else.
fn examples(path: &str, ids: &BTreeMap<&'static str, Vec<String>>) -> Vec<String> {
    let local = HostId::local();
    let stacks = ["billing-stack", "media", "monitoring", "staging-shop"];
    let stack_keys: Vec<String> = stacks.iter().map(|name| key(&local, name)).collect();
    let billing = &stack_keys[0];
    let container = |name: &str| key(&local, name);
    let (adguard, worker) = (container("name:adguard"), container("service:billing-stack/worker/2"));
    let deeds = ["nap", "wake", "start", "stop", "restart", "pause", "unpause"];
    let of_each = |key: &str| deeds.iter().map(|deed| format!("{key}|{deed}")).collect::<Vec<_>>();
    let with_query = |queries: &[&str]| queries.iter().map(|query| format!("{path}{query}")).collect();
    match path {
        "/" => with_query(&["", "?q=shop", "?state=napping"]),
        "/actions" => with_query(&[&format!("?do=nap&stack={billing}&stack={}", stack_keys[1]), ""]),
        "/runs" => with_query(&["", "?state=failed", "?q=media"]),
        "/schedules" => with_query(&["", "?target=media"]),
        "/schedules/new" => with_query(&["", &format!("?stack={billing}")]),
        "/schedules/zones" => with_query(&["", "?q=ber"]),
        "/timeline" => with_query(&["", "?view=week", "?view=month", "?view=agenda"]),
        "/audit" => with_query(&["", "?event=schedule"]),
        "/report" => with_query(&["", "?week=2027-02-22"]),
        "/stacks/{key}" | "/stacks/{key}/tile" | "/stacks/{key}/order" => {
            let unknown = "0123456789abcdef".to_owned();
            filled(path, &[stack_keys.as_slice(), &[unknown]].concat())
        }
        "/stacks/{key}/{action}" => filled(path, &of_each(billing)),
        "/containers/{key}" | "/containers/{key}/tile" => {
            filled(path, &[adguard.as_str(), &worker, "0123456789abcdef"])
        }
        "/containers/{key}/{action}" => filled(path, &of_each(&worker)),
        "/runs/{id}" | "/runs/{id}/retry" => filled(path, &ids["run"]),
        path if path.starts_with("/schedules/{id}") => filled(path, &ids["schedule"]),
        path if path.starts_with("/hosts/{id}") || path.starts_with("/api/hosts/{id}") => {
            filled(path, &["local", "none"])
        }
        path if path.starts_with("/groups/{id}") || path.starts_with("/api/groups/{id}") => {
            filled(path, &["evening", "none"])
        }
        path if path.starts_with("/calendars/{id}") => filled(path, &ids["calendar"]),
        path if path.starts_with("/users/{id}") => filled(path, &ids["user"]),
        path if path.starts_with("/overrides/{id}") => filled(path, &ids["override"]),
        path if path.contains("/backup/") && path.contains('{') => {
            filled(path, &["docknap-20270101-030000.db"])
        }
        "/api/order/{id}" => filled(path, &["00000000-0000-7000-8000-000000000000"]),
        "/calendar/{file}" => filled(path, &["no-such-feed.ics"]),
        "/invite/{token}" => filled(path, &["no-such-link"]),
        "/api/runs/{id}" => filled(path, &ids["run"]),
        path if path.starts_with("/api/schedules/{id}") => filled(path, &ids["schedule"]),
        path if path.starts_with("/api/calendars/{id}") => filled(path, &ids["calendar"]),
        path if path.starts_with("/api/overrides/{id}") => filled(path, &ids["override"]),
        path if path.starts_with("/api/stacks/{host}/{name}") => {
            filled(path, &["local|billing-stack", "local|media", "local|none", "nas|media"])
        }
        path if path.starts_with("/api/containers/{host}/{name}") => {
            filled(path, &["local|adguard", "local|media_photos_1", "local|none"])
        }
        path if !path.contains('{') => vec![path.to_owned()],
        path => panic!("{path}: say what is asked for of it"),
    }
}

/// A route's path with values in the place of its parameters; several for one path are apart by `|`.
fn filled(path: &str, with: &[impl AsRef<str>]) -> Vec<String> {
    let fill = |values: &str| {
        let mut values = values.split('|');
        let parts = path
            .split('/')
            .map(|part| if part.starts_with('{') { values.next().expect("one for each") } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    with.iter().map(|values| fill(values.as_ref())).collect()
}

/// Status, what matters of the head, and the body, so that what says the same looks the same.
fn told(answer: &Answer, names: &Names) -> String {
    let mut out = format!("{}", answer.status);
    for header in ["content-type", "location", "hx-redirect"] {
        let value = answer.header(header);
        if !value.is_empty() {
            let _ = write!(out, " | {header}: {value}");
        }
    }
    let kind = answer.header("content-type");
    let body = if kind.contains("json") {
        serde_json::to_string_pretty(&answer.json()).expect("it was JSON")
    } else if kind.starts_with("text/html") {
        normal::html(&answer.body)
    } else {
        answer.body.clone()
    };
    without_chance(&names.put_into(&format!("{out}\n{}\n", body.trim_end())))
}

/// Without what is another each time: the versions of files that browsers keep, the numbers of requests, browsers and
/// sessions, the ends of cursors.
fn without_chance(text: &str) -> String {
    let text = masked(text, "?v=");
    let text = masked(&text, "\"request_id\": \"");
    let text = masked(&text, "/browsers/");
    let text = masked(&text, "/sessions/");
    masked(&text, ")-")
}

/// The text with a star in the place of the digits and letters that follow each `mark`.
fn masked(text: &str, mark: &str) -> String {
    let mut parts = text.split(mark);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        let star = if rest.len() + 8 <= part.len() { "*" } else { &part[..part.len() - rest.len()] };
        out.extend([mark, star, rest]);
    }
    out
}

/// How a text differs from what another role was told, with some lines around it.
fn difference(old: &str, new: &str) -> String {
    similar::TextDiff::from_lines(old, new).unified_diff().context_radius(2).to_string()
}

async fn ask(clients: &mut BTreeMap<Role, (Client, Client)>, role: Role, path: &str, part: bool) -> Answer {
    let (browser, program) = clients.get_mut(&role).expect("each role is there");
    let client = if path.starts_with("/api/") { program } else { browser };
    let head: &[(&str, &str)] = if part { &HTMX } else { &[] };
    client.send(axum::http::Method::GET, path, None, String::new(), head).await
}

/// The GET routes, without those that are left out.
fn routes(test: &TestApp) -> BTreeSet<String> {
    let get = |route: &web::routes::Route| route.method == axum::http::Method::GET;
    let asked = |path: &String| LEFT_OUT.iter().all(|(left, _)| left != path);
    web::table(&test.web).into_iter().filter(get).map(|route| route.path).filter(asked).collect()
}

/// Every page and every part of one as each role sees it in the demo's world, as it is sent: what it is, and the HTML.
pub async fn every_html() -> (TestApp, Vec<(String, String)>) {
    let test = world().await;
    let (_, ids) = names(&test).await;
    let mut all = Vec::new();
    for role in Role::ALL {
        let mut client = test.browser(role).await;
        for path in routes(&test).iter().filter(|path| !path.starts_with("/api/")) {
            for example in examples(path, &ids) {
                for head in [&[] as &[(&str, &str)], &HTMX] {
                    let answer =
                        client.send(axum::http::Method::GET, &example, None, String::new(), head).await;
                    if answer.header("content-type").starts_with("text/html") {
                        all.push((format!("{example} as {role}, {head:?}"), answer.body));
                    }
                }
            }
        }
    }
    (test, all)
}

#[tokio::test]
async fn every_page_and_answer_is_as_it_was() {
    let test = world().await;
    let mut clients = BTreeMap::new();
    for role in Role::ALL {
        clients.insert(role, (test.browser(role).await, test.bearer(role).await));
    }
    let (names, ids) = names(&test).await;
    let table = web::table(&test.web);
    let mut goldens = BTreeMap::new();
    for path in routes(&test) {
        let mut text = String::new();
        for example in examples(&path, &ids) {
            let shown = names.put_into(&example);
            let parts: &[bool] = if path.starts_with("/api/") { &[false] } else { &[false, true] };
            let mut whole = String::new();
            for part in parts {
                let mut stronger: Option<String> = None;
                for role in Role::ALL.into_iter().rev() {
                    let seen = told(&ask(&mut clients, role, &example, *part).await, &names);
                    let how = if *part { ", a part" } else { "" };
                    let _ = writeln!(text, "==== {shown} as {role}{how}");
                    text += &match &stronger {
                        None if *part && seen == whole => "as the whole page\n".to_owned(),
                        None => seen.clone(),
                        Some(stronger) if *stronger == seen => "the same\n".to_owned(),
                        Some(stronger) => difference(stronger, &seen),
                    };
                    if stronger.is_none() && !part {
                        whole.clone_from(&seen);
                    }
                    stronger = Some(seen);
                }
            }
        }
        let file = path.trim_start_matches('/').replace('/', "_").replace(['{', '}'], "");
        goldens.insert(format!("{}.txt", if file.is_empty() { "dashboard" } else { &file }), text);
    }
    let mut access: Vec<String> = table
        .iter()
        .map(|route| {
            let who = match route.access {
                Access::Anyone => "anyone".to_owned(),
                Access::Role(role) => role.to_string(),
            };
            format!("{} {}: {who}\n", route.method, route.path)
        })
        .collect();
    access.sort();
    goldens.insert("access.txt".to_owned(), access.concat());
    compare(&goldens);
}

/// Compares with what is stored, or stores it where that is asked for.
fn compare(goldens: &BTreeMap<String, String>) {
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    std::fs::create_dir_all(&home).expect("a directory");
    let updates = std::env::var_os("UPDATE_GOLDENS").is_some();
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(&home).expect("it is there").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !goldens.contains_key(&name) {
            wrong.push(format!("{name}: no route is like that any more\n"));
            if updates {
                std::fs::remove_file(entry.path()).expect("it goes");
            }
        }
    }
    for (name, seen) in goldens {
        let path = home.join(name);
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        if stored != *seen {
            wrong.push(format!(
                "{name}:\n{}",
                difference(&stored, seen).chars().take(2_000).collect::<String>()
            ));
            if updates {
                std::fs::write(&path, seen).expect("it is stored");
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} differ{}:\n{}",
        wrong.len(),
        goldens.len(),
        if updates { ", stored now" } else { "" },
        wrong.join("\n")
    );
}
