//! Texts from outside as one line that is safe to show.

/// Longest message of Docker that is passed on, in characters.
const MAX_MESSAGE: usize = 300;

/// Shortens a text to one line of at most [`MAX_MESSAGE`] characters and escapes control characters, because Docker's
/// messages may contain text from a container.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    let mut count = 0;
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        for c in word.chars() {
            if count >= MAX_MESSAGE {
                line.push('…');
                return line;
            }
            push_visible(&mut line, c);
            count += 1;
        }
    }
    line
}

/// Appends a character; control characters and changes of writing direction are escaped.
pub(super) fn push_visible(line: &mut String, c: char) {
    let hides = c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    if hides { line.extend(c.escape_default()) } else { line.push(c) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_are_shortened_and_escaped() {
        let text = one_line(&format!("a\u{1b}[31m \u{202e}b {}", "x".repeat(64 * 1024)));
        assert!(text.starts_with("a\\u{1b}[31m \\u{202e}b x"), "{text}");
        assert!(text.chars().count() < 340);
    }
}
