//! Measures how long it takes to compute the next fires of a cron expression. `benches/domain.rs` measures the same
//! in more detail.

use std::hint::black_box;
use std::io;

use docknap::domain::cron::Cron;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::report::{Readings, Report};
use super::{Bench, clock};

/// Common expressions.
const ORDINARY: &[&str] = &[
    "0 23 * * *",
    "30 7 * * 1-5",
    "*/15 * * * *",
    "0 3 1 * *",
    "0 9-17 * * 1-5",
    "15,45 6 * * *",
    "0 0 * * 0",
    "0 22 * * 5",
    "*/5 8-18 * * 1-5",
    "0 4 15 * *",
    "0 12 * * 6,0",
    "59 23 31 12 *",
];
/// 29 February on a Sunday: every 28 or 40 years.
const RAREST: &str = "0 0 */29 2 0";
/// Computations per expression.
const MANY: i32 = 2_000;

/// Measures the three rows.
#[expect(clippy::unnecessary_wraps, reason = "one signature for every group")]
pub fn measure(_: &Bench, report: &mut Report) -> io::Result<()> {
    let zone = TimeZone::get("Europe/Berlin").expect("the zone is known");
    let (mut one, mut ten) = (Vec::new(), Vec::new());
    for text in ORDINARY {
        let cron = Cron::parse(text).expect("an ordinary expression");
        one.push(micros(|after| {
            black_box(cron.next(after, &zone));
        }));
        ten.push(
            micros(|after| {
                black_box(cron.fires(after, &zone).take(10).count());
            }) / 1e3,
        );
    }
    report.many("fire", &Readings::new(one), 50.0).many("fire_preview", &Readings::new(ten), 100.0);
    report.note("fire", format!("median of {} expressions", ORDINARY.len()));
    report.note("fire_preview", "the slowest of them");
    let rarest = Cron::parse(RAREST).expect("an accepted expression");
    report.one(
        "fire_rarest",
        micros(|after| {
            black_box(rarest.next(after, &zone));
        }) / 1e3,
    );
    report.note("fire_rarest", RAREST);
    Ok(())
}

/// Average time of one computation in microseconds, from instants spread over some years.
fn micros(look_up: impl Fn(Timestamp)) -> f64 {
    let first: Timestamp = "2026-01-01T00:00:00Z".parse().expect("an instant");
    let begin = clock();
    for number in 0..MANY {
        look_up(first + (number * 13).hours());
    }
    clock().saturating_sub(begin).as_secs_f64() * 1e6 / f64::from(MANY)
}
