//! From what was typed to what can be stored: every field is looked at, so that one answer names all that is wrong.

use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::draft;
use super::super::rulebook::RuleBook;
use super::super::suggest::suggest;
use super::super::targets;
use super::super::{App, Error, FieldError, Result};
use super::timing::{self, timing};
use crate::domain::action::Action;
use crate::domain::calendar::CalendarEffect;
use crate::domain::guard::{BUSY_WAIT, Guard, MAX_CPU, MAX_UPTIME, Then, USUAL_BUSY_WAIT};
use crate::domain::ids::{CalendarId, ScheduleId};
use crate::domain::inventory::{Container, Inventory, Kind, RestartPolicy};
use crate::domain::schedule::{
    DEFAULT_CATCH_UP, MAX_CATCH_UP, MAX_NOTE, MAX_SCHEDULE_NAME, MAX_STOP_TIMEOUT, Policy, Schedule,
    ScheduleKind, ScheduleSpec, Wake,
};
use crate::domain::target::{ContainerIdentity, Subject, Target, TargetType, unschedulable_name};
use crate::domain::text::shorten;

/// Priorities reach from minus this to this.
pub const MAX_PRIORITY: i64 = 1000;

/// A schedule as typed, in a form or as JSON: nothing checked yet. `None` and an empty text are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(
    as = ScheduleBody,
    description = "What can be said about a schedule. Read-only fields of a schedule may be sent too and are not looked at."
)]
pub struct Draft {
    // The stored schedule this is a draft of: it does not clash with itself.
    #[serde(default, deserialize_with = "draft::if_it_is")]
    #[schema(ignore)]
    pub id: Option<ScheduleId>,
    #[schema(max_length = 120)]
    pub name: Option<String>,
    /// `local` where it is left out.
    pub host: Option<String>,
    #[schema(value_type = TargetType, required = true)]
    pub target_type: Option<String>,
    /// Name or key.
    #[schema(value_type = String, required = true)]
    pub target_id: Option<String>,
    /// By default whichever of `cron`, `at` and `window` is there.
    #[schema(value_type = Option<ScheduleKind>)]
    pub kind: Option<String>,
    /// Left out for a window.
    #[schema(value_type = Option<Action>)]
    pub action: Option<String>,
    #[schema(max_length = 256, example = "0 23 * * *")]
    pub cron: Option<String>,
    /// RFC 3339, or `YYYY-MM-DDTHH:MM` in the schedule's zone.
    pub at: Option<String>,
    #[schema(max_length = 512, example = "sleep Mon-Fri 23:00-07:00")]
    pub window: Option<String>,
    #[schema(example = "Europe/Berlin")]
    pub timezone: Option<String>,
    /// True where it is left out.
    pub enabled: Option<bool>,
    #[serde(default, deserialize_with = "draft::number")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 604_800)]
    pub catch_up_seconds: Option<String>,
    #[serde(default, deserialize_with = "draft::number")]
    #[schema(value_type = Option<i64>, minimum = -1000, maximum = 1000)]
    pub priority: Option<String>,
    #[serde(default, deserialize_with = "draft::number")]
    #[schema(value_type = Option<i64>, minimum = 0, maximum = 3600)]
    pub stop_timeout_seconds: Option<String>,
    #[schema(value_type = Option<Policy>)]
    pub policy: Option<String>,
    /// For a window: `stop` or `pause`.
    pub mode: Option<String>,
    #[schema(value_type = Option<Wake>)]
    pub wake: Option<String>,
    pub calendar_id: Option<String>,
    /// `awake`, `asleep` or a day like `as:Sun` for a window; `skip` else.
    pub calendar_effect: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<GuardDraft>)]
    pub guard: GuardDraft,
    #[schema(max_length = 2000)]
    pub note: Option<String>,
    /// Accept a target that does not exist yet.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pub allow_missing: bool,
    /// For a window saved inside its sleep: let it begin with the next one.
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    pub from_next: bool,
}

