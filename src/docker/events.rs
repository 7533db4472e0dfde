//! Container events: the query for the Engine's event stream, and reading one message of it.

use std::collections::BTreeMap;

use bollard::models::EventMessage;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::domain::inventory;
use crate::domain::target::ContainerIdentity;

/// Container events that change the inventory. Health checks, which run as `exec_…` events every few seconds, are
/// filtered out by the Engine. `died` and `remove` are podman's names.
const CONTAINER_EVENTS: [&str; 14] = [
    "create",
    "start",
    "restart",
    "kill",
    "die",
    "died",
    "stop",
    "pause",
    "unpause",
    "rename",
    "update",
    "destroy",
    "remove",
    "health_status",
];

/// Signals that end a process: INT, QUIT, ABRT, KILL, TERM.
const ENDING_SIGNALS: [&str; 5] = ["2", "3", "6", "9", "15"];

/// An event of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: String,
    /// Built from the name and labels that the event carries.
    pub(super) identity: Option<ContainerIdentity>,
    pub(super) action: String,
    pub(super) at: Option<Timestamp>,
    pub(super) exit_code: Option<i64>,
}

/// Path and query for container events from `since` up to `until`; without `until` the stream does not end.
pub(super) fn events_target(since: &str, until: Option<&str>) -> String {
    let filters = serde_json::json!({ "type": ["container"], "event": CONTAINER_EVENTS }).to_string();
    let until = until.map(|until| format!("&until={until}")).unwrap_or_default();
    format!("/events?since={since}{until}&filters={}", utf8_percent_encode(&filters, NON_ALPHANUMERIC))
}

/// Formats an instant for the query of the event stream: Unix seconds with nanoseconds.
pub(super) fn instant(at: Timestamp) -> String {
    format!("{}.{:09}", at.as_second(), at.subsec_nanosecond().max(0))
}

/// Instant of the event by the Engine's clock.
pub(super) fn event_at(message: &EventMessage) -> Option<Timestamp> {
    message
        .time_nano
        .and_then(|nano| Timestamp::from_nanosecond(nano.into()).ok())
        .or_else(|| message.time.and_then(|second| Timestamp::from_second(second).ok()))
        // An Engine that sends another one is not believed: computations with it would leave the range of instants.
        .filter(|at| (0..LATEST).contains(&at.as_second()))
}

/// The second after which no event can have happened: the year 2200.
const LATEST: i64 = 7_258_118_400;

pub(super) fn read_event(message: EventMessage) -> Option<Event> {
    let at = event_at(&message);
    let actor = message.actor?;
    let action = message.action?;
    // `health_status: healthy`
    let action = action.split(':').next().unwrap_or_default().trim().to_owned();
    let attributes = actor.attributes.unwrap_or_default();
    // `docker kill --signal HUP` makes many programs reload their settings and keep running.
    if action == "kill"
        && attributes.get("signal").is_some_and(|signal| !ENDING_SIGNALS.contains(&signal.as_str()))
    {
        return None;
    }
    let exit_code = attributes.get("exitCode").or_else(|| attributes.get("containerExitCode"));
    let exit_code = exit_code.and_then(|code| code.parse().ok());
    let labels: BTreeMap<String, String> = BTreeMap::from_iter(attributes);
    let identity = labels.get("name").map(|name| inventory::identity(name, &labels));
    Some(Event { id: actor.id?, identity, action, at, exit_code })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bollard::models::EventActor;

    use super::*;

    #[test]
    fn events_are_read_from_action_and_actor() {
        let message = EventMessage {
            action: Some("health_status: unhealthy".to_owned()),
            actor: Some(EventActor {
                id: Some("abc".to_owned()),
                attributes: Some(HashMap::from([("exitCode".to_owned(), "137".to_owned())])),
            }),
            time_nano: Some(1_500_000_000),
            ..EventMessage::default()
        };
        let event = read_event(message).expect("an event");
        assert_eq!((event.action.as_str(), event.exit_code), ("health_status", Some(137)));
        assert_eq!(event.at.map(Timestamp::as_millisecond), Some(1_500));
        assert_eq!(read_event(EventMessage::default()), None);
    }
}
