//! A check of DockNap's rights: every Docker API call that DockNap uses is tried once, and the result says which calls
//! are refused and what to do. The settings and setup pages show it.

use std::time::Duration;

use super::{Actor, App, Result};
use crate::docker::client::CALLS;
use crate::docker::{DockerError, Host};
use crate::domain::permission::Permission;

/// Time limit for all calls together, so that one call that hangs does not block the page.
const LIMIT: Duration = Duration::from_secs(15);

/// The purpose of a Docker API call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Required for everything.
    Look,
    /// Required for naps.
    Act,
    /// Optional: DockNap shows less without the call.
    Extra,
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The call succeeded.
    Through,
    /// The call failed; with the reason as a sentence.
    Refused(String),
    /// The call was not made.
    NotTried,
}

/// One Docker API call and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Method and path.
    pub call: &'static str,
    /// Description, such as `List containers`.
    pub words: &'static str,
    pub purpose: Purpose,
    pub outcome: Outcome,
    /// Whether a socket proxy refused the call.
    pub by_proxy: bool,
}

/// The results of all calls to one Engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Address of the Engine in the form of `DOCKER_HOST`.
    pub address: String,
    /// Why no call could be made, with what to do; `None` where calls were made.
    pub away: Option<String>,
    /// Such as `Docker 27.1.1, API 1.46`; empty while not connected.
    pub engine: String,
    /// The calls: required ones first, then those for naps, then optional ones.
    pub calls: Vec<Call>,
}

impl Checked {
    /// Whether every call that naps need succeeded.
    pub fn is_ready(&self) -> bool {
        self.away.is_none()
            && self
                .calls
                .iter()
                .all(|call| call.purpose == Purpose::Extra || call.outcome == Outcome::Through)
    }

    /// The settings of `docker-socket-proxy` that allow the refused calls, such as `CONTAINERS=1` and `POST=1`. Empty
    /// where no proxy refused a call.
    pub fn proxy_settings(&self) -> Vec<&'static str> {
        let mut settings = Vec::new();
        for call in self.calls.iter().filter(|call| call.by_proxy) {
            for setting in proxy_settings(call.call) {
                if !settings.contains(setting) {
                    settings.push(*setting);
                }
            }
        }
        settings
    }
}

/// Description and purpose of each call in [`CALLS`].
fn description_and_purpose(call: &'static str) -> (&'static str, Purpose) {
    match call {
        "GET /_ping" => ("Say hello", Purpose::Look),
        "GET /version" => ("Ask for its version", Purpose::Look),
        "GET /events" => ("Hear what changes", Purpose::Look),
        "GET /containers/json" => ("List containers", Purpose::Look),
        "GET /containers/ID/json" => ("Look at one container", Purpose::Look),
        "POST /containers/ID/start" => ("Start", Purpose::Act),
        "POST /containers/ID/stop" => ("Stop", Purpose::Act),
        "POST /containers/ID/restart" => ("Restart", Purpose::Act),
        "POST /containers/ID/pause" => ("Pause", Purpose::Act),
        "POST /containers/ID/unpause" => ("Unpause", Purpose::Act),
        "GET /info" => ("Compare the clocks", Purpose::Extra),
        "GET /containers/ID/logs" => ("Show why a start failed", Purpose::Extra),
        "GET /containers/ID/stats" => ("See whether it is busy", Purpose::Extra),
        other => (other, Purpose::Extra),
    }
}

/// The environment variables of `docker-socket-proxy` that allow a call.
fn proxy_settings(call: &str) -> &'static [&'static str] {
    match call {
        "GET /_ping" => &["PING=1"],
        "GET /version" => &["VERSION=1"],
        "GET /events" => &["EVENTS=1"],
        "GET /info" => &["INFO=1"],
        _ if call.starts_with("POST") => &["CONTAINERS=1", "POST=1"],
        _ => &["CONTAINERS=1"],
    }
}

/// Checks the first host; `None` if there is none.
pub async fn check(app: &App, actor: &Actor) -> Result<Option<Checked>> {
    actor.require(Permission::Administer)?;
    match app.hosts.first() {
        Some(host) => Ok(Some(check_host(app, &host).await)),
        None => Ok(None),
    }
}

/// Tries every call on a host, which need not be watched. Nothing changes: calls that change a container use the id of a
/// container that does not exist.
pub(super) async fn check_host(app: &App, host: &Host) -> Checked {
    let tried = app.clock.timeout(LIMIT, async {
        match host.engine().await {
            Err(error @ (DockerError::Unreachable { .. } | DockerError::TimedOut)) => Err(error.to_string()),
            engine => Ok((engine.unwrap_or_default(), host.check().await)),
        }
    });
    let tried = Box::pin(tried).await.unwrap_or_else(|_| Err(DockerError::TimedOut.to_string()));
    let (away, engine, outcomes) = match tried {
        Ok((engine, outcomes)) => (None, engine, outcomes),
        Err(reason) => (Some(reason), String::new(), Vec::new()),
    };
    let call = |call: &'static str| {
        let (words, purpose) = description_and_purpose(call);
        let found = outcomes.iter().find(|(tried, _)| *tried == call).map(|(_, outcome)| outcome);
        let outcome = match found {
            None => Outcome::NotTried,
            Some(Ok(())) => Outcome::Through,
            Some(Err(error)) => Outcome::Refused(error.to_string()),
        };
        let by_proxy = matches!(found, Some(Err(DockerError::ProxyRefused { .. })));
        Call { call, words, purpose, outcome, by_proxy }
    };
    let mut calls: Vec<Call> = CALLS.into_iter().map(call).collect();
    calls.sort_by_key(|call| match call.purpose {
        Purpose::Look => 0,
        Purpose::Act => 1,
        Purpose::Extra => 2,
    });
    Checked { address: host.address(), away, engine, calls }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_words_and_a_purpose() {
        for call in CALLS {
            assert_ne!(description_and_purpose(call).0, call, "{call}");
            assert!(!proxy_settings(call).is_empty());
        }
        let of =
            |purpose| CALLS.into_iter().filter(|call| description_and_purpose(call).1 == purpose).count();
        assert_eq!([of(Purpose::Look), of(Purpose::Act), of(Purpose::Extra)], [5, 5, 3]);
    }
}
