//! The schedule editor without scripts: what a browser sends is what was on the page, with what a person changed.

use docknap::domain::ids::HostId;
use docknap::domain::target;
use docknap::sim::World;
use scraper::{Html, Selector};

use crate::support::app::{Answer, Client, NOW, TestApp};
use crate::support::bench::Bench;

async fn site() -> TestApp {
    let world =
        World::new().stack("media", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")));
    TestApp::over(Bench::new(NOW, world).await).await
}

/// What a browser would send of the form on a page, without its buttons.
fn filled(page: &Answer) -> Vec<(String, String)> {
    let document = Html::parse_document(&page.body);
    let fields = Selector::parse("#schedule-form :is(input, select, textarea)").expect("a selector");
    let chosen = Selector::parse("option[selected]").expect("a selector");
    let first = Selector::parse("option").expect("a selector");
    let mut sent = Vec::new();
    for field in document.select(&fields) {
        let (Some(name), of) = (field.attr("name"), field.value()) else { continue };
        let is_box = matches!(of.attr("type"), Some("checkbox" | "radio"));
        if is_box && of.attr("checked").is_none() {
            continue;
        }
        let value = match of.name() {
            "select" => {
                let option = field.select(&chosen).next().or_else(|| field.select(&first).next());
                option.and_then(|option| option.attr("value")).unwrap_or_default().to_owned()
            }
            "textarea" => field.text().collect(),
            _ => of.attr("value").unwrap_or(if is_box { "on" } else { "" }).to_owned(),
        };
        sent.push((name.to_owned(), value));
    }
    sent
}

/// The form with some fields changed, boxes ticked (`+w`) or cleared (`-w`), and a button pressed.
fn with(page: &Answer, changed: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut sent = filled(page);
    for (name, value) in changed {
        match (name.strip_prefix('+'), name.strip_prefix('-')) {
            (Some(name), _) => sent.push((name.to_owned(), (*value).to_owned())),
            (_, Some(name)) => sent.retain(|(other, at)| other != name || at != value),
            _ => {
                sent.retain(|(other, _)| other != name);
                sent.push(((*name).to_owned(), (*value).to_owned()));
            }
        }
    }
    sent
}

async fn post(client: &mut Client, path: &str, fields: &[(String, String)]) -> Answer {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    client.post(path, &fields).await
}

async fn new_form(client: &mut Client) -> Answer {
    client.get(&format!("/schedules/new?target=stack/{}", target::key(&HostId::local(), "media"))).await
}

/// The window text of the only schedule.
async fn stored(client: &mut Client) -> String {
    let path = only(client).await;
    client.get(&path).await.attribute("#window", "value").expect("a window")
}

async fn only(client: &mut Client) -> String {
    client.get("/schedules").await.attribute(".schedules .lead a", "href").expect("there is one")
}

#[tokio::test]
async fn a_week_is_painted_by_ticking_boxes() {
    let test = site().await;
    let mut otto = test.operator().await;
    let page = new_form(&mut otto).await;
    assert!(page.attribute("#view-week", "checked").is_some(), "the week comes first");
    let boxes = page.body.matches("name=\"w\"").count();
    assert_eq!(boxes, 7 * 48);
    assert_eq!(page.attribute("[name=w][value='15']", "aria-label").as_deref(), Some("Mon 07:30, asleep"));
    assert!(
        page.attribute("[name=w][value='46']", "checked").is_some(),
        "Monday 23:00 of the nights it begins with"
    );
    // Monday from 22:30, and nothing on the night from Tuesday to Wednesday.
    let mut changed = vec![("+w", "45".to_owned()), ("save", "on".to_owned())];
    changed.extend((94..110).map(|at| ("-w", at.to_string())));
    let changed: Vec<(&str, &str)> = changed.iter().map(|(name, value)| (*name, &**value)).collect();
    assert_eq!(post(&mut otto, "/schedules", &with(&page, &changed)).await.location(), "/schedules");
    assert_eq!(stored(&mut otto).await, "sleep Mon 22:30-07:00; Wed-Sun 23:00-07:00");
}

#[tokio::test]
async fn exact_times_are_rows_under_the_week() {
    let test = site().await;
    let mut otto = test.operator().await;
    let page = new_form(&mut otto).await;
    let page = post(&mut otto, "/schedules", &with(&page, &[("do", "row-add")])).await;
    assert_eq!(page.status, 200);
    let times = [("row-0-from", "12:10"), ("row-0-to", "13:05"), ("-row-0-day", "Sun")];
    let missing = with(&page, &[("row-0-from", "12:10"), ("save", "on")]);
    let refused = post(&mut otto, "/schedules", &missing).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.attribute("#row-0-from", "value").as_deref(), Some("12:10"), "what was typed stays");
    assert_eq!(refused.attribute("#errors a", "href").as_deref(), Some("#row-0-to"));
    let saved = post(&mut otto, "/schedules", &with(&page, &[&times[..], &[("save", "on")]].concat())).await;
    assert_eq!(saved.location(), "/schedules", "{}", saved.text("#errors"));
    assert_eq!(stored(&mut otto).await, "sleep 23:00-07:00; Mon-Sat 12:10-13:05");
    // It is shown again in its row and touches its half hours; nothing is rounded.
    let path = only(&mut otto).await;
    let page = otto.get(&path).await;
    assert_eq!(page.attribute("#row-0-to", "value").as_deref(), Some("13:05"));
    let noon = "[name=w][value='24']";
    assert!(page.attribute(noon, "data-exact").is_some() && page.attribute(noon, "checked").is_none());
    let fewer = with(&page, &[("do", "row-del-0"), ("save", "")]);
    let page = post(&mut otto, &path, &fewer).await;
    assert_eq!(page.attribute("#window", "value").as_deref(), Some("sleep 23:00-07:00"));
}

