//! A line of "Needs attention" goes where it stands, and comes back.

use docknap::sim::World;

use super::Visit;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_was_hidden_goes_at_once_and_comes_back_by_undo() {
    let world = World::new().container("web", |c| c).container("loner", |c| c.exited(3));
    let visit = Visit::inside(world).await;
    visit.count_is("#now .need", 1).await;
    visit.press("#now form[action$='/hide'] button").await;
    visit.count_is("#now .need", 0).await;
    visit.reads("1 hidden").await;
    visit.press(".toast form button").await;
    visit.count_is("#now .need", 1).await;
    // What is hidden is listed until it is no more, whatever else refreshes the list.
    visit.press("#now form[action$='/hide'] button").await;
    visit.press("#now a[href*=hidden]").await;
    visit.count_is("#now [aria-label=Hidden] .need", 1).await;
    visit.press("#now form[action$='/show'] button").await;
    visit.count_is("#now [aria-label=Hidden]", 0).await;
    visit.count_is("#now .need", 1).await;
    visit.finish().await;
}
