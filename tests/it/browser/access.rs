//! Every page, looked at by axe-core in both themes.

use docknap::domain::ids::HostId;
use docknap::domain::target;

use super::{Visit, media};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_keeps_anybody_out() {
    let visit = Visit::inside(media()).await;
    let stack = target::key(&HostId::local(), "media");
    visit.goto(&format!("/stacks/{stack}/stop")).await;
    visit.press("form button.danger, form button.primary").await;
    visit.reads("Succeeded").await;
    let run = visit.driver.current_url().await.expect("an address").path().to_owned();
    visit.goto("/").await;
    let container: String = {
        visit.press("#live a[href*='/stacks/']").await;
        visit.find("#live a[href*='/containers/']").await;
        visit
            .ask("return new URL(document.querySelector('#live a[href*=\"/containers/\"]').href).pathname")
            .await
    };
    let pages = [
        "/",
        &format!("/stacks/{stack}"),
        &format!("/stacks/{stack}/order"),
        &format!("/stacks/{stack}/start"),
        &container,
        "/schedules",
        &format!("/schedules/new?target=stack%2F{stack}"),
        "/simulate",
        "/calendars",
        "/calendars/new",
        "/overrides",
        "/overrides/new",
        "/runs",
        &run,
        "/audit",
        "/users",
        "/users/new",
        "/profile",
        "/no-such-page",
        "/dev/components",
    ];
    for page in pages {
        visit.goto(page).await;
        visit.find("main h1").await;
        visit.axe().await;
    }
    visit.keys("?").await;
    visit.find("#keys[open]").await;
    visit.axe().await;
    visit.driver.delete_all_cookies().await.expect("they go");
    visit.goto("/login").await;
    visit.axe().await;
    visit.finish().await;
}
