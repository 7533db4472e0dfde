//! The client of a request: its address, and whether it uses https.
//!
//! `X-Forwarded-For` and `X-Forwarded-Proto` are accepted from the configured networks only; any other connection is
//! plain http, since DockNap itself has no TLS (rulings 24). The base path is also removed here, if the request has it:
//! some proxies strip it, others do not.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;
use jiff::Timestamp;
use parking_lot::Mutex;

use crate::app::App;

/// The client of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Via {
    /// The address of the client; `None` if the server does not know its peers.
    pub ip: Option<IpAddr>,
    /// Whether the client uses https.
    pub https: bool,
}

impl Via {
    /// Whether nobody between client and DockNap can read the traffic: https, or a client on this machine.
    pub fn is_private(self) -> bool {
        self.https || self.ip.is_some_and(|ip| ip.is_loopback())
    }

    /// The value that [`set_via`] has stored in the extensions of a request.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }

    fn new(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let is_trusted = |ip: IpAddr| is_among(ip, trusted);
        let peer = peer.map(|ip| ip.to_canonical());
        let Some(proxy) = peer.filter(|ip| is_trusted(*ip)) else { return Self { ip: peer, https: false } };
        // Read from the right: each proxy appends the address of its own peer, so the first address that is not a
        // trusted proxy is the client. Values further left are sent by the client itself and are not trusted.
        let (mut ip, mut hops) = (proxy, 0);
        for hop in values(headers, "x-forwarded-for").rev() {
            let Some(address) = parse_address(hop) else { break };
            (ip, hops) = (address, hops + 1);
            if !is_trusted(address) {
                break;
            }
        }
        // The value at the same position from the right as the client's address; values further left are sent by the
        // client itself. The list may have fewer values than there are hops, if a proxy overwrites the header.
        let https = values(headers, "x-forwarded-proto")
            .rev()
            .take(hops.max(1))
            .last()
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        Self { ip: Some(ip), https }
    }
}

impl<S: Sync> FromRequestParts<S> for Via {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

/// Whether one of the networks contains the address.
pub(super) fn is_among(ip: IpAddr, networks: &[IpNet]) -> bool {
    networks.iter().any(|network| network.contains(&ip))
}

/// The comma-separated values of a header that may occur several times.
fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl DoubleEndedIterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect::<Vec<_>>()
        .into_iter()
}

/// Parses an address as proxies write it: with or without port, IPv6 with or without brackets.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let ip =
        bare.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    ip.map(|ip| ip.to_canonical())
}

/// Middleware: removes the base path from the URI of the request, if it has one.
pub(super) async fn strip_base(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if let Some(rest) = without_base(request.uri(), app.config.base_path()) {
        *request.uri_mut() = rest;
    }
    next.run(request).await
}

/// The URI without the base path; `None` if the URI does not begin with it.
fn without_base(uri: &Uri, base: &str) -> Option<Uri> {
    if base.is_empty() {
        return None;
    }
    let rest = uri.path().strip_prefix(base)?;
    let path = match rest {
        "" => "/",
        rest if rest.starts_with('/') => rest,
        _ => return None,
    };
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    text.parse().ok()
}

/// Peers that send `X-Forwarded-For` and are not trusted: most likely a proxy missing in the configuration, behind
/// which all clients have the same address.
#[derive(Debug, Default)]
pub struct Forwarders(Mutex<BTreeMap<IpAddr, Timestamp>>);

/// The maximum number of peers that are remembered, since anybody may send the header.
const MAX_FORWARDERS: usize = 8;

impl Forwarders {
    /// The peers, each with the instant of its first request.
    pub fn seen(&self) -> Vec<(IpAddr, Timestamp)> {
        self.0.lock().iter().map(|(ip, at)| (*ip, *at)).collect()
    }

    /// Remembers a peer and logs a warning on its first request.
    fn note(&self, peer: IpAddr, app: &App) {
        let mut seen = self.0.lock();
        if seen.contains_key(&peer) || seen.len() >= MAX_FORWARDERS {
            return;
        }
        seen.insert(peer, app.clock.now());
        drop(seen);
        tracing::warn!(
            "{peer} sends X-Forwarded-For and is not trusted, so all who come through it look like one caller, and the \
             failed logins of one count for all. If it is your reverse proxy, set {} and start DockNap again; if you have \
             none, somebody pretends to be one",
            setting_with(peer, &app.config.trusted_proxies)
        );
    }
}

