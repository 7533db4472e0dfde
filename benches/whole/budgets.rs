//! All budgets: what is measured, in which unit, and the limit.
//!
//! This module measures nothing, so that a test can include it.

/// The limit of a budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// At most this value.
    AtMost(f64),
    /// At least this value.
    AtLeast(f64),
    /// No limit; shown for comparison.
    None,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Id in the JSON output.
    pub id: &'static str,
    /// What is measured, in the words of docs/performance.md.
    pub what: &'static str,
    /// Unit of every number in the row.
    pub unit: &'static str,
    /// The limit.
    pub limit: Limit,
}

const fn at_most(id: &'static str, what: &'static str, unit: &'static str, limit: f64) -> Budget {
    Budget { id, what, unit, limit: Limit::AtMost(limit) }
}

const fn shown(id: &'static str, what: &'static str, unit: &'static str) -> Budget {
    Budget { id, what, unit, limit: Limit::None }
}

/// All rows, in the order of the table.
pub const BUDGETS: &[Budget] = &[
    at_most("image", "image size", "MB", 20.0),
    at_most("memory_idle", "resident memory, idle, 30 containers, 20 schedules", "MiB", 20.0),
    at_most("memory_used", "resident memory after 2,000 pages and 50 logins", "MiB", 20.0),
    at_most("memory_peak", "its highest until then", "MiB", 40.0),
    at_most("memory_large", "resident memory, 5,000 containers, 1,000 stacks, 10,000 schedules", "MiB", 64.0),
    at_most("memory_hosts", "the same, 100 hosts of 50 containers each", "MiB", 96.0),
    at_most("start", "start to the first 200 of /healthz, existing database", "ms", 50.0),
    at_most("start_fresh", "the same, new database", "ms", 200.0),
    at_most("cpu_idle", "idle CPU, no browser, of one core", "%", 0.1),
    shown("cpu_browser", "the same with one browser on the dashboard", "%"),
    at_most("disk_idle", "idle disk, bytes written", "bytes", 0.0),
    shown("disk_browser", "the same with one browser on the dashboard", "bytes"),
    at_most("calls_idle", "idle Docker calls, per 300 s", "calls", 1.0),
    at_most("page_p99", "dashboard of 300 containers at 200 requests/s: 99th percentile", "ms", 25.0),
    Budget {
        id: "page_saturated",
        what: "dashboard, as many as it can: share of the same page without a login",
        unit: "x",
        limit: Limit::AtLeast(0.5),
    },
    at_most("page_queries", "queries of one dashboard", "queries", 10.0),
    at_most("page_calls", "Docker calls of 100 dashboards", "calls", 0.0),
    at_most("event", "Docker's event to the browser: 99th percentile", "ms", 100.0),
    at_most("claim", "1,000 schedules of one minute, instant to claim: 99th percentile", "ms", 250.0),
    at_most("first_call", "their first commit to the first Docker call", "ms", 50.0),
    at_most(
        "frozen_host",
        "50 stops of one minute on 50 hosts, one more that hangs, against without it",
        "x",
        1.2,
    ),
    at_most("stops", "10 stops at one minute, instant to Docker's SIGTERM: 99th percentile", "ms", 200.0),
    at_most("stop_start", "stop and start of 12 services, share of the faster peer", "x", 1.1),
    at_most("fire", "next fire of an ordinary expression", "us", 5.0),
    at_most("fire_preview", "10 fires for a preview", "ms", 1.0),
    at_most("fire_rarest", "next fire of the rarest expression", "ms", 1.0),
    at_most("growth_tick", "a tick with 100,000 schedules that are not due, against 1,000", "x", 1.5),
    at_most("growth_stacks", "dashboard with 1,000,000 runs, against 10,000", "x", 1.5),
    at_most("growth_runs", "page of runs, 1,000,000 against 10,000", "x", 1.5),
    at_most("growth_runs_deep", "the same by cursor, half way down", "x", 1.5),
    at_most("growth_runs_failed", "the same of a state that is rare", "x", 1.5),
    at_most("growth_runs_stack", "the same of one stack", "x", 1.5),
    at_most("growth_schedules_runs", "page of schedules, 1,000,000 runs against 10,000", "x", 1.5),
    at_most("growth_audit", "page of the audit log, 1,000,000 rows against 10,000", "x", 1.5),
    at_most("growth_audit_event", "the same of an event that is rare", "x", 1.5),
    at_most("growth_schedules", "page of schedules, 100,000 against 1,000", "x", 1.5),
    at_most("growth_schedules_shared", "the same, against 1,000 of which as many share a stack", "x", 1.5),
];
