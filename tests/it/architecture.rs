//! The layers, as a scan of the sources: who may name whom.

use std::path::{Path, PathBuf};

/// Every Rust file under `directory`, with its text up to its tests.
fn sources(directory: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory of the sources").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a text");
                let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "{directory} holds sources");
    found
}

/// The lines of code (comments apart) under `directory` that hold one of `words`.
fn lines_with(directory: &str, words: &[&str], but_not_under: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, text) in sources(directory) {
        let name = path.to_string_lossy().replace('\\', "/");
        if but_not_under.iter().any(|allowed| name.contains(allowed)) {
            continue;
        }
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            if words.iter().any(|word| line.contains(word)) {
                lines.push(format!("{name}: {}", line.trim()));
            }
        }
    }
    lines
}

#[test]
fn the_domain_knows_no_io_no_clock_and_no_other_layer() {
    let words = [
        "sqlx::",
        "bollard::",
        "axum::",
        "tokio::",
        "reqwest::",
        "std::fs",
        "std::net",
        "SystemTime",
        "crate::db",
        "crate::docker",
        "crate::app",
        "crate::web",
        "async fn",
    ];
    assert_eq!(lines_with("src/domain", &words, &[]), Vec::<String>::new());
}

#[test]
fn only_db_speaks_sql_and_only_docker_speaks_to_docker() {
    assert_eq!(lines_with("src", &["sqlx::"], &["/src/db/"]), Vec::<String>::new());
    assert_eq!(lines_with("src", &["bollard::"], &["/src/docker/"]), Vec::<String>::new());
}

#[test]
fn pages_and_api_reach_storage_through_services_only() {
    assert_eq!(lines_with("src/web", &["crate::db", "db::"], &[]), Vec::<String>::new());
}

#[test]
fn only_the_execution_path_asks_docker_to_act() {
    let calls = ["host.start(", "host.stop(", "host.restart(", "host.pause(", "host.unpause("];
    assert_eq!(
        lines_with("src", &calls, &["/src/app/execute/step.rs", "/src/app/execute/step/"]),
        Vec::<String>::new()
    );
}

/// Each call of a macro of the log, as it is written.
fn log_lines() -> Vec<(PathBuf, String)> {
    let levels = ["error!(", "warn!(", "info!(", "debug!(", "trace!("];
    let mut found = Vec::new();
    for (path, text) in sources("src") {
        for call in text.split("tracing::").skip(1) {
            if levels.iter().any(|level| call.starts_with(level)) {
                let end = call.find(");").or_else(|| call.find(")\n")).unwrap_or(call.len());
                found.push((path.clone(), call[..end].to_owned()));
            }
        }
    }
    assert!(found.len() > 30, "the log has more lines than {}", found.len());
    found
}

/// An error's own words may leave out what caused it; `domain::text::chain` does not.
#[test]
fn a_line_of_the_log_names_the_cause_of_its_error() {
    let bare = ["%error", "?error", "{error", "%err,", "?err,", "{err}", "%e,", "?e,", "{e}"];
    let hides = |line: &str| bare.iter().any(|word| line.contains(word));
    let hiding: Vec<_> = log_lines().into_iter().filter(|(_, line)| hides(line)).collect();
    assert_eq!(hiding, Vec::new(), "write `error = %chain(&error)`");
}

/// So that an error shown by itself, without [`chain`](docknap::domain::text::chain), hides nothing either.
#[test]
fn an_error_that_has_a_cause_quotes_it() {
    let (mut seen, mut silent) = (0, Vec::new());
    for (path, text) in sources("src") {
        for variant in text.split("#[error(").skip(1) {
            let end = variant.find("\n    #[error(").unwrap_or(variant.len());
            let (words, fields) = variant[..end].split_once(")]").expect("the attribute ends");
            let fields = fields.split("\n}\n").next().unwrap_or_default();
            if !fields.contains("#[from]") && !fields.contains("#[source]") {
                continue;
            }
            seen += 1;
            if !["transparent", "{0}", "{error}", "{source}"].iter().any(|quote| words.contains(quote)) {
                silent.push(format!("{}: {words}", path.display()));
            }
        }
    }
    assert!(seen > 5, "{seen} errors have a cause");
    assert_eq!(silent, Vec::<String>::new());
}
