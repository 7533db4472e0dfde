//! Cases of health, networks, names, output and what the Engine shows.

use std::collections::HashMap;

use bollard::container::LogOutput;
use bollard::query_parameters::{
    EventsOptionsBuilder, ListContainersOptionsBuilder, LogsOptionsBuilder, StatsOptionsBuilder,
};
use docknap::domain::guard::CpuSample;
use docknap::sim::Restart;
use futures_util::StreamExt;

use super::bench::{Bench, Program, Spec, attribute};
use crate::support::engine::IMAGE;

pub async fn health_is_stale_when_nothing_runs(bench: &mut Bench) {
    bench.create("a", Spec { healthy: Some(true), ..Spec::new(Program::Ends(0)) }).await;
    assert_eq!(bench.health("a").await, "");
    bench.does("a", "start").await;
    assert_eq!(bench.health("a").await, "starting");
    assert_eq!(bench.status_text("a").await, "Up (health: starting)");
    assert_eq!(bench.until("health_status: healthy a").await.len(), 3);
    assert_eq!(bench.health("a").await, "healthy");
    assert_eq!(bench.status_text("a").await, "Up (healthy)");
    // A pause ends the looking, and 20.10 then says unhealthy without an event.
    bench.does("a", "pause").await;
    assert_eq!(bench.health("a").await, "unhealthy");
    assert_eq!(bench.status_text("a").await, "Up (Paused)");
    bench.does("a", "unpause").await;
    let seen = bench.until("health_status: healthy a").await;
    assert_eq!(seen, ["pause a", "unpause a", "health_status: healthy a"]);
    bench.does("a", "stop").await;
    assert_eq!(bench.state("a").await, "exited 0");
    assert_eq!(bench.health("a").await, "unhealthy");
    assert_eq!(bench.status_text("a").await, "Exited (0) ago");
    bench.does("a", "start").await;
    assert_eq!(bench.health("a").await, "starting");
}

pub async fn never_healthy(bench: &mut Bench) {
    bench.create("a", Spec { healthy: Some(false), ..Spec::new(Program::Ends(0)) }).await;
    bench.does("a", "start").await;
    bench.until("health_status: unhealthy a").await;
    assert_eq!(bench.state("a").await, "running 0");
    assert_eq!(bench.health("a").await, "unhealthy");
    assert_eq!(bench.status_text("a").await, "Up (unhealthy)");
}

pub async fn a_shared_network(bench: &mut Bench) {
    let id = bench.create("x", Spec::new(Program::Ends(0))).await;
    bench.does("x", "start").await;
    bench.create("y", Spec { network_of: Some("x"), ..Spec::new(Program::Ends(0)) }).await;
    assert_eq!(bench.does("y", "start").await, 204);
    let inspect = bench.inspect("y").await;
    let mode = inspect.host_config.and_then(|config| config.network_mode);
    assert_eq!(mode, Some(format!("container:{id}")), "the name became an id");
    let networks = inspect.network_settings.and_then(|settings| settings.networks);
    assert_eq!(networks, Some(HashMap::new()));
    // What happens to x does not stop y.
    for verb in ["restart", "stop"] {
        assert_eq!(bench.does("x", verb).await, 204);
        assert_eq!(bench.state("y").await, "running 0");
    }
    assert_eq!(bench.does("y", "stop").await, 204);
    let refused = format!("cannot join network of a non running container: {id}");
    assert_eq!(bench.post("y", "start").await, (409, refused));
    assert_eq!(bench.state("y").await, "exited 128");
    bench.remove("x").await;
    assert_eq!(bench.post("y", "start").await, (404, format!("No such container: {id}")));
}

