//! The connections to the hosts: [`sync`] brings [`docker::Hosts`](crate::docker::Hosts) in line with the settings and
//! the database, and [`keep`] watches each host by itself, so that one that hangs delays no other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{outages, records};
use crate::app::rulebook::RuleBook;
use crate::app::{App, Live, Result, locks, memberships, notices, order, traces};
use crate::config::Config;
use crate::db;
use crate::docker::{Address, Endpoint, Host, Settings, TlsSource};
use crate::domain::host::{HostRecord, HostSource, HostTls};
use crate::domain::inventory::Link;
use crate::tasks::keep_alive;

/// Connects hosts that are new or changed, and drops those that are gone. Runs at the start and after each change.
///
/// # Errors
/// Database errors: the hosts stay as they are then.
pub async fn sync(app: &App) -> Result<()> {
    // Calls are serialized, so that of two changes at the same time the newer list is applied last.
    static TURN: Mutex<()> = Mutex::const_new(());
    let _turn = TURN.lock().await;
    let known = app.hosts.all();
    let hosts: Vec<Arc<Host>> = records(app)
        .await?
        .iter()
        .map(|record| {
            let old = known.iter().find(|host| *host.id() == record.id);
            match old {
                Some(old) if *old.revision() == revision(record) => Arc::clone(old),
                Some(old) => {
                    let new = open(app, record);
                    if new.address() == old.address() {
                        new.adopt(old);
                    }
                    new
                }
                None => open(app, record),
            }
        })
        .collect();
    if hosts.len() == known.len() && hosts.iter().zip(&known).all(|(one, other)| Arc::ptr_eq(one, other)) {
        return Ok(());
    }
    // Before anything can act on the new hosts.
    let is_in = |list: &[Arc<Host>], host: &Arc<Host>| list.iter().any(|one| Arc::ptr_eq(one, host));
    let new: Vec<Arc<Host>> = hosts.iter().filter(|host| !is_in(&known, host)).cloned().collect();
    locks::copy_to(app, &new).await?;
    traces::copy_to(app, &new).await?;
    order::copy_to(app, &new).await?;
    memberships::copy_to(&new, RuleBook::load(app).await?.rules.groups());
    for old in &known {
        if !is_in(&hosts, old) {
            app.external_changes.link(old.id(), false, old.by_engine(app.clock.now()));
        }
    }
    app.hosts.set(hosts);
    // A change of these may have come between.
    locks::restore(app).await?;
    order::restore(app).await?;
    memberships::copy_to(&app.hosts.all(), RuleBook::load(app).await?.rules.groups());
    app.rules_changed(Live::Hosts);
    Ok(())
}

/// As [`sync`], where another process has added or changed a stored host.
pub(crate) async fn follow(app: &App) -> Result<()> {
    let is_new = |record: &HostRecord| {
        let known = app.hosts.get(&record.id);
        !app.config.has_host(&record.id) && known.is_none_or(|host| *host.revision() != revision(record))
    };
    if db::hosts::all(&app.db).await?.iter().any(is_new) { sync(app).await } else { Ok(()) }
}

/// A host with the settings of a record, not connected yet. A host whose address cannot be used says why.
pub(super) fn open(app: &App, record: &HostRecord) -> Arc<Host> {
    let spec = &record.spec;
    let (endpoint, fault) = match endpoint(app, record) {
        Ok(endpoint) => (endpoint, None),
        Err(reason) => (Endpoint::nowhere(), Some(reason)),
    };
    let settings = Settings {
        name: spec.name.clone(),
        enabled: record.enabled,
        parallelism: spec.parallelism.map_or(app.config.parallelism, |number| number as usize),
        revision: revision(record),
        endpoint,
        fault,
        protect: app.config.protect.clone(),
        // The database is reached from where DockNap itself runs.
        database_host: (record.source == HostSource::Env || !app.config.local)
            .then(|| app.config.database_host())
            .flatten(),
        hints: app.hints.clone(),
    };
    Host::new(record.id.clone(), settings, app.clock.clone())
}

/// Differs between two versions of a record, and between two hosts that had the same id.
fn revision(record: &HostRecord) -> (i64, i64) {
    (record.created_at.as_millisecond(), record.rev)
}

