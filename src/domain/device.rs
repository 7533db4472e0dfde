//! Short description of a browser from its `User-Agent` header, such as `Firefox on Linux`.
//!
//! The description is only precise enough to distinguish one's own devices, since the rest of the header is unreliable.

/// Kind of device that a browser runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Desktop or laptop.
    Computer,
    /// Phone or tablet.
    Phone,
}

/// Description of a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// `Firefox on Linux`.
    pub words: String,
    /// Kind of device.
    pub kind: Kind,
}

/// Substrings that identify browsers, in search order: most browsers also send the substrings of those below them.
const BROWSERS: [(&str, &str); 10] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Safari/", "Safari"),
];
/// Substrings that identify systems, in search order: Android also sends `Linux`, and an iPhone `Mac OS X`.
const SYSTEMS: [(&str, &str, Kind); 7] = [
    ("iPhone", "iPhone", Kind::Phone),
    ("iPad", "iPad", Kind::Phone),
    ("Android", "Android", Kind::Phone),
    ("CrOS", "ChromeOS", Kind::Computer),
    ("Windows", "Windows", Kind::Computer),
    ("Mac OS X", "Mac", Kind::Computer),
    ("Linux", "Linux", Kind::Computer),
];
/// Longest program name that is shown, in characters, for a `User-Agent` without a known browser or system.
const LONGEST: usize = 30;

/// Description of the browser that sends `agent` as its `User-Agent`.
///
/// `Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0` is `Firefox on Linux`.
pub fn device(agent: &str) -> Device {
    let browser = BROWSERS.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    let system = SYSTEMS.iter().find(|(mark, ..)| agent.contains(mark));
    let kind = system.map_or(Kind::Computer, |(_, _, kind)| *kind);
    let words = match (browser, system) {
        (Some(browser), Some((_, system, _))) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some((_, system, _))) => format!("A browser on {system}"),
        // The program name at the beginning, as in `curl/8.5.0`.
        (None, None) => {
            let name = agent.split(['/', ' ', '(']).next().unwrap_or_default();
            let name: String = name
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
                .take(LONGEST)
                .collect();
            if name.is_empty() { "An unknown browser".to_owned() } else { name }
        }
    };
    Device { words, kind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_identified_by_its_own_substring_among_those_of_others() {
        for (agent, words, kind) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                "Firefox on Linux",
                Kind::Computer,
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 \
                 Safari/537.36 Edg/126.0.0.0",
                "Edge on Windows",
                Kind::Computer,
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
                Kind::Phone,
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 \
                 Mobile Safari/537.36",
                "Chrome on Android",
                Kind::Phone,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/17.5 Safari/605.1.15",
                "Safari on Mac",
                Kind::Computer,
            ),
            ("curl/8.5.0", "curl", Kind::Computer),
            ("", "An unknown browser", Kind::Computer),
            ("<script>alert(1)</script>", "scriptalert", Kind::Computer),
        ] {
            assert_eq!(device(agent), Device { words: words.to_owned(), kind }, "{agent}");
        }
        assert!(device(&"x".repeat(64 * 1024)).words.len() <= LONGEST);
    }
}