/// What may hold back a stop, a pause or the sleep of a window for a while: a minimum uptime, busy containers, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[schema(as = GuardBody)]
pub struct GuardDraft {
    /// Not before the target has been up this long.
    #[serde(default, deserialize_with = "draft::number")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 1440)]
    pub min_uptime_minutes: Option<String>,
    /// Busy is a container above this, in percent of one core.
    #[serde(default, deserialize_with = "draft::number")]
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 6400)]
    pub busy_cpu_percent: Option<String>,
    /// How long a busy target is waited for; 30 where it is left out.
    #[serde(default, deserialize_with = "draft::number")]
    #[schema(value_type = Option<i64>, minimum = 5, maximum = 720)]
    pub busy_wait_minutes: Option<String>,
    /// What happens when it is busy to the end; `go` where it is left out.
    #[schema(value_type = Option<Then>)]
    pub then: Option<String>,
}

/// What a draft turned out to say.
pub(super) struct Checked {
    /// What can be stored.
    pub spec: ScheduleSpec,
    /// Whole sentences for the person.
    pub warnings: Vec<String>,
}

/// Collects what is wrong.
#[derive(Default)]
pub(super) struct Faults(pub Vec<FieldError>);

impl Faults {
    pub(super) fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(FieldError::new(field, message));
    }

    pub(super) fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }
}

