//! Pictures of every page, for whoever wants to see them all: `scripts/screenshots` runs this.

use std::path::{Path, PathBuf};

use docknap::app::schedules::{self, Draft};
use docknap::app::{Actor, App};
use docknap::domain::ids::HostId;
use docknap::domain::permission::Role;
use docknap::domain::target;
use docknap::sim::World;
use serde_json::json;

use super::filled::Filled;
use super::pages::{self, Things};
use super::{PASSWORD, Visit};
use crate::support::app::{NOW, TestApp};
use crate::support::bench::Bench;

/// A desk and a phone.
const SIZES: [(u32, u32, bool); 2] = [(1440, 900, false), (390, 844, true)];

impl Visit {
    /// What the browser shows now, as a desk and a phone show it, in both themes.
    async fn shoot(&self, directory: &Path, name: &str) {
        self.until_idle().await;
        for (width, height, phone) in SIZES {
            for theme in ["light", "dark"] {
                // As the server writes it for whoever chose one.
                let set = format!("document.documentElement.dataset.theme = '{theme}'");
                self.driver.execute(set, vec![]).await.expect("the theme changes");
                let picture = self.picture(width, height, phone).await;
                let file = directory.join(format!("{name}-{width}-{theme}.png"));
                std::fs::write(file, picture).expect("it is written");
                let wide: u32 = self.ask("return document.documentElement.scrollWidth").await;
                if wide > width {
                    eprintln!("{name} is {wide} px wide on {width}");
                }
            }
        }
        let (width, height, phone) = SIZES[0];
        self.size(width, height, phone).await;
    }

    /// What only a deed leads to.
    async fn shoot_deeds(&self, directory: &Path, app: &App, things: &Things) {
        self.goto("/").await;
        self.press("#stacks [data-act=nap]").await;
        self.find("dialog[open]").await;
        self.shoot(directory, "dialog").await;

        self.goto("/").await;
        for number in [1, 2] {
            self.press(&format!("#stacks li:nth-child({number}) [type=checkbox]")).await;
        }
        self.shoot(directory, "dashboard-chosen").await;

        self.goto("/schedules").await;
        self.press(&format!("#switch-{}", things.met)).await;
        self.reads("is switched off").await;
        self.shoot(directory, "toast").await;

        self.goto("/schedules").await;
        self.press("#schedules tbody [type=checkbox]").await;
        self.press("#bulk button[value=delete]").await;
        self.arrives("/schedules/bulk").await;
        self.shoot(directory, "schedules-bulk-question").await;

        self.goto("/schedules/new").await;
        self.press("label:has(#kind-cron)").await;
        self.press("label:has(#view-text)").await;
        self.type_into("#cron", "61 23 * * *").await;
        self.press("button.primary[name=save]").await;
        self.find("#errors").await;
        self.shoot(directory, "schedule-refused").await;
        self.driver.execute("onbeforeunload = null", vec![]).await.expect("it runs");

        // Somebody else is quicker.
        self.goto(&format!("/schedules/{}", things.cron)).await;
        let other = Draft {
            name: Some("CI up".to_owned()),
            target_type: Some("stack".to_owned()),
            target_id: Some("ci-runner".to_owned()),
            cron: Some("30 6 * * 1-5".to_owned()),
            action: Some("start".to_owned()),
            ..Draft::default()
        };
        schedules::update(app, &Actor::cli(), &things.cron.as_str().into(), &other, None)
            .await
            .expect("it is stored");
        self.press("label:has(#view-text)").await;
        self.type_into("#cron", "0 8 * * 1-5").await;
        self.press("button.primary[name=save]").await;
        self.find("#stale").await;
        self.shoot(directory, "schedule-stale").await;

        self.goto("/profile").await;
        self.press("#feeds form[action$='/profile/feeds'] button").await;
        self.find("#address").await;
        self.shoot(directory, "calendar-address").await;

        self.goto(&format!("/users/{}", things.user)).await;
        self.press("form[action$='/link'] button").await;
        self.find("#link").await;
        self.shoot(directory, "user-link").await;
    }
}

fn directory() -> PathBuf {
    let directory = std::env::var("DOCKNAP_SCREENSHOTS").expect("DOCKNAP_SCREENSHOTS names a directory");
    let directory = PathBuf::from(directory);
    std::fs::create_dir_all(&directory).expect("there is room for it");
    directory
}

