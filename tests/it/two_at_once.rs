//! Two `DockNap`s on one database: one acts, the other waits, whatever happens to the first.

use std::time::Duration;

use docknap::clock::Clock;
use docknap::db::Db;
use docknap::db::engine::{Bid, Holder};
use docknap::sim::{Endpoint, Fault, World};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::support::db::TestDb;
use crate::support::program::{PATIENCE, Program, settings};
use crate::support::sim::Simulated;
use crate::support::wait;

/// A fresh database, its URL, an Engine and a home.
async fn stage() -> (TestDb, String, Simulated, tempfile::TempDir) {
    let test = TestDb::postgres().await;
    let Db::Pg(pool) = &test.db else { panic!("it is a server") };
    let name = pool.connect_options().get_database().expect("it has a name").to_owned();
    let server = std::env::var("DOCKNAP_TEST_POSTGRES_URL").expect("it is set");
    let url = format!("{}/{name}", server.rsplit_once('/').expect("the URL ends with /DATABASE").0);
    let simulated = Simulated::start(Clock::system(), World::new().container("web", |web| web)).await;
    (test, url, simulated, tempfile::tempdir().expect("a directory"))
}

fn start(url: &str, engine: &str, home: &std::path::Path, name: &str) -> Program {
    let home = home.join(name);
    std::fs::create_dir_all(&home).expect("a directory");
    let mut settings = settings(&home, engine);
    settings.push(("DOCKNAP_DATABASE_URL".to_owned(), url.to_owned()));
    settings.push(("DOCKNAP_SECRET_KEY".to_owned(), "k".repeat(40)));
    Program::start(Program::binary(), &settings)
}

#[tokio::test]
async fn the_second_one_waits_names_the_first_and_follows_it() {
    let (test, url, simulated, home) = stage().await;
    let engine = simulated.control.docker_host();
    let mut first = start(&url, &engine, home.path(), "first");
    first.serves().await;
    let mut second = start(&url, &engine, home.path(), "second");
    second.says("acts on this database. This one waits").await;
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("it has a name");
    assert!(second.log().contains(&format!("Another DockNap, on {},", machine.trim())), "{}", second.log());
    // It is well, and wants no requests.
    assert_eq!(second.status("/healthz").await, 200);
    assert_eq!(second.status("/readyz").await, 503);
    let (status, headers, text) = second.ask("/").await.expect("it answers");
    assert_eq!((status, headers.contains_key("retry-after")), (503, true));
    assert!(text.contains("This one waits, and takes over once that one ends."), "{text}");

    // The first one loses all its connections, and goes on; the second stays where it is.
    let Db::Pg(pool) = &test.db else { panic!("it is a server") };
    let cut = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let (cut,): (i64,) = sqlx::query_as(cut).fetch_one(pool).await.expect("they are cut");
    assert!(cut > 0);
    wait::until("the first goes on", PATIENCE, async || first.status("/healthz").await == 200).await;
    let (status, answer) = first.post("/api/containers/local/web/stop", &json!({})).await;
    assert_eq!(status, 202, "{answer}");
    wait::until("it stops", PATIENCE, async || simulated.control.state("web") == "exited").await;
    assert!(!second.log().contains("serving on"), "{}", second.log());

    // Told to stop while it waits, it ends; another takes its place.
    second.signal("TERM");
    assert_eq!(second.ends().await.code(), Some(0), "{}", second.log());
    let mut third = start(&url, &engine, home.path(), "third");
    third.says("This one waits").await;
    let clock = Clock::system();
    let began = clock.monotonic();
    first.signal("TERM");
    assert_eq!(first.ends().await.code(), Some(0));
    third.serves().await;
    assert!(
        clock.monotonic().saturating_sub(began) < Duration::from_secs(14),
        "it need not wait for the lease"
    );
    assert_eq!(simulated.control.acts().len(), 1, "nothing was done twice");
}

