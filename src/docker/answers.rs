//! The parts of the Engine API's responses that DockNap reads.
//!
//! Each type holds the fields of one response that DockNap uses, under the API's own names. All other fields are
//! ignored, whatever their type: full responses are long, grow with each API version, and reading them takes several
//! times as much code as all calls together. Any field may be missing or null. Values from a fixed list of the API
//! (such as a state) are read as text, because new Docker versions add values and podman has its own.

use std::collections::BTreeMap;

use bollard::errors::Error;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Parses the body of a response.
///
/// # Errors
/// `JsonDataError` for text that is not JSON of this shape; `JsonSerdeError` for JSON that ends too early.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Error {
    if error.is_data() || error.is_syntax() {
        Error::JsonDataError { message: error.to_string(), column: error.column() }
    } else {
        error.into()
    }
}

/// The message of an error response: Docker's `message` field, or else the whole body, which may come from a proxy.
pub(super) fn refusal(body: &[u8]) -> String {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refusal.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// Response of `GET /version`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Engine {
    pub(super) version: Option<String>,
    pub(super) api_version: Option<String>,
    #[serde(rename = "MinAPIVersion")]
    pub(super) min_api_version: Option<String>,
    /// The parts, of which only the name of the first matters.
    #[serde(default)]
    pub(super) components: serde_json::Value,
}

impl Engine {
    /// The version, such as `27.1.1`; with the name in front of it where the product is not Docker: `Podman 4.3.1`.
    pub(super) fn version(&self) -> String {
        let version = self.version.as_deref().unwrap_or_default();
        let is_podman = self.components[0]["Name"].as_str().is_some_and(|name| name.starts_with("Podman"));
        if is_podman { format!("Podman {version}") } else { version.to_owned() }
    }
}

/// Response of `GET /info`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Info {
    /// Of the Engine.
    #[serde(rename = "ID")]
    pub(super) id: Option<String>,
    /// RFC 3339.
    pub(super) system_time: Option<String>,
}

/// One entry of the response of `GET /containers/json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    pub(super) id: Option<String>,
    /// Each begins with a slash.
    pub(super) names: Option<Vec<String>>,
    pub(super) image: Option<String>,
    /// Unix seconds.
    pub(super) created: Option<i64>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) state: Option<String>,
    /// Text for people, such as `Up 3 hours (healthy)`.
    pub(super) status: Option<String>,
    pub(super) host_config: Option<HostConfig>,
    pub(super) network_settings: Option<NetworkSettings>,
}

/// Response of `GET /containers/ID/json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    pub(super) id: Option<String>,
    /// Begins with a slash.
    pub(super) name: Option<String>,
    /// RFC 3339.
    pub(super) created: Option<String>,
    /// Digest of the image.
    pub(super) image: Option<String>,
    pub(super) state: Option<State>,
    pub(super) config: Option<Config>,
    pub(super) host_config: Option<HostConfig>,
    pub(super) network_settings: Option<NetworkSettings>,
    /// A [`GraphDriver`] on Engines that report one; missing where containerd stores the images. Kept as plain JSON,
    /// so that a different shape does not fail the whole response.
    pub(super) graph_driver: Option<serde_json::Value>,
}

/// `GraphDriver` of [`Inspected`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GraphDriver {
    pub(super) data: Option<GraphData>,
}

/// `GraphDriver.Data` of [`Inspected`]: where the container's writable layer is stored. Each storage driver fills in
/// its own field: overlay, ZFS, device mapper.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GraphData {
    pub(super) upper_dir: Option<String>,
    pub(super) dataset: Option<String>,
    pub(super) device_name: Option<String>,
}

/// `State` of [`Inspected`]; timestamps in RFC 3339.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct State {
    pub(super) status: Option<String>,
    /// The container's process exists; also true while it is paused.
    pub(super) running: Option<bool>,
    pub(super) exit_code: Option<i64>,
    pub(super) started_at: Option<String>,
    pub(super) finished_at: Option<String>,
    pub(super) health: Option<Health>,
}

/// `State.Health` of [`Inspected`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Health {
    pub(super) status: Option<String>,
    /// Oldest first.
    pub(super) log: Option<Vec<Checked>>,
}

