//! Measures a thousand schedules that are due at the same instant: when each is claimed, and when the first call to
//! Docker is made.

use std::io;
use std::time::Duration;

use docknap::db::Db;
use docknap::db::engine::Durability;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sqlx::AssertSqlSafe;

use super::program::Program;
use super::report::{Readings, Report, shown};
use super::seed::{Size, seed};
use super::{Bench, clock, pause, wall_ms};

/// One stack per schedule, so that each has a run of its own.
const SIZE: Size = Size { stacks: 1_000, services: 1, schedules: 0, runs: 0, audit: 0 };
const MANY: usize = 1_000;

/// Measures both rows.
pub fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let (mut claims, mut first_calls) = (Vec::new(), Vec::new());
    for _ in 0..bench.pick(3, 1) {
        let seeded = seed(bench, SIZE)?;
        // Late enough for the program to start and settle. The stored instant decides when a schedule fires, so it
        // need not be a full minute.
        let due = (wall_ms() + 8_000).div_euclid(1_000) * 1_000;
        bench.runtime.block_on(plan(seeded.home.path(), due)).map_err(io::Error::other)?;
        let program = Program::start(&seeded.setup(bench))?;
        program.until_said("connected to Docker")?;
        if wall_ms() > due - 500 {
            return Err(io::Error::other("the machine is too busy: it had come up too late"));
        }
        seeded.engine.control.clear_calls();
        let commits = bench.runtime.block_on(watch(seeded.home.path(), due)).map_err(io::Error::other)?;
        let first_commit = commits.first().map_or(f64::NAN, |(at, _)| *at);
        for (at, claimed) in &commits {
            claims.extend(std::iter::repeat_n(*at, *claimed));
        }
        // The other runs continue; the first call is made at about the time at which the last run is claimed.
        let begin = clock();
        while seeded.engine.control.acts().is_empty() && clock().saturating_sub(begin).as_secs() < 10 {
            pause(Duration::from_millis(1));
        }
        let acts = seeded.engine.control.acts();
        let called = acts.first().map_or(i64::MAX, |(_, _, at)| at.as_millisecond());
        #[expect(clippy::cast_precision_loss, reason = "some milliseconds")]
        first_calls.push(((called - due) as f64 - first_commit).max(0.0));
    }
    let claims = Readings::new(claims);
    report.many("claim", &claims, 99.0);
    report.note("claim", format!("median {}, {} claims", shown(claims.median()), bench.pick(3, 1) * MANY));
    report.many("first_call", &Readings::new(first_calls), 50.0);
    Ok(())
}

/// Creates a schedule for each stack that stops it at `due` (Unix milliseconds).
async fn plan(home: &std::path::Path, due: i64) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // The fire after that is half a day later.
    let civil = Timestamp::from_millisecond(due)?.to_zoned(TimeZone::get("Europe/Berlin")?);
    let cron = format!("0 {} * * *", (civil.hour() + 12) % 24);
    super::seed::multiply(home, Size { schedules: MANY, ..SIZE }).await?;
    let db = Db::open_sqlite(&home.join("docknap.db"), Durability::Off).await?;
    if let Db::Sqlite { writer, .. } = &db {
        // Removes the originals and turns the copied windows into cron schedules.
        for sql in [
            "DELETE FROM runs".to_owned(),
            "DELETE FROM schedules WHERE name IN ('cron', 'window')".to_owned(),
            format!(
                "UPDATE schedules SET kind = 'cron', window_text = NULL, action = 'stop', cron = '{cron}', \
                 next_due_ms = {due}"
            ),
            "UPDATE schedules SET (target_name, target_identity) = (SELECT s, s FROM (SELECT id, \
             printf('stack-%04d', ROW_NUMBER() OVER (ORDER BY id)) AS s FROM schedules) n \
             WHERE n.id = schedules.id)"
                .to_owned(),
        ] {
            sqlx::query(AssertSqlSafe(sql)).execute(writer).await?;
        }
    }
    db.close().await;
    Ok(())
}

/// Polls the database every millisecond, starting 20 ms before `due`. Returns for each commit its time after `due` in
/// ms and the number of new runs.
async fn watch(
    home: &std::path::Path,
    due: i64,
) -> Result<Vec<(f64, usize)>, Box<dyn std::error::Error + Send + Sync>> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(home.join("docknap.db")).read_only(true);
    let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
    let (mut seen, mut version, mut commits) = (0, 0_i64, Vec::new());
    let begin = (wall_ms(), clock());
    pause(Duration::from_millis(u64::try_from(due - begin.0 - 20).unwrap_or(0)));
    // The wall clock, which has only milliseconds, is read once; the rest is measured on the monotonic clock.
    #[expect(clippy::cast_precision_loss, reason = "some milliseconds")]
    let since_due = || (begin.0 - due) as f64 + clock().saturating_sub(begin.1).as_secs_f64() * 1e3;
    while seen < i64::try_from(MANY)? {
        if since_due() > 60_000.0 {
            return Err(format!("only {seen} of {MANY} schedules were claimed within a minute").into());
        }
        pause(Duration::from_millis(1));
        let at = since_due();
        let (now,): (i64,) = sqlx::query_as("PRAGMA data_version").fetch_one(&pool).await?;
        if now == version {
            continue;
        }
        version = now;
        let (count,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM runs WHERE schedule_id IS NOT NULL")
            .fetch_one(&pool)
            .await?;
        if count > seen {
            commits.push((at, usize::try_from(count - seen)?));
            seen = count;
        }
    }
    pool.close().await;
    Ok(commits)
}
