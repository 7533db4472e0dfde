//! Start and shutdown of the serving process: the order in which its parts start and stop. [`serve`] is the entry
//! point; the command line uses some of the steps on their own.

use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::auth::password::Cost;
use crate::app::auth::{KeyError, OpenError, setup};
use crate::app::backup::upload;
use crate::app::execute::runner;
use crate::app::{Activator, ActiveRuns, App, Auth, Bus, ExternalChanges, IdSource, Parts, Vitals};
use crate::app::{hosts, report, rules_file};
use crate::clock::Clock;
use crate::config::Config;
use crate::db::engine::{Durability, FileLock, Holder, Lease};
use crate::db::{Db, DbError};
use crate::docker::Hosts;
use crate::docker::self_detection::SelfHints;
use crate::domain::text::chain;
use crate::files;
use crate::scheduler::{self, housekeeping, leader};
use crate::tasks::keep_alive;
use crate::web::{self, Web, standby};

/// Why the process could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used; the text says what to do.
    #[error("{0}")]
    DataDir(String),
    /// The database cannot be used.
    #[error("the database cannot be used: {0}")]
    Database(#[from] DbError),
    /// The secret key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A setting is valid but does not work on this system.
    #[error("{0}")]
    Setting(String),
    /// A system call failed: listening on the address or receiving signals.
    #[error("{what}: {error}")]
    System {
        /// The operation that failed.
        what: String,
        error: std::io::Error,
    },
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Key(error) => Self::Key(error),
            OpenError::Db(error) => Self::Database(error),
        }
    }
}

impl StartError {
    /// Converts an error from creating the first admin, writing the setup token or restoring state from the database.
    fn from_setup(error: crate::app::Error) -> Self {
        match error {
            crate::app::Error::Invalid(fields) => {
                let rules: Vec<_> =
                    fields.iter().map(|field| format!("{}: {}", field.field, field.message)).collect();
                Self::Setting(format!("DOCKNAP_ADMIN_USERNAME, DOCKNAP_ADMIN_PASSWORD: {}", rules.join("; ")))
            }
            crate::app::Error::Internal(source) => {
                Self::DataDir(format!("the first login cannot be prepared: {}", chain(&*source)))
            }
            other => Self::DataDir(format!("the first login cannot be prepared: {other}")),
        }
    }
}

/// Creates the data directory and checks that it is writable.
///
/// # Errors
/// [`StartError::DataDir`] with the command that fixes it.
pub fn prepare_data_dir(dir: &Path) -> Result<(), StartError> {
    let probe = dir.join(".docknap-write-test");
    let tried = std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::File::create(&probe))
        .and_then(|mut file| file.write_all(b"ok"))
        .and_then(|()| std::fs::remove_file(&probe));
    tried.map_err(|error| StartError::DataDir(format!("the data directory {}", files::words(dir, &error))))
}

/// Locks the SQLite file, so that only one process serves from it; `None` if the database is a server.
///
/// # Errors
/// [`StartError::Database`] if another process holds the lock or it cannot be created.
pub fn lock_database(config: &Config) -> Result<Option<FileLock>, StartError> {
    let Some(file) = config.database_file() else { return Ok(None) };
    match FileLock::take(&file)? {
        Some(lock) => Ok(Some(lock)),
        None => Err(DbError::Unusable(format!("another DockNap serves from {}", file.display())).into()),
    }
}

/// Opens the database and creates the services. No background task is started and no Engine is connected.
///
/// # Errors
/// [`StartError`] if the database, the secret key or the Engine's address cannot be used.
pub async fn open_services(config: Config, clock: Clock) -> Result<App, StartError> {
    let db = open_database(&config, None).await?;
    services(config, clock, db).await
}

/// Opens the database. A serving process passes `holder`, by which it is identified in the lease.
async fn open_database(config: &Config, holder: Option<&Holder>) -> Result<Db, StartError> {
    Ok(match (config.database_file(), &config.database_url) {
        (None, Some(url)) => Db::open_server(url.expose_secret(), holder).await?,
        (file, _) => Db::open_sqlite(&file.unwrap_or_default(), Durability::Full).await?,
    })
}

