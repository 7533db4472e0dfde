//! Leaves out of a style sheet or a script what only its authors need: comments and white space. build.rs does so, and
//! nothing of it is in the program.
//!
//! Nothing is renamed or rearranged, and what stands in quotes stays as it is, so that what a browser runs is what the
//! file says. A script must keep to what this understands: a comment begins with `//`, and no regular expression
//! stands for itself (`new RegExp` takes a text).

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Css,
    Js,
}

impl Language {
    /// Whether white space next to `c` says nothing.
    fn is_apart(self, c: char) -> bool {
        match self {
            // Not `:` and the brackets, before which a space tells selectors apart.
            Self::Css => "{};,".contains(c),
            // Not + and -, of which two are another operator.
            Self::Js => "{}()[];,=<>?:&|!.*".contains(c),
        }
    }

    /// The comment that `rest` begins with, with all its characters.
    fn comment(self, rest: &str) -> Option<usize> {
        match self {
            Self::Css => rest.starts_with("/*").then(|| rest.find("*/").map_or(rest.len(), |end| end + 2)),
            Self::Js => rest.starts_with("//").then(|| rest.find('\n').unwrap_or(rest.len())),
        }
    }
}

/// The same text without comments and needless white space.
pub(super) fn squeeze(text: &str, language: Language) -> String {
    let mut out = String::with_capacity(text.len());
    let mut space: Option<char> = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = language.comment(rest) {
            rest = &rest[length..];
            continue;
        }
        if c.is_whitespace() {
            // The end of a line may end a statement.
            space = if c == '\n' || space == Some('\n') { Some('\n') } else { Some(' ') };
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let length = if matches!(c, '"' | '\'' | '`') { quoted(rest) } else { c.len_utf8() };
        let last = out.chars().next_back();
        if let Some(space) = space.take()
            && last.is_some_and(|last| keeps(language, last, space, c))
        {
            out.push(if language == Language::Css { ' ' } else { space });
        }
        if language == Language::Css && c == '}' && last == Some(';') {
            out.pop();
        }
        out.push_str(&rest[..length]);
        rest = &rest[length..];
        // After a colon a value begins; in a selector nothing but a name follows it.
        if language == Language::Css && c == ':' {
            rest = rest.trim_start();
        }
    }
    out
}

/// Whether white space says something between two characters.
fn keeps(language: Language, last: char, space: char, next: char) -> bool {
    // A statement may end with a bracket at the end of a line.
    let ends = language == Language::Js && space == '\n' && "})]".contains(last) && !"})],;.".contains(next);
    ends || !(language.is_apart(last) || language.is_apart(next))
}

/// The length of what begins with a quote, to its end.
fn quoted(text: &str) -> usize {
    let mut characters = text.char_indices();
    let quote = characters.next().map(|(_, quote)| quote);
    let mut escaped = false;
    for (at, c) in characters {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if Some(c) == quote {
            return at + c.len_utf8();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_sheet_keeps_what_it_says() {
        let css = "/* a note */\n.a :is(b, i) > c::before {\n  content: \"/* not */  → \"; margin: 0 auto;\n}\n\
                   @media (max-width: 52rem) { a:hover { width: calc(1px + 2%); } }\n";
        assert_eq!(
            squeeze(css, Language::Css),
            ".a :is(b,i) > c::before{content:\"/* not */  → \";margin:0 auto}\
             @media (max-width:52rem){a:hover{width:calc(1px + 2%)}}"
        );
    }

    #[test]
    fn a_script_keeps_what_it_says() {
        let js = "// A note.\nconst a = \"it's // here\"; // and here\nlet b = a + `${a}  x` - -1\n\
                  b = { c: [1, 2] }\nif (a) b = 2;\nreturn !b\n";
        assert_eq!(
            squeeze(js, Language::Js),
            "const a=\"it's // here\";let b=a + `${a}  x` - -1\nb={c:[1,2]}\nif(a)b=2;return!b"
        );
    }
}
