//! A home server that has been looked after for a while: what the pages show of it was lived through, not made up.

use std::net::IpAddr;
use std::time::Duration;

use docknap::app::execute::{self, Request};
use docknap::app::groups::{self, GroupDraft, MemberDraft};
use docknap::app::history::{self, RunFilter};
use docknap::app::nap::{self, NapRequest};
use docknap::app::paging::Page;
use docknap::app::schedules::{self, Draft};
use docknap::app::{Actor, App, auth, calendars, order, overrides, settings};
use docknap::domain::action::Action;
use docknap::domain::calendar::CalendarDraft;
use docknap::domain::group::GroupSource;
use docknap::domain::permission::Role;
use docknap::domain::run::{Run, RunState, Trigger};
use docknap::domain::schedule::{Schedule, Source};
use docknap::domain::target::{ContainerIdentity, Target};
use docknap::sim::{ContainerSpec, Restart, World};
use jiff::{Timestamp, ToSpan};

use super::pages::Things;
use crate::support::app::{NOW, TestApp};
use crate::support::bench::Bench;

const DESK: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0";
const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari/604.1";

const MIB: u64 = 1 << 20;

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 24 * 3600)
}

fn world() -> World {
    always(naps(World::new()))
}

/// What sleeps at times.
fn naps(world: World) -> World {
    let (seconds, up) = (Duration::from_secs, days(9));
    world
        .stack("media", |s| {
            s.service("vpn", |c| {
                c.image("qmcgaw/gluetun:v3").healthy_after(seconds(5)).uses(2, 60 * MIB).up_for(up)
            })
            .service("torrent", |c| {
                c.image("linuxserver/qbittorrent:5.0.3")
                    .depends_on("vpn:service_healthy:true")
                    .stops_after(seconds(4), 0)
                    .uses(12, 350 * MIB)
                    .up_for(up)
            })
            .service("jellyfin", |c| {
                c.image("jellyfin/jellyfin:10.10").healthy_after(seconds(6)).uses(18, 900 * MIB).up_for(up)
            })
            .service("photos", |c| {
                c.image("photoprism/photoprism:250707")
                    .depends_on("jellyfin:service_healthy:false")
                    .uses(6, 700 * MIB)
                    .up_for(up)
            })
        })
        .stack("shop", |s| {
            s.service("db", |c| {
                c.image("postgres:17")
                    .healthy_after(seconds(4))
                    .stops_after(seconds(2), 0)
                    .restart(Restart::UnlessStopped)
                    .uses(3, 420 * MIB)
                    .up_for(up)
            })
            .service("cache", |c| c.image("redis:8").uses(1, 24 * MIB).up_for(up))
            .service("migrate", |c| {
                c.image("shop/api:4.2").depends_on("db:service_healthy:false").exits(seconds(3), 0).exited(0)
            })
            .service("api", |c| {
                c.image("shop/api:4.2")
                    .depends_on("db:service_healthy:true,cache:service_started:false")
                    .healthy_after(seconds(3))
                    .uses(9, 610 * MIB)
                    .up_for(up)
            })
            .service("web", |c| {
                c.image("nginx:1.29").depends_on("api:service_healthy:true").uses(1, 40 * MIB).up_for(up)
            })
        })
        .stack("wiki", |s| {
            s.service("db", |c| {
                c.image("mariadb:11.8").healthy_after(seconds(3)).uses(1, 180 * MIB).up_for(up)
            })
            .service("app", |c| {
                c.image("linuxserver/bookstack:25.07")
                    .depends_on("db:service_healthy:true")
                    .uses(2, 210 * MIB)
                    .up_for(up)
            })
        })
        .stack("ci-runner", |s| {
            s.service("cache", |c| c.image("minio/minio:latest").uses(2, 150 * MIB).up_for(up)).service(
                "runner",
                |c| {
                    c.image("gitea/act_runner:0.2.13")
                        .replicas(2)
                        .depends_on("cache:service_started:false")
                        .stops_after(seconds(8), 0)
                        .uses(40, 800 * MIB)
                        .up_for(up)
                },
            )
        })
}