/// The trimmed text of a field; `None` where it is missing or blank.
pub(super) fn text(field: Option<&String>) -> Option<&str> {
    field.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// Checks every field. `stored` is what the draft would replace.
pub(super) fn check(
    app: &App,
    draft: &Draft,
    book: &RuleBook,
    stored: Option<&Schedule>,
    now: Timestamp,
) -> Result<Checked> {
    let mut faults = Faults::default();
    let enabled = draft.enabled.unwrap_or(true);
    let timing = timing(draft, book, stored.filter(|_| !enabled), now, &mut faults);
    let is_window = timing::names_window(draft);
    let fields = window_fields(draft, is_window, &mut faults);
    let action =
        if is_window { sleep_action(draft, fields.sleep, &mut faults) } else { action(draft, &mut faults) };
    let target = target(app, draft, action, stored, &mut faults);
    let name = line(draft.name.as_ref(), "name", MAX_SCHEDULE_NAME, &mut faults);
    let note = note(draft, &mut faults);
    let catch_up = number(draft.catch_up_seconds.as_ref(), "catch_up_seconds", 0, MAX_CATCH_UP, &mut faults);
    let priority = number(draft.priority.as_ref(), "priority", -MAX_PRIORITY, MAX_PRIORITY, &mut faults);
    let stop_timeout =
        number(draft.stop_timeout_seconds.as_ref(), "stop_timeout_seconds", 0, MAX_STOP_TIMEOUT, &mut faults);
    let calendar = calendar(draft, is_window, book, &mut faults);
    let guard = guard(draft, action, &mut faults);
    let (Some(timing), Some(action), Some(found), true) = (timing, action, target, faults.0.is_empty())
    else {
        return Err(Error::Invalid(faults.0));
    };
    let mut warnings = timing.warnings;
    warnings.extend(book.doubt(calendar.as_ref()));
    warnings.extend(found.warnings);
    Ok(Checked {
        spec: ScheduleSpec {
            name,
            target: found.target,
            target_name: found.name,
            action,
            when: timing.when,
            timezone: timing.timezone,
            enabled,
            catch_up_seconds: catch_up.unwrap_or(DEFAULT_CATCH_UP),
            priority: priority.unwrap_or(0),
            stop_timeout_seconds: stop_timeout,
            policy: fields.policy,
            wake: fields.wake,
            calendar,
            guard,
            note,
        },
        warnings,
    })
}

/// A window's action is its mode.
fn sleep_action(draft: &Draft, mode: Action, faults: &mut Faults) -> Option<Action> {
    if text(draft.action.as_ref()).is_some() {
        faults.add("action", "a window has no action: it sleeps by its mode, stop or pause; leave this out");
        return None;
    }
    Some(mode)
}

pub(super) fn did_you_mean(message: &str, near: &[String]) -> String {
    if near.is_empty() {
        message.to_owned()
    } else {
        let names: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
        format!("{message}; did you mean {}?", names.join(" or "))
    }
}

fn action(draft: &Draft, faults: &mut Faults) -> Option<Action> {
    match text(draft.action.as_ref()).map(str::parse) {
        Some(Ok(action)) => Some(action),
        Some(Err(_)) => {
            faults.add("action", "use start, stop, restart, pause or unpause");
            None
        }
        None => {
            faults.add("action", "say what to do: start, stop, restart, pause or unpause");
            None
        }
    }
}

/// A target that was found, or is taken on trust.
pub(super) struct Found {
    pub target: Target,
    pub name: String,
    pub warnings: Vec<String>,
}

/// The target a draft names.
pub(super) fn target(
    app: &App,
    draft: &Draft,
    action: Option<Action>,
    stored: Option<&Schedule>,
    faults: &mut Faults,
) -> Option<Found> {
    let inventory = targets::host(app, draft.host.as_deref()).map(|host| host.inventory());
    if inventory.is_err() {
        let named = shorten(text(draft.host.as_ref()).unwrap_or_default());
        faults.add("host", format!("there is no host `{named}`"));
    }
    let target_type = match text(draft.target_type.as_ref()).map(TargetType::parse) {
        Some(Some(target_type)) => Some(target_type),
        Some(None) | None => {
            faults.add("target_type", "use stack or container");
            None
        }
    };
    // Not trimmed: a name is compared exactly.
    let name = draft.target_id.as_deref().unwrap_or_default();
    if let Some(reason) = unschedulable_name(name) {
        faults.add("target_id", if name.is_empty() { "say which one" } else { reason });
        return None;
    }
    let (inventory, target_type) = (inventory.ok()?, target_type?);
    match find(&inventory, target_type, name) {
        Some((target, name)) => {
            let mut warnings = Vec::new();
            if !inventory.is_connected() {
                warnings.push(format!(
                    "Host {} is not connected: `{name}` was there when it was last seen.",
                    inventory.host
                ));
            }
            judge(&inventory, &target, &name, action, &mut warnings, faults)?;
            Some(Found { target, name, warnings })
        }
        None => missing(&inventory, draft, target_type, name, stored, faults),
    }
}

/// A target and its name now, by exact name, else by key.
fn find(inventory: &Inventory, target_type: TargetType, name: &str) -> Option<(Target, String)> {
    match target_type {
        TargetType::Stack => {
            let stack = inventory
                .stack(name)
                .or_else(|| inventory.stacks().into_iter().find(|stack| stack.key == name))?;
            Some((Target::stack(stack.host, stack.name.clone()), stack.name))
        }
        TargetType::Container => {
            let container = inventory.by_name(name).or_else(|| inventory.by_key(name))?;
            Some((container.target(), container.name.clone()))
        }
    }
}

/// A target that is not there: taken on trust where its host is away, where the caller says so, and where it is what
/// the schedule names already.
fn missing(
    inventory: &Inventory,
    draft: &Draft,
    target_type: TargetType,
    name: &str,
    stored: Option<&Schedule>,
    faults: &mut Faults,
) -> Option<Found> {
    let kept = stored.filter(|schedule| {
        let spec = &schedule.spec;
        spec.target.host == inventory.host
            && spec.target.target_type() == target_type
            && (spec.target_name == name || schedule.spec.target.key() == name)
    });
    let target = match (kept, target_type) {
        (Some(schedule), _) => schedule.spec.target.clone(),
        (None, TargetType::Stack) => Target::stack(inventory.host.clone(), name),
        (None, TargetType::Container) => {
            Target::container(inventory.host.clone(), ContainerIdentity::Name(name.to_owned()))
        }
    };
    let name = kept.map_or_else(|| name.to_owned(), |schedule| schedule.spec.target_name.clone());
    let warning = if !inventory.is_connected() {
        format!("Host {} is not connected: whether `{name}` exists is not known.", inventory.host)
    } else if draft.allow_missing || kept.is_some() {
        format!("There is no {target_type} `{name}` now; the schedule waits for it.")
    } else {
        let near = match target_type {
            TargetType::Stack => suggest(&name, inventory.stacks().iter().map(|stack| stack.name.as_str())),
            TargetType::Container => {
                suggest(&name, inventory.containers.iter().map(|container| container.name.as_str()))
            }
        };
        faults.add("target_id", did_you_mean(&format!("there is no {target_type} `{name}`"), &near));
        return None;
    };
    Some(Found { target, name, warnings: vec![warning] })
}

/// What speaks against acting on a target that is there, or should be known first. `None` where a fault was added.
fn judge(
    inventory: &Inventory,
    target: &Target,
    name: &str,
    action: Option<Action>,
    warnings: &mut Vec<String>,
    faults: &mut Faults,
) -> Option<()> {
    let members = inventory.members(&target.subject);
    let container = matches!(target.subject, Subject::Container(_));
    if container && let Some(reason) = members.first().and_then(|member| left_alone(member)) {
        faults.add("target_id", format!("`{name}` cannot be scheduled: {reason}"));
        return None;
    }
    if !members.is_empty()
        && let Some(protection) = members[0].protection.as_ref()
        && members.iter().all(|member| member.protection.is_some())
    {
        faults.add("target_id", format!("`{name}` is protected: {}", protection.reason()));
        return None;
    }
    let pauses = members.iter().any(|member| member.protection.is_none() && member.is_ordinary());
    if matches!(action, Some(Action::Pause)) && pauses {
        warnings.push("What is paused comes back running when the Docker daemon restarts.".to_owned());
    }
    for member in &members {
        let shown = &member.name;
        if let Some(protection) = &member.protection {
            warnings.push(format!("`{shown}` is left out: {}.", protection.reason()));
            continue;
        }
        if member.auto_remove && matches!(action, Some(Action::Start)) && container {
            faults.add(
                "action",
                format!("`{shown}` was made with --rm: once stopped it is gone, so it cannot be started"),
            );
            return None;
        }
        if matches!(action, Some(Action::Stop)) {
            if member.auto_remove {
                warnings.push(format!("`{shown}` was made with --rm: stopping it removes it for good."));
            }
            if member.restart_policy == RestartPolicy::Always {
                warnings.push(format!(
                    "`{shown}` has restart policy `always`: it comes back when the Docker daemon restarts."
                ));
            }
        }
    }
    Some(())
}

/// Why a single container is never acted on.
fn left_alone(container: &Container) -> Option<&'static str> {
    match container.kind {
        Kind::Ordinary => None,
        Kind::OneOff => Some("it is a one-off of `docker compose run`"),
        Kind::Hook => Some("it is a compose hook"),
        Kind::SwarmTask => Some("it is a swarm task, and swarm would replace it"),
    }
}

