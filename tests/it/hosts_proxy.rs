//! Engines behind haproxy: a socket proxy that lets through what naps need, and TLS that is set up wrongly, as OpenSSL
//! speaks it.

use std::time::Duration;

use docknap::clock::Clock;
use docknap::db;
use docknap::domain::permission::Role;
use docknap::sim::World;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::bench::Bench;
use crate::support::engine::{self, Daemon};
use crate::support::haproxy::{Frontend, Haproxy};
use crate::support::pki::{Authority, CLIENT, SERVER};
use crate::support::site::{PATIENCE, Sample, Site, compose, docker, steps};
use crate::support::wait;

const POLICIES: Sample = Sample { project: "policies", file: "tests/samples/policies.yaml" };

/// What a careful socket proxy lets through: all that DockNap calls but a restart.
const ALL_BUT_RESTART: [&str; 4] = [
    "acl reads method GET HEAD",
    "acl shown path_reg ^(/v[0-9.]+)?/(_ping|version|info|events|containers/json|containers/[^/]+/(json|logs|stats))$",
    "acl acts path_reg ^(/v[0-9.]+)?/containers/[^/]+/(start|stop|pause|unpause)$",
    "http-request deny deny_status 403 unless reads shown or acts",
];

/// How often DockNap has connected to the NAS again.
async fn reconnects(site: &Site) -> u64 {
    let metrics = site.metrics().await;
    let line =
        metrics.lines().find_map(|line| line.strip_prefix("docknap_host_reconnects_total{host=\"nas\"} "));
    line.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no count in {metrics}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_proxy_lets_naps_through_and_its_cuts_are_silent_on_a_real_engine() {
    let mut site = Site::new(POLICIES).await;
    site.open_browser().await;
    let nas = Daemon::start().await;
    compose(POLICIES, &nas, &["up", "-d"]);
    let mut proxy =
        Haproxy::start(&nas.socket(), &[Frontend { lines: &ALL_BUT_RESTART, ..Frontend::default() }]).await;
    let body = json!({"name": "NAS", "endpoint": proxy.address(0), "insecure": true});
    site.add_host("nas", body, 3).await;
    let state = |service: &str| {
        let name = POLICIES.container(service);
        docker(&nas, &["inspect", "--format", "{{.State.Status}}", &name])
    };
    let begun = site.clock.now();

    // The test names the one call that the proxy refuses, and where it is let through.
    let tested = site.submit("/hosts/nas/test", &[]).await;
    assert_eq!(tested.text("#checked-title"), "Docker refuses some calls");
    let refused = tested.texts(".ticks [data-state=failed] + p");
    assert_eq!(refused.len(), 1, "{tested:?}");
    assert!(refused[0].starts_with("Restart ") && refused[0].contains("/restart"), "{refused:?}");
    assert!(tested.text(".note").contains("A proxy in front of Docker refuses some calls"), "{tested:?}");

    // Stopped and woken through it.
    for (action, word) in
        [("stop", "exited"), ("start", "running"), ("pause", "paused"), ("unpause", "running")]
    {
        let run = site.act(&format!("/api/stacks/nas/policies/{action}")).await;
        assert_eq!(run["state"], "succeeded", "{run:#}");
        assert_eq!(["always", "lasting", "plain"].map(state), [word; 3]);
    }
    // What it refuses fails in words, at once, and changes nothing.
    let run = site.act("/api/containers/nas/policies_plain_1/restart").await;
    assert_eq!(steps(&run), [("policies_plain_1".to_owned(), "failed".to_owned())], "{run:#}");
    let error = run["steps"][0]["error"].as_str().expect("text");
    assert!(
        error.contains("not allowed by the proxy: POST /containers/") && error.ends_with("/restart"),
        "{error}"
    );

    // It cuts the stream of events: DockNap connects again, and no page tells of it.
    site.clock.advance(Duration::from_secs(20));
    let before = reconnects(&site).await;
    proxy.cut().await;
    wait::until("it connects again", PATIENCE, async || {
        assert_eq!(site.link("nas").await, "connected");
        reconnects(&site).await > before
    })
    .await;
    docker(&nas, &["stop", "policies_plain_1"]);
    wait::until("the stop is seen", PATIENCE, async || {
        assert_eq!(site.link("nas").await, "connected");
        site.get("/api/stacks/nas/policies").await["status"] == "partial"
    })
    .await;
    docker(&nas, &["start", "policies_plain_1"]);

    // Started again itself, within a minute: no outage is recorded.
    proxy.down();
    wait::until("it is missed", PATIENCE, async || site.link("nas").await == "unreachable").await;
    proxy.up().await;
    site.until_connected("nas").await;
    site.clock.advance(Duration::from_secs(120));
    let run = site.act("/api/stacks/nas/policies/stop").await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    let database = site.database().await;
    assert_eq!(db::host_outages::after(&database, begun).await.expect("they read"), []);
    database.close().await;
    let needs = site.page("/").await.text("#now");
    assert!(!needs.contains("NAS does not answer"), "{needs}");
    compose(POLICIES, &nas, &["down", "-t", "1"]);
    site.finish().await;
}

const EXPECTED: &str = "if it expects TLS, give the certificate of its authority";

#[tokio::test]
async fn the_form_says_what_is_wrong_with_tls_on_a_real_engine() {
    let now = Clock::system().now() + SignedDuration::from_hours(1);
    let test = TestApp::over(Bench::new(&now.to_string(), World::new()).await).await;
    let (home, namesake, other) = (Authority::new("home"), Authority::new("home"), Authority::new("other"));
    let right = home.issue("nas", SERVER);
    let crt = |issued: &crate::support::pki::Issued| format!("ssl crt {}", issued.joined().display());
    let verified = format!("{} ca-file {} verify required", crt(&right), home.ca().display());
    let binds = [
        crt(&right),
        crt(&home.issue_expired("nas", SERVER)),
        crt(&home.issue_early("nas", SERVER)),
        verified.clone(),
        format!("{verified} ssl-max-ver TLSv1.2"),
        String::new(),
        crt(&home.issue("nas", "subjectAltName=DNS:nas.example.org")),
        crt(&home.issue("nas", CLIENT)),
    ];
    let frontends = binds.each_ref().map(|bind| Frontend { bind, ..Frontend::default() });
    let proxy = Haproxy::start(&engine::socket(), &frontends).await;
    let (good, strange) = (home.issue("docknap", CLIENT), other.issue("docknap", CLIENT));
    let known = Some(&good);
    let (tls, expired, early, demands, old, plain, named, client) = (0, 1, 2, 3, 4, 5, 6, 7);
    let home = Some(home.ca_text());
    for (port, ca, identity, words) in [
        (tls, Some(other.ca_text()), None, "was not signed by the certificate of the authority (`other`)"),
        (tls, Some(namesake.ca_text()), None, "was the authority made anew?"),
        (
            named,
            home.clone(),
            None,
            "for another name than the one in Address: for `nas.example.org`, not for `127.0.0.1`",
        ),
        (client, home.clone(), None, "is not for servers"),
        (expired, home.clone(), None, "it expired on 2020-12-31 23:59 UTC"),
        (early, home.clone(), None, "is not valid before 2090-01-01"),
        (
            demands,
            home.clone(),
            Some(&strange),
            "does not accept the client certificate (`docknap`, signed by `other`",
        ),
        (
            old,
            home.clone(),
            Some(&strange),
            "does not accept the client certificate (`docknap`, signed by `other`",
        ),
        (demands, home.clone(), None, "demands a client certificate"),
        (old, home.clone(), None, "demands a client certificate"),
        (plain, home.clone(), None, "does not speak TLS: use the port for TLS"),
        (plain, home.clone(), known, "does not speak TLS: use the port for TLS"),
        (tls, None, None, EXPECTED),
        (demands, None, None, EXPECTED),
        (tls, home.clone(), None, ""),
        (demands, home.clone(), known, ""),
        (old, home.clone(), known, ""),
        (plain, None, None, ""),
    ] {
        let endpoint = proxy.address(port);
        let texts = identity.map(|one| (one.cert_text(), one.key_text())).unwrap_or_default();
        let insecure = if ca.is_none() { "on" } else { "" };
        let fields = [
            ("name", "NAS"),
            ("endpoint", &*endpoint),
            ("ca", ca.as_deref().unwrap_or_default()),
            ("cert", &*texts.0),
            ("key", &*texts.1),
            ("insecure", insecure),
        ];
        let fields: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let page = test.admin().await.post("/hosts/new/test", &fields).await;
        assert_eq!(page.status, 200, "{}", page.body);
        let (title, told) =
            (page.text("#checked-title"), page.text("section[aria-labelledby=checked-title] > .note"));
        if words.is_empty() {
            assert_eq!((&*title, &*told), ("DockNap reaches this host", ""), "{endpoint}");
            continue;
        }
        assert_eq!(title, "DockNap cannot reach this host", "{words}: {told}");
        // Names are set as code there.
        let bare = |text: &str| text.replace(['`', ' '], "");
        assert!(bare(&told).contains(&bare(words)), "{words}: {told}");
    }

    // Stored all the same, its page tells the same.
    let mut admin = test.bearer(Role::Admin).await;
    let body = json!({"name": "NAS", "endpoint": proxy.address(expired), "ca": home});
    let made = admin.post_json("/api/hosts", &body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    test.bench()
        .until("it is tried", async || {
            admin.clone().get("/api/hosts/nas").await.json()["reason"] != Value::Null
        })
        .await;
    let page = test.admin().await.get("/hosts/nas").await;
    assert!(page.text(".note").contains("it expired on 2020-12-31 23:59 UTC"), "{}", page.text(".note"));
}