/// What is up all the time, but for one that nobody needs now.
fn always(world: World) -> World {
    let seconds = Duration::from_secs;
    world
        .stack("home-assistant", |s| {
            s.service("mosquitto", |c| c.image("eclipse-mosquitto:2").uses(1, 12 * MIB).up_for(days(40)))
                .service("zigbee2mqtt", |c| {
                    c.image("koenkk/zigbee2mqtt:2").uses(1, 120 * MIB).up_for(days(40))
                })
                .service("core", |c| {
                    c.image("homeassistant/home-assistant:2026.11")
                        .restart(Restart::Always)
                        .healthy_after(seconds(20))
                        .uses(5, 480 * MIB)
                        .up_for(days(40))
                })
        })
        .stack("monitoring", |s| {
            s.service("prometheus", |c| c.image("prom/prometheus:v3.5.0").uses(4, 500 * MIB).up_for(days(6)))
                .service("grafana", |c| {
                    c.image("grafana/grafana:12.1.0")
                        .depends_on("prometheus:service_started:false")
                        .uses(1, 180 * MIB)
                        .up_for(days(6))
                })
                .service("alerts", |c| {
                    c.image("prom/alertmanager:v0.28.1")
                        .restart(Restart::OnFailure(3))
                        .exits(seconds(2), 1)
                        .complains(
                            "error loading config file: open /etc/alertmanager/config.yml: no such file",
                        )
                        .exited(1)
                })
        })
        .container("adguard", |c| {
            c.image("adguard/adguardhome:v0.107").restart(Restart::Always).protect().up_for(days(28))
        })
        .container("speedtest", |c| c.image("openspeedtest/latest:v2").stopped())
        .container("old-backup", |c| c.image("restic/restic:0.18.0").stopped())
}

/// A site with a past of so many days, at [`NOW`].
pub struct Filled {
    pub test: TestApp,
    pub things: Things,
}

/// What somebody says of a schedule.
fn draft(kind: &str, target: &str, name: &str) -> Draft {
    let text = |text: &str| Some(text.to_owned());
    Draft { target_type: text(kind), target_id: text(target), name: text(name), ..Draft::default() }
}

/// Those who look after it.
struct People {
    anna: Actor,
    otto: Actor,
}

impl Filled {
    pub async fn after(days: i64) -> Self {
        let now: Timestamp = NOW.parse().expect("an instant");
        let began = now - (days * 24).hours();
        let test = TestApp::over(Bench::new(&began.to_string(), world()).await).await;
        let home: IpAddr = "192.168.1.20".parse().expect("an address");
        let people = People {
            anna: Actor::user(&test.add_user("anna", Role::Admin).await, Some(home)),
            otto: Actor::user(&test.user("otto").await, "192.168.1.31".parse().ok()),
        };
        let mut things = begin(&test, &people).await;
        for day in 1..days {
            mishap(&test, &people, day, began).await;
        }
        lately(&test, &people, &things, now).await;
        let app = &test.app;
        // The scheduler was played by hand.
        for minute in (0..10).rev() {
            app.vitals.beat(now - minute.minutes(), app.hosts.first().expect("a host").calls_made());
        }
        things.run = newest(app, |run| run.state == RunState::Succeeded && run.action == Action::Start).await;
        things.failed = newest(app, |run| run.state.needs_attention()).await;
        Self { test, things }
    }
}