/// The address of a record.
///
/// # Errors
/// What is wrong and what to change.
fn endpoint(app: &App, record: &HostRecord) -> std::result::Result<Endpoint, String> {
    if record.source == HostSource::Env {
        return local_endpoint(&app.config);
    }
    let tls = match &record.spec.tls {
        None => None,
        Some(HostTls::Files { ca, identity }) => {
            Some(TlsSource::Files { ca: ca.clone(), identity: identity.clone() })
        }
        Some(HostTls::Texts { ca, cert, sealed_key }) => {
            let key = sealed_key.as_deref().map(|sealed| app.auth.unseal(sealed)).transpose();
            let identity = cert.clone().zip(key.map_err(|error| error.to_string())?);
            Some(TlsSource::Texts { ca: ca.clone(), identity })
        }
    };
    let address = Address { endpoint: record.spec.endpoint.clone(), tls, insecure: record.spec.insecure };
    Endpoint::stored(&address)
        .map_err(|faults| faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>().join("; "))
}

/// The Engine of `DOCKER_HOST` and the settings beside it.
///
/// # Errors
/// Which setting is wrong and what to change.
pub fn local_endpoint(config: &Config) -> std::result::Result<Endpoint, String> {
    Endpoint::from_values(
        Some(&config.docker_host),
        config.docker_tls_verify.then_some("1"),
        config.docker_cert_path.as_ref().and_then(|path| path.to_str()),
    )
}

/// Watches every host until `stop`: each in a task of its own, from the instant at which it is added to the one at
/// which it is changed, disabled or deleted.
pub async fn keep(app: App, stop: CancellationToken) {
    let mut changes = app.hosts.changes();
    let mut watched: Vec<(Arc<Host>, AbortOnDropHandle<()>)> = Vec::new();
    loop {
        let hosts = changes.borrow_and_update().clone();
        watched.retain(|(old, _)| hosts.iter().any(|host| Arc::ptr_eq(host, old)));
        for host in hosts.into_iter().filter(|host| host.is_called()) {
            if !watched.iter().any(|(known, _)| Arc::ptr_eq(known, &host)) {
                tracing::info!(host = %host.id(), address = %host.address(), "looking after the Docker Engine");
                let task = tokio::spawn(watch(app.clone(), Arc::clone(&host), stop.clone()));
                watched.push((host, AbortOnDropHandle::new(task)));
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

/// Lists the containers of every host once, for a command that does not serve; waits for at most `limit`.
pub async fn glance(app: &App, limit: Duration) {
    let stop = CancellationToken::new();
    let hosts: Vec<Arc<Host>> = app.hosts.all().into_iter().filter(|host| host.is_called()).collect();
    let watch = |host: &Arc<Host>| AbortOnDropHandle::new(tokio::spawn(Arc::clone(host).watch(stop.clone())));
    let watching: Vec<AbortOnDropHandle<()>> = hosts.iter().map(watch).collect();
    let listed = async {
        for host in &hosts {
            let mut changes = host.changes();
            while matches!(host.inventory().link, Link::Connecting) && changes.changed().await.is_ok() {}
        }
    };
    // A host that does not answer in time is one whose containers are not known.
    let _ = app.clock.timeout(limit, listed).await;
    drop(watching);
}

/// Keeps one host connected and forwards its notices.
async fn watch(app: App, host: Arc<Host>, stop: CancellationToken) {
    // Subscribed before the first connection, so that no notice is lost.
    let feed = keep_alive(format!("notices of {}", host.id()), app.clock.clone(), stop.clone(), || {
        notices::forward(app.clone(), Arc::clone(&host), host.notices())
    });
    let outages = keep_alive(format!("outages of {}", host.id()), app.clock.clone(), stop.clone(), || {
        outages::record(app.clone(), Arc::clone(&host))
    });
    let name = format!("Docker watch of {}", host.id());
    let connection =
        keep_alive(name, app.clock.clone(), stop.clone(), || Arc::clone(&host).watch(stop.clone()));
    tokio::join!(feed, outages, connection);
}
