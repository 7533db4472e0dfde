//! The rules for login names and passwords (security: passwords; OWASP ASVS 6.2).
//!
//! A password needs a minimum length. There are no composition rules, no expiry and no truncation. Passwords that an
//! attacker tries first are refused: common passwords (also padded with digits or repeated), sequences along the
//! alphabet or the keyboard, and words that belong to this installation.

/// The length of the shortest password without a second factor, in characters. A setting can raise the limit but not
/// lower it.
pub const PASSWORD_MIN: usize = 15;
/// The length of the longest password, in bytes: long enough for users and password managers, and short enough to hash.
pub const PASSWORD_MAX_BYTES: usize = 256;
/// The length of the longest login name, in characters.
pub const NAME_MAX: usize = 64;

/// The 10,000 most common passwords, and the longer ones among the 30,000 most common, from the frequency list of
/// zxcvbn 3.1.1 (MIT): lower case, sorted, one a line.
static COMMON: &str = include_str!("common_passwords.txt");
/// The sequences of neighbouring characters: the alphabet, the digits, and keyboard rows and columns.
const ROWS: [&str; 6] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
];
/// The number of characters that must remain of a password without repetitions, or without the words of this
/// installation.
const LEFT_MIN: usize = 8;

/// The reason why a password is refused. The message says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// The password is shorter than the minimum length.
    #[error("use at least {min} characters; a sentence is easy to remember")]
    TooShort {
        /// The minimum length in characters.
        min: usize,
    },
    /// The password is longer than [`PASSWORD_MAX_BYTES`].
    #[error("use at most {PASSWORD_MAX_BYTES} bytes")]
    TooLong,
    /// The password is a common one, possibly padded or repeated.
    #[error("this is one of the passwords that are tried first; use another")]
    Common,
    /// The password repeats a few characters, or is a sequence along the alphabet or the keyboard.
    #[error("this repeats itself or runs along the keyboard; use several words instead")]
    Pattern,
    /// Too little of the password remains without the user's name, the host's name and DockNap's name.
    #[error("this is made of the name, the host or the word docknap; use other words")]
    Personal,
}

/// Checks a password. `min` is the minimum length in characters, at least [`PASSWORD_MIN`]; `personal` are words that
/// belong to the user or the installation (login name, host name).
///
/// # Errors
/// [`WeakPassword`] with the first rule that the password breaks.
pub fn check_password(password: &str, min: usize, personal: &[&str]) -> Result<(), WeakPassword> {
    if password.len() > PASSWORD_MAX_BYTES {
        return Err(WeakPassword::TooLong);
    }
    let min = min.max(PASSWORD_MIN);
    if password.chars().count() < min {
        return Err(WeakPassword::TooShort { min });
    }
    let folded = password.to_lowercase();
    let core = folded.trim_matches(|c: char| !c.is_alphabetic());
    if is_common(&folded)
        || is_common(core)
        || is_common(repeated_unit(&folded))
        || is_common(repeated_unit(core))
    {
        return Err(WeakPassword::Common);
    }
    if repeated_unit(&folded).chars().count() < LEFT_MIN || is_run(&folded) {
        return Err(WeakPassword::Pattern);
    }
    let mut left = folded.clone();
    for word in personal.iter().map(|word| word.to_lowercase()).chain(["docknap".into(), "docker".into()]) {
        if word.chars().count() >= 3 {
            left = left.replace(&word, "");
        }
    }
    let left = left.chars().filter(|c| c.is_alphanumeric()).count();
    if folded.chars().filter(|c| c.is_alphanumeric()).count() != left && left < LEFT_MIN {
        return Err(WeakPassword::Personal);
    }
    Ok(())
}

/// The strength of an accepted password, as advice only; no password is refused because of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// The password is accepted.
    Fair,
    /// The password has at least 20 characters that count.
    Good,
    /// The password has at least 28 characters that count.
    Strong,
}

/// The characters that count of a [`Strength::Good`] password.
const GOOD: usize = 20;
/// The characters that count of a [`Strength::Strong`] password.
const STRONG: usize = 28;

