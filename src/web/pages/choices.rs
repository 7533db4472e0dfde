//! Options that the forms of several pages share, and the differences shown when two users edit the same object.

use crate::app::stacks::{ContainerView, Overview};
use crate::domain::ids::HostId;
use crate::web::view::{self, Choice};

/// A group of options under one heading.
#[derive(Clone, Debug)]
pub struct Group {
    /// The heading: `Stacks`, `Containers of media`.
    pub label: String,
    pub options: Vec<Choice>,
}

impl Group {
    fn new(label: impl Into<String>, options: Vec<Choice>) -> Self {
        Self { label: label.into(), options }
    }
}

/// The existing targets as options, with the one in `chosen` selected. A target that no longer exists is kept as an
/// option of its own, with the name `gone`.
pub fn targets(overview: &Overview, chosen: &str, gone: Option<&str>) -> Vec<Group> {
    let choice =
        |value: String, name: &str| Choice { chosen: value == chosen, label: view::shown_name(name), value };
    // With several hosts the same name may be there twice.
    let placed = |name: &str, host: &HostId| match overview.hosts.iter().find(|one| one.id == *host) {
        Some(host) if overview.hosts.len() > 1 => format!("{name} on {}", host.name),
        _ => name.to_owned(),
    };
    let stacks = overview.stacks.iter().filter(|stack| stack.protected.is_none());
    let stacks = stacks
        .map(|view| choice(format!("stack/{}", view.stack.key), &placed(&view.stack.name, &view.stack.host)));
    let containers = |views: &[ContainerView]| -> Vec<Choice> {
        let choosable = |view: &&ContainerView| view.protected.is_none() && view.container.is_ordinary();
        let choice = |view: &ContainerView| {
            let name = placed(&view.container.name, &view.container.host);
            choice(format!("container/{}", view.container.key()), &name)
        };
        views.iter().filter(choosable).map(choice).collect()
    };
    let of_groups = overview.groups.iter().map(|one| choice(format!("group/{}", one.id), &one.spec.name));
    let hosts = overview
        .hosts
        .iter()
        .map(|host| choice(format!("host/{}", host.id), &format!("All of {}", host.name)));
    let mut groups = vec![
        Group::new("Groups", of_groups.collect()),
        Group::new("Stacks", stacks.collect()),
        Group::new("Containers without a stack", containers(&overview.loose)),
    ];
    groups.extend(overview.stacks.iter().map(|stack| {
        let name = view::shown_name(&placed(&stack.stack.name, &stack.stack.host));
        Group::new(format!("Containers of {name}"), containers(&stack.containers))
    }));
    groups.push(Group::new("Whole hosts", hosts.collect()));
    groups.retain(|group| !group.options.is_empty());
    let is_known = groups.iter().any(|group| group.options.iter().any(|option| option.chosen));
    if !is_known && !chosen.is_empty() {
        let name = gone.unwrap_or_else(|| chosen.split_once('/').map_or(chosen, |(_, name)| name));
        groups.insert(0, Group::new("Not there now", vec![choice(chosen.to_owned(), name)]));
    }
    groups
}

/// A ready-made window text or cron expression.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// The window text or cron expression.
    pub text: &'static str,
    /// The label of the option.
    pub label: &'static str,
}

impl Preset {
    const fn new(text: &'static str, label: &'static str) -> Self {
        Self { text, label }
    }
}

/// Ready-made window texts.
pub const WINDOWS: [Preset; 5] = [
    Preset::new("sleep 23:00-07:00", "Nights"),
    Preset::new("sleep Mon-Thu 23:00-07:00; Fri 23:00-Mon 07:00", "Weeknights and all weekend"),
    Preset::new("sleep Mon-Thu 20:00-07:00; Fri 20:00-Mon 07:00", "Evenings, nights and weekends"),
    Preset::new("sleep Sat 00:00-Mon 00:00", "Weekends"),
    Preset::new("awake Mon-Fri 08:00-18:00", "Awake in office hours only"),
];

/// Ready-made cron expressions.
pub const CRONS: [Preset; 5] = [
    Preset::new("0 23 * * *", "Every night 23:00"),
    Preset::new("0 7 * * *", "Every morning 07:00"),
    Preset::new("0 18 * * 1-5", "Weekdays 18:00"),
    Preset::new("0 8 * * 1-5", "Weekdays 08:00"),
    Preset::new("0 4 * * 0", "Sundays 04:00"),
];

/// A field in which the version of the reader and the stored one differ.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The label of the field.
    pub field: &'static str,
    /// The value typed by the reader.
    pub yours: String,
    /// The stored value.
    pub theirs: String,
}
