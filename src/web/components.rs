//! The small parts of pages, and the frame around them.
//!
//! Each is a template of its own, with the macro of its name in `templates/components/` to call it by: what a macro
//! holds is compiled anew wherever it is called, and what `base.html` holds anew for each page.

use askama::Template;
use askama::filters::HtmlSafe;

use super::pages::actions::Act;
use super::pieces::{self, Piece};
use super::shell::Shell;
use super::view::{Badge, When};
use crate::app::FieldError;

macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident, $Part:ident, $path:literal: $($field:ident: $kind:ty),*;)*) => {$(
        $(#[$doc])*
        #[derive(Template)]
        #[template(path = $path)]
        pub struct $Part<'a> { $($field: $kind),* }

        // Its template has escaped what it holds.
        impl HtmlSafe for $Part<'_> {}

        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "what a field of a form has, its macro is called with")]
        pub fn $name<'a>($($field: $kind),*) -> $Part<'a> {
            $Part { $($field),* }
        }
    )*};
}

parts! {
    /// What the head of every page says, but its title.
    head, Head, "frame/head.html": shell: &'a Shell;
    /// What stands above the content of every page.
    above, Above, "frame/above.html": shell: &'a Shell;
    /// What stands below the content of every page.
    below, Below, "frame/below.html": shell: &'a Shell;
    /// An ornament.
    icon, Icon, "components/_icon.html": shell: &'a Shell, name: &'a str;
    /// A state: icon, shape, colour and word together.
    state, State, "components/_state.html": shell: &'a Shell, state: &'a Badge;
    /// A state without its word on show.
    dot, Dot, "components/_dot.html": shell: &'a Shell, state: &'a Badge;
    /// An instant: how far off, and exactly when.
    time, Time, "components/_time.html": when: &'a When;
    /// How far off an instant is.
    ago, Ago, "components/_ago.html": when: &'a When;
    /// What stands where a list would.
    empty, Empty, "components/_empty.html": shell: &'a Shell, title: &'a str, text: &'a str;
    /// A button that asks before it acts.
    act, Acting, "components/_act.html": shell: &'a Shell, act: &'a Act, class: &'a str, id: &'a str;
    /// What is wrong with a field.
    error_text, ErrorText, "components/_error_text.html": name: &'a str, error: Option<&'a str>;
    /// The attributes that tell a reader about hint and error.
    aria, Aria, "components/_aria.html": name: &'a str, error: Option<&'a str>, hint: &'a str;
    /// What is wrong with a form, on top of it.
    summary, Summary, "components/_summary.html": errors: &'a [FieldError];
    /// A field of a form.
    input, Input, "components/_input.html": kind: &'a str, name: &'a str, label: &'a str, value: &'a str,
        error: Option<&'a str>, hint: &'a str, extra: &'a str, required: bool;
}

/// A sentence, with what is to be typed as code.
#[derive(Template)]
#[template(path = "components/_told.html")]
pub struct Told<'a> {
    pieces: Vec<Piece<'a>>,
}

impl HtmlSafe for Told<'_> {}

/// A sentence, with what is to be typed as code.
pub fn told(text: &str) -> Told<'_> {
    Told { pieces: pieces::pieces(text) }
}
