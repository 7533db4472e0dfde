//! What a person sets for themselves, and on a phone the way to what has no place in the bar.

use askama::Template;

use super::runs::Choice;
use crate::app::FieldError;
use crate::web::shell::Shell;
use crate::web::view::Sampled;

/// One's own page.
#[derive(Template, Clone, Debug)]
#[template(path = "profile/show.html", blocks = ["password"])]
pub struct ProfilePage {
    /// The surroundings.
    pub shell: Shell,
    /// System, light, dark.
    pub themes: Vec<Choice>,
    /// What is wrong with the password form.
    pub errors: Vec<FieldError>,
    /// The shortest password, in characters.
    pub password_min: usize,
}

impl ProfilePage {
    /// One's own page.
    pub fn new(shell: Shell, password_min: usize) -> Self {
        let themes = [("system", "As the device"), ("light", "Light"), ("dark", "Dark")];
        Self {
            themes: themes
                .into_iter()
                .map(|(value, label)| Choice {
                    value: value.to_owned(),
                    label: label.to_owned(),
                    chosen: shell.theme == value,
                })
                .collect(),
            shell,
            errors: Vec::new(),
            password_min,
        }
    }

    /// What is wrong with a field.
    pub fn error(&self, field: &str) -> Option<&str> {
        self.errors.iter().find(|error| error.field == field).map(|error| error.message.as_str())
    }
}

impl Sampled for ProfilePage {
    fn samples() -> Vec<Self> {
        let page = Self::new(Shell { here: "profile", ..Shell::sample() }, 15);
        vec![
            Self {
                errors: vec![FieldError::new("new_password", "use 15 characters or more")],
                ..page.clone()
            },
            page,
        ]
    }
}