/// One entry of `State.Health.Log` of [`Inspected`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Checked {
    /// RFC 3339.
    pub(super) end: Option<String>,
    pub(super) exit_code: Option<i64>,
    pub(super) output: Option<String>,
}

/// `Config` of [`Inspected`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Config {
    /// The image reference the container was created with.
    pub(super) image: Option<String>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) healthcheck: Option<Healthcheck>,
    /// Seconds.
    pub(super) stop_timeout: Option<i64>,
}

/// `Config.Healthcheck` of [`Inspected`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Healthcheck {
    /// `["NONE"]` where the image's own health check is disabled.
    pub(super) test: Option<Vec<String>>,
    /// Nanoseconds, as all durations in this struct; 0 means Docker's default.
    pub(super) interval: Option<i64>,
    pub(super) timeout: Option<i64>,
    pub(super) start_period: Option<i64>,
    pub(super) retries: Option<i64>,
}

/// `HostConfig` of [`Inspected`] and [`Listed`]; the latter has only `network_mode`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HostConfig {
    pub(super) network_mode: Option<String>,
    pub(super) pid_mode: Option<String>,
    pub(super) ipc_mode: Option<String>,
    /// Id or name with an optional access mode: `X:ro`.
    pub(super) volumes_from: Option<Vec<String>>,
    /// `/X:/self/alias`; legacy links on the default network.
    pub(super) links: Option<Vec<String>>,
    pub(super) restart_policy: Option<RestartPolicy>,
    pub(super) auto_remove: Option<bool>,
}

/// `HostConfig.RestartPolicy` of [`Inspected`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RestartPolicy {
    pub(super) name: Option<String>,
}

/// `NetworkSettings` of [`Inspected`] and [`Listed`].
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NetworkSettings {
    /// Keyed by the network's name.
    pub(super) networks: Option<BTreeMap<String, Option<Endpoint>>>,
}

/// One entry of `NetworkSettings.Networks`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Endpoint {
    pub(super) aliases: Option<Vec<String>>,
    /// `X:alias`.
    pub(super) links: Option<Vec<String>>,
    #[serde(rename = "DNSNames")]
    pub(super) dns_names: Option<Vec<String>>,
    #[serde(rename = "IPAddress")]
    pub(super) ip_address: Option<String>,
    #[serde(rename = "GlobalIPv6Address")]
    pub(super) global_ipv6_address: Option<String>,
}

/// Response of `GET /containers/ID/stats`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Sampled {
    /// RFC 3339.
    pub(super) read: Option<String>,
    pub(super) cpu_stats: Option<CpuStats>,
    /// The sample taken a second earlier.
    pub(super) precpu_stats: Option<CpuStats>,
    pub(super) memory_stats: Option<MemoryStats>,
}

/// `cpu_stats` and `precpu_stats` of [`Sampled`]; CPU times in nanoseconds.
#[derive(Debug, Default, Deserialize)]
pub(super) struct CpuStats {
    pub(super) cpu_usage: Option<CpuUsage>,
    pub(super) system_cpu_usage: Option<u64>,
    pub(super) online_cpus: Option<u64>,
}

/// `cpu_usage` of [`CpuStats`], in nanoseconds.
#[derive(Debug, Default, Deserialize)]
pub(super) struct CpuUsage {
    pub(super) total_usage: Option<u64>,
    pub(super) percpu_usage: Option<Vec<u64>>,
}

/// `memory_stats` of [`Sampled`], in bytes.
#[derive(Debug, Default, Deserialize)]
pub(super) struct MemoryStats {
    pub(super) usage: Option<u64>,
    pub(super) stats: Option<MemoryDetails>,
}

/// `memory_stats.stats` of [`Sampled`], in bytes.
#[derive(Debug, Default, Deserialize)]
pub(super) struct MemoryDetails {
    pub(super) inactive_file: Option<u64>,
    pub(super) total_inactive_file: Option<u64>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::docker::reading::{self, Row};
    use crate::domain::ids::HostId;
    use crate::domain::inventory::{ContainerState, Health as Shown, RestartPolicy as Policy};

