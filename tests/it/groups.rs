//! Groups: created, filled, changed and deleted by page and API, and filled by labels and the settings file.

use axum::http::Method;
use docknap::config::HostSetting;
use docknap::db;
use docknap::domain::ids::HostId;
use docknap::domain::permission::Role;
use docknap::domain::target::key;
use docknap::sim::World;
use serde_json::{Value, json};

use crate::on_both_engines;
use crate::support::app::{Answer, Client, TestApp};
use crate::support::bench::Bench;
use crate::support::db::TestDb;
use crate::support::sim::Simulated;

const NOW: &str = "2027-03-02T20:30:00Z";

on_both_engines!(
    a_group_is_created_filled_changed_and_deleted,
    a_group_with_schedules_or_overrides_is_not_deleted,
    a_label_makes_a_member_and_a_group,
    a_group_has_the_stack_of_the_host_that_was_named,
);

fn media() -> World {
    World::new()
        .stack("media", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")))
        .container("loner", |c| c)
}

async fn over(db: TestDb, world: World) -> TestApp {
    TestApp::over(Bench::on(db, NOW, world).await).await
}

async fn with_body(client: &mut Client, method: Method, path: &str, body: &Value) -> Answer {
    client.send(method, path, Some("application/json"), body.to_string(), &[]).await
}

/// Adds a group by the API.
async fn create(admin: &mut Client, name: &str) {
    let made = admin.post_json("/api/groups", &json!({"name": name})).await;
    assert_eq!(made.status, 201, "{}", made.body);
}

/// Adds a member by the API; the group afterwards.
async fn add(admin: &mut Client, group: &str, member: &Value) -> Value {
    let added = admin.post_json(&format!("/api/groups/{group}/members"), member).await;
    assert_eq!(added.status, 200, "{}", added.body);
    added.json()
}

fn figures(group: &Value) -> (u64, u64, u64) {
    let figure = |name: &str| group[name].as_u64().expect("a number");
    (figure("containers"), figure("running"), figure("napping"))
}

fn members(group: &Value) -> Vec<(String, String)> {
    let text = |member: &Value, field: &str| member[field].as_str().expect("text").to_owned();
    let members = group["members"].as_array().expect("a list").iter();
    members.map(|one| (text(one, "target_type"), text(one, "target_id"))).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(kind, id)| ((*kind).to_owned(), (*id).to_owned())).collect()
}

/// The events about groups in the audit log, oldest first, with the name of the group.
async fn audit(test: &TestApp) -> Vec<(String, String)> {
    let rows = test.audit().await.into_iter().filter(|(event, ..)| event.starts_with("group."));
    rows.map(|(event, _, _, name, _)| (event, name)).collect()
}

