//! Whether DockNap may make each call it makes of an Engine, and what to do where it may not.

use std::time::Duration;

use super::{Actor, App, Result};
use crate::docker::DockerError;
use crate::docker::client::CALLS;
use crate::domain::inventory::Link;
use crate::domain::permission::Permission;

/// All calls together; one that hangs must not hold up the page for its own limit.
const LIMIT: Duration = Duration::from_secs(15);

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Nothing works without it.
    Look,
    /// Naps need it.
    Act,
    /// Without it DockNap shows less.
    Extra,
}

/// How a call went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It got through.
    Through,
    /// It did not; why, in words.
    Refused(String),
    /// There was no use in trying.
    NotTried,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Method and path.
    pub call: &'static str,
    /// In words: `List containers`.
    pub words: &'static str,
    /// What it is for.
    pub purpose: Purpose,
    /// How it went.
    pub outcome: Outcome,
    /// A proxy keeps it back.
    pub by_proxy: bool,
}

/// All calls of one Engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Where the Engine is, as `DOCKER_HOST` would name it.
    pub address: String,
    /// Why nothing could be tried, with what to do.
    pub away: Option<String>,
    /// `Docker 27.1.1, API 1.46`; empty while not connected.
    pub engine: String,
    /// The calls, in the order in which people think of them.
    pub calls: Vec<Call>,
}

impl Checked {
    /// Whether everything works that naps need.
    pub fn is_ready(&self) -> bool {
        self.away.is_none()
            && self
                .calls
                .iter()
                .all(|call| call.purpose == Purpose::Extra || call.outcome == Outcome::Through)
    }

    /// What to set on `docker-socket-proxy` for the calls that a proxy keeps back: `CONTAINERS=1`, `POST=1`. Empty
    /// where none is.
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

/// A call in words, and what it is for. All of [`CALLS`].
fn told(call: &'static str) -> (&'static str, Purpose) {
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

/// The environment of `docker-socket-proxy` that lets a call through.
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

/// Tries every call. Changes nothing: those that would are made for a container that does not exist.
pub async fn check(app: &App, actor: &Actor) -> Result<Checked> {
    actor.require(Permission::Administer)?;
    let host = app.hosts.local();
    let tried = app.clock.timeout(LIMIT, async {
        match host.ping().await {
            Err(error @ (DockerError::Unreachable { .. } | DockerError::TimedOut)) => Err(error.to_string()),
            _ => Ok(host.check().await),
        }
    });
    let tried = Box::pin(tried).await.unwrap_or_else(|_| Err(DockerError::TimedOut.to_string()));
    let engine = match &host.inventory().link {
        Link::Connected { api_version, engine_version } => {
            format!("Docker {engine_version}, API {api_version}")
        }
        _ => String::new(),
    };
    let (away, outcomes) = match tried {
        Ok(outcomes) => (None, outcomes),
        Err(reason) => (Some(reason), Vec::new()),
    };
    let call = |call: &'static str| {
        let (words, purpose) = told(call);
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
    Ok(Checked { address: host.address(), away, engine, calls })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_words_and_a_purpose() {
        for call in CALLS {
            assert_ne!(told(call).0, call, "{call}");
            assert!(!proxy_settings(call).is_empty());
        }
        let of = |purpose| CALLS.into_iter().filter(|call| told(call).1 == purpose).count();
        assert_eq!([of(Purpose::Look), of(Purpose::Act), of(Purpose::Extra)], [5, 5, 3]);
    }
}