/// A container that failed, a stack that is only partly up, and what somebody started in its sleep.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes pictures; scripts/screenshots runs it"]
async fn of_what_needs_somebody() {
    let world = World::new()
        .stack("shop", |s| s.service("web", |c| c).service("worker", |c| c.exited(3)))
        .stack("media-and-photo-library", |s| s.service("web", |c| c).service("db", |c| c.exited(143)))
        .container("speedtest", |c| c)
        .container("odd", |c| c.label("docknap.protekt", "yes"));
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    test.add_user("ben", Role::Operator).await;
    let mut ben = test.program();
    ben.get_token("ben").await;
    for name in ["Office nights", "Weekends"] {
        let body = json!({
            "name": name, "target_type": "stack", "target_id": "shop", "cron": "0 4 * * *", "action": "restart",
        });
        ben.post_json("/api/schedules", &body).await;
    }
    let ben = test.user("ben").await.id;
    docknap::app::users::delete(&test.app, &Actor::cli(), &ben).await.expect("it goes");
    let body = json!({
        "target_type": "container", "target_id": "speedtest", "kind": "window", "window": "sleep 19:00-07:00",
        "timezone": "UTC",
    });
    test.bearer(Role::Operator).await.post_json("/api/schedules", &body).await;
    test.bench().tick().await;
    test.bench().settle().await;
    test.bench().advance(std::time::Duration::from_secs(600)).await;
    test.bench().sim.start("speedtest").expect("it starts");
    test.bench().quiet().await;
    test.bench().tick().await;
    let page = format!("/containers/{}", target::key(&HostId::local(), "name:speedtest"));
    let visit = Visit::over(test).await;
    visit.log_in("ada", PASSWORD).await;
    for (name, path) in [("dashboard-needs", "/"), ("container-by-hand", page.as_str())] {
        visit.goto(path).await;
        visit.shoot(&directory(), name).await;
    }
    visit.goto("/").await;
    visit.press("#now .lines form[action$='/hide'] button").await;
    visit.reads("1 hidden").await;
    visit.shoot(&directory(), "dashboard-hidden").await;
    visit.goto("/?hidden=show").await;
    visit.shoot(&directory(), "dashboard-hidden-shown").await;
    visit.finish().await;
}

/// Two hosts in groups, one of them away, and a fire of a group.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes pictures; scripts/screenshots runs it"]
async fn of_groups_on_two_hosts() {
    let (test, _nas) = crate::pages_groups::one_away().await;
    let visit = Visit::over(test).await;
    visit.log_in("ada", PASSWORD).await;
    for (name, path) in [
        ("groups-dashboard", "/"),
        ("groups-runs", "/runs"),
        ("groups-group", "/groups/evening"),
        ("groups-schedules", "/schedules?host=nas&group=cellar"),
    ] {
        visit.goto(path).await;
        visit.shoot(&directory(), name).await;
    }
    visit.goto("/runs").await;
    visit.press("li.batch summary").await;
    visit.shoot(&directory(), "groups-runs-open").await;
    visit.finish().await;
}

/// What was found running in its sleep, and a start that asks about what ended unseen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes pictures; scripts/screenshots runs it"]
async fn of_what_nobody_watched() {
    let visit = Visit::over(crate::needs::found_running().await).await;
    visit.log_in("ada", PASSWORD).await;
    visit.goto("/").await;
    visit.shoot(&directory(), "dashboard-found").await;
    visit.finish().await;

    let world = World::new().stack("shop", |s| {
        s.service("db", |c| c)
            .service("migrate", |c| c.exited(0))
            .service("web", |c| c.exited(143).depends_on("migrate:service_completed_successfully"))
    });
    let visit = Visit::over(TestApp::over(Bench::new(NOW, world).await).await).await;
    visit.log_in("ada", PASSWORD).await;
    visit.goto("/").await;
    visit.press("#now .need [data-act=start]").await;
    visit.find("dialog[open]").await;
    visit.shoot(&directory(), "dialog-asks").await;
    visit.goto(&format!("/stacks/{}/start", target::key(&HostId::local(), "shop"))).await;
    visit.shoot(&directory(), "start-asks").await;
    visit.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes pictures; scripts/screenshots runs it"]
async fn of_every_page() {
    let directory = directory();
    let Filled { test, things } = Filled::after(29).await;
    let app = test.app.clone();
    let visit = Visit::over(test).await;
    let mut who = "";
    for page in pages::every(&things) {
        visit.open(&page, &mut who).await;
        visit.shoot(&directory, page.name).await;
    }
    visit.driver.delete_all_cookies().await.expect("they go");
    visit.log_in("anna", PASSWORD).await;
    visit.shoot_deeds(&directory, &app, &things).await;
    visit.finish().await;

    let visit = Visit::over(TestApp::over(Bench::new(NOW, World::new()).await).await).await;
    visit.log_in("ada", PASSWORD).await;
    for (name, path) in [
        ("dashboard-empty", "/"),
        ("schedules-empty", "/schedules"),
        ("runs-empty", "/runs"),
        ("report-empty", "/report"),
        ("calendars-empty", "/calendars"),
        ("overrides-empty", "/overrides"),
        ("welcome-nap-empty", "/welcome/nap"),
    ] {
        visit.goto(path).await;
        visit.shoot(&directory, name).await;
    }
    visit.finish().await;
}
