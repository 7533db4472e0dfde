//! What of an answer says something: white space that no browser shows and names that are made anew each time are not
//! told apart, all else is.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Elements that stand in a line of text: white space beside them shows.
const INLINE: &[&str] = &[
    "a", "abbr", "b", "bdi", "code", "em", "i", "img", "input", "kbd", "label", "mark", "q", "s", "samp",
    "select", "small", "span", "strong", "sub", "sup", "svg", "textarea", "time", "u", "use", "var", "wbr",
];
/// Elements whose text stands as it is written.
const VERBATIM: &[&str] = &["pre", "textarea", "script", "style"];

/// A page or a part of one, each tag and each text on a line of its own. White space collapses outside `<pre>` and
/// `<textarea>`, and goes where it stands at the edge of a block; attributes keep their order and their values.
pub fn html(page: &str) -> String {
    let mut out = String::new();
    let mut rest = page;
    let mut verbatim: Option<String> = None;
    let mut before_is_block = true;
    while !rest.is_empty() {
        let end = match &verbatim {
            Some(name) => {
                let close = format!("</{name}");
                rest.find(&close).unwrap_or(rest.len())
            }
            None => next_tag(rest),
        };
        let (text, tail) = rest.split_at(end);
        let tag_end = if tail.is_empty() { 0 } else { length_of_tag(tail) };
        let tag = &tail[..tag_end];
        let after_is_block = tag.is_empty() || !is_inline(tag);
        let shown = match &verbatim {
            Some(_) => text.to_owned(),
            None => collapsed(text, before_is_block, after_is_block),
        };
        if !shown.is_empty() {
            let _ = writeln!(out, "{shown:?}");
        }
        if !tag.is_empty() {
            let _ = writeln!(out, "{}", tidy(tag));
            before_is_block = !is_inline(tag);
            let name = name_of(tag);
            verbatim = VERBATIM.contains(&name).then(|| name.to_owned()).filter(|_| !tag.starts_with("</"));
        }
        rest = &tail[tag_end..];
    }
    out
}

/// Where the next tag begins: `<` before a letter, `/` or `!`.
fn next_tag(text: &str) -> usize {
    let begins =
        |at: usize| text[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '!');
    text.match_indices('<').map(|(at, _)| at).find(|at| begins(*at)).unwrap_or(text.len())
}

/// How long the tag is that a text begins with; a `>` in quotes does not end it.
fn length_of_tag(text: &str) -> usize {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '>') => return at + 1,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    text.len()
}

fn name_of(tag: &str) -> &str {
    let name = tag.trim_start_matches(['<', '/']);
    name.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or_default()
}

fn is_inline(tag: &str) -> bool {
    INLINE.contains(&name_of(tag))
}

fn collapsed(text: &str, at_begin: bool, at_end: bool) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            ' ' | '\n' | '\r' | '\t' if out.ends_with(' ') => {}
            ' ' | '\n' | '\r' | '\t' => out.push(' '),
            c => out.push(c),
        }
    }
    let out = if at_begin { out.trim_start_matches(' ') } else { &out };
    if at_end { out.trim_end_matches(' ').to_owned() } else { out.to_owned() }
}

/// A tag with one space between its parts; what stands in quotes stays.
fn tidy(tag: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    for c in tag.chars() {
        match (quote, c) {
            (None, ' ' | '\n' | '\r' | '\t') => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
                continue;
            }
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        if quote.is_none() && c == '>' && out.ends_with(' ') {
            out.pop();
        }
        out.push(c);
    }
    out
}

/// Names for what is made anew in every run of the test.
#[derive(Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// Adds one: `new` is written instead of `old`.
    pub fn add(&mut self, old: impl Into<String>, new: impl Into<String>) {
        self.0.insert(old.into(), new.into());
    }

    /// The text with the names in it. An id without one is told from others by when it comes.
    pub fn put_into(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (old, new) in self.0.iter().filter(|(old, _)| !is_id(old)) {
            text = text.replace(old, new);
        }
        let mut out = String::new();
        let mut unknown: BTreeMap<String, usize> = BTreeMap::new();
        let mut rest = text.as_str();
        while let Some(at) =
            rest.char_indices().map(|(at, _)| at).find(|at| rest.get(*at..at + 36).is_some_and(is_id))
        {
            let (before, tail) = rest.split_at(at);
            let (id, after) = tail.split_at(36);
            out.push_str(before);
            match self.0.get(id) {
                Some(name) => out.push_str(name),
                None => {
                    let count = unknown.len() + 1;
                    let number = *unknown.entry(id.to_owned()).or_insert(count);
                    let _ = write!(out, "(id {number})");
                }
            }
            rest = after;
        }
        out + rest
    }
}

/// Whether a text is a UUID.
fn is_id(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[test]
fn what_a_browser_shows_is_told_apart_and_nothing_else() {
    let page = "<ul>\n  <li class=\"a  b\"  id=x>One <b>two</b>\n three</li>\n</ul><pre> a\n  b</pre>";
    let same = [
        "<ul><li class=\"a  b\" id=x>One <b>two</b> three</li></ul><pre> a\n  b</pre>",
        "<ul><li\n    class=\"a  b\"\n    id=x\n>\n One\n<b>two</b> three </li> </ul> <pre> a\n  b</pre>",
    ];
    for other in same {
        assert_eq!(html(other), html(page), "{other}");
    }
    let other = [
        ("a word", page.replace("two", "too")),
        ("an attribute", page.replace(" id=x", " id=y")),
        ("an attribute's white space", page.replace("a  b\"", "a b\"")),
        ("the order of attributes", page.replace("class=\"a  b\"  id=x", "id=x class=\"a  b\"")),
        ("an order", page.replace("One <b>two</b>", "<b>two</b> One")),
        ("a tag", page.replace("<b>two</b>", "<i>two</i>")),
        ("a space between words", page.replace("One <b>", "One<b>")),
        ("white space in pre", page.replace("  b</pre>", " b</pre>")),
        ("a part that is missing", page.replace("three", "")),
    ];
    for (what, other) in other {
        assert_ne!(html(&other), html(page), "{what}");
    }
    assert_eq!(html("<textarea>\n a  b</textarea>"), "<textarea>\n\"\\n a  b\"\n</textarea>\n");
    assert_eq!(html("<a title=\"1 > 0\">1 < 2</a>"), "<a title=\"1 > 0\">\n\"1 < 2\"\n</a>\n");
}

#[test]
fn ids_are_named_and_told_apart() {
    let (one, two) = ("01a40a30-4580-7001-b065-5a6cec646078", "01a40a30-4580-7002-9434-c5809b0de488");
    let mut names = Names::default();
    names.add(one, "(schedule Nights)");
    names.add("/tmp/x", "(home)");
    let told = names.put_into(&format!("é {one}/run {two} {two} /tmp/x/db"));
    assert_eq!(told, "é (schedule Nights)/run (id 1) (id 1) (home)/db");
}
