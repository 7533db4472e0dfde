//! The backends of axum-login and tower-sessions: accounts, and the table of sessions. Each instance serves one
//! request.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;

use async_trait::async_trait;
use axum_login::{AuthSession, AuthUser, AuthnBackend, UserId as BackendUserId};
use parking_lot::Mutex;
use tower_sessions::cookie::time::OffsetDateTime;
use tower_sessions::session::{Id, Record};
use tower_sessions::{SessionStore, session_store};

use super::LOGIN;
use crate::app::auth::devices::{self, Presented};
use crate::app::auth::sessions::{self, Ticket};
use crate::app::{App, Error};
use crate::domain::ids::UserId;
use crate::domain::text::chain;
use crate::domain::user::User;

/// The login of a page: the type of axum-login with DockNap's accounts.
pub(super) type PageLogin = AuthSession<Accounts>;

/// An account, as axum-login needs it.
#[derive(Clone, Debug)]
pub struct Account {
    pub user: User,
    stamp: Vec<u8>,
}

impl Account {
    pub(super) fn new(user: User) -> Self {
        // The stamp does not contain the password hash, since a login may store the same password with a new hash. A
        // change of role or password also ends the sessions in the database; the stamp is a second check.
        let stamp = format!("{}:{}", user.role, user.password_set.as_millisecond()).into_bytes();
        Self { user, stamp }
    }
}

impl AuthUser for Account {
    type Id = String;

    fn id(&self) -> String {
        self.user.id.as_str().to_owned()
    }

    fn session_auth_hash(&self) -> &[u8] {
        &self.stamp
    }
}

/// The backend of axum-login for one request. It knows only the account that was read together with the session.
#[derive(Clone, Debug)]
pub struct Accounts(pub(super) Option<Account>);

impl AuthnBackend for Accounts {
    type User = Account;
    /// Passwords are checked by `app::auth::login`, which knows the browser too.
    type Credentials = Infallible;
    type Error = Error;

    async fn authenticate(&self, never: Infallible) -> Result<Option<Account>, Error> {
        match never {}
    }

    async fn get_user(&self, id: &BackendUserId<Self>) -> Result<Option<Account>, Error> {
        Ok(self.0.clone().filter(|account| account.id() == *id))
    }
}

/// The table of sessions for one request. The store knows all 256 bits of the cookie; the id of tower-sessions holds
/// half of them.
pub(super) struct Store {
    app: App,
    ip: Option<IpAddr>,
    user_agent: Option<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The ticket of the cookie, or of a session that began in this request.
    ticket: Option<Ticket>,
    /// The account whose session began in this request.
    begun: Option<UserId>,
    loaded: Option<Record>,
    /// The last database error: tower-sessions passes on only its text.
    fault: Option<Error>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    pub(super) fn new(
        app: App,
        ip: Option<IpAddr>,
        user_agent: Option<String>,
        ticket: Option<Ticket>,
    ) -> Self {
        Self { app, ip, user_agent, state: Mutex::new(State { ticket, ..State::default() }) }
    }

    /// Takes the stored data of a live session, and returns the id under which tower-sessions finds it.
    pub(super) fn load_data(&self, ticket: &Ticket, data: &str) -> Id {
        let data: HashMap<String, serde_json::Value> = serde_json::from_str(data).unwrap_or_default();
        let id = Id(ticket.number());
        self.state.lock().loaded = Some(Record { id, data, expiry_date: OffsetDateTime::UNIX_EPOCH });
        id
    }

    pub(super) fn ticket(&self) -> Option<Ticket> {
        self.state.lock().ticket.clone()
    }

    /// Stores the browser as known if a login happened in this request. An error does not undo the login.
    pub(super) async fn remember(&self, presented: &Presented) -> Option<Presented> {
        let user = self.state.lock().begun.take()?;
        let known = devices::remember(&self.app, &user, presented, self.ip, self.user_agent.as_deref()).await;
        known
            .inspect_err(|error| tracing::warn!(error = %chain(error), "a browser could not be remembered"))
            .ok()
    }

    pub(super) fn take_fault(&self) -> Option<Error> {
        self.state.lock().fault.take()
    }

    fn ticket_of(&self, id: Id) -> Option<Ticket> {
        self.ticket().filter(|ticket| ticket.number() == id.0)
    }

    fn keep_error(&self, error: Error) -> session_store::Error {
        let text = error.to_string();
        self.state.lock().fault = Some(error);
        session_store::Error::Backend(text)
    }
}

fn encode(record: &Record) -> session_store::Result<String> {
    serde_json::to_string(&record.data).map_err(|error| session_store::Error::Encode(error.to_string()))
}

#[async_trait]
impl SessionStore for Store {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        let user = record.data.get(LOGIN).and_then(|login| login.get("user_id")).and_then(|id| id.as_str());
        let Some(user) = user.map(UserId::from) else {
            return Err(session_store::Error::Backend("a session belongs to an account".to_owned()));
        };
        let data = encode(record)?;
        let ticket = sessions::begin(&self.app, &user, &data, self.ip, self.user_agent.as_deref())
            .await
            .map_err(|error| self.keep_error(error))?;
        record.id = Id(ticket.number());
        let mut state = self.state.lock();
        (state.begun, state.ticket) = (Some(user), Some(ticket));
        Ok(())
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        let Some(ticket) = self.ticket_of(record.id) else {
            return Err(session_store::Error::Backend("this is not the session of the request".to_owned()));
        };
        sessions::save(&self.app, &ticket, &encode(record)?).await.map_err(|error| self.keep_error(error))
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        Ok(self.state.lock().loaded.clone().filter(|record| record.id == *id))
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        match self.ticket_of(*id) {
            Some(ticket) => sessions::end(&self.app, &ticket).await.map_err(|error| self.keep_error(error)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::domain::permission::Role;

    #[test]
    fn another_role_or_password_changes_the_stamp() {
        let ada = || User::new(UserId::from("u"), "ada", Role::Admin, Timestamp::UNIX_EPOCH);
        let stamp = |user: User| Account::new(user).session_auth_hash().to_vec();
        assert_eq!(stamp(ada()), stamp(ada()));
        assert_ne!(stamp(User { role: Role::Viewer, ..ada() }), stamp(ada()));
        let later = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1);
        assert_ne!(stamp(User { password_set: later, ..ada() }), stamp(ada()));
    }
}
