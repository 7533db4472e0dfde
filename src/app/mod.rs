//! The services of the application. Pages and API reach `db` and `docker` only through them.
//!
//! Each function takes an [`Actor`], checks the permission, and returns domain types. Pages and API call the same
//! functions and differ only in parsing and presentation.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{Notify, broadcast};

use crate::clock::Clock;
use crate::config::Config;
use crate::db::Db;
use crate::docker::Hosts;
use crate::docker::self_detection::SelfHints;
use crate::domain::ids::UserId;
use crate::domain::permission::{Permission, Role};
use crate::domain::run::ActorRef;
use crate::domain::target::Target;
use crate::domain::user::User;

pub mod audit;
pub mod auth;
pub mod backup;

pub mod attention;
pub mod calendars;
mod dates;
pub mod docker_check;
mod draft;
pub mod error;
pub mod execute;
pub mod external_changes;
pub mod groups;
pub mod health;
pub mod history;
pub mod hosts;
pub mod idempotency;
mod ids;
pub mod locks;
pub(crate) mod manual_changes;
pub(crate) mod memberships;
pub mod metrics;
pub mod nap;
pub mod notices;
pub mod order;
pub mod overrides;
pub mod paging;
pub mod profile;
pub mod report;
pub mod rulebook;
pub mod rules_file;
pub mod schedules;
pub mod settings;
pub mod simulate;
pub mod stacks;
pub mod suggest;
pub mod summary;
pub mod targets;
pub mod timeline;
pub mod traces;
pub mod upcoming;
pub mod user_links;
pub mod users;
pub mod vitals;
pub mod zone;

pub use auth::Auth;
pub use error::{Error, FieldError, Result};
pub use execute::ActiveRuns;
pub use external_changes::ExternalChanges;
pub use ids::IdSource;
pub use vitals::Vitals;

/// Everything that the services need. A clone is cheap.
#[derive(Clone)]
pub struct App {
    parts: Arc<Parts>,
    /// The rule book of a request that only reads ([`App::reading`]).
    book: Option<Arc<rulebook::RuleBook>>,
}

pub struct Parts {
    /// The database.
    pub db: Db,
    pub clock: Clock,
    /// The configuration, as read at the start.
    pub config: Config,
    pub ids: IdSource,
    /// Sends changes to the browsers.
    pub bus: Bus,
    /// Wakes the scheduler, for example after a schedule was saved.
    pub scheduler: Activator,
    /// The Docker Engines, connected or not.
    pub hosts: Hosts,
    /// What this process can read about the container it runs in.
    pub hints: SelfHints,
    /// Runs in progress.
    pub active_runs: ActiveRuns,
    /// Requests with an `Idempotency-Key` that are in progress.
    pub answering: idempotency::AtWork,
    /// Container events caused by others, queued for the scheduler.
    pub external_changes: ExternalChanges,
    /// Sleeps that begin within the next minutes.
    pub upcoming: upcoming::Upcoming,
    /// The cached rules and naps.
    pub rulebook: rulebook::LastRead,
    /// Wakes [`report::keep`], because a container with an open sleep may be awake.
    pub sleeps: Activator,
    /// Passwords, tokens and the limits of logins.
    pub auth: Auth,
    /// State of the process, for the health checks.
    pub vitals: Vitals,
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}

impl App {
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), book: None }
    }

    /// For one request that only reads: everything in it goes by this rule book, which is read once. Not for a request
    /// that writes, since it would not see what it has written, and not for anything that outlives a request.
    #[must_use]
    pub fn reading(&self, book: Arc<rulebook::RuleBook>) -> Self {
        Self { book: Some(book), ..self.clone() }
    }

    /// Reports a change of a rule: the scheduler checks everything, and the browsers are notified.
    pub fn rules_changed(&self, live: Live) {
        self.external_changes.rules_changed();
        self.scheduler.wake();
        self.bus.send(live);
    }
}

/// The caller of a service, with role and permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The form in which runs and audit rows store the caller.
    pub reference: ActorRef,
    pub role: Role,
    /// The targets that the caller may act on.
    pub scope: Scope,
    /// IP address of the caller.
    pub ip: Option<IpAddr>,
}