pub async fn shared_namespaces(bench: &mut Bench) {
    let id = bench.create("x", Spec { shareable: true, ..Spec::new(Program::Ends(0)) }).await;
    bench.does("x", "start").await;
    bench.create("p", Spec { pid_of: Some("x"), ..Spec::new(Program::Ends(0)) }).await;
    bench.create("i", Spec { ipc_of: Some("x"), ..Spec::new(Program::Ends(0)) }).await;
    bench.create("v", Spec { volumes_from: Some("x"), ..Spec::new(Program::Ends(0)) }).await;
    for name in ["p", "i", "v"] {
        assert_eq!(bench.does(name, "start").await, 204, "{name}");
    }
    let host = async |name: &str| bench.inspect(name).await.host_config.expect("a host configuration");
    let joined = Some(format!("container:{id}"));
    assert_eq!(host("p").await.pid_mode, joined, "the name became an id");
    assert_eq!(host("i").await.ipc_mode, joined);
    assert_eq!(host("v").await.volumes_from, Some(vec![bench.name("x")]), "the name stays");
    // With the first process of a PID namespace all others end; the rest lives on.
    assert_eq!(bench.does("x", "stop").await, 204);
    bench.until("die 137 p").await;
    assert_eq!(bench.state("p").await, "exited 137");
    assert_eq!(
        (bench.state("i").await, bench.state("v").await),
        ("running 0".to_owned(), "running 0".to_owned())
    );
    for name in ["i", "v"] {
        assert_eq!(bench.does(name, "stop").await, 204);
    }
    let not_running = format!("container {id} is not running");
    assert_eq!(bench.post("p", "start").await, (500, not_running.clone()));
    assert_eq!(
        bench.post("i", "start").await,
        (500, format!("can't join IPC of container {id}: {not_running}"))
    );
    assert_eq!(bench.does("v", "start").await, 204, "volumes are there without a process");
}

pub async fn look_up_by_name_id_and_prefix(bench: &mut Bench) {
    let id = bench.create("a", Spec::new(Program::Ends(0))).await;
    assert_eq!(id.len(), 64);
    for spelled in [id.as_str(), &id[..12], &bench.name("a")] {
        let inspect = bench.docker.inspect_container(spelled, None).await.expect("found");
        assert_eq!(inspect.id.as_deref(), Some(id.as_str()));
        assert_eq!(inspect.name, Some(format!("/{}", bench.name("a"))));
    }
    // The list's filter takes a part of a name, inspect does not.
    let part = bench.name("a");
    let part = &part[..part.len() - 2];
    let filters = [("name", vec![part.to_owned()])].into_iter().collect();
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    assert_eq!(bench.docker.list_containers(Some(options)).await.expect("a list").len(), 1);
    assert_eq!(bench.call("GET", &format!("/containers/{part}/json")).await.status, 404);
    let upper = bench.name("a").to_uppercase();
    assert_eq!(bench.call("GET", &format!("/containers/{upper}/json")).await.status, 404);
}

pub async fn unknown_containers(bench: &mut Bench) {
    for (method, rest) in [
        ("GET", "json"),
        ("GET", "logs?stdout=1"),
        ("GET", "stats?stream=false"),
        ("POST", "start"),
        ("POST", "stop"),
        ("POST", "restart"),
        ("POST", "pause"),
        ("POST", "unpause"),
    ] {
        let answer = bench.call(method, &format!("/containers/nobody-here/{rest}")).await;
        let seen = (answer.status, answer.message());
        assert_eq!(seen, (404, "No such container: nobody-here".to_owned()), "{method} {rest}");
    }
}

pub async fn a_rename(bench: &mut Bench) {
    bench.create("a", Spec::new(Program::Ends(0))).await;
    bench.does("a", "start").await;
    bench.rename("a", "b").await;
    assert_eq!(bench.history().await, ["create a", "start a", "rename b"]);
    let old = format!("/{}", bench.name("a"));
    assert_eq!(attribute(&bench.event("rename"), "oldName"), Some(old.as_str()));
    assert_eq!(bench.state("b").await, "running 0");
    assert_eq!(bench.does("a", "stop").await, 404);
}

async fn lines(bench: &Bench, tail: &str) -> Vec<LogOutput> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(tail).build();
    bench.docker.logs(&bench.name("a"), Some(options)).map(|line| line.expect("a line")).collect().await
}

