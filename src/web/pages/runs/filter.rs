//! What the list of runs is narrowed by: the URL, the form, and the chips that take a part of it away.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::app::history::{self, RunFilter};
use crate::app::{App, FieldError, Result};
use crate::domain::action::Action;
use crate::domain::ids::{HostId, ScheduleId};
use crate::domain::run::{Run, RunState, Trigger};
use crate::domain::target::TargetType;
use crate::domain::time;
use crate::web::auth::{Caller, Viewer};
use crate::web::form::Typed;
use crate::web::pages::schedules::form::Group;
use crate::web::view::{self, Choice, Now};

/// The fields of the filter, as the URL says them. All but `state` are in the form.
pub(super) const FIELDS: [&str; 8] =
    ["state", "target", "action", "trigger", "actor", "schedule", "from", "to"];

/// A filter in force, with the way to take it away.
#[derive(Clone, Debug)]
pub struct Narrowed {
    /// What it means.
    pub label: String,
    /// The list without it.
    pub href: String,
}

/// The form of the filter, as typed.
#[derive(Clone, Debug)]
pub struct FilterForm {
    /// The state, which is not part of what is typed.
    pub state: String,
    /// Stacks and containers.
    pub targets: Vec<Group>,
    /// What can be done.
    pub actions: Vec<Choice>,
    /// What can make a run.
    pub triggers: Vec<Choice>,
    /// Schedules.
    pub schedules: Vec<Choice>,
    /// A name.
    pub actor: String,
    /// The first day.
    pub from: String,
    /// The last day.
    pub to: String,
    /// Something is wrong with it; what is chosen stands beside it anyway.
    pub open: bool,
    pub errors: Vec<FieldError>,
}

