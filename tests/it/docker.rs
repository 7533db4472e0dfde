//! The Docker client and the inventory against a real Engine.

use docknap::clock::Clock;
use docknap::docker::self_detection::SelfHints;
use docknap::docker::{DockerError, Notice, Usage};
use docknap::domain::inventory::{
    ContainerState, Health, Inventory, Kind, Link, Protection, RestartPolicy, SelfDetection, StackStatus,
};
use docknap::domain::target::ContainerIdentity;

use crate::support::real::Real;
use crate::support::watched::{Watched, settings};

fn state(inventory: &Inventory, name: &str) -> Option<ContainerState> {
    inventory.by_name(name).map(|container| container.state)
}

#[tokio::test]
async fn the_inventory_follows_a_container_through_its_life() {
    let real = Real::engine();
    let watched = Watched::new(&real.docker_host, Clock::system());
    let link = watched.connected().await.link;
    assert!(
        matches!(&link, Link::Connected { api_version, .. } if api_version.starts_with("1.")),
        "{link:?}"
    );
    let (name, renamed) = (real.name("a"), real.name("b"));
    let is = |wanted| {
        let name = name.clone();
        move |inventory: &Inventory| state(inventory, &name) == Some(wanted)
    };
    real.run("a", &["--restart", "on-failure", "--label", "docknap.protect=true"]);
    let seen = watched.until("running", is(ContainerState::Running)).await;
    let container = seen.by_name(&name).expect("it is there");
    assert_eq!(container.restart_policy, RestartPolicy::OnFailure);
    assert_eq!(container.stop_timeout, Some(1));
    assert_eq!(container.protection, Some(Protection::Label));
    assert!(container.started_at.is_some() && container.finished_at.is_none(), "{container:?}");
    real.docker(&["pause", &name]);
    watched.until("paused", is(ContainerState::Paused)).await;
    real.docker(&["unpause", &name]);
    watched.until("running again", is(ContainerState::Running)).await;
    real.docker(&["stop", &name]);
    let seen = watched.until("exited", is(ContainerState::Exited)).await;
    assert_eq!(seen.by_name(&name).and_then(|container| container.exit_code), Some(137));
    real.docker(&["rename", &name, &renamed]);
    watched.until("renamed", |inventory| inventory.by_name(&renamed).is_some()).await;
    real.docker(&["update", "--restart", "always", &renamed]);
    watched
        .until("updated", |inventory| {
            inventory.by_name(&renamed).is_some_and(|one| one.restart_policy == RestartPolicy::Always)
        })
        .await;
    real.docker(&["rm", &renamed]);
    watched.until("gone", |inventory| inventory.by_name(&renamed).is_none()).await;
}

#[tokio::test]
async fn a_stack_is_grouped_counted_and_resolved() {
    let real = Real::engine();
    let project = real.name("stack");
    let watched = Watched::new(&real.docker_host, Clock::system());
    let project_label = format!("com.docker.compose.project={project}");
    let labelled = |service: &str, rest: &[&str]| -> Vec<String> {
        let mut options = vec!["--label".to_owned(), project_label.clone()];
        options.extend(["--label".to_owned(), format!("com.docker.compose.service={service}")]);
        for label in rest {
            options.extend(["--label".to_owned(), (*label).to_owned()]);
        }
        options
    };
    let run = |short: &str, service: &str, rest: &[&str]| {
        let options = labelled(service, rest);
        real.run(short, &options.iter().map(String::as_str).collect::<Vec<_>>())
    };
    run("web", "web", &["com.docker.compose.container-number=1"]);
    run("job", "job", &["com.docker.compose.oneoff=True"]);
    // As podman-compose writes it: no oneoff, no number, no config-hash; and a hostile number.
    run("db", "db", &[]);
    run("x", "x", &["com.docker.compose.container-number=-99999999999999999999", "\"><x=[x]"]);
    let seen = watched
        .until("four containers", |inventory| {
            inventory
                .stack(&project)
                .is_some_and(|stack| stack.containers.len() == 4 && stack.counts.running == 3)
        })
        .await;
    let stack = seen.stack(&project).expect("the stack");
    assert_eq!((stack.status, stack.counts.total), (StackStatus::Running, 3));
    assert_eq!(seen.by_name(&real.name("job")).map(|job| job.kind.clone()), Some(Kind::OneOff));
    let service = |service: &str| ContainerIdentity::Service {
        project: project.clone(),
        service: service.to_owned(),
        number: 1,
    };
    let host = &watched.host;
    for name in ["web", "db", "x"] {
        let found = host.resolve(&service(name)).await.expect("an answer").expect("it is there");
        assert_eq!(found.name, real.name(name));
    }
    assert_eq!(host.resolve(&service("job")).await, Ok(None), "a one-off is nobody's replica");
    assert_eq!(host.resolve(&service("nobody")).await, Ok(None));
    // Compose's way of re-creating: the old one is renamed while the new one comes up.
    let plain = real.name("web");
    let aside = format!("0123456789ab_{plain}");
    real.docker(&["rename", &plain, &aside]);
    let renamed = host.resolve(&service("web")).await.expect("an answer").expect("it is there");
    assert_eq!(renamed.name, aside);
    run("web", "web", &["com.docker.compose.container-number=1"]);
    let found = host.resolve(&service("web")).await.expect("an answer").expect("it is there");
    assert_eq!(found.name, plain);
    watched
        .until("one replica of web", |inventory| {
            inventory
                .stack(&project)
                .is_some_and(|stack| stack.containers.len() == 5 && stack.counts.total == 3)
        })
        .await;
}

