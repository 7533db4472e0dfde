//! Holds every crate of the lock file to `deny.toml`: licences, bans and sources. `cargo deny` reads the same file in
//! the public CI; building it here would cost more time than all other tests together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn rules() -> toml::Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml");
    std::fs::read_to_string(path).expect("deny.toml is there").parse().expect("deny.toml is TOML")
}

fn metadata() -> Value {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--all-features"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}

fn texts(value: Option<&toml::Value>) -> BTreeSet<String> {
    let items = value.and_then(toml::Value::as_array).expect("a list in deny.toml");
    items.iter().map(|item| item.as_str().expect("a list of texts").to_owned()).collect()
}

/// The packages that are not ours: name, version, licence, source.
fn foreign(metadata: &Value) -> Vec<(&str, &str, &str, &str)> {
    let packages = metadata["packages"].as_array().expect("packages");
    let foreign: Vec<_> = packages.iter().filter(|package| package["source"].is_string()).collect();
    assert!(foreign.len() > 100, "cargo metadata names {} crates only", foreign.len());
    foreign
        .into_iter()
        .map(|package| {
            let text = |key: &str| package[key].as_str().unwrap_or("");
            (text("name"), text("version"), text("license"), text("source"))
        })
        .collect()
}

/// Whether an SPDX expression can be met with what `allowed` says. The older `A/B` means `A OR B`; an exception
/// (`WITH …`) only ever allows more.
fn is_met(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut tokens = spaced.split_whitespace().peekable();
    let met = any(&mut tokens, allowed);
    assert!(tokens.next().is_none(), "`{expression}` is no SPDX expression");
    met
}

type Tokens<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(tokens: &mut Tokens<'_>, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut met = all(tokens, allowed);
    while tokens.next_if_eq(&"OR").is_some() {
        met |= all(tokens, allowed);
    }
    met
}

fn all(tokens: &mut Tokens<'_>, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut met = one(tokens, allowed);
    while tokens.next_if_eq(&"AND").is_some() {
        met &= one(tokens, allowed);
    }
    met
}

fn one(tokens: &mut Tokens<'_>, allowed: &dyn Fn(&str) -> bool) -> bool {
    let token = tokens.next().expect("an SPDX expression goes on");
    if token == "(" {
        let met = any(tokens, allowed);
        assert_eq!(tokens.next(), Some(")"), "a bracket is closed");
        return met;
    }
    if tokens.next_if_eq(&"WITH").is_some() {
        tokens.next().expect("WITH names an exception");
    }
    allowed(token)
}

#[test]
fn spdx_expressions_are_read_as_written() {
    let allowed = |licence: &str| matches!(licence, "MIT" | "ISC");
    for met in [
        "MIT",
        "GPL-3.0 OR MIT",
        "GPL-3.0/MIT",
        "(MIT OR GPL-3.0) AND ISC",
        "MIT WITH X",
        "A OR B AND C OR ISC",
    ] {
        assert!(is_met(met, &allowed), "{met}");
    }
    for unmet in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "GPL-3.0 WITH X"] {
        assert!(!is_met(unmet, &allowed), "{unmet}");
    }
}

#[test]
fn every_licence_is_allowed() {
    let rules = rules();
    let allow = texts(rules["licenses"].get("allow"));
    let exceptions: BTreeMap<String, BTreeSet<String>> = rules["licenses"]["exceptions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|rule| (rule["crate"].as_str().expect("a name").to_owned(), texts(rule.get("allow"))))
        .collect();
    let metadata = metadata();
    let refused: Vec<_> = foreign(&metadata)
        .into_iter()
        .filter(|(name, _, licence, _)| {
            let allowed = |one: &str| {
                allow.contains(one) || exceptions.get(*name).is_some_and(|allowed| allowed.contains(one))
            };
            licence.is_empty() || !is_met(licence, &allowed)
        })
        .collect();
    assert!(refused.is_empty(), "deny.toml allows none of the licences of {refused:#?}");
}

#[test]
fn no_banned_crate_is_linked() {
    let rules = rules();
    let banned: BTreeSet<_> = rules["bans"]["deny"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|rule| rule["crate"].as_str().expect("a name").to_owned())
        .collect();
    let metadata = metadata();
    let found: Vec<_> = foreign(&metadata).into_iter().filter(|(name, ..)| banned.contains(*name)).collect();
    assert!(found.is_empty(), "banned in deny.toml: {found:#?}");
}

#[test]
fn every_crate_comes_from_an_allowed_registry() {
    let allowed = texts(rules()["sources"].get("allow-registry"));
    let metadata = metadata();
    let strange: Vec<_> = foreign(&metadata)
        .into_iter()
        .filter(|(.., source)| !source.strip_prefix("registry+").is_some_and(|from| allowed.contains(from)))
        .collect();
    assert!(strange.is_empty(), "not from a registry of deny.toml: {strange:#?}");
}

#[test]
fn what_is_allowed_for_tests_only_is_not_in_the_program() {
    let metadata = metadata();
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .map(|node| (node["id"].as_str().expect("an id"), node))
        .collect();
    let mut open = vec![metadata["resolve"]["root"].as_str().expect("our package")];
    let mut linked = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !linked.insert(id) {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().expect("dependencies") {
            let kinds = dependency["dep_kinds"].as_array().expect("kinds");
            if kinds.iter().any(|kind| kind["kind"].as_str() != Some("dev")) {
                open.push(dependency["pkg"].as_str().expect("an id"));
            }
        }
    }
    assert!(linked.len() > 100, "only {} crates are linked", linked.len());
    let copyleft: Vec<_> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .filter(|package| linked.contains(package["id"].as_str().expect("an id")))
        .filter(|package| package["license"].as_str().is_some_and(|licence| licence == "MPL-2.0"))
        .map(|package| package["name"].as_str().expect("a name"))
        .collect();
    assert!(copyleft.is_empty(), "linked into the program: {copyleft:?}");
}