#[tokio::test]
async fn a_day_is_copied_and_too_rich_a_week_says_so() {
    let test = site().await;
    let mut otto = test.operator().await;
    let page = new_form(&mut otto).await;
    let page = post(&mut otto, "/schedules", &with(&page, &[("+w", "24"), ("do", "copy-0-weekdays")])).await;
    let text = page.attribute("#window", "value").expect("the text follows");
    assert_eq!(text, "sleep Mon-Fri 12:00-12:30; 23:00-07:00");
    let rich: Vec<String> =
        (0..336).filter(|at| (at * 7 + at / 48) % 5 < 2).map(|at: usize| at.to_string()).collect();
    let mut sent = with(&page, &[("save", "on")]);
    sent.retain(|(name, _)| name != "w");
    sent.extend(rich.into_iter().map(|at| ("w".to_owned(), at)));
    let refused = post(&mut otto, "/schedules", &sent).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text("#errors").contains("too rich for one rule"), "{}", refused.text("#errors"));
    assert!(refused.attribute("[name=w][value='0']", "checked").is_some(), "what was painted stays");
}

#[tokio::test]
async fn a_sentence_says_the_same_rule() {
    let test = site().await;
    let mut otto = test.operator().await;
    let page = new_form(&mut otto).await;
    let changed =
        [("view", "sentence"), ("sentence.days", "Mon-Fri"), ("sentence.to", "06:15"), ("save", "")];
    let page = post(&mut otto, "/schedules", &with(&page, &changed)).await;
    assert_eq!(page.attribute("#window", "value").as_deref(), Some("sleep Mon-Fri 23:00-06:15"));
    assert!(page.attribute("#row-0-to", "value").is_some(), "the week shows it to the minute");
    assert!(page.text("#preview").contains("Monday to Friday"), "{}", page.text("#preview"));
    // More than one sentence can say: it is told, and kept.
    let rich = [("view", "text"), ("window", "sleep Mon 01:00-02:00; Tue 03:00-04:00"), ("save", "")];
    let page = post(&mut otto, "/schedules", &with(&page, &rich)).await;
    assert!(page.text("#sentence").contains("more than one sentence can say"), "{}", page.text("#sentence"));
    let saved = post(&mut otto, "/schedules", &with(&page, &[("view", "sentence"), ("save", "on")])).await;
    assert_eq!(saved.location(), "/schedules");
    assert_eq!(stored(&mut otto).await, "sleep Mon 01:00-02:00; Tue 03:00-04:00");
}

