//! The pages of runs: what the list says, how it is narrowed, what is new, files, and one run in full.

use docknap::domain::ids::{HostId, RunId};
use docknap::domain::run::{Run, RunState, Step, StepState};
use docknap::domain::target;
use docknap::sim::World;

use crate::support::app::{Client, NOW, TestApp};
use crate::support::bench::Bench;
use crate::support::rows::{at, run, schedule, step, store_runs, store_schedules};

fn key(name: &str) -> String {
    target::key(&HostId::local(), name)
}

/// A run that ended some minutes before now.
fn ended(test: &TestApp, minutes: i64, edit: impl FnOnce(&mut Run)) -> Run {
    let made = test.clock.now() - jiff::SignedDuration::from_mins(minutes);
    let mut run = Run {
        created_at: made,
        started_at: Some(made),
        finished_at: Some(made + jiff::SignedDuration::from_secs(10)),
        ..run(&id(minutes))
    };
    edit(&mut run);
    run
}

/// The id of a run made some minutes before [`NOW`].
fn id(minutes: i64) -> String {
    let made = at(NOW) - jiff::SignedDuration::from_mins(minutes);
    let hex = format!("{:012x}", made.as_millisecond());
    format!("{}-{}-7000-8000-000000000000", &hex[..8], &hex[8..])
}

async fn store(test: &TestApp, runs: &[Run]) {
    let rows: Vec<(Run, Vec<Step>)> = runs.iter().map(|run| (run.clone(), Vec::new())).collect();
    store_runs(&test.app.db, &rows).await;
}

async fn list(client: &mut Client, path: &str) -> String {
    let page = client.get(path).await;
    assert_eq!(page.status, 200, "{path}: {}", page.body);
    page.text("#runs")
}

#[tokio::test]
async fn a_row_tells_of_lateness_and_of_its_own_past() {
    let test = TestApp::new().await;
    let mut runs: Vec<Run> = (2..10).map(|n| ended(&test, n * 60, |_| ())).collect();
    runs.push(ended(&test, 5, |run| {
        run.fire_at = Some(run.created_at - jiff::SignedDuration::from_secs(190));
        run.finished_at = run.started_at.map(|at| at + jiff::SignedDuration::from_secs(42));
        run.reason = "not_running: a restart acts on what runs".to_owned();
    }));
    store(&test, &runs).await;
    let mut vera = test.viewer().await;
    let page = vera.get("/runs").await;
    let row = format!("#run-{}", id(5).replace(':', ""));
    let text = page.text(&format!("[id=\"{}\"]", &row[1..]));
    assert!(text.contains("3 min late") && text.contains("took 42 s slower"), "{text}");
    assert!(
        text.contains("it was not running, and a restart only acts") && !text.contains("not_running"),
        "{text}"
    );
    let spark =
        page.attribute(&format!("[id=\"{}\"] svg.spark path.this", &row[1..]), "d").expect("a picture");
    assert_eq!(spark, "M118 24v-22", "the newest and longest");
    assert!(page.text("#ribbon-title").contains("30 days"));
    assert!(page.text(".ribbon .marks").contains("9 Succeeded"), "{}", page.text(".ribbon"));
    assert!(page.text(".ribbon table").contains("Today"));
    let one = vera.get(&format!("/runs/{}", id(5))).await;
    assert!(one.text(".facts").contains("slower than usual"), "{}", one.text(".facts"));
    assert!(
        one.text("#usual").contains("10 s half of the last 9 runs took no longer"),
        "{}",
        one.text("#usual")
    );
    assert!(one.text("#usual ul").contains("This run 42 s"), "{}", one.text("#usual ul"));
}

