//! Tests of grouping, status and odd input, and the container builders that other tests use.

use super::*;
use crate::domain::trace::{Did, Trace};

/// Ordinary running container without a stack. Its id is derived from its name.
pub(crate) fn container(name: &str) -> Container {
    Container {
        host: HostId::local(),
        id: target::key(&HostId::local(), name).repeat(4),
        name: name.to_owned(),
        image: "busybox".to_owned(),
        identity: ContainerIdentity::Name(name.to_owned()),
        labels: BTreeMap::new(),
        awaits: Vec::new(),
        restarts_with: Vec::new(),
        state: ContainerState::Running,
        health: Health::None,
        status: "Up".to_owned(),
        exit_code: None,
        created_at: None,
        started_at: None,
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
        kind: Kind::Ordinary,
        protection: None,
    }
}

/// First container of a service.
pub(crate) fn in_stack(project: &str, service: &str) -> Container {
    let name = format!("{project}-{service}-1");
    let mut made = container(&name);
    made.labels.insert("com.docker.compose.project".to_owned(), project.to_owned());
    made.labels.insert("com.docker.compose.service".to_owned(), service.to_owned());
    made.identity = identity(&name, &made.labels);
    made
}

/// Adds a network on which the container has these names.
pub(crate) fn on_network(mut container: Container, network: &str, names: &[&str]) -> Container {
    container.networks.insert(network.to_owned(), names.iter().map(|name| (*name).to_owned()).collect());
    container
}

fn in_state(mut container: Container, state: ContainerState) -> Container {
    container.state = state;
    container.exit_code = (state == ContainerState::Exited).then_some(0);
    container
}

fn inventory(containers: Vec<Container>) -> Inventory {
    let mut containers: Vec<_> = containers.into_iter().map(Arc::new).collect();
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    Inventory {
        link: Link::Connected { api_version: "1.41".to_owned(), engine_version: "20.10".to_owned() },
        containers: Arc::new(containers.into_iter().collect()),
        ..Inventory::empty(HostId::local())
    }
}

fn status_of(containers: Vec<Container>) -> (StackStatus, Counts) {
    let stack = inventory(containers).stack("media").expect("there is a stack");
    (stack.status, stack.counts)
}

#[test]
fn a_stack_is_what_its_ordinary_containers_are() {
    use ContainerState::{Created, Exited, Paused, Restarting, Running};
    for (states, expected) in [
        (vec![Running, Running], StackStatus::Running),
        (vec![Running, Restarting], StackStatus::Running),
        (vec![Exited, Created], StackStatus::Stopped),
        (vec![Running, Exited], StackStatus::Partial),
        (vec![Paused, Paused], StackStatus::Paused),
        (vec![Paused, Running], StackStatus::Partial),
        (vec![Paused, Exited], StackStatus::Partial),
    ] {
        let containers = states
            .iter()
            .enumerate()
            .map(|(at, state)| in_state(in_stack("media", &format!("s{at}")), *state))
            .collect();
        assert_eq!(status_of(containers).0, expected, "{states:?}");
    }
}

#[test]
fn completed_one_shots_one_offs_hooks_and_swarm_tasks_do_not_count() {
    let web = in_stack("media", "web");
    let mut migrate = in_state(in_stack("media", "migrate"), ContainerState::Exited);
    migrate.restart_policy = RestartPolicy::No;
    ran_for(&mut migrate, 60);
    assert!(migrate.looks_completed());
    let mut others = Vec::new();
    for (at, kind) in [Kind::OneOff, Kind::Hook, Kind::SwarmTask].into_iter().enumerate() {
        let mut other = in_state(in_stack("media", &format!("other{at}")), ContainerState::Exited);
        other.kind = kind;
        others.push(other);
    }
    let mut all = vec![web, migrate];
    all.append(&mut others);
    let (status, counts) = status_of(all.clone());
    assert_eq!((status, counts.running, counts.total), (StackStatus::Running, 1, 1));
    assert_eq!(inventory(all).members(&Subject::Stack("media".to_owned())).len(), 5, "all are shown");
}

fn ran_for(container: &mut Container, seconds: i64) {
    let at = |second| Timestamp::from_second(second).expect("an instant");
    (container.started_at, container.finished_at) = (Some(at(1_000)), Some(at(1_000 + seconds)));
}

/// Trace of the end of a container's process, at Docker's own time stamp of that end.
fn end_trace(container: &Container, did: Did) -> Arc<Traces> {
    let at = container.finished_at.expect("it ended");
    let trace = Trace { did, container_id: container.id.clone(), at, seen_at: at };
    Arc::new(Traces::from([(container.identity.clone(), trace)]))
}