#[tokio::test]
async fn names_are_exact_and_ids_are_no_names() {
    let real = Real::engine();
    let id = real.run("web", &[]);
    let watched = Watched::new(&real.docker_host, Clock::system());
    let host = &watched.host;
    let by = |name: String| async move { host.resolve(&ContainerIdentity::Name(name)).await };
    let found = by(real.name("web")).await.expect("an answer").expect("it is there");
    assert_eq!(found.id, id);
    let name = real.name("web");
    let part = name[..name.len() - 1].to_owned();
    for other in [part, id.clone(), id[..12].to_owned(), "a/../b".to_owned(), String::new()] {
        assert_eq!(by(other.clone()).await, Ok(None), "{other}");
    }
}

#[tokio::test]
async fn the_answers_are_those_of_the_semantics() {
    let real = Real::engine();
    let id = real.run("a", &[]);
    let watched = Watched::new(&real.docker_host, Clock::system());
    watched.connected().await;
    let host = &watched.host;
    assert_eq!(host.start(&id).await, Ok(()), "304");
    let error = host.unpause(&id).await.expect_err("it is not paused");
    assert!(matches!(error, DockerError::Server { status: 500, .. }), "{error:?}");
    assert_eq!(host.pause(&id).await, Ok(()));
    let error = host.pause(&id).await.expect_err("it is paused");
    assert!(matches!(error, DockerError::Conflict { .. }), "{error:?}");
    let error = host.start(&id).await.expect_err("it is paused");
    assert!(matches!(error, DockerError::Conflict { .. }), "{error:?}");
    assert_eq!(host.unpause(&id).await, Ok(()));
    assert_eq!(host.restart(&id, None, 1).await, Ok(()));
    assert_eq!(host.pause(&id).await, Ok(()));
    assert_eq!(host.stop(&id, Some(0), 1).await, Ok(()), "a paused one stops");
    assert_eq!(host.stop(&id, None, 1).await, Ok(()), "304");
    assert_eq!(host.start(&id).await, Ok(()));
    let seen = host.inspect(&id).await.expect("an answer").expect("it is there");
    assert_eq!(seen.state, ContainerState::Running);
    let nobody = "0".repeat(64);
    assert_eq!(host.start(&nobody).await, missing(&nobody));
    assert_eq!(host.stop(&nobody, None, 1).await, missing(&nobody));
    assert_eq!(host.inspect(&nobody).await, Ok(None));
    let path = "a/../../images";
    assert_eq!(host.start(path).await, missing(path), "no way out of the path");
    assert_eq!(host.calls_in_flight(), 0);
}

