//! Creates databases of any size: the program itself creates one schedule of each kind, one run and one audit row,
//! and SQL copies them as often as needed.

use std::io;
use std::path::Path;

use docknap::db::Db;
use docknap::db::engine::Durability;
use docknap::sim::World;
use serde_json::json;
use sqlx::AssertSqlSafe;
use tempfile::TempDir;

use super::program::{Program, Setup};
use super::{Bench, Simulated, wait_until};

/// Time zone of all schedules; it has changes of clocks.
const ZONE: &str = "Europe/Berlin";

/// Number of rows and containers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Size {
    /// Stacks of the simulated Engine.
    pub stacks: usize,
    /// Services per stack.
    pub services: usize,
    /// Schedules: one in ten is a window, the others are cron schedules. None is due within two hours.
    pub schedules: usize,
    /// Runs of the past 300 days, the newest one day ago.
    pub runs: usize,
    /// Audit rows of the same period.
    pub audit: usize,
}

impl Size {
    /// The containers of the simulated Engine.
    pub fn world(self) -> World {
        World::new().many(self.stacks, self.services)
    }
}

/// A data directory and its simulated Engine.
pub struct Seeded {
    /// Removed when the value is dropped.
    pub home: TempDir,
    /// The simulated Engine.
    pub engine: Simulated,
}

impl Seeded {
    /// How to start the program on this data.
    pub fn setup(&self, bench: &Bench) -> Setup {
        Setup { log: "info", ..bench.setup(self.home.path(), &self.engine.control.docker_host()) }
    }
}

/// Creates a data directory of this size.
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
    wait_until("the first run ends", || Ok(caller.get(&path)?.json()["finished_at"].is_string()))?;
    program.stop()?;
    bench.runtime.block_on(multiply(seeded.home.path(), size)).map_err(io::Error::other)?;
    Ok(seeded)
}

/// The hour of the day `later` hours from now, so that results do not depend on the time of day.
fn hour(later: i64) -> i64 {
    let now = docknap::domain::time::from_ms(super::wall_ms());
    let zone = docknap::domain::time::zone(ZONE).unwrap_or(jiff::tz::TimeZone::UTC);
    (i64::from(now.to_zoned(zone).hour()) + later) % 24
}

/// A window whose sleep does not begin within the next three hours, so that nothing is put to sleep during a
/// measurement.
fn window() -> String {
    format!(
        "sleep Mon-Fri {:02}:00-{:02}:00; Sat,Sun {:02}:30-{:02}:00",
        hour(4),
        hour(12),
        hour(5),
        hour(14)
    )
}

/// A daily fire during the window's sleep, so that its stop does not conflict with the window; the program has to
/// find that out.
fn within_the_window() -> String {
    format!("0 {} * * *", hour(8))
}

/// Adds rows to a data directory made by [`seed`].
pub async fn multiply(home: &Path, size: Size) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let db = Db::open_sqlite(&home.join("docknap.db"), Durability::Off).await?;
    let now = super::wall_ms();
    let stacks = size.stacks.max(1);
    // Spread over a day, so that none is due soon and rows differ.
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
    // Sixty runs failed, regardless of the total: they fill one page, and a filter has to find them.
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

/// Copies the row that the query `which` finds `many` times. `replaced` gives SQL expressions for some columns, in
/// which `i` counts from 1.
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
    // The copies' ids surround the original's, so the original is read before they are inserted.
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
