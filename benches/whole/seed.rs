//! Databases of any size: one schedule of each kind, one run and one audit row as the program itself makes them, copied
//! in SQL as often as asked.

use std::io;
use std::path::Path;

use docknap::db::Db;
use docknap::db::engine::Durability;
use docknap::sim::World;
use serde_json::json;
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use super::program::{Program, Setup};
use super::{Bench, Simulated, patiently};

/// Of all schedules: its clocks are changed twice a year.
const ZONE: &str = "Europe/Berlin";

/// How much there is of everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Size {
    /// Stacks of the simulated Engine …
    pub stacks: usize,
    /// … and services of each.
    pub services: usize,
    /// Schedules, the first stack's first: one in ten a window, the others cron. None is due within two hours.
    pub schedules: usize,
    /// Runs of the past 300 days, the newest a day ago.
    pub runs: usize,
    /// Audit rows of the same time.
    pub audit: usize,
}

impl Size {
    /// The Engine's containers.
    pub fn world(self) -> World {
        World::new().many(self.stacks, self.services)
    }
}

/// A data directory, and the Engine that goes with it.
pub struct Seeded {
    /// Removed with this value.
    pub home: TempDir,
    /// The simulated Engine.
    pub engine: Simulated,
}

impl Seeded {
    /// What to start the program with.
    pub fn setup(&self, bench: &Bench) -> Setup {
        Setup { log: "info", ..bench.setup(self.home.path(), &self.engine.control.docker_host()) }
    }
}

/// Makes a data directory of that size.
pub fn seed(bench: &Bench, size: Size) -> io::Result<Seeded> {
    let home = tempfile::tempdir()?;
    let engine = bench.simulate(size.world())?;
    let seeded = Seeded { home, engine };
    let program = Program::start(&seeded.setup(bench))?;
    program.until_said("connected to Docker")?;
    let mut caller = program.caller()?;
    let cron = json!({"name": "cron", "target_type": "stack", "target_id": "stack-0001", "action": "stop",
                      "timezone": ZONE, "cron": within_the_window()});
    let window = json!({"name": "window", "target_type": "stack", "target_id": "stack-0001", "kind": "window",
                        "timezone": ZONE, "window": window()});
    for schedule in [&cron, &window] {
        caller.post("/api/schedules", schedule)?;
    }
    let run = caller.post("/api/stacks/local/stack-0001/restart", &json!({}))?.json();
    let path = format!("/api/runs/{}", run["run_id"].as_str().unwrap_or_default());
    patiently("the first run ends", || Ok(caller.get(&path)?.json()["finished_at"].is_string()))?;
    program.stop()?;
    bench.runtime.block_on(multiply(seeded.home.path(), size)).map_err(io::Error::other)?;
    Ok(seeded)
}

/// The hour of the day, that many hours from now: what is measured is the same whenever it is measured.
fn hour(later: i64) -> i64 {
    let now = docknap::domain::time::from_ms(super::wall_ms());
    let zone = docknap::domain::time::zone(ZONE).unwrap_or(jiff::tz::TimeZone::UTC);
    (i64::from(now.to_zoned(zone).hour()) + later) % 24
}

/// Hours of sleep that do not begin within the next three: nothing is to sleep meanwhile.
fn window() -> String {
    format!(
        "sleep Mon-Fri {:02}:00-{:02}:00; Sat,Sun {:02}:30-{:02}:00",
        hour(4),
        hour(12),
        hour(5),
        hour(14)
    )
}

/// A time of each day at which that window sleeps: a stop then does not go against it, and that has to be seen.
fn within_the_window() -> String {
    format!("0 {} * * *", hour(8))
}

