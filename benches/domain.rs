//! Criterion benchmarks of single calculations: the next fire, the state of a window, the plan of a request,
//! conflicts between schedules, and grouping thousands of containers into stacks.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use docknap::domain::action::Action;
use docknap::domain::conflict;
use docknap::domain::cron::Cron;
use docknap::domain::day_rules::Reading;
use docknap::domain::fires::Fires;
use docknap::domain::ids::HostId;
use docknap::domain::inventory::{
    self, Container, ContainerState, Health, Inventory, Kind, Link, RestartPolicy,
};
use docknap::domain::nap::Naps;
use docknap::domain::plan::{PlanRequest, Restore, plan};
use docknap::domain::schedule::When;
use docknap::domain::target::{ContainerIdentity, Subject};
use docknap::domain::window::{Window, WindowTimeline};
use jiff::Timestamp;
use jiff::tz::TimeZone;

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").expect("the zone is known")
}

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().expect("an instant")
}

fn next_fire(criterion: &mut Criterion) {
    let (zone, now) = (berlin(), now());
    for (name, text) in [
        ("every day", "0 23 * * *"),
        ("weekdays", "30 7 * * 1-5"),
        ("every quarter", "*/15 * * * *"),
        ("once a year", "59 23 31 12 *"),
        ("the rarest", "0 0 */29 2 0"),
    ] {
        let cron = Cron::parse(text).expect("an expression");
        criterion.bench_function(&format!("next fire/{name}"), |b| {
            b.iter(|| cron.next(black_box(now), &zone));
        });
        criterion.bench_function(&format!("ten fires/{name}"), |b| {
            b.iter(|| cron.fires(black_box(now), &zone).take(10).count());
        });
    }
    criterion.bench_function("parse/weekdays", |b| b.iter(|| Cron::parse(black_box("30 7 * * 1-5"))));
}

fn window_state(criterion: &mut Criterion) {
    let (zone, now) = (berlin(), now());
    let window = Window::parse("sleep Mon-Fri 23:00-07:00; Sat,Sun 00:30-09:00").expect("a window");
    let timeline = WindowTimeline::new(&window, &zone);
    criterion.bench_function("window/state", |b| b.iter(|| timeline.vote(black_box(now))));
    criterion.bench_function("window/next change", |b| b.iter(|| timeline.next_change(black_box(now))));
}

/// `many` ordinary containers, five per stack, each service depending on the one before.
fn containers(many: usize) -> Inventory {
    let host = HostId::local();
    let containers = (0..many).map(|number| {
        let (project, service) = (format!("stack-{:04}", number / 5), format!("svc-{}", number % 5));
        let name = format!("{project}-{service}-1");
        let mut labels = BTreeMap::from([
            ("com.docker.compose.project".to_owned(), project),
            ("com.docker.compose.service".to_owned(), service),
            ("com.docker.compose.container-number".to_owned(), "1".to_owned()),
        ]);
        if !number.is_multiple_of(5) {
            labels.insert(
                "com.docker.compose.depends_on".to_owned(),
                format!("svc-{}:service_started:true", number % 5 - 1),
            );
        }
        Arc::new(Container {
            host: host.clone(),
            id: format!("{number:064x}"),
            identity: inventory::identity(&name, &labels),
            awaits: inventory::awaits(&labels),
            restarts_with: inventory::restarts_with(&labels),
            kind: Kind::Ordinary,
            name,
            image: "busybox".to_owned(),
            labels,
            state: ContainerState::Running,
            health: Health::None,
            status: "Up".to_owned(),
            exit_code: None,
            created_at: None,
            started_at: Some(now()),
            finished_at: None,
            restart_policy: RestartPolicy::UnlessStopped,
            auto_remove: false,
            has_healthcheck: false,
            health_patience: 0,
            unhealthy_since: None,
            stop_timeout: None,
            network_mode: "bridge".to_owned(),
            layer: None,
            leans_on: Vec::new(),
            networks: BTreeMap::new(),
            protection: None,
        })
    });
    Inventory {
        link: Link::Connected { api_version: "1.41".to_owned(), engine_version: "20.10".to_owned() },
        containers: Arc::new(containers.collect()),
        ..Inventory::empty(HostId::local())
    }
}

fn plans(criterion: &mut Criterion) {
    let (naps, leave) = (Naps::default(), HashMap::<ContainerIdentity, String>::new());
    for many in [30, 5_000] {
        let inventory = containers(many);
        let subject = Subject::Stack("stack-0003".to_owned());
        criterion.bench_function(&format!("plan/one stack of {many} containers"), |b| {
            b.iter(|| {
                let request = PlanRequest {
                    subject: &subject,
                    action: Action::Stop,
                    naps: &naps,
                    restore: Restore::No,
                    only: None,
                    undoes: None,
                    also: &[],
                    leave: &leave,
                    zone: &TimeZone::UTC,
                };
                plan(black_box(request), &inventory)
            });
        });
    }
}

fn lint(criterion: &mut Criterion) {
    let (reading, now) = (Reading::in_zone(berlin()), now());
    let fires = |text: &str| Fires::of(&When::Cron(text.to_owned()), &reading, None).expect("an expression");
    let (daily, weekdays, quarters) = (fires("0 23 * * *"), fires("30 7 * * 1-5"), fires("*/15 * * * *"));
    criterion.bench_function("lint/two that never meet", |b| {
        b.iter(|| conflict::first_clash(&daily, &weekdays, black_box(now)));
    });
    criterion.bench_function("lint/two that meet", |b| {
        b.iter(|| conflict::first_clash(&daily, &quarters, black_box(now)));
    });
}

fn grouping(criterion: &mut Criterion) {
    let inventory = containers(5_000);
    criterion.bench_function("grouping/5,000 containers", |b| b.iter(|| black_box(&inventory).stacks()));
}

criterion_group!(domain, next_fire, window_state, plans, lint, grouping);
criterion_main!(domain);