async fn a_group_is_created_filled_changed_and_deleted(db: TestDb) {
    let test = over(db, media()).await;
    let mut admin = test.bearer(Role::Admin).await;
    let body = json!({"name": "Evening & Lab", "colour": "violet", "note": "After work."});
    let made = admin.post_json("/api/groups", &body).await;
    assert_eq!((made.status, made.header("location")), (201, "/api/groups/evening-lab"), "{}", made.body);
    assert_eq!(made.header("etag"), "\"1\"");
    let group = made.json();
    let shown = ["id", "colour", "note", "source"].map(|field| group[field].as_str().expect("text"));
    assert_eq!(shown, ["evening-lab", "violet", "After work.", "api"]);
    assert_eq!((members(&group), figures(&group)), (Vec::new(), (0, 0, 0)));
    assert_eq!(admin.post_json("/api/groups", &body).await.status, 422, "the id and the name are taken");

    // Everything in a member is in the group, and counted once.
    let group = add(&mut admin, "evening-lab", &json!({"target_type": "stack", "target_id": "media"})).await;
    assert_eq!(figures(&group), (2, 2, 0));
    let again = add(&mut admin, "evening-lab", &json!({"target_type": "stack", "target_id": "media"})).await;
    assert_eq!(members(&again), pairs(&[("stack", "media")]));
    add(&mut admin, "evening-lab", &json!({"target_type": "container", "target_id": "loner"})).await;
    let group = add(&mut admin, "evening-lab", &json!({"target_type": "host", "target_id": "local"})).await;
    let all = pairs(&[("host", "local"), ("stack", "media"), ("container", "loner")]);
    assert_eq!((members(&group), figures(&group)), (all, (3, 3, 0)));

    for (member, field) in [
        (json!({}), "target_type"),
        (json!({"target_type": "group", "target_id": "evening-lab"}), "target_type"),
        (json!({"target_type": "stack"}), "target_id"),
        (json!({"target_type": "stack", "target_id": "medai"}), "target_id"),
        (json!({"target_type": "stack", "target_id": "media", "host": "nas"}), "host"),
        (json!({"target_type": "host", "target_id": "nas"}), "target_id"),
    ] {
        let refused = admin.post_json("/api/groups/evening-lab/members", &member).await;
        assert_eq!((refused.status, refused.wrong_field()), (422, field.to_owned()), "{member}");
    }
    let unknown = json!({"target_type": "stack", "target_id": "media"});
    assert_eq!(admin.post_json("/api/groups/none/members", &unknown).await.status, 404);

    // What is not there any more can still be removed.
    test.bench().sim.remove("loner");
    test.bench()
        .until("it is gone", async || {
            let local = test.app.hosts.get(&HostId::local());
            local.is_some_and(|host| host.inventory().by_name("loner").is_none())
        })
        .await;
    let group = admin.get("/api/groups/evening-lab").await.json();
    assert_eq!(group["members"][2]["exists"], json!(false), "{group:#}");
    let path = "/api/groups/evening-lab/members";
    for member in [
        json!({"target_type": "container", "target_id": "loner"}),
        json!({"target_type": "host", "host": "local"}),
    ] {
        let removed = with_body(&mut admin, Method::DELETE, path, &member).await;
        assert_eq!(removed.status, 204, "{}", removed.body);
        let removed = with_body(&mut admin, Method::DELETE, path, &member).await;
        assert_eq!((removed.status, removed.wrong_field()), (422, "target_id".to_owned()), "{member}");
    }

    // A change leaves id and members as they are.
    let change = json!({"name": "Late", "id": "late"});
    let changed = with_body(&mut admin, Method::PUT, "/api/groups/evening-lab", &change).await;
    assert_eq!((changed.status, changed.header("etag")), (200, "\"2\""), "{}", changed.body);
    let group = changed.json();
    assert_eq!((&group["id"], &group["colour"]), (&json!("evening-lab"), &json!("grey")));
    assert_eq!(members(&group), pairs(&[("stack", "media")]));
    let stale = [("if-match", "\"1\"")];
    let kind = Some("application/json");
    let late = admin.send(Method::PUT, "/api/groups/evening-lab", kind, change.to_string(), &stale).await;
    assert_eq!(late.status, 412, "{}", late.body);
    let late = admin.send(Method::DELETE, "/api/groups/evening-lab", None, String::new(), &stale).await;
    assert_eq!(late.status, 412, "{}", late.body);

    assert_eq!(admin.delete("/api/groups/evening-lab").await.status, 204);
    assert_eq!(admin.get("/api/groups/evening-lab").await.status, 404);
    let left = db::groups::members(&test.app.db).await.expect("they read");
    assert!(left.is_empty(), "its members go with it: {left:?}");
    assert_eq!(test.bench().sim.running("media").len(), 2, "nothing changes for containers");
    let (first, late) = ("Evening & Lab", "Late");
    let expected = [
        ("group.create", first),
        ("group.add_member", first),
        ("group.add_member", first),
        ("group.add_member", first),
        ("group.remove_member", first),
        ("group.remove_member", first),
        ("group.update", late),
        ("group.delete", late),
    ];
    assert_eq!(audit(&test).await, pairs(&expected));
}

