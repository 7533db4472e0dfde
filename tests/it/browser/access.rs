//! Every page, looked at by axe-core in both themes.

use super::Visit;
use super::filled::Filled;
use super::pages;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_keeps_anybody_out() {
    let Filled { test, things } = Filled::after(2).await;
    let visit = Visit::over(test).await;
    let mut who = "";
    for page in pages::every(&things) {
        visit.open(&page, &mut who).await;
        visit.axe().await;
    }
    visit.log_in("anna", super::PASSWORD).await;
    visit.goto("/").await;
    visit.keys("?").await;
    visit.find("#keys[open]").await;
    visit.axe().await;
    visit.finish().await;
}