/// The strength of a password: its length without the characters that repeat the one before or are next to it in a
/// sequence such as a keyboard row.
///
/// # Errors
/// [`WeakPassword`], as [`check_password`].
pub fn strength(password: &str, min: usize, personal: &[&str]) -> Result<Strength, WeakPassword> {
    check_password(password, min, personal)?;
    let folded: Vec<char> = password.to_lowercase().chars().collect();
    let counts = folded.len() - folded.windows(2).filter(|pair| is_step(pair[0], pair[1])).count();
    Ok(match counts {
        STRONG.. => Strength::Strong,
        GOOD.. => Strength::Good,
        _ => Strength::Fair,
    })
}

/// Whether the list of common passwords contains `folded`, which must be in lower case.
fn is_common(folded: &str) -> bool {
    // Binary search: the lines are sorted by bytes.
    let mut rest = COMMON;
    while !rest.is_empty() {
        let middle = rest.len() / 2;
        let start = rest.as_bytes()[..middle].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let end = rest.as_bytes()[start..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(rest.len(), |at| start + at);
        match rest[start..end].cmp(folded) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => rest = rest.get(end + 1..).unwrap_or(""),
            std::cmp::Ordering::Greater => rest = &rest[..start],
        }
    }
    false
}

/// The shortest text of which `text` is a repetition; the last repetition may be incomplete.
fn repeated_unit(text: &str) -> &str {
    (1..text.len())
        .filter(|at| text.is_char_boundary(*at))
        .find(|at| {
            text.as_bytes().iter().zip(text.as_bytes().iter().cycle().take(*at).cycle()).all(|(a, b)| a == b)
        })
        .map_or(text, |at| &text[..at])
}

/// Whether at least four fifths of the steps between characters of `folded` repeat a character or follow a sequence,
/// forwards or backwards.
fn is_run(folded: &str) -> bool {
    let characters: Vec<char> = folded.chars().collect();
    let steps = characters.windows(2).filter(|pair| is_step(pair[0], pair[1])).count();
    // A sequence with one or two breaks still counts, so not all steps are required.
    steps * 5 >= (characters.len() - 1) * 4
}

/// Whether a character equals the one before, or is next to it in one of the [`ROWS`].
fn is_step(before: char, after: char) -> bool {
    before == after
        || ROWS.iter().any(|row| {
            row.chars()
                .zip(row.chars().skip(1))
                .any(|(a, b)| (a, b) == (before, after) || (b, a) == (before, after))
        })
}

/// The reason why a login name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// The name is empty.
    #[error("enter a name")]
    Empty,
    /// The name is longer than [`NAME_MAX`].
    #[error("use at most {NAME_MAX} characters")]
    TooLong,
    /// The name has a character that is not allowed, because it is easily mistaken or not printable.
    #[error("use letters a-z, digits and . _ - @, beginning with a letter or a digit")]
    Characters,
}

/// Checks a login name; returns the name without surrounding spaces.
///
/// # Errors
/// [`BadName`] with the first rule that the name breaks.
pub fn check_name(name: &str) -> Result<&str, BadName> {
    let name = name.trim();
    let mut bytes = name.bytes();
    let Some(first) = bytes.next() else { return Err(BadName::Empty) };
    if name.len() > NAME_MAX {
        return Err(BadName::TooLong);
    }
    if !first.is_ascii_alphanumeric()
        || !bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte))
    {
        return Err(BadName::Characters);
    }
    Ok(name)
}

