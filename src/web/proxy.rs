//! Where a request comes from, and whether it came encrypted.
//!
//! `X-Forwarded-For` and `-Proto` are believed from the networks the settings name and from nobody else; a peer without
//! TLS is plain http (rulings 24). The base path is taken off here, where it is there: proxies strip it or do not.

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

/// Where a request comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Via {
    /// The client; `None` where the server does not know its peers.
    pub ip: Option<IpAddr>,
    /// Whether the client speaks https.
    pub https: bool,
}

impl Via {
    /// Whether nobody in between can listen: https, or a client on this machine.
    pub fn is_private(self) -> bool {
        self.https || self.ip.is_some_and(|ip| ip.is_loopback())
    }

    /// What [`look`] has found.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }

    fn new(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        let believed = |ip: IpAddr| is_among(ip, trusted);
        let peer = peer.map(|ip| ip.to_canonical());
        let Some(proxy) = peer.filter(|ip| believed(*ip)) else { return Self { ip: peer, https: false } };
        // From the right: each proxy appends whom it heard from, so the first one that is no proxy of ours is the
        // client; what stands further left is the client's own claim.
        let (mut ip, mut hops) = (proxy, 0);
        for hop in values(headers, "x-forwarded-for").rev() {
            let Some(address) = parse_address(hop) else { break };
            (ip, hops) = (address, hops + 1);
            if !believed(address) {
                break;
            }
        }
        // As far from the right as the client is: further left stands its own claim. A proxy that sets one value for
        // all before it leaves fewer than there are hops.
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

/// Whether one of the networks holds an address.
pub(super) fn is_among(ip: IpAddr, networks: &[IpNet]) -> bool {
    networks.iter().any(|network| network.contains(&ip))
}

/// The comma-separated values of a header that may be there several times.
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

/// An address as proxies write it: with or without port, IPv6 in brackets or not.
fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let ip =
        bare.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    ip.map(|ip| ip.to_canonical())
}

/// Takes the base path off, where it is there.
pub(super) async fn strip_base(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if let Some(rest) = below(request.uri(), app.config.base_path()) {
        *request.uri_mut() = rest;
    }
    next.run(request).await
}

/// The URI without the base path; `None` where it has none.
fn below(uri: &Uri, base: &str) -> Option<Uri> {
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

/// Peers that send `X-Forwarded-For` and are not trusted: most likely a proxy that nobody has named, behind which all
/// callers look like one.
#[derive(Debug, Default)]
pub struct Forwarders(Mutex<BTreeMap<IpAddr, Timestamp>>);

/// Of so many peers; anybody may send the header.
const FORWARDERS: usize = 8;

impl Forwarders {
    /// Each with when it was first seen.
    pub fn seen(&self) -> Vec<(IpAddr, Timestamp)> {
        self.0.lock().iter().map(|(ip, at)| (*ip, *at)).collect()
    }

    /// Tells the log about a peer, once.
    fn note(&self, peer: IpAddr, app: &App) {
        let mut seen = self.0.lock();
        if seen.contains_key(&peer) || seen.len() >= FORWARDERS {
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

/// The line that trusts a peer too.
pub fn setting_with(peer: IpAddr, trusted: &[IpNet]) -> String {
    let all: Vec<String> = trusted.iter().map(ToString::to_string).chain([peer.to_string()]).collect();
    format!("DOCKNAP_TRUSTED_PROXIES={}", all.join(","))
}

/// Puts [`Via`] into the request.
pub(super) async fn look(
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
    fn only_the_named_proxies_are_believed() {
        let claim = [("x-forwarded-for", "198.51.100.9"), ("x-forwarded-proto", "https")];
        assert_eq!(via("203.0.113.5", &claim), at("203.0.113.5", false));
        assert_eq!(via("172.18.0.2", &claim), at("198.51.100.9", true));
        assert_eq!(via("::ffff:172.18.0.2", &claim), at("198.51.100.9", true));
        assert_eq!(via("172.18.0.2", &[]), at("172.18.0.2", false));
    }

    #[test]
    fn a_client_cannot_put_an_address_in_front_of_its_own() {
        let spoofed = [("x-forwarded-for", "127.0.0.1, 198.51.100.9")];
        assert_eq!(via("172.18.0.2", &spoofed), at("198.51.100.9", false));
        let chain = [("x-forwarded-for", "127.0.0.1, 198.51.100.9"), ("x-forwarded-for", "172.18.0.3")];
        assert_eq!(via("172.18.0.2", &chain), at("198.51.100.9", false));
        assert_eq!(via("172.18.0.2", &[("x-forwarded-for", "nonsense")]), at("172.18.0.2", false));
        assert_eq!(via("172.18.0.2", &[("x-forwarded-for", "[2001:db8::1]:443")]), at("2001:db8::1", false));
    }

    #[test]
    fn a_client_cannot_put_a_scheme_in_front_of_its_own() {
        let (client, inner) = ("198.51.100.9", "198.51.100.9, 172.18.0.3");
        for (hops, said, https) in [
            (client, "https, http", false),
            (client, "http, https", true),
            (client, "https,", false),
            ("", "https, http", false),
            ("nonsense", "https, http", false),
            // Two proxies of ours: the outer speaks https with the client, and plain http with the inner.
            (inner, "https, http", true),
            (inner, "https, http, http", false),
            (inner, "HTTPS", true),
            ("127.0.0.1, 198.51.100.9", "https, http", false),
        ] {
            let asked = [("x-forwarded-for", hops), ("x-forwarded-proto", said)];
            assert_eq!(via("172.18.0.2", &asked).https, https, "{hops}: {said}");
        }
        let twice = [("x-forwarded-proto", "https"), ("x-forwarded-proto", "http")];
        assert!(!via("172.18.0.2", &twice).https, "a header that is there twice is one list");
    }

    #[test]
    fn the_base_path_comes_off_only_as_whole_segments() {
        let below = |uri: &'static str| below(&Uri::from_static(uri), "/nap").map(|uri| uri.to_string());
        assert_eq!(below("/nap"), Some("/".into()));
        assert_eq!(below("/nap/runs?x=1"), Some("/runs?x=1".into()));
        assert_eq!(below("/napping"), None);
        assert_eq!(below("/runs"), None);
    }
}
