//! A person's way through the pages: from the setup token to the audit log, at the root and under a sub-path.

use super::{PASSWORD, Visit, setup_token};

async fn from_the_token_to_the_audit_log(path: &str) {
    let visit = Visit::begin(path).await;
    // Whoever comes first is led to the setup, and has to know the token.
    visit.goto("/").await;
    visit.type_into("#token", "not-the-token").await;
    visit.press("form button.primary").await;
    visit.find("#token[aria-invalid=true]").await;
    visit.type_into("#token", &setup_token(visit.home.path())).await;
    visit.press("form button.primary").await;
    visit.type_into("#name", "ada").await;
    visit.type_into("#password", PASSWORD).await;
    visit.press("form button.primary").await;

    // Docker answers, and the first nap can wait.
    visit.reads("DockNap reaches Docker").await;
    visit.goto("/").await;

    // The dashboard shows the stack as it is; its page offers a schedule.
    visit.reads("media").await;
    visit.press("#stacks a.main-link, #stacks a").await;
    visit.find("#containers").await;
    visit.reads("media-web-1").await;
    visit.press("a[href*='/schedules/new']").await;

    // Sleep hours are offered first, with what they mean beside them.
    visit.press("label:has(#view-text)").await;
    visit.find("#window").await;
    visit.type_into("#window", "sleep Mon-Fri 23:00-07:00").await;
    visit.reads("40 h a week asleep").await;
    visit.press("label:has(#kind-cron)").await;

    // A wrong expression comes back with what was typed; a right one says what it means while it is typed.
    visit.find("#cron").await;
    visit.press("label:has(input[name=action][value=stop])").await;
    visit.type_into("#cron", "61 23 * * *").await;
    visit.press("button.primary[name=save]").await;
    visit.find("#cron[aria-invalid=true]").await;
    let kept = visit.find("#cron").await.prop("value").await.expect("a value");
    assert_eq!(kept.as_deref(), Some("61 23 * * *"));
    visit.type_into("#cron", "0 23 * * *").await;
    visit.reads("At 23:00").await;
    visit.press("button.primary[name=save]").await;
    visit.reads("is stored").await;

    // Run it now: the dialog lists what will happen; the run's page, one step away, follows it to its end.
    visit.goto("/schedules").await;
    visit.press("a[href$='/run']").await;
    let plan = visit.text("dialog[open]").await;
    assert!(plan.contains("media-web-1") && plan.contains("media-db-1"), "{plan}");
    visit.press("dialog[open] button.danger, dialog[open] button.primary").await;
    visit.count_is("#dialogs dialog", 0).await;
    visit.arrives(&format!("{path}/schedules")).await;
    visit.press("#toasts .toast a").await;
    visit.find("#run").await;
    visit.reads("Succeeded").await;
    visit.reads("media-db-1").await;

    // Both are on record.
    visit.goto("/audit").await;
    let audit = visit.text("main").await;
    assert!(audit.contains("ada") && audit.contains("media"), "{audit}");
    assert!(audit.contains("0 23 * * *"), "the new schedule's expression is in its row: {audit}");
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_token_to_the_audit_log_on_a_plain_http_host_name() {
    from_the_token_to_the_audit_log("").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_token_to_the_audit_log_under_a_sub_path() {
    from_the_token_to_the_audit_log("/nap").await;
}