async fn a_group_with_schedules_or_overrides_is_not_deleted(db: TestDb) {
    let test = over(db, media()).await;
    let mut admin = test.bearer(Role::Admin).await;
    create(&mut admin, "Evening").await;
    add(&mut admin, "evening", &json!({"target_type": "stack", "target_id": "media"})).await;
    let nights = json!({"target_type": "group", "target_id": "evening", "name": "Nights",
        "window": "sleep 23:00-07:00"});
    let nights = admin.post_json("/api/schedules", &nights).await;
    assert_eq!(nights.status, 201, "{}", nights.body);
    let held = json!({"target_type": "group", "target_id": "evening", "state": "hold", "until": "3h",
        "reason": "the move"});
    let held = admin.post_json("/api/overrides", &held).await;
    assert_eq!(held.status, 201, "{}", held.body);
    let group = admin.get("/api/groups/evening").await.json();
    assert_eq!((&group["schedules"], &group["next_at"]), (&json!(1), &json!("2027-03-02T23:00:00.000Z")));

    let mut browser = test.admin().await;
    let page = browser.get("/groups/evening").await;
    let schedules = page.text("[aria-labelledby='schedules-title']");
    let overrides = page.text("[aria-labelledby='overrides-title']");
    assert!(schedules.contains("Nights") && overrides.contains("the move"), "{}", page.body);
    let row = browser.get("/groups").await.text("tbody tr");
    assert!(row.contains("Nights") && row.contains("Held"), "{row}");
    let refused = browser.get("/groups/evening/delete").await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert!(refused.text("main").contains("“Nights”"), "{}", refused.body);

    for (path, uses) in [
        (
            format!("/api/overrides/{}", held.json()["id"].as_str().expect("an id")),
            &["Nights", "the move"][..],
        ),
        (format!("/api/schedules/{}", nights.json()["id"].as_str().expect("an id")), &["Nights"][..]),
    ] {
        let refused = admin.delete("/api/groups/evening").await;
        assert_eq!((refused.status, refused.json()["code"].clone()), (409, json!("group_in_use")));
        for used in uses {
            assert!(refused.body.contains(used), "{used}: {}", refused.body);
        }
        assert_eq!(admin.delete(&path).await.status, 204, "{path}");
        // The end of an override is handled by the next pass.
        test.bench().tick().await;
    }
    assert_eq!(admin.delete("/api/groups/evening").await.status, 204);
}

async fn a_label_makes_a_member_and_a_group(db: TestDb) {
    let world = World::new()
        .stack("media", |s| {
            s.service("db", |c| c.label("docknap.stack.group", "evening")).service("web", |c| c)
        })
        .container("loner", |c| c.label("docknap.group", "evening,lab"));
    let test = over(db, world).await;
    test.bench().tick().await;
    let mut admin = test.bearer(Role::Admin).await;
    let groups = admin.get("/api/groups").await.json()["items"].clone();
    let ids: Vec<&str> =
        groups.as_array().expect("a list").iter().filter_map(|group| group["id"].as_str()).collect();
    assert_eq!(ids, ["evening", "lab"], "{groups:#}");
    assert_eq!(members(&groups[0]), pairs(&[("stack", "media"), ("container", "loner")]));
    assert_eq!((figures(&groups[0]), figures(&groups[1])), ((3, 3, 0), (1, 1, 0)));
    assert_eq!(groups[0]["members"][0]["sources"], json!(["label"]));

    // A label says what only it can change.
    let mut browser = test.admin().await;
    let page = browser.get("/groups/evening").await;
    let listed = page.text("[aria-labelledby='members-title']");
    assert!(listed.contains("by docknap.stack.group") && listed.contains("by docknap.group"), "{listed}");
    assert!(page.attribute("form[action$='/members/remove']", "action").is_none(), "{}", page.body);
    let loner = json!({"target_type": "container", "target_id": "loner"});
    let path = "/api/groups/evening/members";
    let refused = with_body(&mut admin, Method::DELETE, path, &loner).await;
    assert_eq!((refused.status, refused.json()["code"].clone()), (409, json!("member_by_label_or_file")));
    assert!(refused.body.contains("docknap.group"), "{}", refused.body);

    // Added by hand too, it stays by its label.
    add(&mut admin, "evening", &loner).await;
    let group = admin.get("/api/groups/evening").await.json();
    let sources = group["members"][1]["sources"].as_array().expect("a list").len();
    assert_eq!((members(&group).len(), sources), (2, 2), "{group:#}");
    assert_eq!(with_body(&mut admin, Method::DELETE, path, &loner).await.status, 204);
    assert_eq!(members(&admin.get("/api/groups/evening").await.json()).len(), 2);

    // A group of labels gets a name, and outlives its deletion for as long as they name it.
    let named = json!({"name": "In the evening", "colour": "blue"});
    let named = with_body(&mut admin, Method::PUT, "/api/groups/evening", &named).await;
    assert_eq!(named.status, 200, "{}", named.body);
    let ask = browser.get("/groups/evening/delete").await;
    assert!(ask.text("main").contains("Labels or docknap.toml name evening"), "{}", ask.body);
    assert_eq!(admin.delete("/api/groups/evening").await.status, 204);
    let group = admin.get("/api/groups/evening").await.json();
    assert_eq!((&group["name"], members(&group).len()), (&json!("evening"), 2), "{group:#}");
}

