//! Responses and events of the simulated Engine, as the Engine's own JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::Api;
use super::machine::{Container, Event, Health, Life, Machine, Moment};
use super::world::hex;

/// The Engine's time stamp for "never".
const NEVER: &str = "0001-01-01T00:00:00Z";
/// Cores of the simulated machine.
const CORES: u64 = 2;
/// API version from which on events lack the fields `status`, `id` and `from`.
const EVENTS_WITHOUT_STATUS: (u32, u32) = (1, 52);

/// Filters of a request: `{"label":["a=b"]}`, or the older `{"label":{"a=b":true}}`.
#[derive(Debug, Default)]
pub(super) struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Parses the filters; `None` if the text has neither form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let Value::Object(all) = serde_json::from_str(text).ok()? else { return None };
        let mut filters = BTreeMap::new();
        for (name, values) in all {
            let values = match values {
                Value::Array(values) => values
                    .into_iter()
                    .map(|value| value.as_str().map(str::to_owned))
                    .collect::<Option<_>>()?,
                Value::Object(values) => values.into_iter().map(|(value, _)| value).collect(),
                _ => return None,
            };
            filters.insert(name, values);
        }
        Some(Self(filters))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether one of the filter's values matches, or the filter is absent.
    fn any(&self, name: &str, matches: impl Fn(&str) -> bool) -> bool {
        self.0.get(name).is_none_or(|values| values.iter().any(|value| matches(value)))
    }

    /// Whether all values of the filter `label`, as `key` or `key=value`, are in `labels`.
    fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.get("label").is_none_or(|values| {
            values.iter().all(|value| match value.split_once('=') {
                Some((key, wanted)) => labels.get(key).is_some_and(|found| found == wanted),
                None => labels.contains_key(value),
            })
        })
    }

    fn admit(&self, container: &Container) -> bool {
        self.labels(&container.spec.labels)
            && self.any("id", |id| container.id.starts_with(id))
            && self.any("status", |status| container.state() == status)
            // The real Engine accepts a regular expression; only plain substrings are implemented.
            && self.any("name", |name| format!("/{}", container.spec.name).contains(name))
    }

    pub(super) fn admit_event(&self, event: &Event) -> bool {
        self.any("type", |kind| kind == "container")
            && self.any("event", |action| {
                event.action == action || event.action.split(':').next() == Some(action)
            })
            && self.any("container", |name| event.name() == name || event.id.starts_with(name))
            && self.any("image", |image| event.image() == image)
            && self.any("scope", |scope| scope == "local")
            && self.labels(&event.attributes)
    }
}

