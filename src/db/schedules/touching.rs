//! Lookup of the schedules that share a container with given targets, for a whole page of targets at once.

use super::RULE;
use crate::db::rows::{around_values, values};
use crate::db::{Db, Result, engine};
use crate::domain::schedule::Schedule;
use crate::domain::target::{ContainerIdentity, Subject, Target};

/// Maximum number of schedules of a stack's containers that are considered for the stack.
const MAX_MEMBER_SCHEDULES: i64 = 100;
/// Number of targets per statement, the size of a page. Missing targets are filled with NULL, so that only one
/// statement is kept prepared.
const TARGETS_PER_STATEMENT: usize = 50;

/// For each target, the enabled schedules that may act on the same containers: schedules of the target itself, of the
/// stack, its services and host that it belongs to, of all groups, and of what belongs to it unless it is a group. Each
/// kind is limited to the oldest `limit` schedules, those of what belongs to it to the oldest
/// [`MAX_MEMBER_SCHEDULES`]. Of several schedules with the same rule only the oldest and the newest are returned, so that
/// each of them has another one beside it. The result is in the order of `targets`, oldest schedule first.
pub async fn touching(db: &Db, targets: &[&Target], limit: i64) -> Result<Vec<Vec<Schedule>>> {
    let mut found: Vec<Vec<Schedule>> = Vec::with_capacity(targets.len());
    let after = touching_sql(db, limit);
    for chunk in targets.chunks(TARGETS_PER_STATEMENT) {
        let place = |number: usize| chunk.get(number).map(|target| Place::of(target)).unwrap_or_default();
        let places = (0_i64..).zip((0..TARGETS_PER_STATEMENT).map(place)).map(|(number, place)| {
            let Place { host, whole, stack, parts: [from, until], container, members: [first, last] } = place;
            values![number, host, whole, stack, from, until, container, first, last]
        });
        let before =
            "WITH asked (place, host, whole, stack, part_from, part_until, container, first, last) AS (";
        let query = around_values(|n| db.parameter(n), before, places.collect(), &after);
        let begin = found.len();
        found.resize_with(begin + chunk.len(), Vec::new);
        for (place, schedule) in query.all::<(i64, Schedule)>(db).await? {
            if let Some(schedules) =
                usize::try_from(place).ok().and_then(|place| found.get_mut(begin + place))
            {
                schedules.push(schedule);
            }
        }
    }
    Ok(found)
}

/// The identities by which the schedules near a target are found in the index of targets; NULL matches nothing.
#[derive(Default)]
struct Place<'a> {
    host: Option<&'a str>,
    /// The host, if the target is all of it.
    whole: Option<&'a str>,
    stack: Option<&'a str>,
    /// The range of the identities of services of the stack.
    parts: [Option<String>; 2],
    container: Option<String>,
    /// The range of the identities of a stack's containers.
    members: [Option<String>; 2],
}

impl<'a> Place<'a> {
    fn of(target: &'a Target) -> Self {
        let place = Self { host: Some(target.host.as_str()), ..Self::default() };
        match &target.subject {
            Subject::Stack(name) | Subject::Services { stack: name, .. } => {
                let one =
                    ContainerIdentity::Service { project: name.clone(), service: String::new(), number: 0 };
                let text = one.to_text();
                let start = text.strip_suffix("//0").unwrap_or(&text);
                // All texts between the two limits begin with the first one, since `0` is the character after `/`.
                Self {
                    stack: Some(name),
                    parts: parts_of(name),
                    members: ["/", "0"].map(|end| Some(format!("{start}{end}"))),
                    ..place
                }
            }
            Subject::Container(identity) => {
                let stack = match identity {
                    ContainerIdentity::Service { project, .. } => Some(project.as_str()),
                    ContainerIdentity::Name(_) => None,
                };
                let parts = stack.map(parts_of).unwrap_or_default();
                Self { stack, parts, container: Some(identity.to_text()), ..place }
            }
            Subject::Host => Self { whole: place.host, ..place },
            // The members of a group are asked for by themselves.
            Subject::Group(_) => place,
        }
    }
}

/// The range of the identities of services of a stack: its name, a line break, and their names. The last character is
/// the one after a line break.
fn parts_of(stack: &str) -> [Option<String>; 2] {
    ["\n", "\u{b}"].map(|end| Some(format!("{stack}{end}")))
}

/// The part of the statement after the values of the places. Each kind of identity has its own subquery along the index
/// of targets; conditions joined with OR would read all schedules of the host. Each subquery ends before a certain id:
/// that of the first schedule beyond the limit, or `z`, which is greater than every hexadecimal id. The limit is part of
/// the text, because SQLite prepares the statement again for every bound limit.
fn touching_sql(db: &Db, limit: i64) -> String {
    let byte_collation = engine::byte_collation(db);
    let subqueries = |of: &str| {
        let enabled = "deleted_ms IS NULL AND enabled = TRUE";
        let on = format!("host_id = {of}.host AND {enabled} AND target_type =");
        let is_part = format!("target_identity {byte_collation} BETWEEN {of}.part_from AND {of}.part_until");
        let is_member = format!("target_identity {byte_collation} BETWEEN {of}.first AND {of}.last");
        [
            ("stacks", limit, format!("{on} 'stack' AND target_identity = {of}.stack")),
            ("parts", limit, format!("{on} 'stack' AND {is_part}")),
            ("containers", limit, format!("{on} 'container' AND target_identity = {of}.container")),
            ("members", MAX_MEMBER_SCHEDULES, format!("{on} 'container' AND {is_member}")),
            ("hosts", limit, format!("{on} 'host' AND target_identity = ''")),
            (
                "groups",
                limit,
                format!("{enabled} AND host_id = '' AND target_type = 'group' AND {of}.host IS NOT NULL"),
            ),
            (
                "inside",
                MAX_MEMBER_SCHEDULES,
                format!("{enabled} AND host_id = {of}.whole AND target_type <> 'host'"),
            ),
        ]
    };
    let ends = subqueries("asked").map(|(name, limit, which)| {
        format!("(SELECT id FROM schedules WHERE {which} ORDER BY id LIMIT 1 OFFSET {limit}) AS {name}_end")
    });
    let beside = subqueries("bounded").map(|(name, _, which)| {
        let which = format!("{which} AND id < COALESCE({name}_end, 'z')");
        engine::for_each(db, ("bounded", "place"), ("schedules", &format!("id, {RULE}")), &which)
    });
    format!(
        concat!(
            "), bounded AS MATERIALIZED (SELECT asked.*, {ends} FROM asked), beside AS ({beside}), \
             same AS (SELECT place, MIN(id) AS oldest, MAX(id) AS newest FROM beside GROUP BY place, {rule}), \
             told AS (SELECT place, oldest AS id FROM same UNION SELECT place, newest FROM same) SELECT t.place, ",
            columns!(),
            " JOIN told t ON t.id = s.id ORDER BY t.place, s.id"
        ),
        ends = ends.join(", "),
        beside = beside.join(" UNION ALL "),
        rule = RULE,
    )
}
