//! Converts API responses to domain values: rows of the container list, inspect responses and usage samples.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::Usage;
use super::answers::{CpuStats, Endpoint, GraphDriver, Inspected, Listed, Sampled};
use crate::domain::guard::CpuSample;
use crate::domain::ids::HostId;
use crate::domain::inventory::{self, Check, Container, ContainerState, Health, Kind, RestartPolicy};
use crate::domain::target::ContainerIdentity;

/// A row of the container list: enough data to decide whether the inventory is still correct.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) id: String,
    name: String,
    image: String,
    labels: BTreeMap<String, String>,
    state: ContainerState,
    health: Health,
    exit_code: Option<i64>,
    /// How long ago the process started or ended. A range, because Docker rounds the value.
    age: Option<(Duration, Duration)>,
    created_at: Option<Timestamp>,
    network_mode: Option<String>,
    networks: BTreeSet<String>,
}

impl Row {
    /// Converts a row; `None` if it has no id.
    pub(super) fn read(row: Listed) -> Option<Self> {
        let id = row.id?;
        let status = row.status.unwrap_or_default();
        let state = state_of_name(row.state.as_deref(), status.starts_with("Up "));
        let health = match state {
            ContainerState::Running if status.ends_with("(healthy)") => Health::Healthy,
            ContainerState::Running if status.ends_with("(unhealthy)") => Health::Unhealthy,
            ContainerState::Running if status.ends_with("(health: starting)") => Health::Starting,
            _ => Health::None,
        };
        Some(Self {
            name: plain_name(row.names.unwrap_or_default(), &id),
            image: row.image.unwrap_or_default(),
            labels: row.labels.unwrap_or_default(),
            state,
            health,
            exit_code: exit_code_in(&status),
            age: age_in(&status),
            created_at: row.created.and_then(|at| Timestamp::from_second(at).ok()),
            network_mode: row.host_config.and_then(|config| config.network_mode),
            networks: row
                .network_settings
                .and_then(|settings| settings.networks)
                .map(|networks| BTreeSet::from_iter(networks.into_keys()))
                .unwrap_or_default(),
            id,
        })
    }

    /// Whether the row matches the container as last inspected. `now` is by the Engine's clock: if a container ended
    /// and started again since, only its age shows it.
    pub(super) fn agrees(&self, known: &Container, now: Timestamp) -> bool {
        let ended = matches!(known.state, ContainerState::Exited | ContainerState::Dead);
        let since = match known.state {
            ContainerState::Running | ContainerState::Paused => known.started_at,
            ContainerState::Exited => known.finished_at,
            _ => None,
        };
        self.name == known.name
            && self.state == known.state
            && self.health == known.health
            && (!ended || self.exit_code.is_none() || self.exit_code == known.exit_code)
            && self.labels == known.labels
            && self.networks.iter().eq(known.networks.keys())
            && self.age.is_none_or(|age| since.is_none_or(|since| plausible(age, since, now)))
    }