async fn a_group_has_the_stack_of_the_host_that_was_named(db: TestDb) {
    let bench = Bench::on(db, NOW, media()).await;
    let nas = Simulated::start(bench.clock.clone(), media()).await;
    let test = TestApp::over(bench).await;
    let mut admin = test.bearer(Role::Admin).await;
    test.add_host("NAS", "nas", &nas).await;
    create(&mut admin, "Evening").await;
    let media = json!({"target_type": "stack", "target_id": "media"});
    let unclear = admin.post_json("/api/groups/evening/members", &media).await;
    assert_eq!((unclear.status, unclear.wrong_field()), (422, "host".to_owned()), "{}", unclear.body);
    let on = |host: &str| json!({"host": host, "target_type": "stack", "target_id": "media"});
    add(&mut admin, "evening", &on("nas")).await;
    let group = add(&mut admin, "evening", &on("local")).await;
    let hosts = [&group["members"][0]["host"], &group["members"][1]["host"]];
    assert_eq!((hosts, figures(&group)), ([&json!("local"), &json!("nas")], (4, 4, 0)));

    let mut browser = test.admin().await;
    let row = browser.get("/groups").await.text("tbody tr");
    assert!(row.contains("local: 1 stack") && row.contains("NAS: 1 stack"), "{row}");
    let page = browser.get("/groups/evening").await;
    assert_eq!(page.text("[aria-labelledby='members-title'] h3"), "local NAS", "{}", page.body);
    let path = "/api/groups/evening/members";
    let unclear = with_body(&mut admin, Method::DELETE, path, &media).await;
    assert_eq!((unclear.status, unclear.wrong_field()), (422, "host".to_owned()), "{}", unclear.body);
    let by_key = json!({"target_type": "stack", "target_id": key(&HostId::from("nas"), "media")});
    assert_eq!(with_body(&mut admin, Method::DELETE, path, &by_key).await.status, 204);
    let group = admin.get("/api/groups/evening").await.json();
    assert_eq!(group["members"][0]["host"], "local", "{group:#}");

    // A host that is deleted leaves its groups.
    add(&mut admin, "evening", &json!({"target_type": "host", "target_id": "nas"})).await;
    assert_eq!(admin.delete("/api/hosts/nas").await.status, 204);
    assert_eq!(members(&admin.get("/api/groups/evening").await.json()), pairs(&[("stack", "media")]));
}

#[tokio::test]
async fn a_group_of_the_settings_file_is_listed_and_can_be_named() {
    let vps = HostSetting {
        id: "vps".to_owned(),
        name: "The VPS".to_owned(),
        endpoint: "tcp://127.0.0.1:1".to_owned(),
        insecure: true,
        tls: None,
        groups: vec!["lab".to_owned()],
    };
    let test = TestApp::with(|config| config.hosts = vec![vps]).await;
    let mut ada = test.admin().await;
    let row = ada.get("/groups").await.text("tbody tr");
    assert!(row.contains("lab") && row.contains("The VPS: the whole host"), "{row}");
    let page = ada.get("/groups/lab").await;
    let listed = page.text("[aria-labelledby='members-title']");
    assert!(listed.contains("The VPS") && listed.contains("by docknap.toml"), "{listed}");
    let member = [("host", "vps"), ("target_type", "host"), ("target_id", "vps")];
    assert_eq!(ada.post("/groups/lab/members/remove", &member).await.status, 409);
    let refused = ada.get("/groups/lab/delete").await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    assert!(refused.text("main").contains("docknap.toml"), "{}", refused.body);

    let form = ada.get("/groups/lab/edit").await;
    assert_eq!(form.attribute("#name", "value").as_deref(), Some("lab"));
    let fields = [("name", "The lab"), ("colour", "teal"), ("note", ""), ("rev", "0")];
    let saved = ada.post("/groups/lab", &fields).await;
    assert_eq!((saved.status, saved.location()), (303, "/groups/lab"), "{}", saved.body);
    assert_eq!(ada.get("/groups/lab").await.text("h1"), "The lab");
    assert_eq!(ada.post("/groups/lab", &fields).await.status, 409, "the revision has moved on");
}

