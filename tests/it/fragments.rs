//! Every page and every part of one in the demo's world: none is empty, none holds what the content security policy
//! would refuse.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use docknap::domain::permission::Role;
use docknap::domain::text::hex;
use docknap::sim::World;
use scraper::{Html, Selector};
use sha2::{Digest, Sha256};

use crate::support::app::{NOW, TestApp};
use crate::support::bench::Bench;

/// A form as it is sent: path, status of the answer, fields.
type SentForm = (&'static str, u16, &'static [(&'static str, &'static str)]);

/// Forms that are refused, and what is not there: no GET route shows them.
const SENT: [SentForm; 18] = [
    (
        "/schedules",
        422,
        &[
            ("target", ""),
            ("kind", "cron"),
            ("view", "text"),
            ("cron", "61 23 * * *"),
            ("action", "stop"),
            ("priority", "x"),
            ("save", "on"),
        ],
    ),
    (
        "/schedules",
        422,
        &[("target", ""), ("kind", "window"), ("view", "week"), ("window", ""), ("save", "on")],
    ),
    ("/schedules/preview", 200, &[("kind", "window"), ("view", "text"), ("window", "sleep 23:00-07:00")]),
    ("/overrides", 422, &[("target", ""), ("state", "hold"), ("until", "at"), ("at", ""), ("reason", "")]),
    ("/calendars", 422, &[("name", ""), ("dates", "2026-13-01")]),
    (
        "/hosts",
        422,
        &[("name", ""), ("id", "A"), ("endpoint", "ssh://nas"), ("cert", "x"), ("parallelism", "x")],
    ),
    ("/groups", 422, &[("name", ""), ("id", "A"), ("colour", "mauve")]),
    ("/hosts/new/test", 422, &[("name", ""), ("endpoint", "")]),
    ("/hosts/local/test", 200, &[]),
    ("/users", 422, &[("name", ""), ("role", "nobody")]),
    ("/profile", 422, &[("timezone", "Nowhere")]),
    ("/profile/password", 422, &[("current", ""), ("password", "short"), ("again", "other")]),
    ("/settings/zone", 422, &[("timezone", "Nowhere")]),
    ("/settings/report", 422, &[("watts_per_core", "much")]),
    ("/login", 401, &[("name", "nobody"), ("password", "wrong")]),
    ("/runs/none/undo", 404, &[]),
    ("/stacks/0123456789abcdef/nap", 404, &[]),
    ("/no-such-page", 404, &[]),
];

/// `(what, html)` of everything.
async fn everything() -> Vec<(String, String)> {
    let (test, mut all) = Box::pin(crate::goldens::every_html()).await;
    let mut admin = test.browser(Role::Admin).await;
    for (path, status, form) in SENT {
        let answer = admin.post(path, form).await;
        assert_eq!(answer.status, status, "POST {path} {form:?}: {}", answer.body);
        all.push((format!("POST {path} {form:?}"), answer.body));
    }
    assert!(all.len() > 300, "the pages are where they were: {}", all.len());
    all
}

fn select(css: &str) -> Selector {
    Selector::parse(css).expect("a selector")
}

#[tokio::test]
async fn every_page_and_part_keeps_to_the_rules() {
    let all = Box::pin(everything()).await;
    for (what, html) in &all {
        assert!(!html.trim().is_empty(), "{what} is empty");
    }
    nothing_needs_more_than_the_policy_allows(&all);
    everything_can_be_read_aloud_and_walked_by_keys(&all);
    every_icon_and_every_static_file_that_is_named_is_there(&all);
}

fn nothing_needs_more_than_the_policy_allows(all: &[(String, String)]) {
    for (what, html) in all {
        let document = Html::parse_document(html);
        for element in document.select(&select("*")) {
            for (name, value) in element.value().attrs() {
                assert_ne!(name, "style", "{what}: inline style");
                assert!(!name.starts_with("on") && !name.starts_with("hx-on"), "{what}: {name}");
                assert!(
                    !value.trim_start().starts_with("js:") && !value.starts_with("javascript:"),
                    "{what}: {value}"
                );
                assert!(name != "hx-trigger" || !value.contains('['), "{what}: trigger filter {value}");
            }
        }
        assert_eq!(document.select(&select("style")).count(), 0, "{what}: style element");
        for script in document.select(&select("script")) {
            assert!(script.attr("src").is_some(), "{what}: inline script");
        }
    }
}