#[test]
fn completed_is_what_ended_by_itself() {
    let mut app = in_state(in_stack("media", "app"), ContainerState::Exited);
    app.restart_policy = RestartPolicy::No;
    let status = |app: &Container, traces: Arc<Traces>, others: &[Container]| {
        let all: Vec<_> = others.iter().cloned().chain([app.clone()]).collect();
        let inventory = Inventory { traces, ..inventory(all) };
        assert_eq!(
            inventory.is_completed(app),
            inventory.stack("media").expect("a stack").counts.stopped == 0
        );
        inventory.is_completed(app)
    };
    let web = in_stack("media", "web");
    let mut waits = in_stack("media", "web");
    waits.awaits = vec!["app".to_owned()];
    let [beside, awaited] = [[web], [waits]];
    for (seconds, trace, others, completed) in [
        // Observed end: runtime and waiting services do not matter.
        (5, Some(Did::Stopped), &beside[..], false),
        (5, Some(Did::Stopped), &awaited[..], false),
        (5, Some(Did::Killed), &beside[..], false),
        (9_000, Some(Did::Ended), &beside[..], true),
        (9_000, Some(Did::Ended), &[][..], true),
        // End not observed.
        (9_000, None, &awaited[..], true),
        (599, None, &beside[..], true),
        (600, None, &beside[..], false),
        (5, None, &[][..], false),
    ] {
        ran_for(&mut app, seconds);
        let traces = trace.map_or_else(Arc::default, |did| end_trace(&app, did));
        assert_eq!(status(&app, traces, others), completed, "{seconds} s, {trace:?}, {}", others.len());
    }
    // A trace of an earlier process, or of a container that was re-created since, does not count.
    ran_for(&mut app, 9_000);
    let old = end_trace(&app, Did::Ended);
    ran_for(&mut app, 20_000);
    assert!(!status(&app, Arc::clone(&old), &beside));
    ran_for(&mut app, 9_000);
    app.id = "f".repeat(64);
    assert!(!status(&app, old, &beside));
}

#[test]
fn a_failed_one_shot_counts() {
    let mut migrate = in_state(in_stack("media", "migrate"), ContainerState::Exited);
    migrate.restart_policy = RestartPolicy::No;
    migrate.exit_code = Some(1);
    assert_eq!(status_of(vec![in_stack("media", "web"), migrate]).0, StackStatus::Partial);
}

#[test]
fn a_stack_on_a_host_that_is_away_is_unknown() {
    let mut away = inventory(vec![in_stack("media", "web")]);
    away.link = Link::Unreachable { reason: "x".to_owned(), since: Timestamp::UNIX_EPOCH };
    assert_eq!(away.stack("media").map(|stack| stack.status), Some(StackStatus::Unknown));
}

#[test]
fn health_is_the_worst_that_counts() {
    let with = |service: &str, health| Container { health, ..in_stack("media", service) };
    let health = |containers| inventory(containers).stack("media").expect("a stack").health;
    assert_eq!(health(vec![with("a", Health::None)]), Health::None);
    assert_eq!(health(vec![with("a", Health::Healthy), with("b", Health::None)]), Health::Healthy);
    assert_eq!(health(vec![with("a", Health::Healthy), with("b", Health::Starting)]), Health::Starting);
    assert_eq!(health(vec![with("a", Health::Unhealthy), with("b", Health::Starting)]), Health::Unhealthy);
    let hook = Container { kind: Kind::Hook, ..with("h", Health::Unhealthy) };
    assert_eq!(health(vec![with("a", Health::Healthy), hook]), Health::Healthy);
}

#[test]
fn while_compose_re_creates_there_is_one_replica_with_the_plain_name() {
    let new = in_stack("media", "web");
    let mut old = in_state(in_stack("media", "web"), ContainerState::Exited);
    old.name = "0123456789ab_media-web-1".to_owned();
    old.id = "f".repeat(64);
    let inventory = inventory(vec![old, new.clone()]);
    let stack = inventory.stack("media").expect("a stack");
    assert_eq!((stack.status, stack.counts.total, stack.containers.len()), (StackStatus::Running, 1, 2));
    let members = inventory.members(&Subject::Stack("media".to_owned()));
    assert_eq!(members.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["media-web-1"]);
    assert_eq!(inventory.by_identity(&new.identity).map(|one| one.name.as_str()), Some("media-web-1"));
}

