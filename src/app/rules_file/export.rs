//! The rules of this DockNap as a file. Reading it back changes nothing; into an empty DockNap it makes the same rules.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::document::Section;
use super::keys::Keyed;
use super::tree::{self, Fields};
use crate::app::{Actor, App, Result, memberships};
use crate::db;
use crate::domain::calendar::{Calendar, yearly_text};
use crate::domain::dependency::AddedEdge;
use crate::domain::group::{Group, GroupSource, Member};
use crate::domain::guard::Guard;
use crate::domain::host::{HostRecord, HostTls};
use crate::domain::ids::{CalendarId, HostId, ScheduleId};
use crate::domain::lock::Lock;
use crate::domain::permission::Permission;
use crate::domain::schedule::{DEFAULT_CATCH_UP, Policy, Schedule, Wake, When};
use crate::domain::target::{ContainerIdentity, Subject, Target};
use crate::domain::time::to_text;

/// The rules of a DockNap, ready to be written.
#[derive(Clone, Debug)]
pub struct Export {
    sections: Vec<(&'static str, Vec<Fields>)>,
}

impl Export {
    /// As YAML.
    pub fn to_yaml(&self) -> String {
        tree::write(&self.sections)
    }

    /// As JSON of the same shape.
    pub fn to_json(&self) -> Value {
        tree::to_json(&self.sections)
    }
}

/// Everything that the caller may read. Hosts, whose addresses are in it, only for admins; no secret is in it. What
/// comes from labels and files, and single instants that have passed, are left out.
pub async fn export(app: &App, actor: &Actor) -> Result<Export> {
    actor.require(Permission::View)?;
    let mut sections = Vec::new();
    if actor.role.allows(Permission::Administer) {
        let stored = db::hosts::all(&app.db).await?;
        let hosts = stored.iter().filter(|one| !app.config.has_host(&one.id)).map(host).collect();
        sections.push((Section::Hosts.as_str(), hosts));
    }
    let members = db::groups::members(&app.db).await?;
    let groups = memberships::known(app).await?.0;
    let groups = groups.iter().filter(|one| one.rev > 0);
    sections.push((Section::Groups.as_str(), groups.map(|one| group(one, &members)).collect()));
    let mut calendars = Vec::new();
    for (id, ..) in db::calendars::revisions(&app.db).await? {
        if let Some(one) = db::calendars::get(&app.db, &id).await? {
            calendars.push(calendar(&one));
        }
    }
    sections.push((Section::Calendars.as_str(), calendars));
    let locks = db::locks::all(&app.db).await?;
    sections.push((Section::Locks.as_str(), locks.iter().map(lock).collect()));
    let mut edges = db::order_edges::all(&app.db).await?;
    edges.sort_by_cached_key(|edge| (edge.host.clone(), edge.dependant.clone(), edge.dependency.clone()));
    sections.push((Section::Order.as_str(), edges.iter().map(self::edge).collect()));
    sections.push((Section::Schedules.as_str(), schedules(app, |_| true).await?));
    Ok(Export { sections })
}

/// The schedules with these ids alone.
pub async fn export_schedules(app: &App, actor: &Actor, ids: &BTreeSet<ScheduleId>) -> Result<Export> {
    actor.require(Permission::View)?;
    let schedules = schedules(app, |schedule| ids.contains(&schedule.id)).await?;
    Ok(Export { sections: vec![(Section::Schedules.as_str(), schedules)] })
}

async fn schedules(app: &App, wanted: impl Fn(&Schedule) -> bool) -> Result<Vec<Fields>> {
    let mut keyed = Keyed::read(app).await?;
    keyed.store(app).await?;
    keyed.schedules.retain(|(one, _)| is_written(one, app.clock.now()) && wanted(one));
    keyed.schedules.sort_by_cached_key(|(one, known)| {
        let target = &one.spec.target;
        (target.host.clone(), target.target_type(), one.spec.target_name.clone(), known.slug.clone())
    });
    let calendars = db::calendars::revisions(&app.db).await?;
    let name = |id: &CalendarId| {
        let found = calendars.iter().find(|(known, ..)| known == id);
        found.map_or_else(|| id.to_string(), |(_, name, _)| name.clone())
    };
    let written = keyed.schedules.iter();
    Ok(written.map(|(one, known)| schedule(one, known.slug.as_deref().unwrap_or_default(), &name)).collect())
}

/// Whether files hold a schedule: no rule of a label or the watched directory, and no single instant that has passed.
pub(super) fn is_written(schedule: &Schedule, now: jiff::Timestamp) -> bool {
    let is_over = matches!(schedule.spec.when, When::Once(at) if at <= now);
    schedule.source.is_editable() && !is_over
}

/// The fields that name a target, under these names.
fn target(target: &Target, name: &str, fields: [&'static str; 3]) -> Fields {
    let [kind, id, identity] = fields;
    let mut written = vec![(kind, json!(target.target_type().as_str()))];
    written.push((
        id,
        match &target.subject {
            Subject::Stack(stack) | Subject::Services { stack, .. } => json!(stack),
            Subject::Container(_) => json!(name),
            Subject::Host => json!(target.host.as_str()),
            Subject::Group(group) => json!(group.as_str()),
        },
    ));
    if let Subject::Container(container) = &target.subject
        && *container != ContainerIdentity::Name(name.to_owned())
    {
        written.push((identity, json!(container.to_text())));
    }
    if let Some(services) = target.subject.services() {
        written.push(("services", json!(services)));
    }
    written
}

const TARGET: [&str; 3] = ["target_type", "target_id", "identity"];

fn on_host(host: &HostId) -> Fields {
    if host.as_str().is_empty() { Vec::new() } else { vec![("host", json!(host.as_str()))] }
}

/// Adds a field unless it is empty.
fn filled(fields: &mut Fields, name: &'static str, text: &str) {
    if !text.is_empty() {
        fields.push((name, json!(text)));
    }
}

fn host(record: &HostRecord) -> Fields {
    let spec = &record.spec;
    let mut fields = vec![
        ("id", json!(record.id.as_str())),
        ("name", json!(spec.name)),
        ("endpoint", json!(spec.endpoint)),
    ];
    if spec.insecure {
        fields.push(("insecure", json!(true)));
    }
    if let Some(HostTls::Texts { ca, cert, sealed_key }) = &spec.tls {
        fields.push(("ca", json!(ca)));
        filled(&mut fields, "cert", cert.as_deref().unwrap_or_default());
        if sealed_key.is_some() {
            fields.push(("key", json!("set")));
        }
    }
    if let Some(number) = spec.parallelism {
        fields.push(("parallelism", json!(number)));
    }
    filled(&mut fields, "note", &spec.note);
    fields.push(("enabled", json!(record.enabled)));
    fields
}

fn group(group: &Group, members: &[Member]) -> Fields {
    let mut fields = vec![
        ("id", json!(group.id.as_str())),
        ("name", json!(group.spec.name)),
        ("colour", json!(group.spec.colour.as_str())),
    ];
    filled(&mut fields, "note", &group.spec.note);
    let is_stored = |one: &&Member| matches!(one.source, GroupSource::Ui | GroupSource::Api);
    let of_group = members.iter().filter(|one| one.group == group.id).filter(is_stored);
    let written = of_group.map(|one| {
        let fields = on_host(&one.target.host).into_iter();
        let fields = fields.chain(target(&one.target, &one.target_name, TARGET));
        Value::Object(fields.map(|(name, value)| (name.to_owned(), value)).collect())
    });
    fields.push(("members", written.collect()));
    fields
}

fn calendar(calendar: &Calendar) -> Fields {
    let spec = &calendar.spec;
    let mut fields = vec![("name", json!(spec.name))];
    let mut list = |name, items: Vec<Value>| {
        if !items.is_empty() {
            fields.push((name, Value::Array(items)));
        }
    };
    list("dates", spec.dates.iter().map(|date| json!(date.to_string())).collect());
    let pair =
        |(first, last): &(jiff::civil::Date, jiff::civil::Date)| json!([first.to_string(), last.to_string()]);
    list("ranges", spec.ranges.iter().map(pair).collect());
    list("yearly", spec.yearly.iter().map(|day| json!(yearly_text(*day))).collect());
    filled(&mut fields, "ics", spec.ics.as_deref().unwrap_or_default());
    fields
}

fn lock(lock: &Lock) -> Fields {
    let mut fields = on_host(&lock.target.host);
    fields.extend(target(&lock.target, &lock.target_name, TARGET));
    filled(&mut fields, "reason", &lock.reason);
    fields
}

fn edge(edge: &AddedEdge) -> Fields {
    let of = |subject: &Subject| Target { host: edge.host.clone(), subject: subject.clone() };
    let mut fields = on_host(&edge.host);
    let dependant = ["dependant_type", "dependant_id", "dependant_identity"];
    fields.extend(target(&of(&edge.dependant), &edge.dependant_name, dependant));
    let dependency = ["dependency_type", "dependency_id", "dependency_identity"];
    fields.extend(target(&of(&edge.dependency), &edge.dependency_name, dependency));
    fields.push(("condition", json!(edge.condition.as_str())));
    if let Some(seconds) = edge.wait_seconds {
        fields.push(("wait_seconds", json!(seconds)));
    }
    fields
}

fn guard(guard: &Guard) -> Value {
    let numbers = [
        ("min_uptime_minutes", guard.min_uptime_minutes),
        ("busy_cpu_percent", guard.busy_cpu_percent),
        ("busy_wait_minutes", guard.busy_wait_minutes),
    ];
    let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name, json!(number?))));
    let all = numbers.chain([("then", json!(guard.then.as_str()))]);
    Value::Object(all.map(|(name, value)| (name.to_owned(), value)).collect())
}

