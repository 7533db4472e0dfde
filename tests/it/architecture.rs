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
fn one_module_sorts() {
    let sorts = [".sort()", ".sort_by", ".sort_unstable"];
    assert_eq!(lines_with("src", &sorts, &["/src/domain/sorted.rs"]), Vec::<String>::new());
}

#[test]
fn only_the_execution_path_asks_docker_to_act() {
    let calls = ["host.start(", "host.stop(", "host.restart(", "host.pause(", "host.unpause("];
    assert_eq!(lines_with("src", &calls, &["/src/app/execute/operate.rs"]), Vec::<String>::new());
}