    pub(super) fn identity(&self) -> ContainerIdentity {
        inventory::identity(&self.name, &self.labels)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn state(&self) -> ContainerState {
        self.state
    }

    /// Whether the container is neither a one-off, a hook nor a swarm task.
    pub(super) fn is_ordinary(&self) -> bool {
        inventory::kind(&self.labels) == Kind::Ordinary
    }

    /// A container with only the data of the row, for the case that it cannot be inspected.
    pub(super) fn to_container(&self, host: &HostId) -> Container {
        Container {
            host: host.clone(),
            id: self.id.clone(),
            name: self.name.clone(),
            image: self.image.clone(),
            identity: inventory::identity(&self.name, &self.labels),
            kind: inventory::kind(&self.labels),
            labels: self.labels.clone(),
            awaits: inventory::awaits(&self.labels),
            restarts_with: inventory::restarts_with(&self.labels),
            state: self.state,
            health: self.health,
            unhealthy_since: None,
            status: inventory::status_text(self.state, self.health, self.exit_code),
            exit_code: self.exit_code,
            created_at: self.created_at,
            started_at: None,
            finished_at: None,
            // Unknown. This policy implies the least: neither a completed one-shot container nor one that Docker
            // always restarts.
            restart_policy: RestartPolicy::UnlessStopped,
            auto_remove: false,
            has_healthcheck: self.health != Health::None,
            health_patience: inventory::patience::USUAL,
            stop_timeout: None,
            network_mode: self.network_mode.clone().unwrap_or_default(),
            leans_on: Vec::new(),
            networks: BTreeMap::from_iter(self.networks.iter().map(|network| (network.clone(), Vec::new()))),
            layer: None,
            protection: None,
        }
    }
}

/// Number of health checks that are read.
const CHECKS: usize = 5;
/// Bytes of one check's output that are read.
const CHECK_OUTPUT: usize = 2048;

/// The last health checks in an inspect response, oldest first.
pub(super) fn checks(answer: Inspected) -> Vec<Check> {
    let log = answer.state.and_then(|state| state.health).and_then(|health| health.log).unwrap_or_default();
    let skip = log.len().saturating_sub(CHECKS);
    let read = log.into_iter().skip(skip).map(|check| {
        let mut output = check.output.unwrap_or_default();
        output.truncate(output.floor_char_boundary(CHECK_OUTPUT));
        Check {
            at: check.end.and_then(|at| at.parse().ok()),
            exit_code: check.exit_code.unwrap_or_default(),
            output,
        }
    });
    read.collect()
}

/// Converts an inspect response; `None` if it has no id.
pub(super) fn container(host: &HostId, answer: Inspected) -> Option<Container> {
    let id = answer.id?;
    let state = answer.state.unwrap_or_default();
    let config = answer.config.unwrap_or_default();
    let host_config = answer.host_config.unwrap_or_default();
    let name = plain_name(answer.name.into_iter().collect(), &id);
    let labels = config.labels.unwrap_or_default();
    let word = state_of_name(state.status.as_deref(), state.running.unwrap_or(false));
    let checked = health_of_name(state.health.and_then(|health| health.status).as_deref());
    let health_patience = config.healthcheck.as_ref().map_or(inventory::patience::USUAL, |check| {
        inventory::patience::seconds(check.start_period, check.interval, check.retries, check.timeout)
    });
    let has_healthcheck = checked != Health::None
        || config
            .healthcheck
            .and_then(|check| check.test)
            .is_some_and(|test| test.first().is_some_and(|first| first != "NONE" && !first.is_empty()));
    let health = if word == ContainerState::Running { checked } else { Health::None };
    let ended = match word {
        ContainerState::Exited | ContainerState::Dead | ContainerState::Restarting => true,
        // After a failed start the container stays in the state `created`, with the exit code of the failure.
        ContainerState::Created => state.exit_code.is_some_and(|code| code != 0),
        _ => false,
    };
    // In an unknown state the exit code may not be meaningful, so it is dropped.
    let known =
        matches!(state.status.as_deref(), None | Some("" | "created" | "exited" | "dead" | "restarting"));
    let exit_code = state.exit_code.filter(|_| ended && known);
    let networks = answer.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let links = networks.values().flatten().filter_map(|network| network.links.as_ref()).flatten();
    Some(Container {
        host: host.clone(),
        identity: inventory::identity(&name, &labels),
        kind: inventory::kind(&labels),
        awaits: inventory::awaits(&labels),
        restarts_with: inventory::restarts_with(&labels),
        image: config.image.or(answer.image).unwrap_or_default(),
        state: word,
        health,
        unhealthy_since: None,
        status: inventory::status_text(word, health, exit_code),
        exit_code,
        created_at: answer.created.as_deref().and_then(instant),
        started_at: state.started_at.as_deref().and_then(instant),
        finished_at: state.finished_at.as_deref().and_then(instant),
        restart_policy: match host_config.restart_policy.and_then(|policy| policy.name).as_deref() {
            Some("always") => RestartPolicy::Always,
            Some("unless-stopped") => RestartPolicy::UnlessStopped,
            Some("on-failure") => RestartPolicy::OnFailure,
            _ => RestartPolicy::No,
        },
        auto_remove: host_config.auto_remove.unwrap_or(false),
        has_healthcheck,
        health_patience,
        stop_timeout: config.stop_timeout,
        leans_on: inventory::ties::leans_on(
            host_config.pid_mode.as_deref(),
            host_config.ipc_mode.as_deref(),
            host_config.volumes_from.iter().flatten(),
            host_config.links.iter().flatten().chain(links),
        ),
        network_mode: host_config.network_mode.unwrap_or_default(),
        networks: BTreeMap::from_iter(
            networks
                .into_iter()
                .map(|(network, settings)| (network, names_on(&name, settings.unwrap_or_default()))),
        ),
        layer: answer
            .graph_driver
            .and_then(|driver| serde_json::from_value::<GraphDriver>(driver).ok()?.data)
            .and_then(|data| data.upper_dir.or(data.dataset).or(data.device_name))
            .filter(|layer| !layer.is_empty()),
        protection: None,
        id,
        name,
        labels,
    })
}

/// Converts a usage sample.
pub(super) fn usage(mut answer: Sampled) -> Usage {
    let memory = answer.memory_stats.take().and_then(|memory| {
        let kept = memory.stats.unwrap_or_default();
        // `docker stats` also subtracts these file pages, which the kernel frees on demand. The first field is of
        // cgroup version 2, the second of version 1.
        let cached = kept.inactive_file.or(kept.total_inactive_file);
        Some(memory.usage?.saturating_sub(cached.unwrap_or(0)))
    });
    let cpu_total = answer.cpu_stats.as_ref().and_then(|stats| stats.cpu_usage.as_ref()?.total_usage);
    Usage {
        read_at: answer.read.as_deref().and_then(instant),
        memory: memory.filter(|bytes| *bytes > 0),
        cpu_total: cpu_total.map(Duration::from_nanos),
        cpu: cpu(answer),
    }
}

/// Two readings of a container's CPU counters; `None` if the Engine returned only one, as for a container that is not
/// running.
fn cpu(answer: Sampled) -> Option<CpuSample> {
    let (now, before) = (answer.cpu_stats?, answer.precpu_stats?);
    let used = |stats: &CpuStats| stats.cpu_usage.as_ref()?.total_usage;
    // Older Engines report no core count, only one counter per core.
    let one_by_one = now.cpu_usage.as_ref().and_then(|usage| usage.percpu_usage.as_ref()).map(Vec::len);
    let cores = now.online_cpus.filter(|cores| *cores > 0);
    Some(CpuSample {
        used: (used(&before)?, used(&now)?),
        machine: (before.system_cpu_usage?, now.system_cpu_usage?),
        cores: cores.or_else(|| u64::try_from(one_by_one?).ok()).unwrap_or(1),
    })
}

/// The state for Docker's name of it. For an unknown name it depends on whether the process runs.
fn state_of_name(word: Option<&str>, runs: bool) -> ContainerState {
    match word {
        Some("created") => ContainerState::Created,
        // podman's state during the grace period: the process still runs.
        Some("running" | "stopping") => ContainerState::Running,
        Some("paused") => ContainerState::Paused,
        Some("restarting") => ContainerState::Restarting,
        Some("removing") => ContainerState::Removing,
        Some("dead") => ContainerState::Dead,
        _ if runs => ContainerState::Running,
        _ => ContainerState::Exited,
    }
}

/// The health for Docker's name of it; `None` for a container without health checks.
fn health_of_name(word: Option<&str>) -> Health {
    match word {
        Some("healthy") => Health::Healthy,
        Some("unhealthy") => Health::Unhealthy,
        Some("starting") => Health::Starting,
        _ => Health::None,
    }
}

/// The container's name without its leading slash. Legacy links add names that contain a second slash; a container
/// that is being removed may have no name, and then the short id is used.
fn plain_name(names: Vec<String>, id: &str) -> String {
    names
        .into_iter()
        .map(|name| name.strip_prefix('/').map(ToOwned::to_owned).unwrap_or(name))
        .find(|name| !name.is_empty() && !name.contains('/'))
        .unwrap_or_else(|| id.chars().take(12).collect())
}

/// Names and addresses by which other containers on a network reach this one.
fn names_on(name: &str, settings: Endpoint) -> Vec<String> {
    let mut names = BTreeSet::from_iter([name.to_owned()]);
    names.extend(settings.aliases.unwrap_or_default());
    names.extend(settings.dns_names.unwrap_or_default());
    names.extend(settings.ip_address);
    names.extend(settings.global_ipv6_address);
    names.remove("");
    names.into_iter().collect()
}

/// Parses a timestamp; `None` for Docker's "never", which is the year 1.
fn instant(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().filter(|at| *at > Timestamp::UNIX_EPOCH)
}

/// The exit code in a status text such as `Exited (137) 2 hours ago`.
fn exit_code_in(status: &str) -> Option<i64> {
    let rest = status.strip_prefix("Exited (").or_else(|| status.strip_prefix("Restarting ("))?;
    rest.split_once(')')?.0.parse().ok()
}

/// The shortest and longest duration that a status text such as `Up 3 hours` can mean; `None` if it contains none.
fn age_in(status: &str) -> Option<(Duration, Duration)> {
    let words = match status.strip_prefix("Up ") {
        Some(rest) => rest.split(" (").next().unwrap_or(rest),
        None => status.strip_prefix("Exited (")?.split_once(") ")?.1.strip_suffix(" ago")?,
    };
    let (number, unit) = match words {
        "Less than a second" => (0, "second"),
        "About a minute" => (1, "minute"),
        "About an hour" => (1, "hour"),
        other => {
            let (number, unit) = other.split_once(' ')?;
            (number.parse::<u64>().ok()?, unit.strip_suffix('s').unwrap_or(unit))
        }
    };
    let unit: u64 = match unit {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        "week" => 7 * 86_400,
        "month" => 30 * 86_400,
        "year" => 365 * 86_400,
        _ => return None,
    };
    // Docker truncates or rounds, depending on its version; one unit to either side covers both.
    let low = number.saturating_sub(1).saturating_mul(unit);
    let high = number.saturating_add(2).saturating_mul(unit);
    Some((Duration::from_secs(low), Duration::from_secs(high)))
}

/// Whether a duration since `since` lies in the range. Allows three seconds of error, because the offset of the
/// Engine's clock is only known to a second or two.
fn plausible((low, high): (Duration, Duration), since: Timestamp, now: Timestamp) -> bool {
    let slack = 3;
    let age = now.duration_since(since).as_secs();
    let (low, high) = (low.as_secs().cast_signed(), high.as_secs().cast_signed());
    age >= low.saturating_sub(slack) && age <= high.saturating_add(slack)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::docker::answers;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a small number")
    }