#[tokio::test]
async fn the_list_is_narrowed_by_its_url_alone() {
    let test = TestApp::new().await;
    store_schedules(&test.app.db, &[schedule("s1")]).await;
    let runs = [
        ended(&test, 10, |run| run.target_name = "first".to_owned()),
        ended(&test, 20, |run| {
            run.target_name = "second".to_owned();
            run.state = RunState::Failed;
            run.trigger = docknap::domain::run::Trigger::Manual;
            run.actor.name = "anna".to_owned();
        }),
        ended(&test, 3 * 1440, |run| {
            run.target_name = "third".to_owned();
            run.action = docknap::domain::action::Action::Start;
            run.schedule_id = Some("s1".into());
            run.schedule_name = Some("Nights".to_owned());
        }),
    ];
    store(&test, &runs).await;
    let mut vera = test.viewer().await;
    for (query, shown) in [
        ("", vec!["first", "second", "third"]),
        ("?state=attention", vec!["second"]),
        ("?action=start", vec!["third"]),
        ("?trigger=manual", vec!["second"]),
        ("?actor=anna", vec!["second"]),
        ("?actor=+anna+", vec!["second"]),
        ("?schedule=s1", vec!["third"]),
        ("?from=2026-11-27", vec!["first", "second"]),
        ("?to=2026-11-24", vec!["third"]),
        ("?from=2026-11-24&to=2026-11-24", vec!["third"]),
        ("?from=2026-11-25&to=2026-11-26", vec![]),
        ("?target=stack%2Fmedia&actor=anna", vec!["second"]),
        ("?target=stack%2Fgone", vec![]),
        ("?state=nonsense&action=x&trigger=y&unknown=z", vec!["first", "second", "third"]),
    ] {
        let text = list(&mut vera, &format!("/runs{query}")).await;
        for name in ["first", "second", "third"] {
            assert_eq!(text.contains(name), shown.contains(&name), "{query}: {text}");
        }
        assert_eq!(text.contains("Nothing matches"), shown.is_empty(), "{query}: {text}");
    }
    // Without scripts: a form that keeps what is chosen, and chips that take it away.
    let page = vera.get("/runs?state=attention&actor=anna&from=2026-11-20").await;
    assert_eq!(page.attribute("#filter form", "method").as_deref(), Some("get"));
    assert_eq!(page.attribute("#filter input[name=state]", "value").as_deref(), Some("attention"));
    assert_eq!(page.attribute("#actor", "value").as_deref(), Some("anna"));
    assert!(
        page.body.contains("/runs?state=attention&#38;actor=anna\"")
            || page.body.contains("/runs?state=attention&amp;actor=anna\""),
        "the day can be taken away"
    );
    let wrong = vera.get("/runs?from=soon&to=2026-11-20").await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.attribute("#filter", "open").is_some(), "what is wrong can be seen");
    assert_eq!(wrong.attribute("#from", "value").as_deref(), Some("soon"));
    assert!(wrong.text("#from-error").contains("use a day"));
    let turned = vera.get("/runs?from=2026-11-20&to=2026-11-19").await;
    assert_eq!((turned.status, turned.text("#to-error").is_empty()), (422, false));
}

#[tokio::test]
async fn pages_go_on_with_the_filter_and_never_show_a_run_twice() {
    let test = TestApp::new().await;
    let runs: Vec<Run> =
        (1..=120).map(|n| ended(&test, n, |run| run.target_name = format!("no{n}."))).collect();
    store(&test, &runs).await;
    let mut vera = test.viewer().await;
    let (mut path, mut seen) = ("/runs?state=succeeded".to_owned(), Vec::new());
    loop {
        let page = vera.get(&path).await;
        let text = page.text("#runs .main-link");
        seen.extend((1..=120).filter(|n| text.contains(&format!(" no{n}."))));
        match page.attribute(".pager a:last-child", "href") {
            Some(next) if next.contains("cursor") => path = next,
            _ => break,
        }
    }
    assert_eq!(seen, (1..=120).collect::<Vec<_>>());
    assert!(path.contains("state=succeeded"));
}

#[tokio::test]
async fn what_is_new_is_counted_and_the_list_stays() {
    let test = TestApp::new().await;
    store(&test, &[ended(&test, 30, |_| ())]).await;
    let mut vera = test.viewer().await;
    let page = vera.get("/runs?trigger=schedule").await;
    assert_eq!(page.attribute("#newer", "hx-trigger").as_deref(), Some("runs from:body, resync from:body"));
    assert_eq!(page.text("#newer"), "");
    let stay = page.attribute("#runs", "hx-get").expect("it stays true");
    let ask = page.attribute("#newer", "hx-get").expect("it asks");
    store(
        &test,
        &[
            ended(&test, 3, |_| ()),
            ended(&test, 2, |_| ()),
            ended(&test, 1, |run| run.trigger = docknap::domain::run::Trigger::Manual),
        ],
    )
    .await;
    let part = vera.get_part(&ask).await;
    assert_eq!(part.text("#newer"), "2 new", "of what the filter shows: {}", part.body);
    assert_eq!(part.attribute("#newer a", "href").as_deref(), Some("/runs?trigger=schedule"));
    assert_eq!(part.attribute("#newer", "hx-get"), Some(ask));
    let list = vera.get_part(&stay).await;
    assert!(list.body.trim_start().starts_with("<section"), "{}", list.body);
    let row = list.attribute("#runs li:first-child", "id");
    assert_eq!(row, Some(format!("run-{}", id(30))), "the list never jumps");
    assert_eq!(list.attribute("#runs", "hx-get"), Some(stay));
    let older = vera.get(&format!("/runs?cursor={}", id(2))).await;
    assert_eq!(older.attribute("#newer", "hx-get"), None, "an older page does not wait for news");
    assert_eq!(vera.get_part("/runs/newer?than=%00").await.status, 422);
}