#[tokio::test]
async fn a_group_is_made_and_filled_in_the_pages() {
    let test = TestApp::over(Bench::new(NOW, media()).await).await;
    let mut ada = test.admin().await;
    let page = ada.get("/groups").await;
    assert_eq!(page.text("nav a[href='/groups']"), "Groups");
    assert!(page.attribute("#keys a[data-key='gg']", "href").is_some_and(|href| href == "/groups"));
    let text = page.text("main");
    assert!(text.contains("No group yet") && text.contains("docknap.stack.group=evening"), "{text}");

    let made = ada.post("/groups", &[("name", "Evening <b>"), ("id", ""), ("colour", "blue"), ("note", "")]);
    let made = made.await;
    assert_eq!((made.status, made.location()), (303, "/groups/evening-b"), "{}", made.body);
    let page = ada.get("/groups/evening-b").await;
    assert!(page.text(".flash").contains("“Evening <b>” is stored."), "{}", page.body);
    assert_eq!((page.text("h1"), page.text(".tag")), ("Evening <b>".to_owned(), "Evening <b>".to_owned()));
    assert_eq!(page.attribute(".tag", "data-colour").as_deref(), Some("blue"));
    assert!(page.text("main").contains("Nothing is in this group yet."), "{}", page.body);
    let new_schedule = "a[href='/schedules/new?target=group%2Fevening-b']";
    assert!(page.text(new_schedule).contains("New schedule"), "{}", page.body);
    let hold = "a[href='/overrides/new?target=group%2Fevening-b&state=hold']";
    assert!(page.text(hold).contains("Hold"), "{}", page.body);
    assert_eq!(page.text("#target option"), "Choose … local media loner");

    let stack = format!("stack/{}", key(&HostId::local(), "media"));
    let added = ada.post("/groups/evening-b/members", &[("target", &stack)]).await;
    assert_eq!((added.status, added.location()), (303, "/groups/evening-b"), "{}", added.body);
    let page = ada.get("/groups/evening-b").await;
    assert!(page.text(".flash").contains("“media” is in the group now."), "{}", page.body);
    let listed = page.text("[aria-labelledby='members-title'] .line");
    assert!(listed.contains("media") && listed.contains("Stack, 2 containers, 2 running"), "{listed}");
    assert_eq!(page.text("#target option"), "Choose … local loner", "a member is no choice any more");
    assert!(ada.get_part("/groups/evening-b").await.text("#live").contains("media"));
    assert!(ada.get_part("/groups").await.text("#live").contains("1 stack"));

    for (target, message) in [
        ("", "choose what to add"),
        ("stack/0123456789abcdef", "there is no stack"),
        ("group/evening-b", "use host, stack or container"),
    ] {
        let refused = ada.post("/groups/evening-b/members", &[("target", target)]).await;
        assert_eq!(refused.status, 422, "{}", refused.body);
        assert!(refused.text("#target-error").contains(message), "{target}: {}", refused.body);
    }

    let field = |name: &str| page.attribute(&format!("form[action$='/remove'] [name={name}]"), "value");
    let fields = ["host", "target_type", "target_id"].map(|name| (name, field(name).expect("a field")));
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let removed = ada.post("/groups/evening-b/members/remove", &fields).await;
    assert_eq!(removed.status, 303, "{}", removed.body);
    let page = ada.get("/groups/evening-b").await;
    assert!(page.text(".flash").contains("“media” is out of the group."), "{}", page.body);
    assert_eq!(ada.post("/groups/evening-b/members/remove", &fields).await.status, 422);

    assert!(ada.get_part("/groups/evening-b/delete").await.body.contains("<dialog"));
    let deleted = ada.post("/groups/evening-b/delete", &[("rev", "1")]).await;
    assert_eq!((deleted.status, deleted.location()), (303, "/groups"), "{}", deleted.body);
    assert_eq!(ada.get("/groups/evening-b").await.status, 404);
    assert_eq!(ada.get_part("/groups/evening-b").await.header("hx-reswap"), "delete");
    let log = ada.get("/audit?about=group").await.text("main");
    assert!(log.contains("deleted the group") && log.contains("took a member out of the group"), "{log}");
}

