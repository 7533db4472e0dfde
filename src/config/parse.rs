//! Parsers for the text of one setting. Each returns the value, or a message about what is wrong and what is
//! expected.

use std::time::Duration;

use ipnet::IpNet;

use super::BaseUrl;

/// A value, or an error message that follows the setting's text.
pub(super) type Parsed<T> = Result<T, String>;

pub(super) fn base_url(text: &str) -> Parsed<BaseUrl> {
    let wrong = || "is not a URL such as https://nap.example.org/docknap".to_owned();
    let (https, rest) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
        _ => return Err(wrong()),
    };
    if rest.contains(['?', '#', '@', '\\', '"', '<', '>', ';'])
        || rest.chars().any(|c| c <= ' ' || !c.is_ascii())
    {
        return Err("may have a host, a port and a path, nothing else".to_owned());
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon of a bracketed IPv6 address does not begin a port.
        Some((host, port)) if !port.ends_with(']') => {
            (host, Some(port.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(wrong)?))
        }
        _ => (authority, None),
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bracketed {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        }
    };
    if !is_host {
        return Err(wrong());
    }
    let path = path.trim_end_matches('/');
    if path.split('/').any(|part| part == "." || part == ".." || (part.is_empty() && !path.is_empty())) {
        return Err("has a path with an empty, `.` or `..` part".to_owned());
    }
    let port = port.filter(|port| *port != if https { 443 } else { 80 });
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let scheme = if https { "https" } else { "http" };
    Ok(BaseUrl {
        https,
        origin: format!("{scheme}://{}{port}", host.to_ascii_lowercase()),
        path: if path.is_empty() { String::new() } else { format!("/{path}") },
    })
}

/// Checks the form of an Engine's address. `docker::Endpoint` parses it fully, including certificates.
pub(super) fn engine(text: &str) -> Parsed<String> {
    match text.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => Ok(text.to_owned()),
        Some(("tcp" | "http" | "https", address)) if !address.trim_end_matches('/').is_empty() => {
            Ok(text.to_owned())
        }
        None if !text.starts_with('/') => Ok(text.to_owned()),
        Some(("ssh", _)) => Err("ssh:// is not offered; use unix://, or tcp:// with TLS".to_owned()),
        _ => Err("is not an Engine such as unix:///var/run/docker.sock or tcp://10.0.0.5:2376".to_owned()),
    }
}

pub(super) fn networks(text: &str) -> Parsed<Vec<IpNet>> {
    let mut networks = Vec::new();
    for part in names(text) {
        let network = part
            .parse::<IpNet>()
            .or_else(|_| part.parse::<std::net::IpAddr>().map(IpNet::from))
            .map_err(|_| format!("`{part}` is not a network such as 172.18.0.0/16"))?;
        if network.prefix_len() == 0 {
            return Err(format!("`{part}` would believe everybody; name the proxy's own network"));
        }
        networks.push(network);
    }
    Ok(networks)
}

pub(super) fn names(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

pub(super) fn number(text: &str, (low, high): (u32, u32)) -> Parsed<u32> {
    text.parse()
        .ok()
        .filter(|number| (low..=high).contains(number))
        .ok_or_else(|| format!("`{text}` is not a whole number from {low} to {high}"))
}

pub(super) fn duration(text: &str, (low, high): (u64, u64)) -> Parsed<Duration> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(format!("`{text}` is not a duration such as 90s, 30m, 8h or 7d")),
    };
    let total = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(factor));
    match total {
        Some(total) if (low..=high).contains(&total) => Ok(Duration::from_secs(total)),
        _ => {
            let (low, high) = (super::table::seconds(low), super::table::seconds(high));
            Err(format!("`{text}` is not a duration from {low} to {high}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> (bool, String, String) {
        let url = base_url(text).expect(text);
        (url.https, url.origin, url.path)
    }

    #[test]
    fn a_base_url_is_split_as_a_browser_would() {
        assert_eq!(url("https://Nap.Example.org"), (true, "https://nap.example.org".into(), String::new()));
        assert_eq!(url("https://a.b:443/x/y/"), (true, "https://a.b".into(), "/x/y".into()));
        assert_eq!(url("http://nas:8080/"), (false, "http://nas:8080".into(), String::new()));
        assert_eq!(url("http://[::1]:80/n"), (false, "http://[::1]".into(), "/n".into()));
        assert_eq!(url("http://[fe80::1]"), (false, "http://[fe80::1]".into(), String::new()));
    }

    #[test]
    fn a_base_url_that_could_mislead_is_refused() {
        for text in [
            "nas",
            "ftp://nas",
            "http://",
            "http://a b",
            "http://a/../b",
            "http://a//b",
            "http://u@h",
            "http://h?x",
        ] {
            assert!(base_url(text).is_err(), "{text}");
        }
        for text in ["http://h:0", "http://h:99999", "http://h:", "http://[zz]", "http://h/\"x", "http://ä"]
        {
            assert!(base_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn networks_that_include_every_address_are_refused() {
        assert_eq!(networks("10.0.0.1, fd00::/8").expect("both are networks").len(), 2);
        assert!(networks("0.0.0.0/0").is_err());
        assert!(networks("::/0").is_err());
        assert!(networks("proxy").is_err());
    }

    #[test]
    fn durations_have_a_unit_and_bounds() {
        assert_eq!(duration("8h", (60, 100_000)), Ok(Duration::from_secs(28_800)));
        for text in ["8", "", "h", "-8h", "8 h", "1s", "99999999999999999999d", "18446744073709551615d"] {
            assert!(duration(text, (60, 100_000)).is_err(), "{text}");
        }
    }
}
