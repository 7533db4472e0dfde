//! What people set for themselves, and what they hand to each other: from one browser to another.

use super::{PASSWORD, Visit, media};

/// What the site answers to a plain request of this browser: status and body.
const FETCH: &str = "const done = arguments[arguments.length - 1]; \
                     fetch(arguments[0]).then(async (answer) => done([answer.status, await answer.text()]))";

async fn fetch(visit: &Visit, address: &str) -> (u16, String) {
    let arguments = vec![serde_json::json!(address)];
    visit.driver.execute_async(FETCH, arguments).await.expect("it answers").convert().expect("two parts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_theme_is_there_before_any_script_and_in_this_browser_alone() {
    let visit = Visit::inside(media()).await;
    visit.goto("/profile").await;
    visit.press("label:has([name=theme][value=dark])").await;
    visit.press("form[action$='/profile'] button.primary").await;
    visit.reads("Every page looks like that").await;
    visit.find("html[data-theme=dark]").await;
    let (_, html) = fetch(&visit, "/schedules").await;
    assert!(html.contains("<html lang=\"en\" data-theme=\"dark\">"), "the page comes dark");
    assert!(
        visit.ask::<String>("return getComputedStyle(document.documentElement).colorScheme").await == "dark"
    );
    let phone = visit.another().await;
    phone.log_in("admin", PASSWORD).await;
    phone.find("html[data-theme=system]").await;
    phone.close().await;
    // It outlives the login.
    visit.press("form[action$='/logout'] button").await;
    visit.find("html[data-theme=dark] #password").await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_logins_are_ended_from_the_profile() {
    let visit = Visit::inside(media()).await;
    let phone = visit.another().await;
    phone.log_in("admin", PASSWORD).await;
    visit.goto("/profile").await;
    visit.count_is("#sessions li", 2).await;
    visit.press("form[action$='/sessions/end-others'] button").await;
    visit.reads("Every other browser and program is logged out").await;
    visit.count_is("#sessions li", 1).await;
    // Its page notices by itself, or at the next click.
    phone.goto("/runs").await;
    phone.find("#password").await;
    assert_eq!(phone.address().await, "/login?next=%2Fruns");
    phone.close().await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_mean_nothing_where_they_are_switched_off() {
    let visit = Visit::inside(media()).await;
    visit.goto("/profile").await;
    visit.press("[name=keys]").await;
    visit.press("form[action$='/profile'] button.primary").await;
    visit.reads("Every page looks like that").await;
    visit.goto("/").await;
    visit.find("#stacks").await;
    visit.keys("?n/gs").await;
    // A key leads somewhere at once or not at all.
    assert_eq!(visit.address().await, "/");
    assert!(
        visit
            .ask::<bool>(
                "return !document.querySelector('dialog') && document.activeElement === document.body"
            )
            .await
    );
    assert!(!visit.text(".foot").await.contains("Keys"), "no list of them either");
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_gets_an_invite_link_chooses_a_password_with_it_once() {
    let visit = Visit::inside(media()).await;
    visit.goto("/users").await;
    visit.press("a[href$='/users/new']").await;
    visit.type_into("#name", "otto").await;
    visit.press("label:has([name=role][value=operator])").await;
    visit.press("form button.primary").await;
    let link = visit.text("#link").await;
    let path = link.strip_prefix(&visit.base).expect("it leads to this site").to_owned();

    let other = visit.another().await;
    other.goto(&path).await;
    other.reads("Welcome, otto").await;
    other.type_into("#password", "short").await;
    other.reads("Not yet").await;
    other.press("form button.primary").await;
    other.find("#password[aria-invalid=true]").await;
    other.type_into("#password", "a pillow for every whale").await;
    other.press("form button.primary").await;
    other.find(".who").await;
    let who = other.text(".who").await;
    assert!(who.contains("otto") && who.contains("operator"), "{who}");
    // An operator acts, and keeps no users.
    other.goto("/users").await;
    other.reads("needs the role admin").await;
    other.close().await;

    let third = visit.another().await;
    third.goto(&path).await;
    third.reads("This link no longer works").await;
    third.log_in("otto", "a pillow for every whale").await;
    third.close().await;
    visit.goto("/users").await;
    let row = visit.text(".rows").await;
    assert!(row.contains("otto") && row.contains("Password") && !row.contains("Invited"), "{row}");
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_calendar_address_works_until_it_is_revoked() {
    let visit = Visit::inside(media()).await;
    visit.goto("/schedules/new?window=sleep+22%3A00-06%3A00").await;
    visit.press("#target option[value^=stack]").await;
    visit.press("#save button.primary").await;
    visit.reads("is stored").await;
    visit.goto("/profile").await;
    visit.press("#feeds form[action$='/profile/feeds'] button").await;
    visit.find("#address").await;
    let address: String = visit.ask("return document.querySelector('#address').value").await;
    let (status, calendar) = fetch(&visit, &address).await;
    assert_eq!(status, 200);
    assert!(calendar.starts_with("BEGIN:VCALENDAR") && calendar.contains("media"), "{calendar}");
    // It is shown once.
    visit.press("main a.primary").await;
    visit.find("#feeds .list li").await;
    assert!(visit.ask::<bool>("return !document.body.innerHTML.includes('dnc_')").await);
    visit.press("#feeds form[action$='/revoke'] button").await;
    visit.reads("The address is revoked").await;
    visit.count_is("#feeds .list li", 0).await;
    let (status, _) = fetch(&visit, &address).await;
    assert_eq!(status, 404);
    visit.finish().await;
}