#[tokio::test]
async fn the_row_of_an_open_run_stays_true() {
    let world = World::new().stack("media", |s| s.service("web", |c| c));
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let mut otto = test.operator().await;
    let answer = otto.post(&format!("/stacks/{}/stop", key("media")), &[]).await;
    let (_, run) = otto.follow(&answer).await;
    let id = run.rsplit('/').next().expect("an id").to_owned();
    let stay = otto.get("/runs").await.attribute("#runs", "hx-get").expect("it asks for itself");
    assert_eq!(stay, format!("/runs?upto={id}"));
    test.bench().settle().await;
    let part = otto.get_part(&stay).await;
    assert!(part.text(&format!("[id=\"run-{id}\"]")).contains("Succeeded"), "{}", part.body);
}

#[tokio::test]
async fn an_empty_list_says_what_runs_first() {
    let test = TestApp::new().await;
    let mut vera = test.viewer().await;
    assert!(list(&mut vera, "/runs").await.contains("As soon as a schedule fires"));
    store_schedules(
        &test.app.db,
        &[docknap::domain::schedule::Schedule {
            next_due: Some(at("2026-11-27T23:00:00Z")),
            ..schedule("s1")
        }],
    )
    .await;
    let text = list(&mut vera, "/runs").await;
    assert!(text.contains("First run: Stop media, in 3 h · 23:00"), "{text}");
    assert!(list(&mut vera, "/runs?state=missed").await.contains("Nothing matches"));
}

/// Names that a spreadsheet, a page or a program could take for something else.
const HOSTILE: [&str; 6] =
    ["=HYPERLINK(\"http://x\")", "+1,2", "-2", "@SUM(A1)", "\t=1", "\"><script>\r\n\u{202e}x"];

#[tokio::test]
async fn files_hold_the_filtered_list_and_no_formula() {
    let test = TestApp::new().await;
    let mut runs: Vec<Run> = HOSTILE
        .iter()
        .zip(1..)
        .map(|(name, n)| {
            ended(&test, n, |run| {
                run.target_name = (*name).to_owned();
                run.actor.name = (*name).to_owned();
                run.reason = (*name).to_owned();
                run.why = (*name).to_owned();
            })
        })
        .collect();
    runs.extend((100..350).map(|n| ended(&test, n, |run| run.state = RunState::Skipped)));
    store(&test, &runs).await;
    let mut vera = test.viewer().await;
    let csv = vera.get("/runs.csv").await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"docknap-runs-2026-11-27.csv\"");
    let rows = parsed(&csv.body);
    assert_eq!(rows.len(), 1 + 256, "more than a page of them");
    assert_eq!(rows[0][..5], ["id", "target_type", "target", "action", "state"]);
    for row in &rows {
        assert_eq!(row.len(), 16, "{row:?}");
        for cell in row {
            assert!(
                !cell.trim_start_matches(' ').starts_with(['=', '+', '-', '@', '\t', '\r', '\n']),
                "{cell:?}"
            );
        }
    }
    assert_eq!(rows[1][2], "'=HYPERLINK(\"http://x\")");
    assert_eq!(parsed(&vera.get("/runs.csv?state=skipped").await.body).len(), 1 + 250);
    let json = vera.get("/runs.json?state=succeeded").await;
    assert_eq!(json.header("content-type"), "application/json");
    let json = json.json();
    let names: Vec<&str> = json["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|run| run["target_id"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, HOSTILE, "a program gets them as they are");
    assert_eq!(json["complete"], true);
    let none = vera.get("/runs.json?actor=nobody").await.json();
    assert_eq!(none, serde_json::json!({"items": [], "complete": true}));
    assert_eq!(vera.get("/runs.csv?from=soon").await.status, 422);
    let page = vera.get("/runs?state=skipped").await;
    assert_eq!(page.attribute("a[download]", "href").as_deref(), Some("/runs.csv?state=skipped"));
    assert!(page.text("#runs .hint").contains("the newest 50,000 rows at most"));
    assert!(test.anonymous().get("/runs.csv").await.location().starts_with("/login"));
}

#[tokio::test]
async fn no_file_holds_what_a_container_wrote() {
    let test = TestApp::new().await;
    let run = ended(&test, 1, |run| run.state = RunState::Failed);
    let steps = vec![Step {
        state: StepState::Failed,
        output: Some("hunter2".to_owned()),
        error: Some("No such image: shop:latest".to_owned()),
        ..step(&run, 0)
    }];
    store_runs(&test.app.db, &[(run.clone(), steps)]).await;
    let mut otto = test.operator().await;
    let json = otto.get("/runs.json").await;
    assert_eq!(json.json()["items"][0]["steps"][0]["error"], "No such image: shop:latest");
    assert!(!json.body.contains("hunter2") && !otto.get("/runs.csv").await.body.contains("hunter2"));
    assert!(otto.get(&format!("/runs/{}", run.id)).await.body.contains("hunter2"), "the page shows it");
}

