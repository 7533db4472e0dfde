//! Small text helpers that several modules share.

use std::fmt::Write as _;

/// The text with its first letter in upper case.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// The text with its first letter in lower case, for the middle of a sentence.
pub fn small(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// First 64 characters of untrusted text, for quotes in errors.
pub fn shorten(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The input as a message quotes it: cut to 40 characters, with control characters replaced.
pub fn excerpt(text: &str) -> String {
    const MAX: usize = 40;
    let text = text.trim();
    let plain = |letter: char| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
    let mut excerpt: String = text.chars().take(MAX).map(plain).collect();
    if text.chars().nth(MAX).is_some() {
        excerpt.push('…');
    }
    excerpt
}

/// An error with its causes, in one line. A cause that the text already contains is left out.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_letter_may_be_any() {
        assert_eq!(["", "a", "éa", "ßa", "1a"].map(capital), ["", "A", "Éa", "SSa", "1a"]);
        assert_eq!(hex(&[0, 10, 255]), "000aff");
        assert_eq!(shorten(&"é".repeat(100)).chars().count(), 64);
    }
}
