//! Birth and death of the serving process: the order in which parts start, and the order in which they stop.

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
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::app::auth::password::Cost;
use crate::app::auth::{KeyError, OpenError, setup};
use crate::app::execute::runner;
use crate::app::notices;
use crate::app::{Activator, ActiveRuns, App, Auth, Bus, ExternalChanges, IdSource, Parts, Vitals};
use crate::app::{locks, order, traces};
use crate::clock::Clock;
use crate::config::Config;
use crate::db::engine::{Durability, FileLock, Holder, Lease};
use crate::db::{Db, DbError};
use crate::docker::self_detection::SelfHints;
use crate::docker::{Endpoint, Host, Hosts, Settings};
use crate::domain::ids::HostId;
use crate::domain::text::chain;
use crate::files;
use crate::scheduler::{self, housekeeping, leader};
use crate::web::{self, Web, standby};

/// Why the process did not come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used; says what to do.
    #[error("{0}")]
    DataDir(String),
    /// The database cannot be used.
    #[error("the database cannot be used: {0}")]
    Database(#[from] DbError),
    /// The secret key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A setting is right by itself, but not here.
    #[error("{0}")]
    Setting(String),
    /// The address cannot be listened on, or the process may not set itself up.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
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
    /// The first admin could not be made, or the setup token not be written.
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

/// Makes sure that files can be made in the data directory.
///
/// # Errors
/// [`StartError::DataDir`] with the command that mends it.
pub fn prepare_data_dir(dir: &Path) -> Result<(), StartError> {
    let probe = dir.join(".docknap-write-test");
    let tried = std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::File::create(&probe))
        .and_then(|mut file| file.write_all(b"ok"))
        .and_then(|()| std::fs::remove_file(&probe));
    tried.map_err(|error| StartError::DataDir(format!("the data directory {}", files::words(dir, &error))))
}

/// Takes the lock of the SQLite file, where there is one: one process serves from it.
///
/// # Errors
/// [`StartError::Database`] where another process serves from it, or the lock cannot be made.
pub fn lock_database(config: &Config) -> Result<Option<FileLock>, StartError> {
    let Some(file) = config.database_file() else { return Ok(None) };
    match FileLock::take(&file)? {
        Some(lock) => Ok(Some(lock)),
        None => Err(DbError::Unusable(format!("another DockNap serves from {}", file.display())).into()),
    }
}

/// Opens the database and puts the services around it. Nothing runs yet, and no Engine is reached.
///
/// # Errors
/// [`StartError`] where the database, the secret key or the Engine's address cannot be used.
pub async fn open_services(config: Config, clock: Clock) -> Result<App, StartError> {
    let db = open_database(&config, None).await?;
    services(config, clock, db).await
}

/// Opens the database; for a process that serves, with what it is known by.
async fn open_database(config: &Config, holder: Option<&Holder>) -> Result<Db, StartError> {
    Ok(match (config.database_file(), &config.database_url) {
        (None, Some(url)) => Db::open_server(url.expose_secret(), holder).await?,
        (file, _) => Db::open_sqlite(&file.unwrap_or_default(), Durability::Full).await?,
    })
}

async fn services(config: Config, clock: Clock, db: Db) -> Result<App, StartError> {
    let local = local_host(&config, &clock)?;
    let auth = Auth::open(&db, &config, &clock, Cost::OWASP).await?;
    let vitals = Vitals::new(clock.now());
    let app = App::new(Parts {
        db,
        clock,
        config,
        ids: IdSource::random(),
        bus: Bus::default(),
        scheduler: Activator::default(),
        hosts: Hosts::new(local),
        active_runs: ActiveRuns::default(),
        answering: crate::app::idempotency::AtWork::default(),
        external_changes: ExternalChanges::default(),
        upcoming: crate::app::upcoming::Upcoming::default(),
        rulebook: crate::app::rulebook::LastRead::default(),
        sleeps: Activator::default(),
        auth,
        vitals,
    });
    locks::restore(&app).await.map_err(StartError::from_setup)?;
    traces::restore(&app).await.map_err(StartError::from_setup)?;
    order::restore(&app).await.map_err(StartError::from_setup)?;
    Ok(app)
}

/// Cancels `stop` at the first SIGTERM or SIGINT; a second one ends the process at once.
///
/// # Errors
/// [`StartError::System`] where the process may not listen to signals.
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

/// How long calls that are under way when the process is told to stop are waited for (rulings 15).
const CALLS_IN_FLIGHT: Duration = Duration::from_secs(5);
/// How long answers that are being written, and the last commits, may take after that: 7 s in all.
const LAST_WORDS: Duration = Duration::from_millis(800);

/// How often a loop that panicked is begun again, at most.
const REVIVAL: Duration = Duration::from_secs(1);

/// What [`serve`] serves with.
#[derive(Debug)]
pub struct Serving {
    /// Settings, checked.
    pub config: Config,
    pub clock: Clock,
    /// The Engine is the simulated one, and pages say so.
    pub demo: bool,
}

