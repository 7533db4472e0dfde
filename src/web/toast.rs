//! Messages that pass: in the corner where htmx brings part of a page, on top of the next page where a form leads to
//! one.

use super::view::Link;

/// One message that is shown once.
///
/// What leads to another page leaves it for that page ([`super::page::Page::redirect_with`]). What answers htmx with
/// part of a page sends it along, to appear in the corner, or alone where there is no part to show
/// ([`super::corner`]).
///
/// In the corner it goes after 6 s, after 29 s where something can be undone, and never under the pointer. One of the
/// tone `bad` is read out at once and stays until it is closed.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Toast {
    /// `good`, `info`, `warn` or `bad`.
    pub tone: String,
    /// The message.
    pub text: String,
    /// Where more of it is told.
    #[serde(default)]
    pub link: Option<Link>,
    /// What takes back what it tells of.
    #[serde(default)]
    pub undo: Option<Undo>,
}

/// A form with one button, which posts nothing but its address. In the corner htmx sends it, and whatever the answer
/// shows is left to the live regions.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Undo {
    /// Path below the base path, with the leading slash.
    pub href: String,
    /// The word on the button.
    pub label: String,
}

impl Toast {
    /// A message in one of the four tones.
    pub fn new(tone: &str, text: impl Into<String>) -> Self {
        Self { tone: tone.to_owned(), text: text.into(), link: None, undo: None }
    }

    /// What was done to many, with what was refused of some of them.
    pub fn of_many(told: String, refused: &[String]) -> Self {
        if refused.is_empty() {
            return Self::new("good", told);
        }
        Self::new("warn", format!("{told} Left as they are: {}.", refused.join("; ")))
    }

    /// With a link behind its words.
    #[must_use]
    pub fn with_link(self, href: impl Into<String>, text: &str) -> Self {
        Self { link: Some(Link::new(href, text)), ..self }
    }

    /// With a button that undoes it by a POST to `href`, a path below the base path.
    #[must_use]
    pub fn with_undo(self, href: impl Into<String>) -> Self {
        Self { undo: Some(Undo { href: href.into(), label: "Undo".to_owned() }), ..self }
    }

    /// The icon beside it.
    pub fn icon(&self) -> &'static str {
        match self.tone.as_str() {
            "good" => "circle-check",
            "bad" => "circle-x",
            "warn" => "triangle-alert",
            _ => "info",
        }
    }

    /// The region of the page it appears in: what went wrong interrupts whoever has the page read out.
    pub fn region(&self) -> &'static str {
        if self.tone == "bad" { "alerts" } else { "toasts" }
    }
}
