//! What surrounds every page: who is logged in, where they are, and what must be said on top.

use crate::domain::permission::{Permission, Role};

/// The surroundings of one page, as `templates/base.html` shows them.
#[derive(Clone, Debug, Default)]
pub struct Shell {
    /// Base path without a trailing slash: empty, or such as `/docknap`.
    pub base: String,
    /// Changes with the static files, so that browsers may keep them for ever.
    pub assets: String,
    /// `system`, `light` or `dark`.
    pub theme: String,
    /// Who is logged in.
    pub user: Option<ShellUser>,
    /// Which entry of the navigation the page belongs to: `stacks`, `schedules`, `runs`, `audit`, `users`, `profile`.
    pub here: &'static str,
    /// One message left by the request before.
    pub flash: Option<Flash>,
    /// The page came over plain http from another machine.
    pub insecure: bool,
    /// The Engine is the simulated one.
    pub demo: bool,
    /// The zone in which times are shown.
    pub zone: String,
    /// DockNap's version.
    pub version: &'static str,
}

/// Who is logged in.
#[derive(Clone, Debug)]
pub struct ShellUser {
    /// Their name.
    pub name: String,
    /// Their role.
    pub role: Role,
}

impl ShellUser {
    /// May start, stop and keep schedules.
    pub fn can_operate(&self) -> bool {
        self.role.allows(Permission::Operate)
    }

    /// May keep users.
    pub fn can_administer(&self) -> bool {
        self.role.allows(Permission::Administer)
    }
}

impl Shell {
    /// Whether the person may start, stop and keep schedules.
    pub fn can_operate(&self) -> bool {
        self.user.as_ref().is_some_and(ShellUser::can_operate)
    }

    /// Surroundings to try a template in.
    pub fn sample() -> Self {
        Self {
            assets: "0".to_owned(),
            theme: "system".to_owned(),
            user: Some(ShellUser { name: "anna".to_owned(), role: Role::Admin }),
            here: "stacks",
            zone: "Europe/Berlin".to_owned(),
            version: env!("CARGO_PKG_VERSION"),
            ..Self::default()
        }
    }
}

/// One message that is shown once.
#[derive(Clone, Debug)]
pub struct Flash {
    /// `good`, `info`, `warn` or `bad`.
    pub tone: &'static str,
    /// The message.
    pub text: String,
}

impl Flash {
    /// The icon beside it.
    pub fn icon(&self) -> &'static str {
        match self.tone {
            "good" => "circle-check",
            "bad" => "circle-x",
            "warn" => "triangle-alert",
            _ => "info",
        }
    }
}