#[tokio::test]
async fn what_was_typed_in_one_view_survives_a_look_at_another() {
    let test = site().await;
    let mut otto = test.operator().await;
    let page = new_form(&mut otto).await;
    // Typed as text, then the week is on show, which nothing has brought in step.
    let changed = [("window", "sleep Sat 10:10-11:00"), ("view", "week"), ("save", "on")];
    assert_eq!(post(&mut otto, "/schedules", &with(&page, &changed)).await.location(), "/schedules");
    assert_eq!(stored(&mut otto).await, "sleep Sat 10:10-11:00");
}

#[tokio::test]
async fn the_preview_brings_the_other_views_in_step() {
    let test = site().await;
    let mut otto = test.operator().await;
    let page = new_form(&mut otto).await;
    let part = |sent: Vec<(String, String)>| {
        let mut otto = otto.clone();
        async move {
            let sent: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (&**name, &**value)).collect();
            otto.post_part("/schedules/preview", &sent).await
        }
    };
    let same = part(with(&page, &[("name", "Nights")])).await;
    assert!(
        same.attribute("#week", "id").is_none() && same.attribute("#window", "id").is_none(),
        "nothing new"
    );
    let painted = part(with(&page, &[("+w", "24")])).await;
    assert!(painted.attribute("#week", "id").is_none(), "what is being painted stays as it is");
    assert_eq!(painted.attribute("#window", "value").as_deref(), Some("sleep Mon 12:00-12:30; 23:00-07:00"));
    assert_eq!(painted.attribute("#window-text", "hx-swap-oob").as_deref(), Some("true"));
    assert!(painted.text("#sentence").contains("more than one sentence"));
    let typed = part(with(&page, &[("view", "text"), ("window", "sleep Mon 12:00-13:00")])).await;
    assert!(
        typed.attribute("[name=w][value='25']", "checked").is_some()
            && typed.attribute("#window", "id").is_none()
    );
    let wrong = part(with(&page, &[("view", "text"), ("window", "sleep Mon 12:00")])).await;
    assert!(wrong.attribute("#week", "id").is_none(), "a week that cannot be read paints nothing over");
    assert!(wrong.text(".meaning").contains("ends too early"), "{}", wrong.text(".meaning"));
}

#[tokio::test]
async fn what_it_does_in_a_week_is_drawn_beside_what_is_stored() {
    let test = site().await;
    let mut otto = test.operator().await;
    let page = new_form(&mut otto).await;
    assert!(page.text("#pic-week").contains("week") && page.attribute("#pic-before", "id").is_none());
    // It is Friday 20:00; the night is 8 of the next 24 hours.
    assert!(page.text("#pic-today").contains("8 of the next 24 hours"), "{}", page.text("#pic-today"));
    post(&mut otto, "/schedules", &with(&page, &[("save", "on")])).await;
    let path = only(&mut otto).await;
    let page = otto.get(&path).await;
    assert!(page.attribute("#pic-before", "id").is_none(), "nothing is changed yet");
    let changed = with(&page, &[("view", "text"), ("window", "sleep 22:00-07:00"), ("save", "")]);
    let page = post(&mut otto, &path, &changed).await;
    assert!(page.attribute("#pic-before", "id").is_some());
}

#[tokio::test]
async fn a_dry_run_lists_the_calls_and_changes_nothing() {
    let test = site().await;
    let mut otto = test.operator().await;
    let page = new_form(&mut otto).await;
    let asked = with(&page, &[("stop_timeout_seconds", "25"), ("save", "dry")]);
    let told = post(&mut otto, "/schedules", &asked).await;
    assert_eq!(told.status, 200);
    let calls = told.text("#dry .lines");
    let (web, db) = ("POST /containers/media-web-1/stop?t=25", "POST /containers/media-db-1/stop?t=25");
    assert!(calls.find(web).expect("web") < calls.find(db).expect("db"), "{calls}");
    assert!(told.text("#dry").contains("When it wakes"));
    assert_eq!(
        told.attribute("#stop_timeout_seconds", "value").as_deref(),
        Some("25"),
        "what was typed stays"
    );
    assert!(otto.get("/schedules").await.text("#schedules").contains("No schedule yet"));
    let refused = post(&mut otto, "/schedules", &with(&page, &[("target", ""), ("save", "dry")])).await;
    assert_eq!(refused.status, 422);
}
