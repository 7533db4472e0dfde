//! Dependencies of a container on another one by its own settings: shared namespaces, links and volumes. They exist
//! whether or not compose's labels mention them.

/// Kind of dependency on another container.
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
    /// Word in sentences for the part of the other container that is used.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Pid => "PID namespace",
            Self::Ipc => "IPC namespace",
            Self::Link => "link",
            Self::Volumes => "volumes",
        }
    }

    /// Whether the used part is created anew when the other container starts, so that the dependant has to restart to
    /// find it again. Link names and volumes stay.
    pub fn breaks(self) -> bool {
        matches!(self, Self::Network | Self::Pid | Self::Ipc)
    }
}

/// Parses the references in an inspect response other than the network: the modes `container:X`, the containers whose
/// volumes are mounted (`X`, `X:ro`) and the linked containers (`/X:/self/alias`, `X:alias`).
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