/// The targets that a caller may see. Every list filters by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All targets; no other scope exists yet.
    All,
}

impl Actor {
    /// DockNap's scheduler.
    pub fn scheduler() -> Self {
        Self::internal("scheduler", "scheduler")
    }

    /// A user of the command line on the machine itself.
    pub fn cli() -> Self {
        Self::internal("cli", "command line")
    }

    /// A label of a container, as `docknap.sleep of media-web-1`.
    pub(crate) fn label(name: &str) -> Self {
        Self::internal("label", name)
    }

    /// A logged-in user with the address `ip`.
    pub fn user(user: &User, ip: Option<IpAddr>) -> Self {
        Self {
            reference: ActorRef {
                kind: "user".to_owned(),
                id: Some(user.id.as_str().to_owned()),
                name: user.name.clone(),
            },
            role: user.role,
            scope: Scope::All,
            ip,
        }
    }

    /// A caller who is not logged in, with the address `ip`; for audit rows only. `name` is written to the audit log.
    pub(crate) fn stranger(name: &str, ip: Option<IpAddr>) -> Self {
        let reference = ActorRef { kind: "user".to_owned(), id: None, name: name.to_owned() };
        Self { reference, role: Role::Viewer, scope: Scope::All, ip }
    }

    fn internal(kind: &str, name: &str) -> Self {
        Self {
            reference: ActorRef { kind: kind.to_owned(), id: None, name: name.to_owned() },
            role: Role::Admin,
            scope: Scope::All,
            ip: None,
        }
    }

    /// The author of an earlier request, for audit rows about its outcome; with the weakest role.
    pub fn of(reference: ActorRef) -> Self {
        Self { reference, role: Role::Viewer, scope: Scope::All, ip: None }
    }

    /// Id of the caller's account; empty for a caller without an account.
    pub fn user_id(&self) -> UserId {
        UserId::from(self.reference.id.clone().unwrap_or_default())
    }

    /// Checks that the caller owns the account `id` or is an admin.
    ///
    /// # Errors
    /// [`Error::Forbidden`] with the role that would be sufficient.
    pub fn require_own(&self, id: &UserId) -> Result<()> {
        if self.user_id() == *id { Ok(()) } else { self.require(Permission::Administer) }
    }

    /// Checks a permission.
    ///
    /// # Errors
    /// [`Error::Forbidden`] with the role that would be sufficient.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.role.allows(permission) {
            Ok(())
        } else {
            Err(Error::Forbidden { needs: permission.needs() })
        }
    }
}

/// Wakes a loop that waits for work. A wake-up that comes while the loop is busy is kept, so that no work is missed.
#[derive(Clone, Debug, Default)]
pub struct Activator(Arc<Notify>);

impl Activator {
    /// Signals that there may be work.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits for the next signal.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}

/// A change that pages may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Live {
    /// State of a stack or its containers; the value is the stack's key.
    Stack(String),
    /// State of a container without a stack; the value is its key.
    Container(String),
    /// Data of a stack or container other than its state, such as its lock or order.
    Target(Target),
    /// The list of runs.
    Runs,
    /// One run; the value is its target.
    Run(Target),
    /// The schedules, or a calendar that they use.
    Schedules,
    Overrides,
    /// The target will be put to sleep within a few minutes.
    SleepsSoon(Target),
    /// The connection to a host, or the set of stacks and containers.
    Hosts,
    /// The messages hidden on the first page.
    Needs,
}

/// Channel that carries [`Live`] from the services to the browsers. A receiver that lags must reload everything.
#[derive(Clone, Debug)]
pub struct Bus(broadcast::Sender<Live>);

impl Default for Bus {
    fn default() -> Self {
        Self(broadcast::Sender::new(256))
    }
}

impl Bus {
    /// Sends a change to all receivers.
    pub fn send(&self, live: Live) {
        // An error means that nobody is listening, which is normal.
        let _ = self.0.send(live);
    }

    /// A receiver of the changes from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Live> {
        self.0.subscribe()
    }
}