/// The key by which login names are compared, because two names must not differ by case alone.
pub fn name_key(name: &str) -> String {
    name.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str) -> Result<(), WeakPassword> {
        check_password(password, PASSWORD_MIN, &["anna", "nas.local"])
    }

    #[test]
    fn the_list_is_sorted_so_that_it_can_be_searched() {
        let lines: Vec<&str> = COMMON.lines().collect();
        assert!(lines.len() > 9_000);
        assert!(lines.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(lines.iter().all(|line| is_common(line)));
        assert!(!is_common("") && !is_common("zzzzzzzzzzzzzzzzz") && !is_common("0"));
    }

    #[test]
    fn length_is_counted_in_characters_at_the_bottom_and_in_bytes_at_the_top() {
        assert_eq!(check("vierzehn Zeich"), Err(WeakPassword::TooShort { min: 15 }));
        assert_eq!(check("vierzehn Zeiche"), Ok(()));
        assert_eq!(check("мама мыла раму!"), Ok(()));
        let long =
            |words: usize| "Ausdauernd schlafende Wale ".chars().cycle().take(words).collect::<String>();
        assert_eq!(check(&format!("x{}", long(255))), Ok(()));
        assert_eq!(check(&format!("xy{}", long(255))), Err(WeakPassword::TooLong));
        assert_eq!(check_password("vierzehn Zeiche", 20, &[]), Err(WeakPassword::TooShort { min: 20 }));
        assert_eq!(
            check_password("short one", 3, &[]),
            Err(WeakPassword::TooShort { min: 15 }),
            "never below"
        );
    }

    #[test]
    fn passwords_that_an_attacker_tries_first_are_refused() {
        for password in [
            "passwordstandard",
            "Password12345678",
            "passwordpassword",
            "!!!!dragon!!!!!1!",
            "letmeinletmein1",
        ] {
            assert_eq!(check(password), Err(WeakPassword::Common), "{password}");
        }
        for password in [
            "aaaaaaaaaaaaaaa",
            "abcabcabcabcabc",
            "x7!x7!x7!x7!x7!",
            "qwertzuiopasdfg",
            "0987654321098765",
            "abcdefghijklmnop",
        ] {
            assert_eq!(check(password).expect_err(password), check(password).expect_err(password));
            assert!(
                matches!(check(password), Err(WeakPassword::Pattern | WeakPassword::Common)),
                "{password}"
            );
        }
        for password in ["docknapdocknap-anna", "Docker-nas.local-123", "anna anna docker 2026"] {
            assert_eq!(check(password), Err(WeakPassword::Personal), "{password}");
        }
    }

    #[test]
    fn an_ordinary_sentence_is_accepted() {
        for password in [
            "correct horse battery staple",
            "Der Wal schläft bis sieben",
            "kJ8#pQ2!vX5$mN9^",
            "anna likes sleeping whales",
        ] {
            assert_eq!(check(password), Ok(()), "{password}");
        }
    }

    #[test]
    fn strength_is_the_number_of_characters_that_count() {
        let strength = |password: &str| strength(password, PASSWORD_MIN, &["anna"]);
        assert_eq!(strength("short"), Err(WeakPassword::TooShort { min: 15 }));
        assert_eq!(strength("kJ8#pQ2!vX5$mN9^"), Ok(Strength::Fair));
        assert_eq!(strength("Der Wal schläft bis"), Ok(Strength::Fair));
        assert_eq!(strength("Der Wal schläft bis sieben"), Ok(Strength::Good));
        assert_eq!(strength("Der Wal schläft bis sieben Uhr früh"), Ok(Strength::Strong));
        // Repeated characters add nothing.
        assert_eq!(strength("kJ8#pQ2!vX5$mN9^aaaaaaaaaaaaaaaa"), Ok(Strength::Fair));
    }

    #[test]
    fn names_are_plain_text_without_surprises() {
        assert_eq!(check_name(" anna "), Ok("anna"));
        assert_eq!(check_name("a.b_c-d@example.org"), Ok("a.b_c-d@example.org"));
        assert_eq!(check_name("  "), Err(BadName::Empty));
        assert_eq!(check_name(&"a".repeat(65)), Err(BadName::TooLong));
        for name in ["-a", "a b", "a\nb", "ä", "a/b", "<b>", "a\u{202e}b"] {
            assert_eq!(check_name(name), Err(BadName::Characters), "{name:?}");
        }
        assert_eq!(name_key(" Anna "), "anna");
    }
}