/// The line of configuration that trusts a peer in addition to the configured networks.
pub fn setting_with(peer: IpAddr, trusted: &[IpNet]) -> String {
    let all: Vec<String> = trusted.iter().map(ToString::to_string).chain([peer.to_string()]).collect();
    format!("DOCKNAP_TRUSTED_PROXIES={}", all.join(","))
}

/// Middleware: stores [`Via`] in the extensions of the request.
pub(super) async fn set_via(
    State((app, forwarders)): State<(App, Arc<Forwarders>)>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let trusted = &app.config.trusted_proxies;
    if let Some(peer) = peer.map(|ip| ip.to_canonical()).filter(|peer| !is_among(*peer, trusted))
        && request.headers().contains_key("x-forwarded-for")
    {
        forwarders.note(peer, &app);
    }
    let via = Via::new(peer, request.headers(), trusted);
    request.extensions_mut().insert(via);
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn via(peer: &str, forwarded: &[(&'static str, &'static str)]) -> Via {
        let mut headers = HeaderMap::new();
        for (name, value) in forwarded {
            headers.append(*name, value.parse().expect("a header value"));
        }
        let trusted = ["172.18.0.0/16", "fd00::/8"].map(|network| network.parse().expect("a network"));
        Via::new(Some(peer.parse().expect("an address")), &headers, &trusted)
    }

    fn at(ip: &str, https: bool) -> Via {
        Via { ip: Some(ip.parse().expect("an address")), https }
    }

    #[test]
    fn only_configured_proxies_are_trusted() {
        let claim = [("x-forwarded-for", "198.51.100.9"), ("x-forwarded-proto", "https")];
        assert_eq!(via("203.0.113.5", &claim), at("203.0.113.5", false));
        assert_eq!(via("172.18.0.2", &claim), at("198.51.100.9", true));
        assert_eq!(via("::ffff:172.18.0.2", &claim), at("198.51.100.9", true));
        assert_eq!(via("172.18.0.2", &[]), at("172.18.0.2", false));
    }

    #[test]
    fn a_client_cannot_spoof_its_address() {
        let spoofed = [("x-forwarded-for", "127.0.0.1, 198.51.100.9")];
        assert_eq!(via("172.18.0.2", &spoofed), at("198.51.100.9", false));
        let chain = [("x-forwarded-for", "127.0.0.1, 198.51.100.9"), ("x-forwarded-for", "172.18.0.3")];
        assert_eq!(via("172.18.0.2", &chain), at("198.51.100.9", false));
        assert_eq!(via("172.18.0.2", &[("x-forwarded-for", "nonsense")]), at("172.18.0.2", false));
        assert_eq!(via("172.18.0.2", &[("x-forwarded-for", "[2001:db8::1]:443")]), at("2001:db8::1", false));
    }

    #[test]
    fn a_client_cannot_spoof_its_scheme() {
        let (client, inner) = ("198.51.100.9", "198.51.100.9, 172.18.0.3");
        for (hops, schemes, https) in [
            (client, "https, http", false),
            (client, "http, https", true),
            (client, "https,", false),
            ("", "https, http", false),
            ("nonsense", "https, http", false),
            // Two trusted proxies: the outer one uses https with the client, and plain http with the inner one.
            (inner, "https, http", true),
            (inner, "https, http, http", false),
            (inner, "HTTPS", true),
            ("127.0.0.1, 198.51.100.9", "https, http", false),
        ] {
            let headers = [("x-forwarded-for", hops), ("x-forwarded-proto", schemes)];
            assert_eq!(via("172.18.0.2", &headers).https, https, "{hops}: {schemes}");
        }
        let twice = [("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")];
        assert!(!via("172.18.0.2", &twice).https, "a header that is there twice is one list");
    }

    #[test]
    fn the_base_path_comes_off_only_as_whole_segments() {
        let below =
            |uri: &'static str| without_base(&Uri::from_static(uri), "/nap").map(|uri| uri.to_string());
        assert_eq!(below("/nap"), Some("/".into()));
        assert_eq!(below("/nap/runs?x=1"), Some("/runs?x=1".into()));
        assert_eq!(below("/napping"), None);
        assert_eq!(below("/runs"), None);
    }
}
