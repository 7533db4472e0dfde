//! A database of the first release: what was stored then is shown and acts after the upgrade, on both engines.
//! `tests/samples/first-release/make.sh` made it.

use std::collections::HashMap;
use std::path::PathBuf;

use axum::body::Body;
use axum::http::header::COOKIE;
use axum::http::{Request, StatusCode};
use docknap::app::locks;
use docknap::db;
use docknap::domain::ids::HostId;
use docknap::domain::run::RunState;
use docknap::domain::schedule::Schedule;
use docknap::sim::{ContainerSpec, World};
use docknap::web::{self, Web};
use jiff::{Timestamp, ToSpan};
use tower::ServiceExt;

use crate::support::bench::{Bench, person};
use crate::support::db::TestDb;

fn sample(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/samples/first-release").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(sample(name)).expect("the file is there")
}

#[tokio::test]
async fn a_first_database_goes_on_sqlite() {
    goes_on(TestDb::sqlite_from(&sample("first.sqlite")).await, &text("cookies.sqlite")).await;
}

#[tokio::test]
async fn a_first_database_goes_on_postgres() {
    goes_on(TestDb::postgres_from(&text("first.sql")).await, &text("cookies.postgres")).await;
}

/// What was on the Engine: ada has put both stacks to sleep.
fn world() -> World {
    World::new()
        .stack("media", |s| {
            s.service("db", ContainerSpec::stopped).service("web", |c| c.stopped().depends_on("db"))
        })
        .stack("lab", |s| s.service("box", ContainerSpec::stopped))
        .container("loner", |c| c)
}

async fn schedules(db: &db::Db) -> Vec<Schedule> {
    let all = db::schedules::ScheduleSelection { limit: 100, ..Default::default() };
    let mut all = db::schedules::list(db, &all).await.expect("they are read");
    all.sort_by_key(Schedule::title);
    all
}

async fn goes_on(database: TestDb, cookie: &str) {
    let stored = database.db.clone();
    let newest = db::audit::newest(&stored).await.expect("it is read").expect("there are rows");
    let now = newest + 10.minutes();
    let mut bench = Bench::on(database, &now.to_string(), world()).await;
    bench.tick().await;
    bench.settle().await;
    assert_eq!(bench.sim.acts().len(), 0, "the upgrade changes nothing: {:?}", bench.sim.acts());

    let all = schedules(&stored).await;
    let titles: Vec<(String, bool)> = all.iter().map(|one| (one.title(), one.spec.enabled)).collect();
    let expected = [("Nights", true), ("Off", false), ("Once", true), ("Weekly restart", true)];
    assert_eq!(titles, expected.map(|(title, on)| (title.to_owned(), on)));
    let [nights, .., restart] = &all[..] else { panic!("{all:#?}") };
    assert!(nights.spec.calendar.is_some(), "{nights:#?}");
    let naps = db::naps::all(&stored).await.expect("they are read");
    assert_eq!(naps.get(&HostId::local()).map_or(0, HashMap::len), 3, "{naps:#?}");
    let locked = locks::list(&bench.app, &person()).await.expect("they are read");
    assert_eq!(locked.iter().map(|lock| lock.reason.as_str()).collect::<Vec<_>>(), ["on purpose"]);
    let open = db::overrides::open(&stored).await.expect("they are read");
    assert_eq!(open.len(), 2, "{open:#?}");
    let until = |name: &str| open.iter().find(|one| one.target_name == name).expect("it is there").until;
    let (until_lab, wake) = (until("lab"), until("media"));

    // The browser is still logged in.
    let router = web::router(Web::new(bench.app.clone(), false));
    for (path, part) in
        [("/", "media"), ("/schedules", "Weekly restart"), ("/runs", "lab"), ("/audit", "ada")]
    {
        let request = Request::get(path).header("host", "localhost").header(COOKIE, cookie.trim());
        let request = request.body(Body::empty()).expect("a request");
        let answer = router.clone().oneshot(request).await.expect("it answers");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
        assert!(String::from_utf8_lossy(&body).contains(part), "{path}");
    }

    // What was put to sleep by hand wakes at the next edge of its window, in order.
    bench.leap_to(wake).await;
    bench.tick().await;
    bench.settle().await;
    let woken = ["media-db-1", "media-web-1", "lab-box-1"].map(|name| bench.sim.state(name));
    assert_eq!(woken, ["running", "running", "exited"]);

    // The next fire is the one that was stored; what is locked is left alone.
    let fire: Timestamp = restart.next_due.expect("it fires");
    bench.leap_to(fire).await;
    bench.tick().await;
    bench.settle().await;
    let runs =
        db::history::last_of_schedules(&stored, std::slice::from_ref(&restart.id)).await.expect("runs");
    let [run] = &runs[..] else { panic!("{runs:#?}") };
    assert_eq!((run.fire_at, run.state), (Some(fire), RunState::Skipped), "{run:#?}");
    assert!(run.reason.contains("locked by ada: on purpose"), "{run:#?}");

    // An override of the first release ended without a wake, and said nothing of one.
    bench.leap_to(until_lab).await;
    bench.tick().await;
    bench.settle().await;
    assert_eq!(bench.sim.state("lab-box-1"), "exited");
    assert!(db::overrides::open(&stored).await.expect("they are read").is_empty());
    bench.terminate().await;
}