/// CSV as RFC 4180 has it.
fn parsed(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            letter => cell.push(letter),
        }
    }
    assert!(!quoted && cell.is_empty() && row.is_empty(), "it ends with a line");
    rows
}

#[tokio::test]
async fn a_failed_run_says_what_to_do_and_asks_before_a_retry() {
    let test = TestApp::new().await;
    let failed = ended(&test, 1, |run| {
        run.state = RunState::Partial;
        run.reason = "media-web-1: No such image: shop:latest".to_owned();
        run.schedule_name = Some("Old nights".to_owned());
        run.schedule_id = Some("s1".into());
    });
    store_schedules(&test.app.db, &[schedule("s1")]).await;
    let steps = vec![
        Step {
            state: StepState::Failed,
            error: Some("No such image: shop:latest".to_owned()),
            ..step(&failed, 0)
        },
        Step { container: "media-db-1".to_owned(), ..step(&failed, 1) },
    ];
    let mut tx = test.app.db.begin().await.expect("begins");
    docknap::db::runs::insert(&mut tx, &failed, 0).await.expect("stores");
    let pending: Vec<Step> =
        steps.iter().map(|step| Step { state: StepState::Pending, ..step.clone() }).collect();
    docknap::db::steps::insert(&mut tx, &pending).await.expect("stores");
    for step in &steps {
        docknap::db::steps::issue(&mut tx, &step.id, failed.created_at).await.expect("stores");
        docknap::db::steps::finish(&mut tx, step).await.expect("stores");
    }
    tx.commit().await.expect("commits");
    let path = format!("/runs/{}", failed.id);
    let mut otto = test.operator().await;
    let page = otto.get(&path).await;
    let told = page.text(".note");
    assert!(told.contains("1 of 2 steps failed. media-web-1: its image is not on this machine."), "{told}");
    assert_eq!(page.text(".note details pre"), "No such image: shop:latest");
    assert!(page.attribute(".note details", "open").is_none(), "folded");
    assert_eq!(page.attribute(".dl a[href^='/schedules/']", "href").as_deref(), Some("/schedules/s1"));
    let audit = page.attribute(".dl a[href^='/audit']", "href").expect("its rows in the log");
    assert_eq!(audit, format!("/audit?run={}", failed.id));
    assert!(page.text(".dl").contains("media (not there any more)"), "{}", page.text(".dl"));
    let bars = page.attribute(".step svg.fall rect:nth-child(2)", "width");
    assert!(bars.is_some() && page.text(".step .sub").contains("sent after 0.0 s, failed after"));
    let question = otto.get(&format!("{path}/retry")).await;
    assert!(
        question.text("form.ask").contains("media-web-1")
            && !question.text("form.ask").contains("media-db-1")
    );
    assert_eq!(question.attribute("form.ask", "action").as_deref(), Some(&*format!("{path}/retry")));
    let dialog = otto.get_part(&format!("{path}/retry")).await;
    assert!(dialog.body.trim_start().starts_with("<dialog"));
    let mut vera = test.viewer().await;
    assert_eq!(vera.get(&path).await.attribute("[data-act]", "href"), None, "a viewer has no button");
    assert_eq!(vera.get(&format!("{path}/retry")).await.status, 403);
}

#[tokio::test]
async fn a_run_outlives_its_schedule() {
    let test = TestApp::new().await;
    let mut gone = schedule("s1");
    gone.deleted_at = Some(test.clock.now());
    store_schedules(&test.app.db, &[gone]).await;
    let run = ended(&test, 1, |run| {
        run.schedule_id = Some("s1".into());
        run.schedule_name = Some("Nights".to_owned());
        run.missed = Some(docknap::domain::run::MissedSpan {
            first: at("2026-11-24T23:00:00Z"),
            last: at("2026-11-26T23:00:00Z"),
            count: 3,
        });
    });
    store(&test, std::slice::from_ref(&run)).await;
    let mut vera = test.viewer().await;
    let page = vera.get(&format!("/runs/{}", run.id)).await;
    assert!(page.text(".dl").contains("Nights (deleted since)"), "{}", page.text(".dl"));
    assert!(page.text(".dl").contains("3 times, first"), "{}", page.text(".dl"));
    assert_eq!(page.attribute(".dl a[href^='/schedules/']", "href"), None);
    let listed = vera.get("/runs?schedule=s1").await;
    assert!(listed.text(".filters .chosen").contains("Nights"), "{}", listed.text(".filters"));
    assert_eq!(vera.get(&format!("/runs/{}", RunId::from("nobody"))).await.status, 404);
}