/// A text of one line.
fn line(field: Option<&String>, name: &str, max: usize, faults: &mut Faults) -> String {
    let text = text(field).unwrap_or_default();
    if text.chars().count() > max {
        faults.add(name, format!("use {max} characters at most"));
    } else if text.chars().any(char::is_control) {
        faults.add(name, "use one line without control characters");
    }
    text.to_owned()
}

fn note(draft: &Draft, faults: &mut Faults) -> String {
    // Forms send line ends as CR LF.
    let text = text(draft.note.as_ref()).unwrap_or_default().replace("\r\n", "\n");
    if text.chars().count() > MAX_NOTE {
        faults.add("note", format!("use {MAX_NOTE} characters at most"));
    } else if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        faults.add("note", "leave out control characters");
    }
    text
}

fn number(field: Option<&String>, name: &str, min: i64, max: i64, faults: &mut Faults) -> Option<i64> {
    let typed = text(field)?;
    match typed.parse::<i64>() {
        Ok(number) if (min..=max).contains(&number) => Some(number),
        _ => {
            faults.add(name, format!("use a whole number from {min} to {max}"));
            None
        }
    }
}

/// What only windows and starts use; others take it at the value it has without them.
struct WindowFields {
    sleep: Action,
    policy: Policy,
    wake: Wake,
}