/// Serves until `stop`. `started` is told the address, once a request to it would be answered.
///
/// # Errors
/// [`StartError`] where it did not come up.
pub async fn serve(
    serving: Serving,
    stop: CancellationToken,
    started: impl FnOnce(SocketAddr),
) -> Result<(), StartError> {
    let Serving { config, clock, demo } = serving;
    prepare_data_dir(&config.data_dir)?;
    // Before the database is touched: a second DockNap on the same port finds out at once.
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| StartError::System { what: format!("cannot listen on {}", config.listen), error })?;
    let address = listener.local_addr().unwrap_or(config.listen);
    let _lock = lock_database(&config)?;
    let holder = Holder::new();
    let db = open_database(&config, Some(&holder)).await?;
    let lease = db.lease(&holder);
    if let Some(lease) = &lease
        && !stand_by(lease, &listener, &clock, &stop).await?
    {
        return Ok(());
    }
    let app = services(config, clock, db).await?;
    setup::prepare(&app).await.map_err(StartError::from_setup)?;

    let work = TaskTracker::new();
    let mut watching = JoinSet::new();
    let watched = CancellationToken::new();
    for host in app.hosts.all() {
        tracing::info!(host = %host.id(), address = %host.address(), "looking after the Docker Engine");
        let stop = watched.clone();
        watching.spawn(keep_alive("Docker watch", app.clone(), watched.clone(), move || {
            Arc::clone(&host).watch(stop.clone())
        }));
    }
    let (fed, stop_feed) = (app.clone(), watched.clone());
    watching.spawn(keep_alive("feed", app.clone(), watched.clone(), move || {
        notices::pass_on(fed.clone(), stop_feed.clone())
    }));
    let mut claiming = JoinSet::new();
    let (drives, stop_runner, tracker) = (app.clone(), stop.clone(), work.clone());
    claiming.spawn(keep_alive("runner", app.clone(), stop.clone(), move || {
        runner::run(drives.clone(), stop_runner.clone(), tracker.clone())
    }));
    let (ticks, stop_scheduler) = (app.clone(), stop.clone());
    claiming.spawn(keep_alive("scheduler", app.clone(), stop.clone(), move || {
        scheduler::run(ticks.clone(), stop_scheduler.clone())
    }));
    let (swept, stop_sweeping) = (app.clone(), stop.clone());
    claiming.spawn(keep_alive("housekeeping", app.clone(), stop.clone(), move || {
        housekeeping::run(swept.clone(), stop_sweeping.clone())
    }));
    let router = web::router(Web::new(app.clone(), demo));
    let trusted = app.config.trusted_proxies.clone();
    let mut serving =
        tokio::spawn(web::serve::serve(listener, router, app.clock.clone(), trusted, stop.clone()));
    tracing::info!("serving on http://{address}{}/", app.config.base_path());
    started(address);

    let taken_over = tokio::select! {
        () = stop.cancelled() => false,
        () = hold(lease.as_ref(), &app.clock) => true,
    };
    stop.cancel();
    app.vitals.stop();
    wind_down(&app, work, claiming, &mut serving).await;
    watched.cancel();
    watching.shutdown().await;
    let other = if taken_over { Some(machine(lease.as_ref()).await) } else { None };
    if let Some(lease) = &lease
        && !matches!(app.clock.timeout(LAST_WORDS, lease.release()).await, Ok(Ok(())))
    {
        tracing::warn!(
            "the hold on the database could not be ended; another DockNap waits until it runs out"
        );
    }
    if app.clock.timeout(LAST_WORDS, app.db.close()).await.is_err() {
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

/// Waits while another DockNap acts on the database, and says so to whoever asks; `false` = told to stop meanwhile.
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
        let _ = clock.timeout(LAST_WORDS, answering).await;
    }
    Ok(won?)
}

/// The same socket once more: what is accepted by the one is not by the other.
fn second_handle(listener: &TcpListener) -> Option<TcpListener> {
    let descriptor = listener.as_fd().try_clone_to_owned().ok()?;
    TcpListener::from_std(std::net::TcpListener::from(descriptor)).ok()
}

/// Keeps the lease, where there is one, until another process has it.
async fn hold(lease: Option<&Lease>, clock: &Clock) {
    match lease {
        Some(lease) => leader::keep(lease, clock).await,
        None => std::future::pending().await,
    }
}

/// The machine of the process that took over.
async fn machine(lease: Option<&Lease>) -> String {
    match lease {
        Some(lease) => lease.machine().await.unwrap_or_default(),
        None => String::new(),
    }
}

/// Waits for what is under way. What is not done in time is recorded as issued: the next start looks at it.
async fn wind_down(app: &App, work: TaskTracker, mut claiming: JoinSet<()>, web: &mut JoinHandle<()>) {
    let ended = app
        .clock
        .timeout(CALLS_IN_FLIGHT, async {
            while claiming.join_next().await.is_some() {}
            work.close();
            work.wait().await;
        })
        .await;
    if ended.is_err() {
        tracing::warn!(
            runs = work.len(),
            "calls to Docker are still under way; the next start looks at how they ended"
        );
        claiming.shutdown().await;
    }
    if app.clock.timeout(LAST_WORDS, &mut *web).await.is_err() {
        web.abort();
    }
}

/// Runs a loop until it ends by itself, and begins it again when it panicked: one panic must not end the scheduler.
async fn keep_alive<F>(name: &'static str, app: App, stop: CancellationToken, begin: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let Err(error) = AbortOnDropHandle::new(tokio::spawn(begin())).await else { return };
        if stop.is_cancelled() {
            return;
        }
        tracing::error!(error = %chain(&error), "the {name} loop broke off; it begins again");
        app.clock.sleep(REVIVAL).await;
    }
}

/// The Engine the settings name. It is reached later, and again and again: Docker being away never ends the program.
fn local_host(config: &Config, clock: &Clock) -> Result<Arc<Host>, StartError> {
    let endpoint = Endpoint::from_values(
        Some(&config.docker_host),
        config.docker_tls_verify.then_some("1"),
        config.docker_cert_path.as_ref().and_then(|path| path.to_str()),
    )
    .map_err(StartError::Setting)?;
    let settings = Settings {
        endpoint,
        protect: config.protect.clone(),
        database_host: config.database_host(),
        hints: SelfHints::read(),
    };
    Ok(Host::new(HostId::local(), settings, clock.clone()))
}
