//! The watched directory: rules files that are mounted read-only, for example from a git repository. They are read at
//! the start and every 30 s; without a change of their content nothing happens. Whatever is wrong with the directory or
//! a file, the last good rules stay, and a message names the file and the fault.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::apply::apply;
use super::document::{Document, Section};
use super::keys::Keyed;
use super::plan::{Deed, Origin, Plan, plan_from};
use super::tree::MAX_BYTES;
use crate::app::{Actor, App, Error, FieldError, Live, Result, schedules};
use crate::domain::inventory::Link;
use crate::domain::permission::Permission;
use crate::domain::schedule::Source;
use crate::domain::text::{chain, hex};

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(30);
/// How long the first look waits for the hosts, whose containers the names in the files mean.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a schedule is kept, switched off, after its rule has left the directory.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// The most files.
const MAX_FILES: usize = 200;
/// The most faults that the message about a file repeats.
const TOLD: usize = 3;

/// What is wrong with the watched directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderFault {
    /// The file or directory and its fault, as a sentence.
    pub text: String,
    pub since: Timestamp,
}

/// What is known of the watched directory.
#[derive(Debug, Default)]
pub struct Folder(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    fault: Option<FolderFault>,
    /// The digest of the content whose rules are stored; `None` while hosts are away, whose names are read again.
    stored: Option<String>,
    /// The digest of a content that would remove rules; they go if the next look finds it again.
    seen: Option<String>,
}

/// The fault of the watched directory; `None` without one.
pub fn folder_fault(app: &App, actor: &Actor) -> Result<Option<FolderFault>> {
    actor.require(Permission::View)?;
    Ok(app.vitals.folder.0.lock().fault.clone())
}

