//! What is asked for by a button: whoever answers stays where they are, and is told what acts.

use axum::http::Method;
use docknap::sim::World;

use crate::support::app::{Answer, NOW, TestApp};
use crate::support::bench::Bench;

/// `media` and `shop` are up, `wiki` is down.
async fn site() -> TestApp {
    let world = World::new()
        .stack("media", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")))
        .stack("shop", |s| s.service("web", |c| c))
        .stack("wiki", |s| s.service("app", |c| c.exited(143)))
        .container("guard", docknap::sim::ContainerSpec::protect);
    TestApp::over(Bench::new(NOW, world).await).await
}

fn stack(name: &str) -> String {
    format!("/stacks/{}", Bench::stack(name).key())
}

/// The message in the corner, and where its link leads.
fn toast(answer: &Answer) -> (String, Option<String>) {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.trim_start().starts_with("<hx-partial"), "nothing but the message: {}", answer.body);
    (answer.text(".toast p"), answer.attribute(".toast p a", "href"))
}

#[tokio::test]
async fn an_answer_to_htmx_is_a_message_and_leads_nowhere() {
    let test = site().await;
    let mut otto = test.operator().await;
    for (deed, says) in [
        ("nap", "media naps. View run"),
        ("wake", "media wakes. View run"),
        ("stop", "media stops. View run"),
        ("start", "media starts. View run"),
        ("pause", "media is paused. View run"),
        ("unpause", "media goes on. View run"),
        ("restart", "media restarts. View run"),
    ] {
        let path = format!("{}/{deed}", stack("media"));
        let dialog = otto.get_part(&path).await;
        let buttons = "dialog button[hx-post][hx-target='closest dialog']";
        assert_eq!(dialog.attribute(buttons, "hx-post").as_deref(), Some(&*path));
        assert_eq!(dialog.attribute("dialog form[hx-post], button[formmethod][hx-post]", "class"), None);
        let answer = otto.post_part(&path, &[("until", "")]).await;
        let (text, link) = toast(&answer);
        assert_eq!(text, says, "{deed}");
        assert!(link.is_some_and(|link| link.starts_with("/runs/")), "{}", answer.body);
        test.bench().settle().await;
        test.bench().quiet().await;
    }
    let again = otto.post_part(&format!("{}/start", stack("media")), &[]).await;
    assert_eq!(toast(&again).0, "media stays as it is: already running. View run");
    let twice = otto.post_part(&format!("{}/lock", stack("media")), &[("reason", "mine")]).await;
    assert_eq!(toast(&twice).0, "media is locked: DockNap leaves it alone.");
}

#[tokio::test]
async fn the_same_asked_for_twice_says_that_it_was_under_way() {
    let test = site().await;
    let mut otto = test.operator().await;
    let path = format!("{}/stop", stack("media"));
    otto.post_part(&path, &[]).await;
    let (text, link) = toast(&otto.post_part(&path, &[]).await);
    assert_eq!(text, "Stop media: this was under way already. View run");
    assert!(link.is_some_and(|link| link.starts_with("/runs/")));
}

#[tokio::test]
async fn a_dialog_comes_back_with_what_is_wrong_in_it() {
    let test = site().await;
    let mut otto = test.operator().await;
    let typed = [("until", "at"), ("at", ""), ("reason", "quiet"), ("back", "/?q=e")];
    let media = format!("stack/{}", Bench::stack("media").key());
    let several = [&typed[..], &[("do", "nap"), ("t", &media)]].concat();
    for (path, fields) in [(format!("{}/nap", stack("media")), &typed[..]), ("/actions".to_owned(), &several)]
    {
        let wrong = otto.post_part(&path, fields).await;
        assert_eq!(wrong.status, 422);
        assert!(wrong.body.contains("<dialog") && !wrong.body.contains("<html"), "{}", wrong.body);
        assert!(wrong.text("#until-error").contains("say until when"));
        assert_eq!(wrong.attribute("#reason", "value").as_deref(), Some("quiet"));
        assert_eq!(wrong.attribute("[name=back]", "value").as_deref(), Some("/?q=e"));
        assert!(wrong.attribute("button[hx-post]", "class").is_some());
    }
}

#[tokio::test]
async fn without_scripts_it_leads_back_to_the_page_it_was_asked_from() {
    let test = site().await;
    let mut otto = test.operator().await;
    let path = format!("{}/nap", stack("media"));
    otto.get("/?q=media").await;
    // From the page that was opened last.
    let question = otto.send(Method::GET, &path, None, String::new(), &[]).await;
    assert_eq!(question.attribute("[name=back]", "value").as_deref(), Some("/?q=media"));
    assert_eq!(question.attribute(".acts a.ghost", "href").as_deref(), Some("/?q=media"));
    let answer = otto.post(&path, &[("until", "1h"), ("back", "/?q=media")]).await;
    assert_eq!(answer.location(), "/?q=media");
    let (page, run) = otto.follow(&answer).await;
    assert_eq!(page.text(".flash > span"), "media naps. View run");
    assert!(otto.get(&run).await.text("#run").contains("by hand"));
    // Nothing but a page of this site, and none that asks or lets somebody in.
    let own = stack("media");
    for back in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "",
        "x",
        &path,
        "/login?next=/",
        "/actions?do=nap",
    ] {
        let answer = otto.post(&path, &[("until", ""), ("back", back)]).await;
        assert_eq!(answer.location(), own, "{back}");
    }
}

#[tokio::test]
async fn several_count_what_acts_in_the_question_and_in_the_message() {
    let test = site().await;
    let mut otto = test.operator().await;
    let keys = ["media", "shop", "wiki"].map(|name| format!("stack/{}", Bench::stack(name).key()));
    let query = keys.iter().map(|key| format!("&t={}", key.replace('/', "%2F"))).collect::<Vec<_>>().concat();
    for (deed, title, says) in [
        ("nap", "Nap 2 stacks?", "2 stacks nap, 1 is left as it is (wiki: already stopped)."),
        (
            "nap",
            "Keep 3 stacks asleep?",
            "3 are left as they are (media: already stopped; shop: already stopped; wiki: already stopped).",
        ),
        ("restart", "Nothing to restart", ""),
        ("wake", "Wake 3 stacks?", "3 stacks wake."),
        ("start", "Nothing to start", ""),
        (
            "wake",
            "Keep 3 stacks awake?",
            "3 are left as they are (media: already running; shop: already running; wiki: already running).",
        ),
        ("restart", "Restart 3 stacks?", "3 stacks restart."),
    ] {
        let question = otto.get(&format!("/actions?do={deed}{query}")).await;
        assert_eq!(question.text("h1"), title, "{deed}");
        if says.is_empty() {
            assert_eq!(question.attribute(".ask button", "class"), None, "there is nothing to answer");
            continue;
        }
        let all_act = !says.contains("left");
        assert_eq!(question.text("main").contains(says), !all_act, "{}", question.text("main"));
        let fields: Vec<(&str, &str)> =
            keys.iter().map(|key| ("t", &**key)).chain([("do", deed), ("until", "")]).collect();
        let (text, link) = toast(&otto.post_part("/actions", &fields).await);
        assert_eq!(text, format!("{says} View runs"), "{deed}");
        assert_eq!(link.as_deref(), Some("/runs"));
        test.bench().settle().await;
        test.bench().quiet().await;
    }
}
