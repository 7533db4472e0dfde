//! Sentences in which backticks mark what is to be typed, or was: pages show that as code.

/// A piece of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// What it says.
    pub text: &'a str,
    /// It is to be typed as it stands.
    pub code: bool,
}

/// The pieces of a sentence. A backtick without its other half is a letter like any other.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    if text.matches('`').count() % 2 == 1 {
        return vec![Piece { text, code: false }];
    }
    let parts = text.split('`').enumerate();
    parts.filter(|(_, part)| !part.is_empty()).map(|(at, text)| Piece { text, code: at % 2 == 1 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_typed_is_told_from_the_sentence() {
        let piece = |text, code| Piece { text, code };
        assert_eq!(
            pieces("run `docker ps`, then look"),
            [piece("run ", false), piece("docker ps", true), piece(", then look", false)]
        );
        assert_eq!(pieces("`a` or `"), [piece("`a` or `", false)]);
        assert_eq!(pieces(""), []);
    }
}