/// Adds rows to a data directory that [`seed`] made.
pub async fn multiply(home: &Path, size: Size) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let db = Db::open_sqlite(&home.join("docknap.db"), Durability::Off).await?;
    let now = super::wall_ms();
    let stacks = size.stacks.max(1);
    // Spread over a day, so that none is near and no two pages show the same.
    let due = format!("{now} + 7200000 + (i % 1300) * 60000");
    let name = format!("printf('stack-%04d', 1 + i % {stacks})");
    let of = |kind: &str| format!("SELECT id FROM schedules WHERE name = '{kind}' LIMIT 1");
    let windows = size.schedules / 10;
    for (kind, many, mark) in [("cron", size.schedules.saturating_sub(windows), 1), ("window", windows, 2)] {
        let id = format!("printf('019c000{mark}-0000-7000-8000-%012x', i)");
        let replaced = [
            ("id", id.as_str()),
            ("name", "printf('Schedule %d', i)"),
            ("target_name", name.as_str()),
            ("target_identity", name.as_str()),
            ("next_due_ms", due.as_str()),
        ];
        copy(&db, "schedules", &of(kind), many, &replaced).await?;
    }
    let any = |table: &str| format!("SELECT id FROM {table} ORDER BY id DESC LIMIT 1");
    let at = |many: usize| {
        format!("({now} - 86400000 - ({many} - i) * CAST({} AS INTEGER))", 25_920_000_000 / many.max(1))
    };
    let id = |at: &str| format!("printf('%08x-%04x-7000-8000-%012x', {at} >> 16, {at} & 65535, i)");
    let (made, id_of) = (at(size.runs), id(&at(size.runs)));
    // Sixty failed, however many there are: they fill a page, and a filter has to find them.
    let every = (size.runs / 60).max(1);
    let state = format!("CASE WHEN i % {every} = {every} / 2 THEN 'failed' ELSE 'succeeded' END");
    let schedule = format!(
        "printf('019c0001-0000-7000-8000-%012x', 1 + i % {})",
        (size.schedules - windows).clamp(1, 500)
    );
    let replaced = [
        ("id", id_of.as_str()),
        ("schedule_id", if size.schedules > windows { schedule.as_str() } else { "NULL" }),
        ("fire_at_ms", made.as_str()),
        ("target_name", name.as_str()),
        ("target_identity", name.as_str()),
        ("created_ms", made.as_str()),
        ("started_ms", made.as_str()),
        ("finished_ms", made.as_str()),
        ("state", state.as_str()),
    ];
    copy(&db, "runs", &any("runs"), size.runs, &replaced).await?;
    let (made, id) = (at(size.audit), id(&at(size.audit)));
    copy(&db, "audit", &any("audit"), size.audit, &[("id", id.as_str()), ("at_ms", made.as_str())]).await?;
    db.close().await;
    Ok(())
}

/// Copies the row that `which` finds `many` times, with some columns as expressions of `i`, counted from 1.
async fn copy(
    db: &Db,
    table: &str,
    which: &str,
    many: usize,
    replaced: &[(&str, &str)],
) -> Result<(), sqlx::Error> {
    let Db::Sqlite { writer, .. } = db else { return Ok(()) };
    if many == 0 {
        return Ok(());
    }
    let columns: Vec<(String,)> =
        sqlx::query_as(AssertSqlSafe(format!("SELECT name FROM pragma_table_info('{table}')")))
            .fetch_all(writer)
            .await?;
    let columns: Vec<&str> = columns.iter().map(|column| column.0.as_str()).collect();
    let values: Vec<String> = columns
        .iter()
        .map(|column| match replaced.iter().find(|(name, _)| name == column) {
            Some((_, expression)) => (*expression).to_owned(),
            None => format!("t.{column}"),
        })
        .collect();
    // The copies begin in the middle of the list of ids; the row they are made from must not be found among them.
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {many}), \
         t AS MATERIALIZED (SELECT * FROM {table} WHERE id = ({which})) \
         INSERT INTO {table} ({}) SELECT {} FROM n, t",
        columns.join(", "),
        values.join(", ")
    );
    sqlx::query(AssertSqlSafe(sql)).execute(writer).await?;
    Ok(())
}