/// Parses an instant: `1700000000`, `1700000000.123456789` or RFC 3339.
pub(super) fn instant(text: &str) -> Option<Timestamp> {
    if let Ok(instant) = text.parse() {
        return Some(instant);
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let nanos = format!("{fraction:0<9}");
    Timestamp::new(seconds.parse().ok()?, nanos.get(..9)?.parse().ok()?).ok()
}

fn time(instant: Option<Timestamp>) -> String {
    instant.map_or_else(|| NEVER.to_owned(), |instant| instant.to_string())
}

fn version_text((major, minor): (u32, u32)) -> String {
    format!("{major}.{minor}")
}

/// `GET /version`.
pub(super) fn version(api: Api) -> Value {
    json!({
        "Platform": { "Name": "simulated" },
        "Components": [{
            "Name": "Engine",
            "Version": "20.10.24",
            "Details": { "ApiVersion": version_text(api.max), "MinAPIVersion": version_text(api.min) },
        }],
        "Version": "20.10.24",
        "ApiVersion": version_text(api.max),
        "MinAPIVersion": version_text(api.min),
        "GitCommit": "simulated",
        "GoVersion": "none",
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": "6.1.0",
        "BuildTime": "2023-04-04T00:00:00.000000000+00:00",
    })
}

/// `GET /info`, limited to the commonly used fields.
pub(super) fn info(machine: &Machine) -> Value {
    let count = |wanted: &dyn Fn(Life) -> bool| machine.containers().filter(|one| wanted(one.life)).count();
    json!({
        "ID": machine.engine_id,
        "Name": "simulated",
        "Containers": machine.containers().count(),
        "ContainersRunning": count(&|life| matches!(life, Life::Running | Life::Restarting)),
        "ContainersPaused": count(&|life| life == Life::Paused),
        "ContainersStopped": count(&|life| matches!(life, Life::Created | Life::Exited)),
        "Images": 1,
        "Driver": "overlay2",
        "OperatingSystem": "simulated",
        "OSType": "linux",
        "Architecture": "x86_64",
        "NCPU": CORES,
        "MemTotal": 8_u64 << 30,
        "ServerVersion": "20.10.24",
        "LiveRestoreEnabled": false,
        "SystemTime": machine.now().wall.to_string(),
        "Swarm": { "NodeID": "", "LocalNodeState": "inactive", "ControlAvailable": false, "Error": "" },
        "Warnings": null,
    })
}

/// `GET /containers/json`, newest first.
pub(super) fn list(machine: &Machine, all: bool, filters: &Filters) -> Value {
    let now = machine.now().wall;
    machine
        .containers()
        .rev()
        .filter(|one| all || matches!(one.life, Life::Running | Life::Paused | Life::Restarting))
        .filter(|one| filters.admit(one))
        .map(|one| {
            json!({
                "Id": one.id,
                "Names": [format!("/{}", one.spec.name)],
                "Image": one.spec.image,
                "ImageID": image_id(one),
                "Command": "simulated",
                "Created": one.created.as_second(),
                "Ports": [],
                "Labels": one.spec.labels,
                "State": one.state(),
                "Status": status(one, now),
                "HostConfig": { "NetworkMode": network_mode(one) },
                "NetworkSettings": { "Networks": networks(one) },
                "Mounts": [],
            })
        })
        .collect()
}

/// Log of the healthcheck: the consecutive failed checks, or the last passed one.
fn checks(one: &Container, health: Health) -> Vec<Value> {
    let (number, code, output) = match health {
        Health::Starting => (0, 0, ""),
        Health::Healthy => (1, 0, "ok"),
        Health::Unhealthy => (one.failing, 1, "connect: connection refused"),
    };
    let check = |_| json!({ "Start": time(one.started), "End": time(one.started), "ExitCode": code, "Output": output });
    (0..number).map(check).collect()
}

/// `GET /containers/{id}/json`.
pub(super) fn inspect(one: &Container) -> Value {
    let running = matches!(one.life, Life::Running | Life::Paused | Life::Restarting);
    let mut state = json!({
        "Status": one.state(),
        "Running": running,
        "Paused": one.life == Life::Paused,
        "Restarting": one.life == Life::Restarting,
        "OOMKilled": false,
        "Dead": false,
        "Pid": if running { 4242 } else { 0 },
        "ExitCode": one.exit_code,
        "Error": one.error,
        "StartedAt": time(one.started),
        "FinishedAt": time(one.finished),
    });
    if let Some(health) = one.health {
        state["Health"] =
            json!({ "Status": health.word(), "FailingStreak": one.failing, "Log": checks(one, health) });
    }
    let mut config = json!({
        "Hostname": &one.id[..12],
        "Tty": one.spec.tty,
        "Env": [],
        "Cmd": ["simulated"],
        "Image": one.spec.image,
        "Labels": one.spec.labels,
    });
    if let Some(check) = one.spec.healthcheck {
        config["Healthcheck"] = json!({
            "Test": ["CMD", "simulated"],
            "Interval": nanos(check.interval),
            "Timeout": nanos(check.interval),
            "StartPeriod": nanos(check.start_period),
            "Retries": check.retries,
        });
    }
    if let Some(timeout) = one.spec.stop_timeout {
        config["StopTimeout"] = timeout.into();
    }
    json!({
        "Id": one.id,
        "Created": one.created.to_string(),
        "Path": "simulated",
        "Args": [],
        "State": state,
        "Image": image_id(one),
        "Name": format!("/{}", one.spec.name),
        "RestartCount": one.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "HostConfig": {
            "NetworkMode": network_mode(one),
            "PidMode": one.pid_of.as_deref().unwrap_or_default(),
            "IpcMode": one.ipc_of.as_deref().unwrap_or("private"),
            "VolumesFrom": one.spec.volumes_from,
            "Links": null,
            "RestartPolicy": {
                "Name": one.spec.restart.name(),
                "MaximumRetryCount": one.spec.restart.retries(),
            },
            "AutoRemove": one.spec.auto_remove,
        },
        "Mounts": [],
        "Config": config,
        "NetworkSettings": { "Networks": networks(one) },
    })
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn image_id(one: &Container) -> String {
    format!("sha256:{}", hex(&one.spec.image))
}

fn network_mode(one: &Container) -> String {
    one.network_of.clone().unwrap_or_else(|| match one.spec.networks.first() {
        Some(network) if network.name != "bridge" => network.name.clone(),
        _ => "default".to_owned(),
    })
}

fn networks(one: &Container) -> Value {
    let mut networks = Map::new();
    networks.extend(one.spec.networks.iter().zip(0..).map(|(network, at)| {
        let links: Vec<_> =
            one.spec.links.iter().filter(|_| at == 0).map(|name| format!("{name}:{name}")).collect();
        let mut aliases = network.aliases.clone();
        if network.name != "bridge" {
            aliases.push(one.id[..12].to_owned());
        }
        let value = json!({
            "Aliases": if aliases.is_empty() { Value::Null } else { aliases.into() },
            "Links": if links.is_empty() { Value::Null } else { links.into() },
            "NetworkID": hex(&network.name),
        });
        (network.name.clone(), value)
    }));
    Value::Object(networks)
}

/// Status text such as `Up 3 minutes (healthy)`, as in `docker ps`.
fn status(one: &Container, now: Timestamp) -> String {
    let since =
        |instant: Option<Timestamp>| {
            human(instant.map_or(Duration::ZERO, |then| {
                Duration::try_from(now.duration_since(then)).unwrap_or_default()
            }))
        };
    match one.life {
        Life::Paused => format!("Up {} (Paused)", since(one.started)),
        Life::Restarting => format!("Restarting ({}) {} ago", one.exit_code, since(one.finished)),
        Life::Running => match one.health {
            Some(Health::Starting) => format!("Up {} (health: starting)", since(one.started)),
            Some(health) => format!("Up {} ({})", since(one.started), health.word()),
            None => format!("Up {}", since(one.started)),
        },
        Life::Created => "Created".to_owned(),
        Life::Exited => format!("Exited ({}) {} ago", one.exit_code, since(one.finished)),
    }
}

/// Formats a duration as the Engine does.
fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let hours = (seconds + 1800) / 3600;
    match seconds {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3600 => format!("{} minutes", seconds / 60),
        _ => match hours {
            0 | 1 => "About an hour".to_owned(),
            2..48 => format!("{hours} hours"),
            48..336 => format!("{} days", hours / 24),
            336..1440 => format!("{} weeks", hours / 24 / 7),
            1440..17520 => format!("{} months", hours / 24 / 30),
            _ => format!("{} years", seconds / 3600 / 24 / 365),
        },
    }
}

/// `GET …/stats`: the current sample and the one a second earlier, which is empty if `at_once`.
pub(super) fn stats(one: &Container, now: Moment, at_once: bool) -> Value {
    let name = format!("/{}", one.spec.name);
    if !matches!(one.life, Life::Running | Life::Paused) {
        return json!({
            "read": NEVER, "preread": NEVER, "name": name, "id": one.id, "pids_stats": {}, "memory_stats": {},
            "cpu_stats": { "cpu_usage": { "total_usage": 0 } },
            "precpu_stats": { "cpu_usage": { "total_usage": 0 } },
        });
    }
    let second = Duration::from_secs(1);
    let up = one.started.and_then(|started| Duration::try_from(now.wall.duration_since(started)).ok());
    let up = up.unwrap_or_default();
    let sample = |later: Duration| {
        let percent = if one.life == Life::Paused { 0 } else { one.spec.cpu_percent };
        let used = nanos(up) / 100 * one.spec.cpu_percent + nanos(later) / 100 * percent;
        json!({
            "cpu_usage": { "total_usage": used, "usage_in_kernelmode": 0, "usage_in_usermode": used },
            "system_cpu_usage": nanos(now.running + later) * CORES,
            "online_cpus": CORES,
        })
    };
    let before =
        json!({ "cpu_usage": { "total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0 } });
    json!({
        "read": now.wall.to_string(),
        "preread": if at_once { NEVER.to_owned() } else { (now.wall - second).to_string() },
        "name": name,
        "id": one.id,
        "pids_stats": { "current": 1 },
        "cpu_stats": sample(if at_once { Duration::ZERO } else { second }),
        "precpu_stats": if at_once { before } else { sample(Duration::ZERO) },
        "memory_stats": { "usage": one.spec.memory, "limit": 8_u64 << 30, "stats": { "inactive_file": 0 } },
    })
}

/// One line of `GET /events`.
pub(super) fn event(event: &Event, api: Api) -> Value {
    let mut line = json!({
        "Type": "container",
        "Action": event.action,
        "Actor": { "ID": event.id.as_ref(), "Attributes": event.attributes.as_ref() },
        "scope": "local",
        "time": event.at.as_second(),
        "timeNano": i64::try_from(event.at.as_nanosecond()).unwrap_or(i64::MAX),
    });
    if api.max < EVENTS_WITHOUT_STATUS {
        line["status"] = event.action.clone().into();
        line["id"] = event.id.as_ref().into();
        line["from"] = event.image().into();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_docker_ps() {
        let shown: Vec<String> =
            [0, 1, 59, 60, 120, 3599, 3600, 5399, 5400, 86_400 * 2, 86_400 * 14, 86_400 * 60, 86_400 * 800]
                .map(|seconds| human(Duration::from_secs(seconds)))
                .into();
        assert_eq!(
            shown,
            [
                "Less than a second",
                "1 second",
                "59 seconds",
                "About a minute",
                "2 minutes",
                "59 minutes",
                "About an hour",
                "About an hour",
                "2 hours",
                "2 days",
                "2 weeks",
                "2 months",
                "2 years"
            ]
        );
    }

    #[test]
    fn both_forms_of_filters_are_read() {
        assert!(Filters::parse(r#"{"type":["container"]}"#).is_some_and(|filters| filters.has("type")));
        assert!(Filters::parse(r#"{"type":{"container":true}}"#).is_some_and(|filters| filters.has("type")));
        assert!(Filters::parse("[]").is_none());
    }

    #[test]
    fn instants_come_in_three_forms() {
        let expected = Timestamp::new(1_700_000_000, 250_000_000).ok();
        assert_eq!(instant("1700000000.25"), expected);
        assert_eq!(instant("2023-11-14T22:13:20.25Z"), expected);
        assert_eq!(instant("soon"), None);
    }
}