impl FilterForm {
    /// What is wrong with a field.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

/// A day that was typed, as the instant it begins at.
pub(in crate::web::pages) fn day(
    typed: &Typed,
    field: &str,
    now: &Now,
    after: bool,
    errors: &mut Vec<FieldError>,
) -> Option<Timestamp> {
    let text = typed.filled(field)?;
    let begins = text.trim().parse::<Date>().ok().and_then(|day| {
        let day = if after { day.tomorrow().ok()? } else { day };
        time::resolve(day.to_datetime(jiff::civil::Time::midnight()), &now.zone)
    });
    if begins.is_none() {
        errors.push(FieldError::new(field, "use a day such as 2026-11-25"));
    }
    begins
}

/// The query of a list with some fields of it changed; what is empty is left out.
pub(in crate::web::pages) fn query(typed: &Typed, fields: &[&str], changed: &[(&str, &str)]) -> String {
    let value = |name: &str| {
        let change = changed.iter().find(|(field, _)| *field == name);
        change.map_or_else(|| typed.get(name).to_owned(), |(_, value)| (*value).to_owned())
    };
    let others = changed.iter().map(|(field, _)| *field).filter(|field| !fields.contains(field));
    let filled: Vec<(&str, String)> = fields
        .iter()
        .copied()
        .chain(others)
        .map(|name| (name, value(name)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    if filled.is_empty() {
        return String::new();
    }
    format!("?{}", serde_urlencoded::to_string(filled).unwrap_or_default())
}

/// The list with some fields of its filter changed.
pub(super) fn href(typed: &Typed, changed: &[(&str, &str)]) -> String {
    format!("/runs{}", query(typed, &FIELDS, changed))
}

/// What the URL asks for, and what is wrong with it.
pub(super) fn filter(app: &App, typed: &Typed, now: &Now) -> (RunFilter, Vec<FieldError>) {
    let mut errors = Vec::new();
    let (from, to) = (day(typed, "from", now, false, &mut errors), day(typed, "to", now, true, &mut errors));
    if from.is_some_and(|from| to.is_some_and(|to| to <= from)) {
        errors.push(FieldError::new("to", "use the first day or a later one"));
    }
    let target = typed.get("target").split_once('/').and_then(|(kind, name)| {
        let kind = TargetType::parse(kind)?;
        // What is gone still has a history.
        Some(history::target_named(app, &HostId::local(), kind, name))
    });
    let filter = RunFilter {
        host: None,
        target,
        schedule: typed.filled("schedule").map(ScheduleId::from),
        state: RunState::parse(typed.get("state")),
        attention: typed.get("state") == "attention",
        action: typed.get("action").parse::<Action>().ok(),
        trigger: Trigger::parse(typed.get("trigger")),
        actor: typed.filled("actor").map(|name| name.trim().to_owned()),
        from,
        to,
        upto: None,
    };
    (filter, errors)
}

/// The form with what is chosen and typed.
pub(super) async fn form(
    app: &App,
    caller: &Caller<Viewer>,
    typed: &Typed,
    errors: Vec<FieldError>,
) -> Result<FilterForm> {
    let chosen = typed.get("target");
    let choice =
        |value: String, label: String, chosen: &str| Choice { chosen: value == chosen, value, label };
    let mut targets: Vec<Group> = Vec::new();
    for (kind, key, name) in history::targets_now(app, &caller.actor)? {
        let label = if kind == TargetType::Stack { "Stacks" } else { "Containers" };
        let option = choice(format!("{kind}/{key}"), view::shown_name(&name), chosen);
        match targets.last_mut() {
            Some(group) if group.label == label => group.options.push(option),
            _ => targets.push(Group { label: label.to_owned(), options: vec![option] }),
        }
    }
    let known = targets.iter().any(|group| group.options.iter().any(|option| option.chosen));
    if !known && !chosen.is_empty() {
        let name = chosen.split_once('/').map_or(chosen, |(_, name)| name);
        let option = choice(chosen.to_owned(), view::shown_name(name), chosen);
        targets.push(Group { label: "Not there any more".to_owned(), options: vec![option] });
    }
    let picked = typed.get("schedule");
    let mut schedules: Vec<Choice> = history::schedules_now(app, &caller.actor)
        .await?
        .into_iter()
        .map(|(id, title)| choice(id.0, view::shown_name(&title), picked))
        .collect();
    if !picked.is_empty() && !schedules.iter().any(|choice| choice.chosen) {
        schedules.push(choice(picked.to_owned(), "A schedule that was deleted".to_owned(), picked));
    }
    Ok(FilterForm {
        state: typed.get("state").to_owned(),
        targets,
        actions: Action::ALL
            .iter()
            .map(|action| choice(action.to_string(), action.label().to_owned(), typed.get("action")))
            .collect(),
        triggers: Trigger::ALL
            .iter()
            .map(|one| {
                let label = crate::domain::text::capital(view::trigger(*one));
                choice(one.to_string(), label, typed.get("trigger"))
            })
            .collect(),
        schedules,
        actor: typed.get("actor").to_owned(),
        from: typed.get("from").to_owned(),
        to: typed.get("to").to_owned(),
        open: !errors.is_empty(),
        errors,
    })
}

/// What narrows the list besides the state, in words.
pub(super) fn narrowed(form: &FilterForm, typed: &Typed, runs: &[Run]) -> Vec<Narrowed> {
    let of =
        |choices: &[Choice]| choices.iter().find(|choice| choice.chosen).map(|choice| choice.label.clone());
    let target = form.targets.iter().find_map(|group| of(&group.options));
    let kept = runs.first().and_then(|run| run.schedule_name.as_deref()).map(view::shown_name);
    let schedule = of(&form.schedules).map(|label| match kept {
        // A schedule that is gone is called as it was when this ran.
        Some(kept) if label.starts_with("A schedule that") => kept,
        _ => label,
    });
    let words = [
        ("target", target),
        ("action", of(&form.actions)),
        ("trigger", of(&form.triggers)),
        ("actor", typed.filled("actor").map(|name| format!("Asked for by {}", view::shown_name(name)))),
        ("schedule", schedule),
        ("from", typed.filled("from").map(|day| format!("From {}", view::shown_name(day)))),
        ("to", typed.filled("to").map(|day| format!("Until {}", view::shown_name(day)))),
    ];
    let narrowed = words
        .into_iter()
        .filter_map(|(field, label)| Some(Narrowed { label: label?, href: href(typed, &[(field, "")]) }));
    narrowed.collect()
}