fn everything_can_be_read_aloud_and_walked_by_keys(all: &[(String, String)]) {
    for (what, html) in all {
        let document = Html::parse_document(html);
        let mut ids = BTreeSet::new();
        for element in document.select(&select("[id]")) {
            let id = element.attr("id").unwrap_or_default();
            assert!(ids.insert(id.to_owned()), "{what}: the id {id} twice");
        }
        for pointer in ["aria-labelledby", "aria-describedby", "for", "list"] {
            for element in document.select(&select(&format!("[{pointer}]"))) {
                for id in element.attr(pointer).unwrap_or_default().split_whitespace() {
                    assert!(ids.contains(id), "{what}: {pointer} names the missing {id}");
                }
            }
        }
        for field in document.select(&select("input:not([type=hidden]), select, textarea")) {
            let id = field.attr("id").unwrap_or_default();
            let labelled = document.select(&select("label")).any(|label| label.attr("for") == Some(id))
                || field
                    .ancestors()
                    .any(|node| node.value().as_element().is_some_and(|e| e.name() == "label"));
            let labelled = labelled || field.attr("aria-label").is_some();
            assert!(labelled, "{what}: the field {} has no label", field.html());
        }
        for button in document.select(&select("button, a")) {
            let said = button.text().collect::<String>();
            let named = !said.trim().is_empty() || button.attr("aria-label").is_some();
            assert!(named, "{what}: {} says nothing", button.html());
        }
        for drawing in document.select(&select("svg")) {
            // A picture says what it shows; anything else is an ornament.
            if let Some("img" | "group") = drawing.attr("role") {
                let title = drawing.attr("aria-labelledby").unwrap_or_default();
                let told = document.select(&select(&format!("title[id='{title}']"))).next();
                let told = told.map(|told| told.text().collect::<String>()).unwrap_or_default();
                assert!(!told.trim().is_empty(), "{what}: a picture that says nothing: {}", drawing.html());
                // A week of three runs an hour is the largest.
                assert!(drawing.html().len() < 7000, "{what}: a picture of {} bytes", drawing.html().len());
            } else {
                assert_eq!(drawing.attr("aria-hidden"), Some("true"), "{what}: an icon that is read aloud");
            }
        }
        if html.contains("<html") {
            assert_eq!(document.select(&select("h1")).count(), 1, "{what}: one heading of the first level");
            assert_eq!(document.select(&select("main#main")).count(), 1, "{what}: one main");
        }
    }
}

fn every_icon_and_every_static_file_that_is_named_is_there(all: &[(String, String)]) {
    let sprite = std::fs::read_to_string(root().join("static/icons.svg")).expect("reads");
    for (what, html) in all {
        let document = Html::parse_document(html);
        for part in document.select(&select("use")) {
            let name = part.attr("href").and_then(|href| href.split_once('#')).map_or("", |(_, name)| name);
            assert!(sprite.contains(&format!("id=\"{name}\"")), "{what}: no symbol {name}");
        }
        for part in document.select(&select("link[href], script[src]")) {
            let path = part.attr("href").or(part.attr("src")).unwrap_or_default();
            let file = path.trim_start_matches('/').split('?').next().unwrap_or_default();
            assert!(root().join(file).is_file(), "{what}: no file {file}");
        }
    }
}