/// Looks at the directory until `stop`.
pub async fn keep(app: App, stop: CancellationToken) {
    if app.config.rules_dir.is_none() {
        return stop.cancelled().await;
    }
    tokio::select! {
        () = until_listed(&app) => {}
        () = stop.cancelled() => return,
    }
    while !stop.is_cancelled() {
        if let Err(error) = look(&app).await {
            tracing::error!(error = %chain(&error), "the rules of the watched directory cannot be stored");
        }
        tokio::select! {
            () = app.clock.sleep(EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Waits until each host has listed its containers or was not reached, but not for long.
async fn until_listed(app: &App) {
    /// The number of looks at the hosts.
    const LOOKS: u32 = 60;
    for _ in 0..LOOKS {
        if app.hosts.all().iter().all(|host| host.inventory().link != Link::Connecting) {
            return;
        }
        app.clock.sleep(PATIENCE / LOOKS).await;
    }
}

/// Whether every host that is called has listed its containers. Until then a name may mean something else later.
fn are_listed(app: &App) -> bool {
    let hosts = app.hosts.all();
    hosts.iter().all(|host| !host.is_called() || host.inventory().seen_at.is_some())
}

/// Reads the directory once, and stores its rules if they have changed.
///
/// # Errors
/// The database cannot be read or written.
pub async fn look(app: &App) -> Result<()> {
    let Some(directory) = app.config.rules_dir.clone() else { return Ok(()) };
    let read = tokio::task::spawn_blocking(move || read_all(&directory)).await.map_err(Error::internal)?;
    let found = match read {
        Ok(files) => store(app, &files).await,
        Err(fault) => Err(Error::Invalid(vec![fault])),
    };
    if found.is_err() {
        // A rule leaves when two looks in a row miss it.
        app.vitals.folder.0.lock().seen = None;
    }
    match found {
        Ok(()) => tell(app, None),
        Err(Error::Invalid(faults)) => tell(app, Some(sentence(&faults))),
        // Such as a calendar that is still in use.
        Err(error @ (Error::Conflict { .. } | Error::Stale { .. } | Error::NotFound { .. })) => {
            tell(app, Some(error.to_string()));
        }
        Err(other) => return Err(other),
    }
    Ok(())
}

/// What the files of a directory would change if it were followed; nothing is stored.
///
/// # Errors
/// [`Error::Invalid`] with every fault by file, line and path.
pub async fn compare(app: &App, actor: &Actor, directory: &Path) -> Result<Plan> {
    let directory = directory.to_owned();
    let read = tokio::task::spawn_blocking(move || read_all(&directory)).await.map_err(Error::internal)?;
    let files = read.map_err(|fault| Error::Invalid(vec![fault]))?;
    let document = document(&files).map_err(Error::Invalid)?;
    plan_from(app, actor, &document, false, Origin::Folder).await
}

fn sentence(faults: &[FieldError]) -> String {
    let told: Vec<String> =
        faults.iter().take(TOLD).map(|fault| format!("{}: {}", fault.field, fault.message)).collect();
    match faults.len().saturating_sub(TOLD) {
        0 => told.join("; "),
        more => format!("{}; and {more} more", told.join("; ")),
    }
}

/// Keeps the fault for the pages; a new one is written to the log once.
fn tell(app: &App, text: Option<String>) {
    let mut state = app.vitals.folder.0.lock();
    if state.fault.as_ref().map(|fault| &fault.text) == text.as_ref() {
        return;
    }
    match &text {
        Some(text) => {
            tracing::warn!("the watched directory is not followed, its last good rules stay: {text}")
        }
        None => tracing::info!("the watched directory is followed again"),
    }
    state.fault = text.map(|text| FolderFault { text, since: app.clock.now() });
    drop(state);
    app.bus.send(Live::Needs);
}

/// Name and text of the rules files of a directory, by name.
fn read_all(directory: &Path) -> std::result::Result<Vec<(String, String)>, FieldError> {
    let fault = |path: &Path, error: &std::io::Error| {
        FieldError::new(path.display().to_string(), format!("it cannot be read: {error}"))
    };
    let entries = fs::read_dir(directory).map_err(|error| fault(directory, &error))?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| fault(directory, &error))?.file_name();
        let name = name.to_string_lossy().into_owned();
        let is_rules = [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending));
        if is_rules && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    if names.is_empty() || names.len() > MAX_FILES {
        let message =
            format!("it holds {} rules files (.yaml, .yml, .json); 1 to {MAX_FILES} are read", names.len());
        return Err(FieldError::new(directory.display().to_string(), message));
    }
    let (mut files, mut left) = (Vec::new(), MAX_BYTES);
    for name in names {
        let path = directory.join(&name);
        let mut text = String::new();
        let limit = u64::try_from(left).unwrap_or(u64::MAX).saturating_add(1);
        // A pipe would never end.
        if !fs::metadata(&path).map_err(|error| fault(&path, &error))?.is_file() {
            return Err(FieldError::new(path.display().to_string(), "this is no file; take it out"));
        }
        let read = fs::File::open(&path).and_then(|file| file.take(limit).read_to_string(&mut text));
        read.map_err(|error| fault(&path, &error))?;
        let Some(rest) = left.checked_sub(text.len()) else {
            return Err(FieldError::new(
                name,
                "the files hold more than 1 MiB together; leave something out",
            ));
        };
        left = rest;
        files.push((name, text));
    }
    Ok(files)
}

/// Stores the rules of the files, unless that is done already.
async fn store(app: &App, files: &[(String, String)]) -> Result<()> {
    let digest = digest(files);
    if is_stored(app, &digest) {
        return Ok(());
    }
    let document = document(files).map_err(Error::Invalid)?;
    let are_listed = are_listed(app);
    let actor = Actor::scheduler();
    let plan = plan_from(app, &actor, &document, false, Origin::Folder).await?;
    if removes(&plan) && !is_seen_again(app, &digest) {
        // It may be half written.
        return Ok(());
    }
    if !plan.is_empty() {
        apply(app, &actor, &plan).await?;
        tracing::info!("the watched directory has changed: {}", plan.sentence());
    }
    let mut state = app.vitals.folder.0.lock();
    state.stored = Some(digest).filter(|_| are_listed);
    state.seen = None;
    Ok(())
}

/// Whether the rules of this content are the stored ones. Then nothing waits to be removed.
fn is_stored(app: &App, digest: &str) -> bool {
    let mut state = app.vitals.folder.0.lock();
    let is_so = state.stored.as_deref() == Some(digest);
    if is_so {
        state.seen = None;
    }
    is_so
}

fn removes(plan: &Plan) -> bool {
    plan.count(Deed::Delete) > 0
}

/// Whether the look before found the same content; remembers it.
fn is_seen_again(app: &App, digest: &str) -> bool {
    let mut state = app.vitals.folder.0.lock();
    let is_same = state.seen.as_deref() == Some(digest);
    state.seen = Some(digest.to_owned());
    is_same
}

fn digest(files: &[(String, String)]) -> String {
    let mut digest = Sha256::new();
    for text in files.iter().flat_map(|(name, text)| [name, text]) {
        digest.update(text.len().to_be_bytes());
        digest.update(text);
    }
    hex(&digest.finalize())
}

/// All files as one.
fn document(files: &[(String, String)]) -> std::result::Result<Document, Vec<FieldError>> {
    let (mut whole, mut faults) = (Document::of_schedules(Vec::new(), &[]), Vec::new());
    for (name, text) in files {
        match Document::read(text) {
            Ok(document) if document.section(Section::Hosts).is_some() => {
                let message =
                    "the watched directory holds no hosts; import them, or name them in docknap.toml";
                faults.push(FieldError::new(format!("{name}: hosts"), message));
            }
            Ok(document) => whole.join(name, document),
            Err(found) => faults.extend(
                found.into_iter().map(|one| FieldError::new(format!("{name}: {}", one.field), one.message)),
            ),
        }
    }
    if faults.is_empty() { Ok(whole) } else { Err(faults) }
}

/// Deletes the schedules whose rules left the directory long ago.
pub async fn sweep(app: &App) -> Result<()> {
    let before = app.clock.now() - KEPT;
    let is_over = |at: Option<Timestamp>| at.is_some_and(|at| at < before);
    let keyed = Keyed::read(app).await?;
    let old =
        keyed.schedules.iter().filter(|(one, known)| one.source == Source::File && is_over(known.gone_at));
    let old: Vec<_> = old.map(|(one, _)| one).collect();
    if old.is_empty() {
        return Ok(());
    }
    let mut tx = app.db.begin().await?;
    for schedule in old {
        schedules::delete_in(&mut tx, app, &Actor::scheduler(), schedule).await?;
    }
    tx.commit().await?;
    schedules::tell(app);
    Ok(())
}