#[tokio::test]
async fn one_that_was_killed_is_followed_and_its_run_is_taken_up() {
    let (_test, url, simulated, home) = stage().await;
    let engine = simulated.control.docker_host();
    let mut first = start(&url, &engine, home.path(), "first");
    first.serves().await;
    first.says("connected to Docker").await;
    simulated.control.fault(Fault::delay(Duration::from_secs(1)).on(Endpoint::Stop));
    let (status, answer) = first.post("/api/containers/local/web/stop", &json!({})).await;
    assert_eq!(status, 202, "{answer}");
    let run = format!("/api/runs/{}", answer["run_id"].as_str().expect("an id"));
    wait::until("the call is sent", PATIENCE, async || simulated.control.count(Endpoint::Stop) == 1).await;
    first.signal("KILL");
    first.ends().await;
    let mut second = start(&url, &engine, home.path(), "second");
    second.serves().await;
    wait::until("the run ends", PATIENCE, async || second.get(&run).await["state"] == "succeeded").await;
    assert_eq!(simulated.control.state("web"), "exited");
}

#[tokio::test]
async fn one_that_froze_stores_nothing_once_another_has_taken_over() {
    let (_test, url, simulated, home) = stage().await;
    let engine = simulated.control.docker_host();
    let mut first = start(&url, &engine, home.path(), "first");
    first.serves().await;
    let mut second = start(&url, &engine, home.path(), "second");
    second.says("This one waits").await;
    first.signal("STOP");
    second.serves().await;
    first.signal("CONT");
    assert_eq!(first.ends().await.code(), Some(69), "{}", first.log());
    assert_eq!(second.status("/healthz").await, 200);
}

/// A line between a process and its server on which packets can be lost: what is sent stays under way, and nobody is
/// told.
struct Line {
    port: u16,
    open: tokio::sync::watch::Sender<bool>,
    _task: AbortOnDropHandle<()>,
}

impl Line {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it has an address").port();
        let (open, is_open) = tokio::sync::watch::channel(true);
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (server, is_open) = (server.clone(), is_open.clone());
                tokio::spawn(async move {
                    let mut open = is_open.clone();
                    // A first packet is lost like any other.
                    if open.wait_for(|open| *open).await.is_err() {
                        return;
                    }
                    let Ok(far) = TcpStream::connect(server).await else { return };
                    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
                    tokio::spawn(carry(from_near, to_far, is_open.clone()));
                    tokio::spawn(carry(from_far, to_near, is_open));
                });
            }
        });
        Self { port, open, _task: AbortOnDropHandle::new(task) }
    }

    fn open(&self, open: bool) {
        self.open.send_replace(open);
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut is_open: tokio::sync::watch::Receiver<bool>,
) {
    let mut part = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut part).await;
        if is_open.wait_for(|open| *open).await.is_err() {
            return;
        }
        match read {
            Ok(count @ 1..) if to.write_all(&part[..count]).await.is_ok() => {}
            _ => return,
        }
    }
}

