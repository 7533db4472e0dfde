//! Messages that are shown once: as a toast in the corner after an htmx request, on top of the next page after a
//! redirect.

use super::view::Link;

/// A message that is shown once.
///
/// A redirect stores the message for the next page ([`super::page::Page::redirect_with`]). An htmx response with part
/// of a page contains the toast in addition, or consists of the toast alone ([`super::corner`]).
///
/// A toast disappears after 6 s, with an undo button after 29 s, and never while the pointer is over it. A toast of the
/// tone `bad` is announced by screen readers at once and stays until it is closed.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Toast {
    /// `good`, `info`, `warn` or `bad`.
    pub tone: String,
    /// The message.
    pub text: String,
    /// A link to details.
    #[serde(default)]
    pub link: Option<Link>,
    /// The form that undoes the action.
    #[serde(default)]
    pub undo: Option<Undo>,
}

/// A form with one button, which posts an empty body to its address. In a toast htmx sends the form, and the live
/// regions of the page show the result.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Undo {
    /// Path below the base path, with the leading slash.
    pub href: String,
    /// The label of the button.
    pub label: String,
}

impl Toast {
    /// A message in one of the four tones.
    pub fn new(tone: &str, text: impl Into<String>) -> Self {
        Self { tone: tone.to_owned(), text: text.into(), link: None, undo: None }
    }

    /// The message about an action on several targets, with the ones that were refused.
    pub fn of_many(done: String, refused: &[String]) -> Self {
        if refused.is_empty() {
            return Self::new("good", done);
        }
        Self::new("warn", format!("{done} Left as they are: {}.", refused.join("; ")))
    }

    /// Adds a link behind the text.
    #[must_use]
    pub fn with_link(self, href: impl Into<String>, text: &str) -> Self {
        Self { link: Some(Link::new(href, text)), ..self }
    }

    /// Adds a button that undoes the action by a POST to `href`, a path below the base path.
    #[must_use]
    pub fn with_undo(self, href: impl Into<String>) -> Self {
        Self { undo: Some(Undo { href: href.into(), label: "Undo".to_owned() }), ..self }
    }

    /// The name of the icon.
    pub fn icon(&self) -> &'static str {
        match self.tone.as_str() {
            "good" => "circle-check",
            "bad" => "circle-x",
            "warn" => "triangle-alert",
            _ => "info",
        }
    }

    /// The id of the region of the page in which the toast appears; screen readers announce the region `alerts` at
    /// once.
    pub fn region(&self) -> &'static str {
        if self.tone == "bad" { "alerts" } else { "toasts" }
    }
}