pub async fn output(bench: &mut Bench) {
    bench.create("a", Spec::new(Program::Prints)).await;
    assert!(lines(bench, "all").await.is_empty());
    bench.does("a", "start").await;
    bench.until("die 0 a").await;
    let shown = |lines: Vec<LogOutput>| -> Vec<String> {
        lines
            .into_iter()
            .map(|line| {
                let stream = if matches!(line, LogOutput::StdErr { .. }) { "err" } else { "out" };
                format!("{stream} {}", String::from_utf8_lossy(line.as_ref()).trim_end())
            })
            .collect()
    };
    assert_eq!(shown(lines(bench, "all").await), ["out one", "err two", "out three"]);
    assert_eq!(shown(lines(bench, "2").await), ["err two", "out three"]);
    let none = bench.call("GET", &format!("/containers/{}/logs", bench.name("a"))).await;
    assert_eq!(none.status, 400);
    assert_eq!(none.message(), "Bad parameters: you must choose at least one stream");
}

pub async fn output_of_a_terminal(bench: &mut Bench) {
    bench.create("a", Spec { tty: true, ..Spec::new(Program::Prints) }).await;
    bench.does("a", "start").await;
    bench.until("die 0 a").await;
    let text: Vec<u8> =
        lines(bench, "all").await.iter().flat_map(|line| line.as_ref().iter().copied()).collect();
    assert_eq!(
        String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>(),
        ["one", "two", "three"]
    );
}

pub async fn the_list(bench: &mut Bench) {
    let labels = vec![("com.docker.compose.project", "contract"), ("odd", "")];
    let id = bench.create("a", Spec { labels, ..Spec::new(Program::Ends(0)) }).await;
    bench.create("b", Spec::new(Program::Ends(0))).await;
    bench.does("b", "start").await;
    let find = |list: Vec<bollard::models::ContainerSummary>, name: String| {
        list.into_iter().find(|one| one.names.iter().flatten().any(|other| *other == format!("/{name}")))
    };
    let running = bench.docker.list_containers(None).await.expect("a list");
    assert!(find(running.clone(), bench.name("a")).is_none(), "only what runs, unless asked for all");
    assert!(find(running, bench.name("b")).is_some());
    let all = || ListContainersOptionsBuilder::new().all(true);
    let list = bench.docker.list_containers(Some(all().build())).await.expect("a list");
    let one = find(list, bench.name("a")).expect("it is there");
    assert_eq!(one.id, Some(id));
    assert_eq!(one.image.as_deref(), Some(IMAGE));
    assert_eq!(one.state.map(|state| state.to_string()).as_deref(), Some("created"));
    let labels = one.labels.expect("labels");
    assert_eq!(labels.get("com.docker.compose.project").map(String::as_str), Some("contract"));
    assert_eq!(labels.get("odd").map(String::as_str), Some(""));
    let networks = one.network_settings.and_then(|settings| settings.networks).expect("networks");
    assert_eq!(networks.keys().collect::<Vec<_>>(), ["bridge"]);
    let filters = [("label", vec!["odd".to_owned(), "com.docker.compose.project=contract".to_owned()])]
        .into_iter()
        .collect();
    let list = bench.docker.list_containers(Some(all().filters(&filters).build())).await.expect("a list");
    assert!(find(list.clone(), bench.name("a")).is_some());
    assert!(find(list, bench.name("b")).is_none());
}