#[test]
fn of_two_containers_with_one_number_the_one_that_is_up_counts() {
    let plain = in_state(in_stack("media", "web"), ContainerState::Exited);
    let mut twin = in_stack("media", "web");
    twin.name = "0123456789ab_media-web-1".to_owned();
    twin.id = "f".repeat(64);
    for state in [ContainerState::Running, ContainerState::Paused, ContainerState::Restarting] {
        let inventory = inventory(vec![in_state(twin.clone(), state), plain.clone()]);
        let stack = inventory.stack("media").expect("a stack");
        assert_eq!((stack.counts.stopped, stack.counts.total), (0, 1), "{state:?}");
        let members = inventory.members(&Subject::Stack("media".to_owned()));
        assert_eq!(members.iter().map(|one| &one.name).collect::<Vec<_>>(), [&twin.name]);
        assert_eq!(inventory.by_identity(&plain.identity).map(|one| &one.name), Some(&twin.name));
        assert_eq!(inventory.by_key(&plain.key()).map(|one| &one.name), Some(&twin.name));
    }
    // Of two containers that are both up or both down, the one with the plain name counts.
    for state in [ContainerState::Running, ContainerState::Created] {
        let both = [&twin, &plain].map(|one| in_state(one.clone(), state));
        let inventory = inventory(both.into());
        assert_eq!(inventory.by_key(&plain.key()).map(|one| &one.name), Some(&plain.name), "{state:?}");
    }
}

#[test]
fn only_compose_writes_replaced_names() {
    assert!(is_replaced_name("0123456789ab_web"));
    for plain in
        ["web", "0123456789ab", "0123456789ab_", "0123456789ag_web", "0123456789ab-web", "ééééééé_web"]
    {
        assert!(!is_replaced_name(plain), "{plain}");
    }
}

#[test]
fn hostile_names_group_by_their_exact_text() {
    let huge = "x".repeat(64 * 1024);
    let names = ["\"><x", "a/../b", "[x]", "x, click from:body", "Media", "media", &huge];
    let inventory = inventory(names.iter().map(|name| in_stack(name, "web")).collect());
    assert_eq!(inventory.stacks().len(), names.len());
    for name in names {
        let stack = inventory.stack(name).expect("by its exact name");
        assert_eq!(stack.key.len(), 16);
        assert_eq!(stack.containers.len(), 1);
    }
    assert!(inventory.stack("medi").is_none());
}

#[test]
fn loose_containers_have_no_stack() {
    let inventory = inventory(vec![container("a"), in_stack("media", "web")]);
    assert_eq!(inventory.loose().len(), 1);
    assert_eq!(inventory.by_name("a").map(|one| one.stack()), Some(None));
    assert!(inventory.members(&Subject::Stack("a".to_owned())).is_empty());
}

#[test]
fn status_text_reads_like_docker_ps() {
    assert_eq!(status_text(ContainerState::Running, Health::Starting, None), "Up (health: starting)");
    assert_eq!(status_text(ContainerState::Exited, Health::None, Some(137)), "Exited (137)");
    assert_eq!(status_text(ContainerState::Paused, Health::None, None), "Up (Paused)");
}

#[test]
fn the_index_finds_the_same_as_a_scan_of_all_containers() {
    let mut all =
        vec![in_stack("media", "web"), in_stack("media", "db"), in_stack("shop", "web"), container("vpn")];
    all[1].network_mode = format!("container:{}", all[3].id);
    all[2].network_mode = "container:vpn".to_owned();
    // During a re-creation by compose, two containers have the same label triple.
    let old = Container { name: "0123456789ab_media-web-1".to_owned(), ..all[0].clone() };
    all.push(old);
    let found = inventory(all.clone());
    let names = |found: Vec<&Arc<Container>>| found.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    let names_where = |is_one: &dyn Fn(&Container) -> bool| {
        names(found.containers.iter().filter(|one| is_one(one)).collect::<Vec<_>>())
    };
    for stack in ["media", "shop", "none", ""] {
        let looked = names_where(&|one| one.stack() == Some(stack));
        assert_eq!(names(found.containers.of_stack(stack)), looked, "{stack}");
        assert_eq!(found.has_stack(stack), found.stack(stack).is_some(), "{stack}");
    }
    assert_eq!(found.containers.of_stack("media").len(), 3);
    for parent in &all {
        let looked = names_where(&|one| one.identity == parent.identity);
        assert_eq!(names(found.containers.with_identity(&parent.identity)), looked, "{}", parent.name);
        let leans = |other: &str| other == parent.id || other == parent.name;
        let looked = names_where(&|one| one.ties().any(|(_, other)| leans(other)));
        assert_eq!(names(found.containers.leaning_on(parent)), looked, "{}", parent.name);
    }
    assert_eq!(names(found.containers.leaning_on(&all[3])).len(), 2, "by its id and by its name");
}