async fn services(config: Config, clock: Clock, db: Db) -> Result<App, StartError> {
    if config.local {
        hosts::local_endpoint(&config).map_err(StartError::Setting)?;
    }
    let auth = Auth::open(&db, &config, &clock, Cost::OWASP).await?;
    let vitals = Vitals::new(clock.now());
    let app = App::new(Parts {
        db,
        clock,
        config,
        ids: IdSource::random(),
        bus: Bus::default(),
        scheduler: Activator::default(),
        hosts: Hosts::new([]),
        hints: SelfHints::read(),
        active_runs: ActiveRuns::default(),
        answering: crate::app::idempotency::AtWork::default(),
        external_changes: ExternalChanges::default(),
        upcoming: crate::app::upcoming::Upcoming::default(),
        rulebook: crate::app::rulebook::LastRead::default(),
        sleeps: Activator::default(),
        auth,
        vitals,
    });
    hosts::sync(&app).await.map_err(StartError::from_setup)?;
    hosts::tell_shadowed(&app).await.map_err(StartError::from_setup)?;
    Ok(app)
}

/// Cancels `stop` at the first SIGTERM or SIGINT; a second one exits the process at once.
///
/// # Errors
/// [`StartError::System`] if signals cannot be received.
pub fn stop_on_signal(stop: &CancellationToken) -> Result<(), StartError> {
    let listen = |kind| {
        signal(kind)
            .map_err(|error| StartError::System { what: "signals cannot be received".to_owned(), error })
    };
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let stop = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if stop.is_cancelled() {
                tracing::warn!("told to stop a second time: ending at once");
                std::process::exit(1);
            }
            tracing::info!("told to stop");
            stop.cancel();
        }
    });
    Ok(())
}

/// How long shutdown waits for Docker calls in progress (rulings 15).
const CALLS_TIMEOUT: Duration = Duration::from_secs(5);
/// How long each of the later steps of shutdown may take, such as HTTP responses in progress and the last commits; 7
/// s in total.
const SHUTDOWN_STEP_TIMEOUT: Duration = Duration::from_millis(800);

/// The arguments of [`serve`].
#[derive(Debug)]
pub struct Serving {
    pub config: Config,
    pub clock: Clock,
    /// Whether the Engine is simulated; pages then show a note.
    pub demo: bool,
}

/// Serves until `stop`. `started` is called with the address once requests are accepted.
///
/// # Errors
/// [`StartError`] if the process could not start, or if another DockNap took over the database.
pub async fn serve(
    serving: Serving,
    stop: CancellationToken,
    started: impl FnOnce(SocketAddr),
) -> Result<(), StartError> {
    let Serving { config, clock, demo } = serving;
    prepare_data_dir(&config.data_dir)?;
    // Listen before opening the database, so that a second DockNap on the same port fails at once.
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| StartError::System { what: format!("cannot listen on {}", config.listen), error })?;
    let address = listener.local_addr().unwrap_or(config.listen);
    let mut lock = lock_database(&config)?;
    if let Some(held) = &lock
        && upload::restore_accepted(&config, &clock, held).await?
    {
        // The lock is on the old file, which has another name now.
        drop(lock.take());
        lock = lock_database(&config)?;
    }
    let _lock = lock;
    let holder = Holder::new();
    let db = open_database(&config, Some(&holder)).await?;
    let lease = db.lease(&holder);
    if let Some(lease) = &lease
        && !stand_by(lease, &listener, &clock, &stop).await?
    {
        return Ok(());
    }
    upload::tidy(&config);
    let app = services(config, clock, db).await?;
    setup::prepare(&app).await.map_err(StartError::from_setup)?;

    let work = TaskTracker::new();
    let mut watching = JoinSet::new();
    let stop_watching = CancellationToken::new();
    let (hosts_app, stop_hosts) = (app.clone(), stop_watching.clone());
    watching.spawn(keep_alive("hosts", app.clock.clone(), stop_watching.clone(), move || {
        hosts::keep(hosts_app.clone(), stop_hosts.clone())
    }));
    let report_app = app.clone();
    watching.spawn(keep_alive("report", app.clock.clone(), stop_watching.clone(), move || {
        report::keep(report_app.clone())
    }));
    let mut loops = JoinSet::new();
    let (runner_app, stop_runner, tracker) = (app.clone(), stop.clone(), work.clone());
    loops.spawn(keep_alive("runner", app.clock.clone(), stop.clone(), move || {
        runner::run(runner_app.clone(), stop_runner.clone(), tracker.clone())
    }));
    let (scheduler_app, stop_scheduler) = (app.clone(), stop.clone());
    loops.spawn(keep_alive("scheduler", app.clock.clone(), stop.clone(), move || {
        scheduler::run(scheduler_app.clone(), stop_scheduler.clone())
    }));
    let (housekeeping_app, stop_housekeeping) = (app.clone(), stop.clone());
    loops.spawn(keep_alive("housekeeping", app.clock.clone(), stop.clone(), move || {
        housekeeping::run(housekeeping_app.clone(), stop_housekeeping.clone())
    }));
    let (rules_app, stop_rules) = (app.clone(), stop.clone());
    loops.spawn(keep_alive("watched directory", app.clock.clone(), stop.clone(), move || {
        rules_file::keep(rules_app.clone(), stop_rules.clone())
    }));
    let router = web::router(Web::new(app.clone(), demo));
    let trusted = app.config.trusted_proxies.clone();
    let mut serving =
        tokio::spawn(web::serve::serve(listener, router, app.clock.clone(), trusted, stop.clone()));
    tracing::info!("serving on http://{address}{}/", app.config.base_path());
    started(address);

    let taken_over = tokio::select! {
        () = stop.cancelled() => false,
        () = keep_lease(lease.as_ref(), &app.clock) => true,
    };
    stop.cancel();
    app.vitals.stop();
    finish_work(&app, work, loops, &mut serving).await;
    stop_watching.cancel();
    watching.shutdown().await;
    let other = if taken_over { Some(machine(lease.as_ref()).await) } else { None };
    if let Some(lease) = &lease
        && !matches!(app.clock.timeout(SHUTDOWN_STEP_TIMEOUT, lease.release()).await, Ok(Ok(())))
    {
        tracing::warn!(
            "the hold on the database could not be ended; another DockNap waits until it runs out"
        );
    }
    if app.clock.timeout(SHUTDOWN_STEP_TIMEOUT, app.db.close()).await.is_err() {
        tracing::warn!("the database did not close in time; the next start recovers it");
    }
    tracing::info!("stopped");
    match other {
        Some(machine) => Err(DbError::TakenOver(format!(
            "another DockNap, on {machine}, has taken it over while this one was silent; this one ends"
        ))
        .into()),
        None => Ok(()),
    }
}