    fn listed(name: &str, state: &str, status: &str) -> Row {
        let names = ["/other/alias", name];
        let row = json!({ "Id": "a".repeat(64), "Names": names, "State": state, "Status": status });
        Row::read(answers::read(row.to_string().as_bytes()).expect("a row")).expect("it has an id")
    }

    fn row(state: &str, status: &str) -> Row {
        listed("/web", state, status)
    }

    fn inspected(status: &str, started_at: i64, finished_at: i64, exit_code: i64) -> Container {
        let state = json!({
            "Status": status,
            "ExitCode": exit_code,
            "StartedAt": at(started_at).to_string(),
            "FinishedAt": at(finished_at).to_string(),
            "Health": { "Status": "healthy" },
        });
        let answer = json!({ "Id": "a".repeat(64), "Name": "/web", "State": state, "Config": {} });
        let answer = answers::read(answer.to_string().as_bytes()).expect("an answer");
        container(&HostId::local(), answer).expect("it has an id")
    }

    #[test]
    fn an_exited_container_has_no_health_whatever_its_last_check_said() {
        let exited = inspected("exited", 10, 20, 137);
        assert_eq!((exited.health, exited.has_healthcheck), (Health::None, true));
        assert_eq!((exited.exit_code, exited.status.as_str()), (Some(137), "Exited (137)"));
        let running = inspected("running", 10, 5, 0);
        assert_eq!((running.health, running.exit_code), (Health::Healthy, None));
        let paused = inspected("paused", 10, 5, 0);
        assert_eq!(paused.health, Health::None);
    }