pub async fn fields_of_inspect(bench: &mut Bench) {
    bench
        .create(
            "a",
            Spec {
                restart: Restart::OnFailure(3),
                stop_timeout: Some(7),
                healthy: Some(true),
                ..Spec::new(Program::Ends(0))
            },
        )
        .await;
    let inspect = bench.inspect("a").await;
    let never = Some("0001-01-01T00:00:00Z".to_owned());
    let state = inspect.state.expect("a state");
    assert_eq!((state.started_at, state.finished_at), (never.clone(), never.clone()));
    let config = inspect.config.expect("a configuration");
    assert_eq!(config.stop_timeout, Some(7));
    assert_eq!(config.image.as_deref(), Some(IMAGE));
    assert_eq!(config.tty, Some(false));
    let check = config.healthcheck.expect("a healthcheck");
    assert_eq!((check.interval, check.retries), (Some(500_000_000), Some(2)));
    let host = inspect.host_config.expect("a host configuration");
    assert_eq!(host.auto_remove, Some(false));
    assert_eq!(host.network_mode.as_deref(), Some("default"));
    let policy = host.restart_policy.expect("a policy");
    assert_eq!(policy.name.map(|name| name.to_string()).as_deref(), Some("on-failure"));
    assert_eq!(policy.maximum_retry_count, Some(3));
    bench.does("a", "start").await;
    let started = bench.inspect("a").await.state.expect("a state");
    assert_eq!(started.finished_at, never);
    let started: jiff::Timestamp = started.started_at.expect("a start").parse().expect("an instant");
    bench.does("a", "stop").await;
    let state = bench.inspect("a").await.state.expect("a state");
    let finished: jiff::Timestamp = state.finished_at.expect("an end").parse().expect("an instant");
    assert!(finished >= started);
}

pub async fn fields_of_an_event(bench: &mut Bench) {
    let labels = vec![("com.docker.compose.service", "web")];
    let id = bench.create("a", Spec { labels, ..Spec::new(Program::Exits(0, 9)) }).await;
    bench.does("a", "start").await;
    bench.until("die 9 a").await;
    let event = bench.event("die");
    assert_eq!(event.typ.map(|kind| kind.to_string()).as_deref(), Some("container"));
    assert_eq!(event.actor.as_ref().and_then(|actor| actor.id.as_deref()), Some(id.as_str()));
    for (key, value) in [
        ("image", IMAGE),
        ("name", &bench.name("a")),
        ("exitCode", "9"),
        ("com.docker.compose.service", "web"),
    ] {
        assert_eq!(attribute(&event, key), Some(value), "{key}");
    }
    let (time, nanos) = (event.time.expect("a time"), event.time_nano.expect("a finer time"));
    assert_eq!(nanos / 1_000_000_000, time);
}

pub async fn events_since_and_until(bench: &mut Bench) {
    bench.create("a", Spec::new(Program::Ends(0))).await;
    bench.does("a", "start").await;
    bench.until("start a").await;
    let start = bench.event("start").time_nano.expect("a time");
    let instant = |nanos: i64| format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    let name = bench.name("a");
    let ask = |since: i64, until: i64, events: &[&str]| {
        let mut filters = HashMap::from([("type", vec!["container".to_owned()])]);
        filters.insert("container", vec![name.clone()]);
        if !events.is_empty() {
            filters.insert("event", events.iter().map(|&event| event.to_owned()).collect());
        }
        EventsOptionsBuilder::new().since(&instant(since)).until(&instant(until)).filters(&filters).build()
    };
    let second = 1_000_000_000;
    for (options, expected) in [
        (ask(start - 60 * second, start, &[]), vec!["create", "start"]),
        (ask(start, start, &[]), vec!["start"]),
        (ask(start - 60 * second, start, &["create", "die"]), vec!["create"]),
        (ask(start - 60 * second, start - 50 * second, &[]), vec![]),
    ] {
        let stream = bench.docker.events(Some(options));
        let seen: Vec<String> =
            stream.map(|event| event.expect("an event").action.unwrap_or_default()).collect().await;
        assert_eq!(seen, expected);
    }
}