    const ID: &str = "db584be2caad09011163081c3c5a03584154f648c3f2f2d828c1c90d195c4148";

    fn row(text: &str) -> Row {
        Row::read(read(text.as_bytes()).expect("a row")).expect("it has an id")
    }

    /// A response of Docker 20.10, shortened to some fields that are read and some that are not.
    const INSPECTED: &str = r#"{
        "Id": "db584be2caad09011163081c3c5a03584154f648c3f2f2d828c1c90d195c4148",
        "Created": "2026-11-26T09:06:19.941510297Z", "Path": "/bin/busybox", "Args": ["sleep", "100"],
        "State": {
            "Status": "running", "Running": true, "Pid": 17030, "ExitCode": 0, "Error": "",
            "StartedAt": "2026-11-26T09:06:21.173500698Z", "FinishedAt": "0001-01-01T00:00:00Z",
            "Health": { "Status": "unhealthy", "FailingStreak": 1, "Log": [{
                "Start": "2026-11-26T09:06:22.180496218Z", "End": "2026-11-26T09:06:22.237089278Z",
                "ExitCode": -1, "Output": "exec: \"/bin/sh\": no such file or directory"
            }] }
        },
        "Image": "sha256:c8fbbfc1ac17", "Name": "/films", "ExecIDs": null, "Mounts": [],
        "HostConfig": {
            "Binds": null, "LogConfig": { "Type": "json-file", "Config": {} }, "NetworkMode": "default",
            "RestartPolicy": { "Name": "unless-stopped", "MaximumRetryCount": 0 }, "AutoRemove": false,
            "CapAdd": null, "ConsoleSize": [0, 0], "ShmSize": 67108864, "PidsLimit": null
        },
        "Config": {
            "Hostname": "db584be2caad", "Env": ["PATH=/bin"], "Volumes": null,
            "Healthcheck": { "Test": ["CMD-SHELL", "true"], "Interval": 1000000000 },
            "Image": "films:latest", "Labels": { "com.docker.compose.project": "media" }, "StopTimeout": 3
        },
        "NetworkSettings": {
            "Ports": {}, "SecondaryIPAddresses": null,
            "Networks": { "bridge": {
                "IPAMConfig": null, "Aliases": ["films"], "DNSNames": ["db584be2caad"], "IPPrefixLen": 24,
                "IPAddress": "172.31.17.2", "GlobalIPv6Address": "", "DriverOpts": null
            } }
        }
    }"#;

    #[test]
    fn a_container_is_read_from_the_response_of_inspect() {
        let answer = read(INSPECTED.as_bytes()).expect("an answer");
        let films = reading::container(&HostId::local(), answer).expect("it has an id");
        assert_eq!(
            (films.id.as_str(), films.name.as_str(), films.image.as_str()),
            (ID, "films", "films:latest")
        );
        assert_eq!((films.state, films.health), (ContainerState::Running, Shown::Unhealthy));
        assert_eq!(films.labels["com.docker.compose.project"], "media");
        assert_eq!(films.created_at.map(Timestamp::as_second), Some(1_795_683_979));
        assert!(films.started_at > films.created_at && films.finished_at.is_none(), "{films:?}");
        assert_eq!((films.restart_policy, films.auto_remove), (Policy::UnlessStopped, false));
        assert_eq!((films.stop_timeout, films.has_healthcheck, films.exit_code), (Some(3), true, None));
        assert_eq!(films.network_mode, "default");
        assert_eq!(films.networks["bridge"], ["172.31.17.2", "db584be2caad", "films"]);
        let checks = reading::checks(read(INSPECTED.as_bytes()).expect("an answer"));
        assert_eq!((checks.len(), checks[0].exit_code), (1, -1));
        assert!(checks[0].at.is_some() && checks[0].output.contains("\"/bin/sh\""), "{checks:?}");
    }

    #[test]
    fn a_row_is_read_from_the_response_of_the_list() {
        let text = format!(
            r#"[{{
                "Id": "{ID}", "Names": ["/films"], "Image": "films:latest", "ImageID": "sha256:c8fbbfc1ac17",
                "Command": "/bin/busybox sleep 100", "Created": 1795683979,
                "Ports": [{{ "PrivatePort": 80, "Type": "tcp" }}],
                "Labels": {{ "com.docker.compose.project": "media" }}, "State": "exited",
                "Status": "Exited (137) 2 hours ago", "HostConfig": {{ "NetworkMode": "default" }},
                "NetworkSettings": {{ "Networks": {{ "bridge": {{ "Links": null, "IPAddress": "" }} }} }},
                "Mounts": [], "Health": {{ "Status": "none", "FailingStreak": 0 }}
            }}]"#
        );
        let [films]: [Listed; 1] = read(text.as_bytes()).expect("a list");
        let films = Row::read(films).expect("it has an id").to_container(&HostId::local());
        assert_eq!(
            (films.id.as_str(), films.name.as_str(), films.image.as_str()),
            (ID, "films", "films:latest")
        );
        assert_eq!((films.state, films.exit_code), (ContainerState::Exited, Some(137)));
        assert_eq!(films.created_at.map(Timestamp::as_second), Some(1_795_683_979));
        assert_eq!(films.labels["com.docker.compose.project"], "media");
        assert_eq!((films.network_mode.as_str(), films.networks.len()), ("default", 1));
    }

    #[test]
    fn a_sample_is_read_from_the_response_of_stats() {
        let text = r#"{
            "read": "2026-11-26T09:06:24.257874435Z", "preread": "0001-01-01T00:00:00Z", "num_procs": 0,
            "pids_stats": { "current": 1 }, "blkio_stats": { "io_time_recursive": null }, "storage_stats": {},
            "cpu_stats": {
                "cpu_usage": { "total_usage": 49761483, "percpu_usage": [22090333, 27671150] },
                "system_cpu_usage": 101961340000000, "throttling_data": { "periods": 0 }
            },
            "precpu_stats": { "cpu_usage": { "total_usage": 9 }, "system_cpu_usage": 101961330000000 },
            "memory_stats": {
                "usage": 2215936, "limit": 25276502016,
                "stats": { "active_anon": 4096, "total_inactive_file": 1454080 }
            },
            "networks": { "eth0": { "rx_bytes": 736 } }
        }"#;
        let usage = reading::usage(read(text.as_bytes()).expect("an answer"));
        assert_eq!(usage.read_at.map(Timestamp::as_second), Some(1_795_683_984));
        assert_eq!(usage.memory, Some(2_215_936 - 1_454_080));
        assert_eq!(usage.cpu_total, Some(Duration::from_nanos(49_761_483)));
        let cpu = usage.cpu.expect("two readings");
        assert_eq!((cpu.used, cpu.cores), ((9, 49_761_483), 2));
        assert_eq!(cpu.machine, (101_961_330_000_000, 101_961_340_000_000));
        assert_eq!(reading::usage(read(b"{}").expect("an answer")), crate::docker::Usage::default());
    }

    #[test]
    fn unknown_values_nulls_and_new_fields_are_accepted() {
        let odd = row(r#"{
            "Id": "a", "Names": null, "Image": null, "Created": null, "Labels": null, "State": "hibernating",
            "Status": null, "HostConfig": null, "NetworkSettings": { "Networks": null }, "Phase": { "a": [1] }
        }"#);
        assert_eq!((odd.id.as_str(), odd.name()), ("a", "a"));
        assert_eq!(odd.to_container(&HostId::local()).state, ContainerState::Exited);
        let up = row(r#"{ "Id": "a", "State": "hibernating", "Status": "Up 3 hours" }"#);
        assert_eq!(up.to_container(&HostId::local()).state, ContainerState::Running);
        for (runs, state) in [(true, ContainerState::Running), (false, ContainerState::Exited)] {
            let text = format!(
                r#"{{ "Id": "a", "State": {{ "Status": "hibernating", "Running": {runs}, "ExitCode": 0 }} }}"#
            );
            let odd = reading::container(&HostId::local(), read(text.as_bytes()).expect("an answer"));
            let odd = odd.expect("a container");
            assert_eq!((odd.state, odd.exit_code), (state, None), "nothing says that it completed");
        }
        let stopping = row(r#"{ "Id": "a", "State": "stopping" }"#).to_container(&HostId::local());
        assert_eq!(stopping.state, ContainerState::Running);
        assert!(Row::read(read(b"{}").expect("a row")).is_none());

        let text = r#"{
            "Id": "a", "Name": null, "Created": null, "Image": null, "GraphDriver": 7, "Phase": null,
            "State": {
                "Status": "running", "ExitCode": null, "StartedAt": "soon", "FinishedAt": "",
                "Health": { "Status": "worried", "Log": null }
            },
            "Config": { "Labels": null, "Healthcheck": { "Test": null }, "StopTimeout": null },
            "HostConfig": {
                "NetworkMode": null, "RestartPolicy": { "Name": "on-sundays" }, "AutoRemove": null,
                "CgroupnsMode": "borrowed", "Isolation": 1
            },
            "NetworkSettings": { "Networks": { "a": null, "b": { "Aliases": null, "DNSNames": null } } }
        }"#;
        let odd = reading::container(&HostId::local(), read(text.as_bytes()).expect("an answer"));
        let odd = odd.expect("it has an id");
        assert_eq!((odd.name.as_str(), odd.state, odd.health), ("a", ContainerState::Running, Shown::None));
        assert_eq!((odd.restart_policy, odd.has_healthcheck), (Policy::No, false));
        assert_eq!((odd.started_at, odd.stop_timeout, odd.exit_code), (None, None, None));
        assert_eq!(
            (odd.networks["a"].join(" "), odd.networks["b"].join(" ")),
            ("a".to_owned(), "a".to_owned())
        );
        for nothing in [r#"{"Id":"a"}"#, r#"{"Id":"a","State":null,"Config":null,"HostConfig":null}"#] {
            let answer = read(nothing.as_bytes()).expect("an answer");
            let bare = reading::container(&HostId::local(), answer).expect("it has an id");
            assert_eq!((bare.state, bare.restart_policy), (ContainerState::Exited, Policy::No));
        }

        let info: Info =
            read(br#"{ "SystemTime": null, "Swarm": { "LocalNodeState": "dozing" } }"#).expect("it");
        assert_eq!(info.system_time, None);
        let version: Engine = read(br#"{ "ApiVersion": "1.41", "MinAPIVersion": null }"#).expect("an answer");
        assert_eq!((version.api_version.as_deref(), version.min_api_version), (Some("1.41"), None));
        for (version, shown) in [
            (
                r#"{ "Components": [{ "Name": "Engine", "Version": "27.1.1" }], "Version": "27.1.1" }"#,
                "27.1.1",
            ),
            (r#"{ "Components": [{ "Name": "Podman Engine" }], "Version": "4.3.1" }"#, "Podman 4.3.1"),
            (r#"{ "Components": "none", "Version": "1" }"#, "1"),
            (r#"{ "Components": [], "Version": null }"#, ""),
        ] {
            assert_eq!(read::<Engine>(version.as_bytes()).expect("an answer").version(), shown);
        }
    }

    #[test]
    fn a_response_that_is_not_dockers_is_distinguished_from_one_cut_short() {
        let failure = |text: &str| read::<Inspected>(text.as_bytes()).expect_err(text);
        for other in ["<html>", "7", r#"{"Id":7}"#, "[{}]", "{} {}"] {
            assert!(matches!(failure(other), Error::JsonDataError { .. }), "{other}");
        }
        for early in ["", r#"{"Id":"a"#] {
            assert!(matches!(failure(early), Error::JsonSerdeError { .. }), "{early}");
        }
    }

    #[test]
    fn a_refusal_is_dockers_message_or_the_raw_body() {
        assert_eq!(refusal(br#"{"message":"No such container: x","cause":"none"}"#), "No such container: x");
        for text in
            ["", "Forbidden\n", "<html>no</html>", r#"{"error":"x"}"#, r#"{"message":null}"#, "404", "{"]
        {
            assert_eq!(refusal(text.as_bytes()), text);
        }
        assert_eq!(refusal(b"a\xffb"), "a\u{fffd}b");
    }
}