/// Waits while another DockNap holds the lease, and serves a page that says so. Returns `false` if `stop` was
/// cancelled meanwhile.
async fn stand_by(
    lease: &Lease,
    listener: &TcpListener,
    clock: &Clock,
    stop: &CancellationToken,
) -> Result<bool, StartError> {
    let other = standby::Other::default();
    let over = stop.child_token();
    let mut answering = None;
    let won = leader::wait(lease, clock, stop, |machine| {
        tracing::warn!("{}", standby::words(machine));
        machine.clone_into(&mut other.lock());
        if answering.is_none() {
            answering = second_handle(listener).map(|listener| {
                let router = standby::router(Arc::clone(&other));
                tokio::spawn(web::serve::serve(listener, router, clock.clone(), Vec::new(), over.clone()))
            });
        }
    })
    .await;
    over.cancel();
    if let Some(answering) = answering {
        let _ = clock.timeout(SHUTDOWN_STEP_TIMEOUT, answering).await;
    }
    Ok(won?)
}

/// A second handle of the listening socket. Each connection is accepted by only one of the handles.
fn second_handle(listener: &TcpListener) -> Option<TcpListener> {
    let descriptor = listener.as_fd().try_clone_to_owned().ok()?;
    TcpListener::from_std(std::net::TcpListener::from(descriptor)).ok()
}

/// Renews the lease until another process takes it; waits for ever if there is no lease.
async fn keep_lease(lease: Option<&Lease>, clock: &Clock) {
    match lease {
        Some(lease) => leader::keep(lease, clock).await,
        None => std::future::pending().await,
    }
}

/// Host name of the machine whose process took over the lease.
async fn machine(lease: Option<&Lease>) -> String {
    match lease {
        Some(lease) => lease.machine().await.unwrap_or_default(),
        None => String::new(),
    }
}

/// Waits for Docker calls and HTTP responses in progress. Steps that do not end in time stay recorded as issued, and
/// the next start checks their outcome.
async fn finish_work(app: &App, work: TaskTracker, mut loops: JoinSet<()>, web: &mut JoinHandle<()>) {
    let ended = app
        .clock
        .timeout(CALLS_TIMEOUT, async {
            while loops.join_next().await.is_some() {}
            work.close();
            work.wait().await;
        })
        .await;
    if ended.is_err() {
        tracing::warn!(
            runs = work.len(),
            "calls to Docker are still under way; the next start looks at how they ended"
        );
        loops.shutdown().await;
    }
    if app.clock.timeout(SHUTDOWN_STEP_TIMEOUT, &mut *web).await.is_err() {
        web.abort();
    }
}