pub async fn one_sample(bench: &mut Bench) {
    bench.create("a", Spec::new(Program::Ends(0))).await;
    let options = StatsOptionsBuilder::new().stream(false).build();
    let name = bench.name("a");
    let total = |stats: &bollard::models::ContainerStatsResponse| {
        stats.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage
    };
    let mut stream = Box::pin(bench.docker.stats(&name, Some(options.clone())));
    let stats = stream.next().await.expect("one sample").expect("that can be read");
    assert_eq!((total(&stats), stats.memory_stats.and_then(|memory| memory.usage)), (Some(0), None));
    bench.does("a", "start").await;
    let mut stream = Box::pin(bench.docker.stats(&name, Some(options)));
    let stats = stream.next().await.expect("one sample").expect("that can be read");
    assert!(stream.next().await.is_none(), "one is all");
    assert!(total(&stats) > Some(0));
    let before = stats.precpu_stats.as_ref().and_then(|stats| stats.system_cpu_usage);
    let after = stats.cpu_stats.as_ref().and_then(|stats| stats.system_cpu_usage);
    assert!(before < after, "{before:?} {after:?}");
    assert!(stats.cpu_stats.and_then(|stats| stats.online_cpus) > Some(0));
    assert!(stats.memory_stats.and_then(|memory| memory.usage) > Some(0));
}

/// Percent of one core by one sample; `None` where nothing runs.
async fn cpu_percent(bench: &Bench, name: &str) -> Option<i64> {
    let options = StatsOptionsBuilder::new().stream(false).build();
    let mut stream = Box::pin(bench.docker.stats(&bench.name(name), Some(options)));
    let stats = stream.next().await.expect("one sample").expect("that can be read");
    let (now, before) = (stats.cpu_stats?, stats.precpu_stats?);
    let used =
        |stats: &bollard::models::ContainerCpuStats| stats.cpu_usage.as_ref().and_then(|cpu| cpu.total_usage);
    let sample = CpuSample {
        used: (used(&before)?, used(&now)?),
        machine: (before.system_cpu_usage?, now.system_cpu_usage?),
        cores: now.online_cpus?.into(),
    };
    sample.percent()
}

pub async fn how_busy_it_is(bench: &mut Bench) {
    bench.create("calm", Spec::new(Program::Ignores)).await;
    assert_eq!(cpu_percent(bench, "calm").await, None, "it does not run");
    bench.does("calm", "start").await;
    bench.create("busy", Spec::new(Program::Burns)).await;
    bench.does("busy", "start").await;
    let calm = cpu_percent(bench, "calm").await.expect("it runs");
    assert!((0..4).contains(&calm), "{calm} %");
    // Other tests want the machine too: it may get much less than the core it asks for.
    let busy = cpu_percent(bench, "busy").await.expect("it runs");
    assert!((4..=110).contains(&busy), "{busy} %");
    bench.does("busy", "pause").await;
    let frozen = cpu_percent(bench, "busy").await.expect("it is there");
    assert!((0..4).contains(&frozen), "{frozen} %");
    bench.does("busy", "unpause").await;
}

pub async fn versions(bench: &mut Bench) {
    let ping = bench.call("GET", "/_ping").await;
    assert_eq!((ping.status, ping.body.as_str()), (200, "OK"));
    let version = bench.docker.version().await.expect("a version");
    let newest = version.api_version.expect("an API version");
    assert!(ping.head.contains(&format!("api-version: {newest}")), "{}", ping.head);
    let oldest = version.min_api_version.expect("an oldest API version");
    assert_eq!(bench.call("GET", &format!("/v{newest}/_ping")).await.status, 200);
    assert_eq!(bench.call("GET", &format!("/v{newest}/containers/json")).await.status, 200);
    let new = bench.call("GET", "/v1.99/containers/json").await;
    assert_eq!(new.status, 400);
    let message = format!("client version 1.99 is too new. Maximum supported API version is {newest}");
    assert_eq!(new.message(), message);
    let old = bench.call("GET", "/v1.10/containers/json").await;
    assert_eq!(old.status, 400);
    // Plain text, for clients that do not know better.
    assert!(old.head.contains("content-type: text/plain"), "{}", old.head);
    assert!(
        old.body
            .contains(&format!("client version 1.10 is too old. Minimum supported API version is {oldest}"))
    );
    let nothing = bench.call("GET", "/no/such/page").await;
    assert_eq!((nothing.status, nothing.message().as_str()), (404, "page not found"));
    assert_eq!(bench.call("GET", "/vX/containers/json").await.status, 404);
}
