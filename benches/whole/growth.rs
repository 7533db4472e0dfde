//! Measures whether response times grow with the number of rows.

use std::io;

use docknap::clock::Clock;
use docknap::config::Config;
use docknap::{lifecycle, scheduler};

use super::load::alternating;
use super::program::Program;
use super::report::{Readings, Report, shown};
use super::seed::{Seeded, Size, seed};
use super::{Bench, clock};

const STACKS: usize = 50;

/// Measures every row of the table: few database rows against many.
pub fn measure(bench: &Bench, report: &mut Report) -> io::Result<()> {
    let history = |rows| Size { stacks: STACKS, services: 2, schedules: 200, runs: rows, audit: rows };
    let (few, many) = (10_000, bench.pick(1_000_000, 200_000));
    let (few, many) = (seed(bench, history(few))?, seed(bench, history(many))?);
    let lines: [Line; 8] = [
        ("growth_stacks", || "/".to_owned()),
        ("growth_runs", || "/runs".to_owned()),
        ("growth_runs_deep", || half_way_down("/runs")),
        ("growth_runs_failed", || "/runs?state=failed".to_owned()),
        ("growth_runs_stack", || "/runs?target=stack/stack-0001".to_owned()),
        ("growth_schedules_runs", || "/schedules".to_owned()),
        ("growth_audit", || "/audit".to_owned()),
        ("growth_audit_event", || "/audit?event=user.created".to_owned()),
    ];
    compare(bench, report, [&few, &many], &lines)?;
    drop((few, many));

    let on_stacks = |stacks, rows| Size { stacks, services: 2, schedules: rows, runs: 1_000, audit: 1_000 };
    let schedules = |rows| on_stacks(1_000, rows);
    let sizes = [20, 1_000, 10_000, bench.pick(100_000, 20_000)];
    let seeded = sizes.map(|rows| seed(bench, schedules(rows)));
    let mut ticks = Vec::new();
    for one in &seeded {
        let one = one.as_ref().map_err(|error| io::Error::other(error.to_string()))?;
        ticks.push(tick(bench, one)?);
    }
    report.one("growth_tick", ticks[3] / ticks[1]);
    let said: Vec<String> =
        sizes.iter().zip(&ticks).map(|(rows, tick)| format!("{rows}: {} us", shown(*tick))).collect();
    report.note("growth_tick", said.join(", "));
    let [_, few, _, many] = &seeded;
    if let (Ok(few), Ok(many)) = (few, many) {
        compare(bench, report, [few, many], &[("growth_schedules", || "/schedules".to_owned())])?;
        // Each schedule is compared with up to sixteen others of its stack; here both programs have that many.
        let shared = seed(bench, on_stacks(STACKS, 1_000))?;
        compare(bench, report, [&shared, many], &[("growth_schedules_shared", || "/schedules".to_owned())])?;
    }
    Ok(())
}

type Line = (&'static str, fn() -> String);

fn compare(bench: &Bench, report: &mut Report, seeded: [&Seeded; 2], lines: &[Line]) -> io::Result<()> {
    let [few, many] = seeded.map(|seeded| {
        let program = Program::start(&seeded.setup(bench))?;
        program.until_said("connected to Docker")?;
        let browser = program.browser()?;
        io::Result::Ok((program, browser))
    });
    let ((_few, few), (_many, many)) = (few?, many?);
    let mut browsers = [few, many];
    for (id, path) in lines {
        let [few, many] = alternating(&mut browsers, &path(), bench.pick(60, 15))?.map(|page| page.median());
        report.one(id, many / few);
        let sizes = if bench.quick { "; with --quick a fifth of the rows" } else { "" };
        report.note(id, format!("{} ms against {} ms{sizes}", shown(many), shown(few)));
    }
    Ok(())
}

/// A page in the middle of the list: the cursor is an id from the middle of the rows' time range.
fn half_way_down(page: &str) -> String {
    let ms = super::wall_ms() - 86_400_000 * 150;
    let (high, low) = (ms >> 16, ms & 0xffff);
    format!("{page}?cursor={high:08x}-{low:04x}-7000-8000-000000000000")
}

/// Median time in microseconds of a scheduler pass that finds nothing due.
fn tick(bench: &Bench, seeded: &Seeded) -> io::Result<f64> {
    let config = Config {
        data_dir: seeded.home.path().to_owned(),
        docker_host: seeded.engine.control.docker_host(),
        timezone: Some("Europe/Berlin".to_owned()),
        ..Config::default()
    };
    bench.runtime.block_on(async {
        let app = lifecycle::open_services(config, Clock::system()).await.map_err(io::Error::other)?;
        let mut took = Vec::new();
        // The first passes reconcile and are not counted.
        for number in 0..220 {
            let begin = clock();
            scheduler::tick(&app).await.map_err(io::Error::other)?;
            if number >= 20 {
                took.push(clock().saturating_sub(begin).as_secs_f64() * 1e6);
            }
        }
        app.db.close().await;
        Ok(Readings::new(took).median())
    })
}
