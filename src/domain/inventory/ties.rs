//! How a container leans on another one by its own settings: what it was made with, whether compose wrote it down or
//! not.

/// In which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tie {
    /// `network_mode: container:X`.
    Network,
    /// `pid: container:X`.
    Pid,
    /// `ipc: container:X`.
    Ipc,
    /// `links`.
    Link,
    /// `volumes_from`.
    Volumes,
}

impl Tie {
    /// What it uses of the other one.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Pid => "PID namespace",
            Self::Ipc => "IPC namespace",
            Self::Link => "link",
            Self::Volumes => "volumes",
        }
    }

    /// It lives in something that is made anew when the other one starts: it has to be restarted to find it again. The
    /// name of a link and the volumes stay.
    pub fn breaks(self) -> bool {
        matches!(self, Self::Network | Self::Pid | Self::Ipc)
    }
}

/// Reads what inspect says beside the network: the modes `container:X`, the containers whose volumes it mounts
/// (`X`, `X:ro`) and those it links to (`/X:/self/alias`, `X:alias`).
pub fn leans_on<'a>(
    pid: Option<&'a str>,
    ipc: Option<&'a str>,
    volumes_from: impl IntoIterator<Item = &'a String>,
    links: impl IntoIterator<Item = &'a String>,
) -> Vec<(Tie, String)> {
    let shared = |tie: Tie, mode: Option<&'a str>| Some((tie, mode?.strip_prefix("container:")?));
    let first = |text: &'a str| {
        let first = text.split(':').next().unwrap_or_default();
        first.strip_prefix('/').unwrap_or(first)
    };
    let modes = [shared(Tie::Pid, pid), shared(Tie::Ipc, ipc)].into_iter().flatten();
    let volumes = volumes_from.into_iter().map(|text| (Tie::Volumes, first(text)));
    let links = links.into_iter().map(|text| (Tie::Link, first(text)));
    let mut ties: Vec<(Tie, String)> = Vec::new();
    for (tie, other) in modes.chain(volumes).chain(links).filter(|(_, other)| !other.is_empty()) {
        if !ties.iter().any(|known| known.0 == tie && known.1 == other) {
            ties.push((tie, other.to_owned()));
        }
    }
    ties
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_docker_writes_them() {
        let text = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let (volumes, links) =
            (text(&["data:ro", "more"]), text(&["/db:/web/db", "cache:redis", "db:db_1", "", ":x"]));
        let ties = leans_on(Some("container:abc"), Some("private"), &volumes, &links);
        let expected = [
            (Tie::Pid, "abc"),
            (Tie::Volumes, "data"),
            (Tie::Volumes, "more"),
            (Tie::Link, "db"),
            (Tie::Link, "cache"),
        ];
        assert_eq!(ties, expected.map(|(tie, other)| (tie, other.to_owned())));
        assert!(leans_on(Some("host"), Some("container:"), &[], &[]).is_empty());
    }
}