/// Zone, prices, holidays, schedules.
async fn begin(test: &TestApp, People { anna, otto }: &People) -> Things {
    let app = &test.app;
    settings::set_zone(app, anna, "Europe/Berlin").await.expect("it is set");
    let prices = settings::PricesDraft {
        watts_per_core: "9".to_owned(),
        watts_per_gib: "0.4".to_owned(),
        price_per_kwh: "0.31".to_owned(),
        currency: "EUR".to_owned(),
    };
    settings::set_prices(app, anna, &prices).await.expect("they are set");
    let holidays = CalendarDraft {
        name: "Public holidays".to_owned(),
        dates: vec!["2027-03-26".to_owned(), "2027-03-29".to_owned()],
        ranges: vec![("2026-12-24".to_owned(), "2026-12-31".to_owned())],
        yearly: vec!["01-01".to_owned(), "05-01".to_owned(), "10-03".to_owned()],
        ics: None,
    };
    let calendar = calendars::create(app, anna, &holidays).await.expect("it is stored");
    let spare = CalendarDraft {
        name: "Trade fair".to_owned(),
        ranges: vec![("2027-02-08".to_owned(), "2027-02-12".to_owned())],
        ..CalendarDraft::default()
    };
    let spare = calendars::create(app, anna, &spare).await.expect("it is stored");
    let text = |text: &str| Some(text.to_owned());
    let evening = GroupDraft {
        name: text("Evening"),
        colour: text("violet"),
        note: text("What nobody needs after work."),
        ..GroupDraft::default()
    };
    let evening = groups::create(app, anna, &evening, GroupSource::Ui).await.expect("it is stored");
    for stack in ["wiki", "ci-runner"] {
        let member = MemberDraft { target_type: text("stack"), target_id: text(stack), host: None };
        let added = groups::add_member(app, anna, &evening.id, &member, GroupSource::Ui).await;
        added.expect("it is a member");
    }
    let window = |target, name, hours| Draft { window: text(hours), ..draft("stack", target, name) };
    let cron = |(kind, target), name, action, at| Draft {
        cron: text(at),
        action: text(action),
        ..draft(kind, target, name)
    };
    let nights = window("media", "Nights", "sleep Mon-Fri 23:00-07:00; Sat,Sun 00:30-09:00");
    let nights = store(app, anna, nights).await;
    let office = Draft {
        calendar_id: Some(calendar.id.to_string()),
        calendar_effect: text("asleep"),
        ..window("shop", "Office hours", "awake Mon-Fri 08:00-18:00")
    };
    store(app, anna, office).await;
    let wiki = Draft { mode: text("pause"), ..window("wiki", "Wiki at night", "sleep 22:00-06:30") };
    store(app, otto, wiki).await;
    let up = store(app, otto, cron(("stack", "ci-runner"), "CI up", "start", "0 7 * * 1-5")).await;
    store(app, otto, cron(("stack", "ci-runner"), "CI down", "stop", "0 19 * * 1-5")).await;
    store(app, anna, cron(("stack", "monitoring"), "Sunday restart", "restart", "30 4 * * 0")).await;
    let met = cron(("container", "media-jellyfin-1"), "Film night", "start", "30 23 * * 5");
    let met = store(app, otto, met).await;
    let gone = store(app, anna, cron(("container", "old-backup"), "Backup", "start", "15 3 * * *")).await;
    schedules::disable(app, otto, &up.id).await.expect("it is switched off");
    schedules::enable(app, otto, &up.id).await.expect("it is switched on");
    let edge = order::Draft {
        dependant_type: text("container"),
        dependant_id: text("home-assistant-zigbee2mqtt-1"),
        dependency_type: text("container"),
        dependency_id: text("home-assistant-mosquitto-1"),
        ..order::Draft::default()
    };
    order::add(app, otto, &edge).await.expect("it is stored");
    let photos =
        docknap::app::stacks::container(app, anna, &Bench::stack("media").host, "media-photos-1").await;
    Things {
        stack: Bench::stack("media").key(),
        asleep: Bench::stack("shop").key(),
        container: photos.expect("it is there").container.key(),
        gone: gone.spec.target.key(),
        window: nights.id.to_string(),
        cron: up.id.to_string(),
        met: met.id.to_string(),
        calendar: calendar.id.to_string(),
        unused: spare.id.to_string(),
        user: test.user("otto").await.id.to_string(),
        run: String::new(),
        failed: String::new(),
    }
}

async fn store(app: &App, actor: &Actor, draft: Draft) -> Schedule {
    schedules::create(app, actor, &draft, Source::Api).await.expect("it is stored").view.schedule
}

/// Lives on until an instant.
async fn live(test: &TestApp, until: Timestamp) {
    let bench = test.bench();
    loop {
        bench.tick().await;
        bench.settle().await;
        let next = bench.tick().await.next_due.filter(|next| *next < until);
        bench.settle().await;
        let now = bench.clock.now();
        if next.is_none() && now >= until {
            return;
        }
        bench.leap_to(next.unwrap_or(until).max(now)).await;
    }
}