#[tokio::test]
async fn a_failed_start_shows_its_code_and_its_last_lines() {
    let real = Real::engine();
    let script = "for i in 1 2 3 4 5 6; do /bin/busybox echo line $i; done; /bin/busybox printf '\\033[31mred' >&2; exit 3";
    for (short, options) in [("plain", &[][..]), ("tty", &["-t"])] {
        let id = real.run_command(short, options, &["sh", "-c", script]);
        real.docker(&["wait", &id]);
        let watched = Watched::new(&real.docker_host, Clock::system());
        let seen = watched.host.inspect(&id).await.expect("an answer").expect("it is there");
        assert_eq!((seen.state, seen.exit_code), (ContainerState::Exited, Some(3)));
        let lines = watched.host.last_lines(&id).await.expect("its lines");
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert!(lines.iter().any(|line| line == "\\u{1b}[31mred"), "{lines:?}");
    }
}

#[tokio::test]
async fn health_counts_only_while_it_runs() {
    let real = Real::engine();
    let check = ["--health-cmd", "/bin/busybox true", "--health-interval", "1s"];
    // The check runs through /bin/sh, which a busybox image has only by another name.
    let id = real.run("h", &check);
    let name = real.name("h");
    let watched = Watched::new(&real.docker_host, Clock::system());
    let seen = watched
        .until("a verdict", |inventory| {
            inventory
                .by_name(&name)
                .is_some_and(|one| matches!(one.health, Health::Healthy | Health::Unhealthy))
        })
        .await;
    assert!(seen.by_name(&name).is_some_and(|one| one.has_healthcheck));
    real.docker(&["stop", "-t", "0", &id]);
    let seen =
        watched.until("exited", |inventory| state(inventory, &name) == Some(ContainerState::Exited)).await;
    assert_eq!(seen.by_name(&name).map(|one| one.health), Some(Health::None));
}

#[tokio::test]
async fn itself_is_found_with_a_custom_host_name_and_the_hosts_network() {
    let real = Real::engine();
    let id = real.run("self", &["--network", "host", "--hostname", "docknap"]);
    let mountinfo = real.docker(&["exec", &id, "/bin/busybox", "cat", "/proc/self/mountinfo"]);
    let hints = SelfHints::parse(&mountinfo, "", Some("docknap"), true);
    assert_eq!(hints.named, [id.as_str()]);
    let watched =
        Watched::with(docknap::docker::Settings { hints, ..settings(&real.docker_host) }, Clock::system());
    let early = watched.host.inspect(&id).await.expect("an answer").expect("it is there");
    assert_eq!(early.protection, Some(Protection::Itself), "also before the first list");
    let seen = watched.connected().await;
    assert_eq!(seen.itself, SelfDetection::Container(id.clone()));
    assert_eq!(
        seen.by_name(&real.name("self")).and_then(|me| me.protection.clone()),
        Some(Protection::Itself)
    );
}

#[tokio::test]
async fn events_are_told_with_identity_and_code() {
    let real = Real::engine();
    let watched = Watched::new(&real.docker_host, Clock::system());
    watched.connected().await;
    let mut notices = watched.host.notices();
    let id = real.run("a", &[]);
    real.docker(&["rm", "-f", &id]);
    let identity = ContainerIdentity::Name(real.name("a"));
    let mut actions = Vec::new();
    let listen = async {
        while actions.last().is_none_or(|(action, _)| action != "destroy") {
            if let Notice::Sighted(sighting) = notices.recv().await.expect("the host lives")
                && sighting.id == id
            {
                assert_eq!(sighting.identity, identity);
                actions.push((sighting.action, sighting.exit_code));
            }
        }
    };
    Clock::system().timeout(crate::support::watched::PATIENCE, listen).await.expect("all events come");
    let die = actions.iter().find(|(action, _)| action == "die").expect("it died");
    assert_eq!(die.1, Some(137));
    for action in ["create", "start"] {
        assert!(actions.iter().any(|(seen, _)| seen == action), "{actions:?}");
    }
}