#[tokio::test]
async fn what_was_typed_stays_after_an_error() {
    let test = TestApp::new().await;
    let mut ada = test.admin().await;
    let fields = [("name", "A \"B\""), ("id", "Not An Id"), ("colour", "mauve"), ("note", "a & b")];
    let refused = ada.post("/groups", &fields).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    for (field, value) in [("name", "A \"B\""), ("id", "Not An Id")] {
        assert_eq!(refused.attribute(&format!("#{field}"), "value").as_deref(), Some(value));
    }
    assert_eq!(refused.text("#note"), "a & b");
    assert!(!refused.text("#id-error").is_empty() && !refused.text("#colour-error").is_empty());
    assert_eq!(ada.post("/groups", &[("name", " ")]).await.status, 422);
    assert!(ada.get("/groups").await.text("main").contains("No group yet"), "nothing is stored");

    // Two people at once.
    let fields = |note: &'static str, rev: &'static str| {
        [("name", "Evening"), ("id", ""), ("colour", "red"), ("note", note), ("rev", rev)]
    };
    assert_eq!(ada.post("/groups", &fields("", "")).await.status, 303);
    assert_eq!(ada.post("/groups/evening", &fields("theirs", "1")).await.status, 303);
    let late = ada.post("/groups/evening", &fields("mine", "1")).await;
    assert_eq!(late.status, 409, "{}", late.body);
    let shown = late.text("#stale");
    assert!(shown.contains("Note mine theirs") && !shown.contains("Colour"), "{shown}");
    assert_eq!(late.text("#note"), "mine");
    assert_eq!(late.attribute("[name=rev]", "value").as_deref(), Some("2"));
    assert_eq!(ada.post("/groups/evening", &fields("mine", "2")).await.status, 303);
    assert!(ada.get("/groups/evening").await.text("main").contains("mine"));
}

#[tokio::test]
async fn who_may_only_look_changes_nothing() {
    let test = TestApp::over(Bench::new(NOW, media()).await).await;
    let mut admin = test.bearer(Role::Admin).await;
    create(&mut admin, "Evening").await;
    add(&mut admin, "evening", &json!({"target_type": "stack", "target_id": "media"})).await;
    for role in [Role::Viewer, Role::Operator] {
        let mut client = test.browser(role).await;
        assert!(client.get("/groups").await.text("main").contains("Evening"));
        let page = client.get("/groups/evening").await;
        assert!(page.text("[aria-labelledby='members-title']").contains("media"), "{}", page.body);
        for part in ["form[action$='/members']", "form[action$='/remove']", "a[href$='/edit']"] {
            assert!(page.attribute(part, "class").is_none() && page.text(part).is_empty(), "{part}");
        }
        let may_hold = page.attribute("a[href^='/overrides/new']", "href").is_some();
        assert_eq!(may_hold, role == Role::Operator, "{role}");
        for path in ["/groups/new", "/groups/evening/edit", "/groups/evening/delete"] {
            assert_eq!(client.get(path).await.status, 403, "{path}");
        }
        for path in ["", "/evening", "/evening/members", "/evening/members/remove", "/evening/delete"] {
            let path = format!("/groups{path}");
            assert_eq!(client.post(&path, &[("name", "Other")]).await.status, 403, "{path}");
        }
        let mut api = test.bearer(role).await;
        assert_eq!(figures(&api.get("/api/groups/evening").await.json()), (2, 2, 0));
        assert_eq!(api.post_json("/api/groups", &json!({"name": "Other"})).await.status, 403);
        assert_eq!(api.delete("/api/groups/evening").await.status, 403);
    }
    let kept = db::groups::members(&test.app.db).await.expect("they read");
    assert_eq!(kept.len(), 1);
}