/// On some days something does not go as it should, and on some it is mended.
async fn mishap(test: &TestApp, People { otto, .. }: &People, day: i64, began: Timestamp) {
    let sim = &test.bench().sim;
    // In Berlin one hour later: before what wakes at 7.
    let midnight =
        (began + (day * 24).hours()).to_zoned(jiff::tz::TimeZone::UTC).start_of_day().expect("a day");
    let at = |hour: i64| midnight.timestamp() + hour.hours();
    if day % 5 == 2 {
        live(test, at(5)).await;
        sim.update("media-photos-1", ContainerSpec::refuses_to_start);
        live(test, at(9)).await;
        sim.update("media-photos-1", ContainerSpec::runs);
        let run = newest(&test.app, |run| run.state.needs_attention()).await;
        if !run.is_empty() {
            execute::retry(&test.app, otto, &run.into()).await.expect("it is repeated");
        }
    } else if day % 5 == 4 {
        live(test, at(10)).await;
        let mut request = Request::now(Action::Restart, Bench::stack("home-assistant"), Trigger::Manual);
        "after an update".clone_into(&mut request.reason);
        execute::submit(&test.app, otto, request).await.expect("it is accepted");
    }
    live(test, at(12)).await;
}

/// The last day, as the pictures tell of it.
async fn lately(test: &TestApp, People { anna, otto }: &People, things: &Things, now: Timestamp) {
    let (app, sim) = (&test.app, &test.bench().sim);
    let minutes_ago = |minutes: i64| now - minutes.minutes();
    live(test, minutes_ago(15 * 60)).await;
    sim.update("media-photos-1", ContainerSpec::refuses_to_start);
    live(test, minutes_ago(8 * 60)).await;
    sim.remove("old-backup");
    let view = schedules::get(app, anna, &things.cron.as_str().into()).await.expect("it is there");
    let later = Draft {
        id: Some(view.schedule.id.clone()),
        cron: Some("45 6 * * 1-5".to_owned()),
        action: Some("start".to_owned()),
        note: Some("The first build is at seven.".to_owned()),
        ..draft("stack", "ci-runner", "CI up")
    };
    schedules::update(app, anna, &view.schedule.id, &later, None).await.expect("it is stored");
    live(test, minutes_ago(50)).await;
    // Three people, one of them twice, and somebody who mistypes.
    for (name, agent, address) in
        [("anna", DESK, "192.168.1.20"), ("anna", PHONE, "192.168.1.44"), ("otto", DESK, "192.168.1.31")]
    {
        test.anonymous().at(address).with_header("user-agent", agent).log_in(name).await;
    }
    let wrong = [("name", "vera"), ("password", "not this one")];
    assert_eq!(test.anonymous().at("192.168.1.50").post("/login", &wrong).await.status, 401);
    let hold = overrides::Draft {
        target_type: Some("stack".to_owned()),
        target_id: Some("home-assistant".to_owned()),
        state: Some("hold".to_owned()),
        until: Some("16h".to_owned()),
        reason: Some("firmware update of the stick".to_owned()),
        ..overrides::Draft::default()
    };
    overrides::create(app, otto, &hold).await.expect("it is stored");
    let asked = |until: &str, reason: &str| NapRequest {
        until: Some(until.to_owned()),
        reason: Some(reason.to_owned()),
        schedule: None,
    };
    let shop: Target = Bench::stack("shop");
    nap::wake(app, otto, &shop, &asked("2h", "demo for a customer"), Trigger::Manual)
        .await
        .expect("it wakes");
    auth::feeds::create(app, anna).await.expect("an address");
    live(test, minutes_ago(20)).await;
    let speed = Target::container(shop.host, ContainerIdentity::Name("speedtest".to_owned()));
    nap::wake(app, anna, &speed, &asked("1h", ""), Trigger::Manual).await.expect("it wakes");
    live(test, now).await;
}

/// The id of the newest run that is like this; empty where none is.
async fn newest(app: &App, is_it: impl Fn(&Run) -> bool) -> String {
    let page = Page { limit: 200, cursor: None };
    let runs =
        history::list(app, &Actor::cli(), &RunFilter::default(), &page).await.expect("they read").items;
    runs.iter().find(|run| is_it(run)).map(|run| run.id.to_string()).unwrap_or_default()
}