fn window_fields(draft: &Draft, is_window: bool, faults: &mut Faults) -> WindowFields {
    let mode = match text(draft.mode.as_ref()) {
        None | Some("stop") => Action::Stop,
        Some("pause") if is_window => Action::Pause,
        Some("pause") => {
            faults.add("mode", "only a window has a mode; here use the action pause");
            Action::Stop
        }
        Some(_) => {
            faults.add("mode", "use stop or pause");
            Action::Stop
        }
    };
    let policy = match text(draft.policy.as_ref()).map(Policy::parse) {
        None => Policy::default(),
        Some(Some(policy)) => {
            if !is_window && policy != Policy::default() {
                faults.add("policy", "only a window has a policy; leave it at respect");
            }
            policy
        }
        Some(None) => {
            faults.add("policy", "use respect, enforce or observe");
            Policy::default()
        }
    };
    let wake = match text(draft.wake.as_ref()).map(Wake::parse) {
        None => Wake::default(),
        Some(Some(wake)) => wake,
        Some(None) => {
            faults.add("wake", "use restore or all");
            Wake::default()
        }
    };
    WindowFields { sleep: mode, policy, wake }
}

/// What may hold back a schedule of this action, where that is known already.
pub(super) fn guard(draft: &Draft, action: Option<Action>, faults: &mut Faults) -> Option<Guard> {
    const UPTIME: &str = "guard.min_uptime_minutes";
    const CPU: &str = "guard.busy_cpu_percent";
    const WAIT: &str = "guard.busy_wait_minutes";
    let typed = &draft.guard;
    let min_uptime_minutes = number(typed.min_uptime_minutes.as_ref(), UPTIME, 1, MAX_UPTIME, faults);
    let busy_cpu_percent = number(typed.busy_cpu_percent.as_ref(), CPU, 1, MAX_CPU, faults);
    let wait = number(typed.busy_wait_minutes.as_ref(), WAIT, BUSY_WAIT.0, BUSY_WAIT.1, faults);
    let then = match text(typed.then.as_ref()).map(Then::parse) {
        None => Then::default(),
        Some(Some(then)) => then,
        Some(None) => {
            faults.add("guard.then", "use go or skip");
            Then::default()
        }
    };
    let named = [
        (UPTIME, text(typed.min_uptime_minutes.as_ref())),
        (CPU, text(typed.busy_cpu_percent.as_ref())),
        (WAIT, text(typed.busy_wait_minutes.as_ref())),
    ];
    let mut named = named.iter().filter(|(_, text)| text.is_some()).map(|(field, _)| *field);
    let first = named.next()?;
    if action.is_some_and(|action| !Guard::applies_to(action)) {
        faults.add(first, "only what puts to sleep waits: a stop, a pause, a window; leave this out");
        return None;
    }
    if text(typed.busy_wait_minutes.as_ref()).is_some() && text(typed.busy_cpu_percent.as_ref()).is_none() {
        faults.add(CPU, "say above which CPU load it is busy, or leave the wait out");
        return None;
    }
    let busy_wait_minutes = busy_cpu_percent.map(|_| wait.unwrap_or(USUAL_BUSY_WAIT));
    let is_whole = min_uptime_minutes.is_some() || busy_cpu_percent.is_some();
    is_whole.then_some(Guard { min_uptime_minutes, busy_cpu_percent, busy_wait_minutes, then })
}

/// The calendar a draft names, with what it does to a schedule of this kind.
pub(super) fn calendar(
    draft: &Draft,
    is_window: bool,
    book: &RuleBook,
    faults: &mut Faults,
) -> Option<(CalendarId, CalendarEffect)> {
    let (id, effect) = (text(draft.calendar_id.as_ref()), text(draft.calendar_effect.as_ref()));
    let Some(id) = id else {
        if effect.is_some() {
            faults.add("calendar_effect", "choose a calendar too, or leave this out");
        }
        return None;
    };
    let id = CalendarId::from(id);
    if book.dates(&id).is_none() {
        faults.add("calendar_id", "there is no such calendar");
    }
    let choices = if is_window { "awake, asleep or a day like as:Sun" } else { "skip" };
    match effect.map(CalendarEffect::parse) {
        Some(Some(effect)) if (effect == CalendarEffect::Skip) != is_window => return Some((id, effect)),
        // A cron schedule can do only one thing on its calendar's dates.
        None if !is_window => return Some((id, CalendarEffect::Skip)),
        _ => faults.add("calendar_effect", format!("say what its dates do: {choices}")),
    }
    None
}