#[tokio::test]
async fn how_busy_a_container_is_can_be_seen() {
    let real = Real::engine();
    let calm = real.run("calm", &[]);
    let busy = real.run_command("busy", &[], &["sh", "-c", "while true; do :; done"]);
    let watched = Watched::new(&real.docker_host, Clock::system());
    watched.connected().await;
    let percent = |usage: Usage| usage.cpu.and_then(|cpu| cpu.percent());
    let usage = watched.host.usage(&calm).await.expect("an answer");
    assert!(usage.memory.is_some_and(|bytes| bytes > 0), "{usage:?}");
    let calm_percent = percent(usage).expect("it runs");
    assert!((0..4).contains(&calm_percent), "{calm_percent} %");
    // Other tests want the machine too: it may get much less than the core it asks for.
    let busy_percent = percent(watched.host.usage(&busy).await.expect("an answer")).expect("it runs");
    assert!((4..=110).contains(&busy_percent), "{busy_percent} %");
    // At a glance: its CPU on average since it came up.
    let started_at = watched.host.inspect(&busy).await.expect("an answer").and_then(|one| one.started_at);
    let (clock, limit) = (Clock::system(), std::time::Duration::from_secs(3));
    let began = clock.monotonic();
    let glance = watched.host.glance(&busy).await.expect("an answer");
    let sample = glance.sample(started_at);
    assert!(sample.memory_bytes.is_some_and(|bytes| bytes > 0), "{glance:?}");
    assert!(sample.cpu_millicores.is_some_and(|millis| (20..=1100).contains(&millis)), "{glance:?}");
    assert!(clock.monotonic().saturating_sub(began) < limit, "nothing is waited for");
    real.docker(&["kill", &busy]);
    let gone = watched.host.glance(&busy).await.expect("an answer");
    assert_eq!((gone.memory, percent(gone)), (None, None), "it does not run");
    let nobody = "0".repeat(64);
    assert_eq!(watched.host.usage(&nobody).await, missing(&nobody));
}

#[tokio::test]
async fn the_check_tries_every_call_and_changes_nothing() {
    let real = Real::engine();
    real.run("a", &[]);
    let watched = Watched::new(&real.docker_host, Clock::system());
    watched.connected().await;
    let checks = watched.host.check().await;
    assert_eq!(checks.iter().map(|(call, _)| *call).collect::<Vec<_>>(), docknap::docker::client::CALLS);
    for (call, outcome) in checks {
        assert_eq!(outcome, Ok(()), "{call}");
    }
}

/// All source files below a directory, with their text.
fn sources(directory: &std::path::Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file");
            found.push((path.display().to_string(), text));
        }
    }
    found
}

#[test]
fn one_module_makes_the_calls_and_only_those() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let inside = root.join("docker").display().to_string();
    let mut methods = std::collections::BTreeSet::new();
    let mut paths = std::collections::BTreeSet::new();
    for (path, text) in sources(&root) {
        if !path.starts_with(&inside) {
            assert!(!text.contains("bollard::"), "{path} goes around src/docker");
            continue;
        }
        let calls: Vec<&str> = text.split("self.docker.").skip(1).collect();
        assert!(calls.is_empty() || path.ends_with("/client.rs"), "{path} makes calls of its own");
        let asks = ["wire.get(", "wire.open("].iter().any(|call| text.contains(call));
        assert_eq!(asks, path.ends_with("/client.rs"), "{path} asks on its own");
        if asks {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let words = code.lines().flat_map(|line| line.split('"').skip(1).step_by(2));
            let words = words.filter(|word| word.starts_with('/')).filter_map(|word| word.split('?').next());
            paths.extend(words.map(ToOwned::to_owned));
        }
        methods.extend(calls.iter().filter_map(|call| call.split('(').next()).map(ToOwned::to_owned));
    }
    let expected =
        ["pause_container", "restart_container", "start_container", "stop_container", "unpause_container"];
    assert_eq!(methods.into_iter().collect::<Vec<_>>(), expected);
    let asked = [
        "/_ping",
        "/containers/json",
        "/containers/{id}/json",
        "/containers/{id}/logs",
        "/containers/{id}/stats",
        "/events",
        "/info",
        "/version",
    ];
    assert_eq!(paths.into_iter().collect::<Vec<_>>(), asked);
}

/// What Docker says of a container that is not there.
fn missing<T>(name: &str) -> Result<T, DockerError> {
    Err(DockerError::NotFound { message: format!("No such container: {name}") })
}
