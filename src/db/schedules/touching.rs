//! Which schedules share a container with what others are about: looked up for a page of targets at once.

use super::RULE;
use crate::db::rows::{around_values, values};
use crate::db::{Db, Result, engine};
use crate::domain::schedule::Schedule;
use crate::domain::target::{ContainerIdentity, Subject, Target};

/// Schedules of a stack's containers that are looked at for one of the stack.
const MOST_OF_MEMBERS: i64 = 100;
/// Targets of one statement: those of a page. Where there are fewer the rest is asked for nothing, so that one
/// statement is kept prepared.
const TOGETHER: usize = 50;

/// Of each of these targets the enabled schedules that may touch what it touches: of the same target, of the stack it
/// belongs to, of a container that belongs to it. Of each of these the oldest `limit` are looked at, of a stack's
/// containers the oldest [`MOST_OF_MEMBERS`]; and of those that say the same the oldest and the newest are told:
/// whoever asks about one of them finds another. In the order of `targets`, oldest first.
pub async fn touching(db: &Db, targets: &[&Target], limit: i64) -> Result<Vec<Vec<Schedule>>> {
    let mut found: Vec<Vec<Schedule>> = Vec::with_capacity(targets.len());
    let after = touching_sql(db, limit);
    for some in targets.chunks(TOGETHER) {
        let place = |number: usize| some.get(number).map(|target| Place::of(target)).unwrap_or_default();
        let places = (0_i64..).zip((0..TOGETHER).map(place)).map(|(number, place)| {
            let Place { host, stack, container, members: [first, last] } = place;
            values![number, host, stack, container, first, last]
        });
        let before = "WITH asked (place, host, stack, container, first, last) AS (";
        let query = around_values(|n| db.parameter(n), before, places.collect(), &after);
        let begin = found.len();
        found.resize_with(begin + some.len(), Vec::new);
        for (place, schedule) in query.all::<(i64, Schedule)>(db).await? {
            if let Some(beside) = usize::try_from(place).ok().and_then(|place| found.get_mut(begin + place)) {
                beside.push(schedule);
            }
        }
    }
    Ok(found)
}

/// Where the schedules beside a target are found in the index of targets: each identity at which some may be.
#[derive(Default)]
struct Place<'a> {
    host: Option<&'a str>,
    stack: Option<&'a str>,
    container: Option<String>,
    /// The first and the last that one of a stack's containers can have.
    members: [Option<String>; 2],
}

impl<'a> Place<'a> {
    fn of(target: &'a Target) -> Self {
        let place = Self { host: Some(target.host.as_str()), ..Self::default() };
        match &target.subject {
            Subject::Stack(name) => {
                let one =
                    ContainerIdentity::Service { project: name.clone(), service: String::new(), number: 0 };
                let text = one.to_text();
                let start = text.strip_suffix("//0").unwrap_or(&text);
                // Whatever is between the two begins with the first, since `0` is what follows `/`.
                Self {
                    stack: Some(name),
                    members: ["/", "0"].map(|end| Some(format!("{start}{end}"))),
                    ..place
                }
            }
            Subject::Container(identity) => {
                let stack = match identity {
                    ContainerIdentity::Service { project, .. } => Some(project.as_str()),
                    ContainerIdentity::Name(_) => None,
                };
                Self { stack, container: Some(identity.to_text()), ..place }
            }
        }
    }
}

/// What [`touching`] asks, after the values of its places: along the index of targets for each kind of identity. With
/// OR between them all schedules of the host are read. Not every engine has a lateral join in which a limit could
/// stand: each look ends before the first that is one too many, which is known beforehand. No id begins with `z`; they
/// are hexadecimal. A limit is part of the text: where it is bound SQLite prepares the statement anew each time.
fn touching_sql(db: &Db, limit: i64) -> String {
    let by_bytes = engine::by_bytes(db);
    let looks = |of: &str| {
        let on = format!("host_id = {of}.host AND deleted_ms IS NULL AND enabled = TRUE AND target_type =");
        let is_member = format!("target_identity {by_bytes} BETWEEN {of}.first AND {of}.last");
        [
            ("stacks", limit, format!("{on} 'stack' AND target_identity = {of}.stack")),
            ("containers", limit, format!("{on} 'container' AND target_identity = {of}.container")),
            ("members", MOST_OF_MEMBERS, format!("{on} 'container' AND {is_member}")),
        ]
    };
    let ends = looks("asked").map(|(name, limit, which)| {
        format!("(SELECT id FROM schedules WHERE {which} ORDER BY id LIMIT 1 OFFSET {limit}) AS {name}_end")
    });
    let beside = looks("bounded").map(|(name, _, which)| {
        let of_each = format!("SELECT place, id, {RULE} FROM bounded CROSS JOIN schedules");
        format!("{of_each} WHERE {which} AND id < COALESCE({name}_end, 'z')")
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
