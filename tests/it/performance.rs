//! Every budget has its line in the documentation, with the same figure. What keeps it is measured by `scripts/bench`,
//! never here.

#[path = "../../benches/whole/budgets.rs"]
mod budgets;

use budgets::{BUDGETS, Limit};

#[test]
fn the_table_names_every_budget() {
    let page = include_str!("../../docs/performance.md");
    let mut ids = std::collections::HashSet::new();
    for budget in BUDGETS {
        assert!(ids.insert(budget.id), "{} is there twice", budget.id);
        let allowed = match budget.limit {
            Limit::AtMost(most) => format!("<= {} {}", shown(most), budget.unit),
            Limit::AtLeast(least) => format!(">= {} {}", shown(least), budget.unit),
            Limit::None => "-".to_owned(),
        };
        let begin = format!("| {} | {allowed} |", budget.what);
        assert!(page.contains(&begin), "docs/performance.md has no line `{begin}`: run scripts/bench");
    }
    let lines = page.lines().skip_while(|line| !line.starts_with("| what |")).skip(2);
    let lines = lines.take_while(|line| line.starts_with('|')).count();
    assert_eq!(lines, BUDGETS.len(), "docs/performance.md has a line that is no budget");
}

/// As the table shows it: whole numbers without a point.
fn shown(limit: f64) -> String {
    if limit.fract() == 0.0 { format!("{limit:.0}") } else { format!("{limit:.2}") }
}

#[test]
fn the_measuring_program_reads_every_budget() {
    let sources = [
        include_str!("../../benches/whole/main.rs"),
        include_str!("../../benches/whole/idle.rs"),
        include_str!("../../benches/whole/pages.rs"),
        include_str!("../../benches/whole/punctual.rs"),
        include_str!("../../benches/whole/fires.rs"),
        include_str!("../../benches/whole/lateness.rs"),
        include_str!("../../benches/whole/growth.rs"),
        include_str!("../../benches/whole/stack.rs"),
        include_str!("../../benches/whole/hosts.rs"),
    ];
    for budget in BUDGETS {
        let named = format!("\"{}\"", budget.id);
        assert!(sources.iter().any(|source| source.contains(&named)), "nothing measures {named}");
    }
}