    #[test]
    fn a_failed_start_leaves_its_code_on_a_created_container() {
        assert_eq!(inspected("created", 0, 0, 127).exit_code, Some(127));
        assert_eq!(inspected("created", 0, 0, 0).exit_code, None);
        assert_eq!(inspected("created", 0, 0, 0).started_at, None);
    }

    #[test]
    fn a_row_that_matches_needs_no_inspect() {
        let known = inspected("running", 1_000, 5, 0);
        let same = row("running", "Up 3 hours (healthy)");
        assert!(same.agrees(&known, at(1_000 + 3 * 3_600 + 60)));
        let exited = inspected("exited", 10, 1_000, 137);
        assert!(row("exited", "Exited (137) 2 weeks ago").agrees(&exited, at(16 * 86_400)));
    }

    #[test]
    fn a_row_that_differs_needs_an_inspect() {
        let known = inspected("running", 1_000, 5, 0);
        let now = at(1_000 + 3 * 3_600 + 60);
        for (state, status) in [
            ("running", "Up 3 hours (unhealthy)"),
            ("paused", "Up 3 hours (Paused)"),
            ("exited", "Exited (0) 3 hours ago"),
            // The container ended and started again while DockNap was not connected.
            ("running", "Up 5 minutes (healthy)"),
        ] {
            assert!(!row(state, status).agrees(&known, now), "{status}");
        }
        assert!(!listed("/web2", "running", "Up 3 hours (healthy)").agrees(&known, now));
        let exited = inspected("exited", 10, 1_000, 0);
        assert!(!row("exited", "Exited (1) 2 hours ago").agrees(&exited, at(1_000 + 7_300)));
    }

    #[test]
    fn age_ranges_cover_both_ways_of_rounding() {
        let seconds = |status: &str| age_in(status).map(|(low, high)| (low.as_secs(), high.as_secs()));
        assert_eq!(seconds("Up Less than a second"), Some((0, 2)));
        assert_eq!(seconds("Up About a minute (healthy)"), Some((0, 180)));
        assert_eq!(seconds("Up 47 hours"), Some((46 * 3_600, 49 * 3_600)));
        assert_eq!(seconds("Exited (0) 2 days ago"), Some((86_400, 4 * 86_400)));
        for odd in
            ["", "Created", "Up", "Up ages", "Up -1 seconds", "Exited (x", "Up 99999999999999999999 years"]
        {
            assert_eq!(seconds(odd), None, "{odd}");
        }
        assert!(seconds(&format!("Up {} years", u64::MAX)).is_some());
    }

    #[test]
    fn the_name_is_never_a_link_and_falls_back_to_the_short_id() {
        assert_eq!(row("running", "").name, "web");
        assert_eq!(plain_name(Vec::new(), &"b".repeat(64)), "bbbbbbbbbbbb");
    }
}