#[test]
fn no_template_leaves_the_escaping_or_hides_a_block_in_a_condition() {
    for (path, text) in templates() {
        let flat: String = text.split_whitespace().collect();
        assert!(!flat.contains("|safe"), "{}: |safe", path.display());
        assert!(!text.contains("style=") && !text.contains("<style"), "{}: inline style", path.display());
        let long = text.lines().find(|line| line.chars().count() > 120);
        assert_eq!(long, None, "{}: a line past 120 columns", path.display());
        let mut inside = 0_i32;
        for tag in text.split("{%").skip(1) {
            let word = tag.trim_start_matches('-').split_whitespace().next().unwrap_or_default();
            match word {
                "if" | "for" | "match" => inside += 1,
                "endif" | "endfor" | "endmatch" => inside -= 1,
                "block" => {
                    assert_eq!(inside, 0, "{}: a block in a condition or loop renders empty", path.display())
                }
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn what_the_browser_loads_stays_small_and_at_home() {
    let world = (0..30).fold(World::new(), |world, number| {
        world.stack(&format!("stack-{number}"), |s| {
            s.service("db", |c| c).service("web", |c| c.depends_on("db"))
        })
    });
    let test = TestApp::over(Bench::new(NOW, world).await).await;
    let mut ada = test.admin().await;
    let page = ada.get("/").await;
    assert!(page.body.len() <= 120 * 1024, "the first page with 30 stacks is {} bytes", page.body.len());
    let document = Html::parse_document(&page.body);
    let mut sizes = Vec::new();
    for element in document.select(&select("[src], link, use, [hx-get], [action], img, iframe")) {
        for (name, value) in element.value().attrs() {
            if ["src", "srcset", "href", "action", "hx-get"].contains(&name) {
                assert!(!value.contains("//") && !value.contains("data:"), "{value} leaves the origin");
            }
        }
    }
    for element in document.select(&select("script[src], link[rel=stylesheet]")) {
        let path = element.attr("src").or(element.attr("href")).unwrap_or_default();
        let plain = ada.get(path).await.body;
        assert!(!plain.contains("@import") && !plain.contains("url("), "{path} loads more");
        let head = [("accept-encoding", "gzip")];
        let packed = ada.send(axum::http::Method::GET, path, None, String::new(), &head).await;
        assert_eq!(packed.header("content-encoding"), "gzip");
        let size = packed.length;
        sizes.push((path.split('?').next().unwrap_or_default().to_owned(), size));
    }
    assert_eq!(sizes.len(), 3, "one style sheet, what others made, our own: {sizes:?}");
    let sum: usize = sizes.iter().map(|(_, size)| size).sum();
    // As they are written, comments included, and compressed as a page is.
    assert!(sum <= 30 * 1024, "scripts and styles are {sum} bytes gzipped (rulings: sizes): {sizes:?}");
}

#[test]
fn what_others_have_made_is_what_the_list_says() {
    /// What is DockNap's own, and what the test above looks at.
    const OURS: [&str; 4] = ["VENDORED.md", "app.css", "app.js", "favicon.svg"];
    let read = |name: &str| std::fs::read(root().join("static").join(name)).expect("reads");
    let list = String::from_utf8(read("VENDORED.md")).expect("text");
    // `| `FILE`, which part | from | version | licence | `SUM` |`
    let rows: Vec<(&str, &str)> = list
        .lines()
        .filter_map(|line| {
            let named = line.strip_prefix("| `")?.split('`').next()?;
            Some((named, line.trim_end_matches(" |").rsplit('`').nth(1)?))
        })
        .collect();
    for entry in std::fs::read_dir(root().join("static")).expect("reads") {
        let name = entry.expect("reads").file_name().into_string().expect("text");
        let told: Vec<&str> = rows.iter().filter(|(named, _)| *named == name).map(|(_, sum)| *sum).collect();
        assert!(OURS.contains(&&*name) || !told.is_empty(), "nobody says where static/{name} is from");
        if told.is_empty() {
            continue;
        }
        let whole = read(&name);
        // One part is the whole file; of several each is a line.
        let parts: Vec<&[u8]> = if told.len() == 1 {
            vec![&whole]
        } else {
            whole.trim_ascii_end().split(|c| *c == b'\n').collect()
        };
        let sums: Vec<String> = parts.into_iter().map(|part| hex(&Sha256::digest(part))).collect();
        assert_eq!(sums, told, "static/{name} is another one than static/VENDORED.md says");
    }
    assert!(rows.iter().all(|(name, _)| root().join("static").join(name).exists()), "{rows:?}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn templates() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).expect("reads").map(|entry| entry.expect("reads").path()) {
            if entry.is_dir() {
                walk(&entry, found);
            } else {
                found.push((entry.clone(), std::fs::read_to_string(&entry).expect("reads")));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join("templates"), &mut found);
    assert!(found.len() > 20, "the templates are where they were");
    found
}
