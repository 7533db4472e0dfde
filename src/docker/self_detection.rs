//! Which container this process runs in.

/// What this process can tell about the container it runs in, strongest first. Nothing is believed before the
/// Engine knows a container of that id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clues {
    /// Docker ids, or beginnings of one, in the order of trust.
    pub ids: Vec<String>,
    /// It runs in some container.
    pub contained: bool,
}
