//! Pages and messages of errors: what happened, and one next step each.

use axum::http::Method;
use docknap::sim::World;

use crate::support::app::{HTMX, NOW, TestApp};
use crate::support::bench::Bench;

#[tokio::test]
async fn a_refusal_says_which_role_is_needed_and_whom_to_ask() {
    let test = TestApp::new().await;
    let mut vera = test.viewer().await;
    vera.get("/schedules").await;
    let page = vera.get("/schedules/new").await;
    assert_eq!((page.status, page.text(".oops .code").as_str()), (403, "403"));
    let told = page.text(".oops");
    assert!(
        told.contains("needs the role operator. Ask an admin")
            && told.contains("You are vera, with the role viewer."),
        "{told}"
    );
    for name in ["ada", "otto"] {
        assert!(!told.contains(name), "nobody else is named: {told}");
    }
    let part = vera.send(Method::GET, "/schedules/new", None, String::new(), &HTMX).await;
    assert_eq!((part.status, part.header("hx-retarget")), (403, "#alerts"));
    assert!(part.text(".toast").contains("needs the role operator"));
}

#[tokio::test]
async fn what_is_not_there_is_guessed_at() {
    let world = World::new().stack("media", |s| s.service("web", |c| c));
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let mut vera = test.viewer().await;
    for (path, href) in
        [("/shedules", "/schedules"), ("/run", "/runs"), ("/Audit/", "/audit"), ("/schedule/7", "/schedules")]
    {
        let page = vera.get(path).await;
        assert_eq!(page.status, 404, "{path}");
        assert_eq!(
            page.attribute(".oops p a", "href").as_deref(),
            Some(href),
            "{path}: {}",
            page.text(".oops")
        );
    }
    let page = vera.get("/stacks/meida").await;
    assert!(page.text(".oops").contains("Did you mean media ?"), "{}", page.text(".oops"));
    let page = vera.get("/user").await;
    assert!(
        !page.text(".oops").contains("Did you mean"),
        "no page that may not be opened: {}",
        page.text(".oops")
    );
    assert_eq!(
        test.admin().await.get("/user").await.attribute(".oops p a", "href").as_deref(),
        Some("/users")
    );
    let page = vera.get(&format!("/{}", "%22%3E%3Cscript%3E".repeat(40))).await;
    assert_eq!(page.status, 404);
    assert!(!page.body.contains("<script>"));
    let stranger = test.anonymous().get("/shedules").await;
    assert!(stranger.status == 404 && !stranger.text("main").contains("Did you mean"));
    assert_eq!(stranger.attribute(".oops .primary", "href").as_deref(), Some("/login"));
}

#[tokio::test]
async fn what_is_not_possible_leads_back_to_where_it_was_asked() {
    let world = World::new().stack("media", |s| s.service("web", |c| c));
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let mut otto = test.operator().await;
    let answer = otto.post(&format!("/stacks/{}/stop", Bench::stack("media").key()), &[]).await;
    let (_, run) = otto.follow(&answer).await;
    test.bench().settle().await;
    otto.get(&run).await;
    let page = otto.post(&format!("{run}/cancel"), &[]).await;
    assert_eq!(page.status, 409);
    assert_eq!(page.attribute(".oops .primary", "href"), Some(run.clone()));
    assert_eq!(page.attribute("meta[http-equiv=refresh]", "content"), None, "a form is not sent twice");
    let big = otto.post("/schedules", &[("note", &"x".repeat(70_000))]).await;
    assert_eq!(big.status, 413);
    assert!(big.text(".oops").contains("64 KiB"));
    assert_eq!(big.attribute(".oops .primary", "href"), Some(run));
}

#[tokio::test]
async fn what_is_away_is_asked_for_again() {
    let test = TestApp::new().await;
    let mut otto = test.operator().await;
    let page = otto.get("/stacks/media/stop").await;
    assert_eq!(page.status, 503, "there is no Engine");
    assert_eq!(page.attribute("meta[http-equiv=refresh]", "content").as_deref(), Some("5"));
    assert_eq!(page.header("retry-after"), "5");
    assert!(page.text(".oops").contains("tries again by itself in 5 s"));
    assert_eq!(page.attribute(".oops .primary", "href").as_deref(), Some("/stacks/media/stop"));
    assert!(!page.text("#request-id").is_empty());
    assert_eq!(page.attribute("[data-copy]", "data-copy").as_deref(), Some("request-id"));
    assert_eq!(page.header("x-request-id"), page.text("#request-id"));
    let part = otto.get_part("/stacks/media/stop").await;
    assert_eq!((part.status, part.header("hx-retarget")), (503, "#alerts"));
    assert!(part.text(".toast").contains("Try again in 5 s"), "{}", part.body);
}

#[tokio::test]
async fn too_many_tries_count_down() {
    let test = TestApp::new().await;
    let mut stranger = test.anonymous();
    stranger.get("/login").await;
    let mut page = stranger.get("/login").await;
    for _ in 0..40 {
        page = stranger.post("/login", &[("name", ""), ("password", "")]).await;
        if page.status == 429 {
            break;
        }
    }
    assert_eq!(page.status, 429);
    let seconds = page.attribute("[data-countdown]", "data-countdown").expect("it counts down");
    assert_eq!(page.header("retry-after"), seconds);
}