#[tokio::test]
async fn one_that_is_cut_off_in_silence_acts_no_more_and_is_followed() {
    let (test, url, _, home) = stage().await;
    let Db::Pg(pool) = &test.db else { panic!("it is a server") };
    let server = format!("{}:{}", pool.connect_options().get_host(), pool.connect_options().get_port());
    let line = Line::to(server.clone()).await;
    let lossy = url.replace(&server, &format!("127.0.0.1:{}", line.port));
    assert_ne!(lossy, url);
    let world = World::new()
        .stack("shop", |s| s.service("db", |c| c).service("web", |c| c.depends_on("db")))
        .container("other", |other| other);
    let simulated = Simulated::start(Clock::system(), world).await;
    let engine = simulated.control.docker_host();
    let mut first = start(&lossy, &engine, home.path(), "first");
    first.serves().await;
    first.says("connected to Docker").await;
    let mut second = start(&url, &engine, home.path(), "second");
    second.says("This one waits").await;
    // In the middle of a run: web is being stopped, and db comes after it.
    simulated.control.fault(Fault::delay(Duration::from_secs(3)).on(Endpoint::Stop).container("shop-web-1"));
    let (status, answer) = first.post("/api/stacks/local/shop/stop", &json!({})).await;
    assert_eq!(status, 202, "{answer}");
    let run = format!("/api/runs/{}", answer["run_id"].as_str().expect("an id"));
    wait::until("the call is sent", PATIENCE, async || simulated.control.count(Endpoint::Stop) == 1).await;
    line.open(false);
    // What it is asked for from now on it cannot store, so it does not do it.
    let asked = async {
        let (status, answer) = first.post("/api/containers/local/other/stop", &json!({})).await;
        assert_eq!(status, 503, "{answer}");
        assert_eq!(first.status("/healthz").await, 503, "and it says so");
    };
    tokio::join!(asked, second.serves());
    wait::until("the run ends", PATIENCE, async || second.get(&run).await["state"] == "succeeded").await;
    let acts = || simulated.control.acts().into_iter().map(|(_, name, _)| name).collect::<Vec<_>>();
    assert_eq!(acts(), ["shop-web-1", "shop-db-1"], "the second went on where the first was");
    // Its packets arrive at last: it learns that it was followed, and what it had begun counts no more.
    line.open(true);
    assert_eq!(first.ends().await.code(), Some(69), "{}", first.log());
    assert_eq!(acts().len(), 2);
    assert_eq!(simulated.control.state("other"), "running");
    assert_eq!(second.status("/healthz").await, 200);
}

#[tokio::test]
async fn the_command_line_writes_beside_the_one_that_acts() {
    let (test, url, simulated, home) = stage().await;
    let mut first = start(&url, &simulated.control.docker_host(), home.path(), "first");
    first.serves().await;
    let settings = [
        ("DOCKNAP_DATA_DIR", home.path().join("cli").display().to_string()),
        ("DOCKNAP_DATABASE_URL", url.clone()),
        ("DOCKNAP_SECRET_KEY", "k".repeat(40)),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value));
    Program::create_bob(&settings, "a walk along the harbour");
    let bob = docknap::db::users::find_by_name(&test.db, "bob").await.expect("reads");
    assert!(bob.is_some(), "it is stored");
    let body = json!({"username": "bob", "password": "a walk along the harbour"});
    let (status, answer) = first.post("/api/auth/login", &body).await;
    assert_eq!(status, 200, "the one that acts lets him in: {answer}");
    assert_eq!(first.status("/healthz").await, 200);
}

#[tokio::test]
async fn a_transaction_of_one_that_was_taken_over_from_is_refused_and_the_next_waits_for_one_under_way() {
    let (_test, url, _simulated, _home) = stage().await;
    let [one, two] = [Holder::new(), Holder::new()];
    let open = async |holder| Db::open_server(&url, Some(holder)).await.expect("it opens");
    let (old, new, cli) = (open(&one).await, open(&two).await, Db::open(&url).await.expect("it opens"));
    let (mine, theirs) = (old.lease(&one).expect("a server"), new.lease(&two).expect("a server"));
    assert_eq!(mine.bid().await.expect("answers"), Bid::Won);
    assert!(matches!(theirs.bid().await.expect("answers"), Bid::Held(_)));
    let under_way = old.begin().await.expect("it has the lease");
    assert!(mine.renew().await.expect("answers"), "beside a transaction of its own");
    mine.release().await.expect("answers");
    let bid = theirs.bid();
    tokio::pin!(bid);
    let clock = Clock::system();
    assert!(
        clock.timeout(Duration::from_millis(300), &mut bid).await.is_err(),
        "it waits for what is under way"
    );
    under_way.commit().await.expect("it commits");
    assert_eq!(bid.await.expect("answers"), Bid::Won);
    assert!(!mine.renew().await.expect("answers"));
    let refused = old.begin().await.expect_err("it is refused").to_string();
    assert!(refused.contains("has taken over this database"), "{refused}");
    new.begin().await.expect("the new one writes");
    cli.begin().await.expect("so does who takes no part");
}