fn schedule(schedule: &Schedule, slug: &str, calendar: &impl Fn(&CalendarId) -> String) -> Fields {
    let spec = &schedule.spec;
    let is_window = schedule.is_window();
    let mut fields = vec![("key", json!(slug))];
    filled(&mut fields, "name", &spec.name);
    fields.extend(on_host(&spec.target.host));
    fields.extend(target(&spec.target, &spec.target_name, TARGET));
    fields.push(("kind", json!(schedule.kind().as_str())));
    if !is_window {
        fields.push(("action", json!(spec.action.as_str())));
    }
    fields.push(match &spec.when {
        When::Cron(text) => ("cron", json!(text)),
        When::Once(at) => ("at", json!(to_text(*at))),
        When::Window(text) => ("window", json!(text)),
    });
    if is_window {
        fields.push(("mode", json!(spec.mode())));
    }
    filled(&mut fields, "timezone", spec.timezone.as_deref().unwrap_or_default());
    fields.push(("enabled", json!(spec.enabled)));
    if spec.catch_up_seconds != DEFAULT_CATCH_UP {
        fields.push(("catch_up_seconds", json!(spec.catch_up_seconds)));
    }
    if spec.priority != 0 {
        fields.push(("priority", json!(spec.priority)));
    }
    if let Some(seconds) = spec.stop_timeout_seconds {
        fields.push(("stop_timeout_seconds", json!(seconds)));
    }
    if spec.policy != Policy::default() {
        fields.push(("policy", json!(spec.policy.as_str())));
    }
    if spec.wake != Wake::default() {
        fields.push(("wake", json!(spec.wake.as_str())));
    }
    if let Some(every) = spec.every_weeks {
        fields.push(("every_weeks", json!(every.weeks)));
        fields.push(("anchor", json!(every.anchor.to_string())));
    }
    if spec.nth.to_text().is_some() {
        fields.push(("nth", json!(spec.nth)));
    }
    if let Some((id, effect)) = &spec.calendar {
        fields.push(("calendar", json!(calendar(id))));
        fields.push(("calendar_effect", json!(effect.as_str())));
    }
    if let Some(of) = &spec.guard {
        fields.push(("guard", guard(of)));
    }
    filled(&mut fields, "note", &spec.note);
    fields
}
