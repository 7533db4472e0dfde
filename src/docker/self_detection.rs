//! Which container this process runs in.
//!
//! Docker writes it nowhere on purpose. What can be read is of two kinds (semantics §6, rulings 76). Some is this
//! container's alone: its control group, where that can be seen, and the directory that takes what is written to `/`.
//! The rest, the files Docker mounts for names and the host name, is shared with every container that uses the same
//! network: it names one of them, and proves nothing. Reading yields [`SelfHints`]; only what an Engine knows makes one of
//! them true.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::inventory::{Container, SelfDetection};

/// What this process can tell about the container it runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelfHints {
    /// Docker ids of control groups it is in: its own.
    pub own: Vec<String>,
    /// What its root directory is made of, by words of the kernel that no other container's has.
    pub layers: Vec<String>,
    /// Docker ids whose name files it has: its own, or that of a container whose network it shares.
    pub named: Vec<String>,
    /// A host name that may be the beginning of a Docker id. Asked only where no name file says anything.
    pub hostname: Option<String>,
    /// It runs in some container.
    pub contained: bool,
    /// A word nobody else knows, to be looked for in logs once it was logged. Empty = it is not looked for.
    pub mark: String,
}

impl SelfHints {
    /// Reads what the machine shows this process.
    pub fn read() -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let hints = Self::parse(
            &file("/proc/self/mountinfo"),
            &file("/proc/self/cgroup"),
            std::env::var("HOSTNAME").ok().as_deref(),
            Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists(),
        );
        let mut word = [0; 18];
        // Without random numbers nothing else works either; here it only means that logs are not looked at.
        let drawn = getrandom::fill(&mut word).is_ok() && hints.contained;
        Self { mark: if drawn { URL_SAFE_NO_PAD.encode(word) } else { String::new() }, ..hints }
    }

    /// What the files say: `/proc/self/mountinfo`, `/proc/self/cgroup`, `HOSTNAME`, and whether one of the marks
    /// that container engines leave in the root directory is there.
    pub fn parse(mountinfo: &str, cgroup: &str, hostname: Option<&str>, marked: bool) -> Self {
        let ids = |found: &mut dyn Iterator<Item = &str>| {
            let mut ids: Vec<String> = Vec::new();
            for id in found.map(str::to_ascii_lowercase) {
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            ids
        };
        let own = ids(&mut cgroup.lines().filter_map(id_of_cgroup));
        let named = ids(&mut mountinfo.lines().filter_map(id_of_mount));
        let contained = marked || !own.is_empty() || !named.is_empty();
        // Outside a container a host name of twelve hex digits is a coincidence.
        let hostname = hostname.filter(|name| contained && is_short_id(name)).map(str::to_ascii_lowercase);
        Self { own, layers: layers(mountinfo), named, hostname, contained, mark: String::new() }
    }

    /// Which of all containers of an Engine it is.
    pub(super) fn recognise<'a>(
        &self,
        containers: &(impl Iterator<Item = &'a Container> + Clone),
    ) -> SelfDetection {
        if !self.contained {
            return SelfDetection::OutsideDocker;
        }
        let mut proven = containers.clone().filter(|container| self.proves(container));
        if let (Some(one), None) = (proven.next(), proven.next()) {
            return SelfDetection::Container(one.id.clone());
        }
        let suspects = self.suspects(containers);
        match (suspects.len(), suspects.keys().next()) {
            (0, _) | (_, None) => SelfDetection::Unknown,
            // Nobody shares its network, so what is shared is its own.
            (1, Some(id)) => SelfDetection::Container((*id).to_owned()),
            _ => SelfDetection::OneOf(BTreeSet::from_iter(suspects.into_keys().map(ToOwned::to_owned))),
        }
    }

    /// Whether a container has what this process alone has.
    pub(super) fn proves(&self, container: &Container) -> bool {
        let under = |path: &str, end: &str| {
            path == end || path.strip_suffix(end).is_some_and(|rest| rest.ends_with('/'))
        };
        self.own.contains(&container.id)
            || container.layer.as_deref().is_some_and(|layer| {
                // Docker mounts by shortened paths where the full ones would be too long.
                self.layers.iter().any(|seen| under(layer, seen) || under(seen, layer))
            })
    }

    /// Whether a container is one of those it may be, as far as can be told without the others.
    pub(super) fn may_be(&self, container: &Container) -> bool {
        let named = self.named.iter().chain(&self.hostname);
        self.proves(container) || is_one_of(container, named)
    }

    /// The containers it may be, by id: those that are named, and all that share a network with one of these. Also
    /// those that share the network of one that is gone, as after its re-creation.
    fn suspects<'a>(
        &self,
        containers: &(impl Iterator<Item = &'a Container> + Clone),
    ) -> BTreeMap<&'a str, &'a Container> {
        let all_named = |names: &[String]| {
            let named = containers.clone().filter(|container| is_one_of(container, names.iter()));
            BTreeMap::from_iter(named.map(|container| (container.id.as_str(), container)))
        };
        let mut found = all_named(&self.named);
        if found.is_empty() {
            found = all_named(self.hostname.as_slice());
        }
        loop {
            let known = found.len();
            for container in containers.clone() {
                if let Some(parent) = container.network_of()
                    && found.values().any(|one| one.is_called(parent))
                {
                    found.insert(&container.id, container);
                }
            }
            if found.len() == known {
                return found;
            }
        }
    }
}

/// Whether one of these ids is a container's, or that of the one whose network it shares.
fn is_one_of<'a>(container: &Container, mut ids: impl Iterator<Item = &'a String>) -> bool {
    ids.any(|id| {
        container.id.starts_with(id) || container.network_of().is_some_and(|parent| parent.starts_with(id))
    })
}

/// What the mount at `/` is made of: the directory that takes the changes, the device or data set, and the directory of
/// the file system, whichever it has.
fn layers(mountinfo: &str) -> Vec<String> {
    let root = mountinfo.lines().rev().find(|line| line.split(' ').nth(4) == Some("/"));
    let Some((mount, source)) = root.and_then(|line| line.split_once(" - ")) else { return Vec::new() };
    let directory = mount.split(' ').nth(3);
    let mut source = source.split(' ').skip(1);
    let device = source.next();
    let upper = source
        .next()
        .and_then(|options| options.split(',').find_map(|option| option.strip_prefix("upperdir=")));
    let parts = [upper, device, directory].into_iter().flatten();
    // A word without a slash, such as `overlay`, is the name of a kind.
    parts
        .filter(|part| part.trim_start_matches('/').contains('/'))
        .map(|part| part.replace("\\040", " "))
        .collect()
}

/// The id in the source of `/etc/hostname`, `/etc/hosts` or `/etc/resolv.conf`. Mounts elsewhere do not count: on the
/// machine itself other containers' mounts are listed too.
fn id_of_mount(line: &str) -> Option<&str> {
    let mut fields = line.split(' ');
    let root = fields.nth(3)?;
    let point = fields.next()?;
    if !matches!(point, "/etc/hostname" | "/etc/hosts" | "/etc/resolv.conf") {
        return None;
    }
    root.split('/').rev().find(|part| is_full_id(part))
}

/// The id in a line such as `12:cpu:/docker/ID` or `0::/system.slice/docker-ID.scope`.
fn id_of_cgroup(line: &str) -> Option<&str> {
    let path = line.splitn(3, ':').nth(2)?;
    path.split('/').rev().find_map(|part| {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        let part = part.rsplit_once('-').map_or(part, |(_, id)| id);
        is_full_id(part).then_some(part)
    })
}

fn is_full_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_short_id(text: &str) -> bool {
    (12..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::inventory::tests::container;

    const ID: &str = "2f5e6a7b8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091";
    const OTHER: &str = "ffff6a7b8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7fffff";
    const UPPER: &str = "/var/lib/docker/overlay2/0a1b/diff";

    fn mount(root: &str, point: &str) -> String {
        format!("812 797 8:1 {root} {point} rw,relatime - ext4 /dev/sda1 rw\n")
    }

    /// Name files of one container, and a root directory.
    fn mounts(id: &str, upper: &str) -> String {
        [
            format!("1 2 0:9 / / ro - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir={upper},workdir=/w\n"),
            mount(&format!("/var/lib/docker/containers/{id}/hostname"), "/etc/hostname"),
            mount(&format!("/var/lib/docker/containers/{id}/hosts"), "/etc/hosts"),
        ]
        .concat()
    }

    /// A container of that id, using the network of another one.
    fn of(id: &str, name: &str, network_of: &str) -> Container {
        let mut made = container(name);
        id.clone_into(&mut made.id);
        if !network_of.is_empty() {
            made.network_mode = format!("container:{network_of}");
        }
        made
    }

    fn recognised(hints: &SelfHints, containers: &[Container]) -> SelfDetection {
        hints.recognise(&containers.iter())
    }

    fn sure(id: &str) -> SelfDetection {
        SelfDetection::Container(id.to_owned())
    }

    fn one_of(ids: &[&str]) -> SelfDetection {
        SelfDetection::OneOf(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    #[test]
    fn reads_name_files_control_groups_and_the_root_directory() {
        let hints = SelfHints::parse(&mounts(ID, UPPER), "0::/\n", Some("docknap"), true);
        assert_eq!((hints.named, hints.layers), (vec![ID.to_owned()], vec![UPPER.to_owned()]));
        assert!(hints.own.is_empty() && hints.contained && hints.hostname.is_none());
        for line in [
            format!("12:memory:/docker/{ID}"),
            format!("12:memory:/docker/{OTHER}/docker/{ID}"),
            format!("1:name=systemd:/system.slice/docker-{ID}.scope"),
            format!("0::/user.slice/libpod-{ID}.scope/container"),
        ] {
            assert_eq!(SelfHints::parse("", &line, None, false).own, [ID], "{line}");
        }
        let podman =
            format!("/home/u/.local/share/containers/storage/overlay-containers/{ID}/userdata/hostname");
        assert_eq!(SelfHints::parse(&mount(&podman, "/etc/hostname"), "", None, false).named, [ID]);
        let zfs = "1 2 0:9 / / rw - zfs tank/docker/0a1b rw,xattr\n";
        assert_eq!(SelfHints::parse(zfs, "", None, true).layers, ["tank/docker/0a1b"]);
    }

    #[test]
    fn another_containers_mounts_are_no_clue() {
        let mountinfo = [
            mount(&format!("/docker/containers/{OTHER}/mounts/shm"), "/var/lib/docker/x/shm"),
            mount(&format!("/docker/containers/{OTHER}/hostname"), "/backup/hostname"),
        ]
        .concat();
        let hints = SelfHints::parse(&mountinfo, "0::/init.scope\n", Some("2f5e6a7b8c9d"), false);
        assert_eq!(hints, SelfHints::default());
        assert_eq!(recognised(&hints, &[of(OTHER, "other", "")]), SelfDetection::OutsideDocker);
    }

    #[test]
    fn rubbish_is_no_clue() {
        for text in ["a b\n\n812 797 8:1", "1 2 3 / / - ", "1 2 3 / / rw -", "1 2 3 / / rw - overlay"] {
            let hints = SelfHints::parse(text, ":::\n\n1:", Some("é".repeat(12).as_str()), true);
            assert_eq!(hints, SelfHints { contained: true, ..SelfHints::default() }, "{text}");
        }
    }

    #[test]
    fn what_others_share_names_all_of_them() {
        let (me, vpn) = (of(ID, "docknap", OTHER), of(OTHER, "vpn", ""));
        let (films, other) = (of(&"3".repeat(64), "films", "vpn"), of(&"4".repeat(64), "other", ""));
        let hints = SelfHints::parse(&mounts(OTHER, UPPER), "0::/", Some(&OTHER[..12]), true);
        let all = [me.clone(), vpn.clone(), films.clone(), other.clone()];
        assert_eq!(recognised(&hints, &all), one_of(&[ID, OTHER, &films.id]));
        // A chain, and one that shares with me.
        let chain = [me.clone(), vpn.clone(), of(&"5".repeat(64), "late", &ID[..12])];
        assert_eq!(recognised(&hints, &chain), one_of(&[ID, OTHER, &"5".repeat(64)]));
        assert_eq!(recognised(&hints, &[vpn.clone(), other]), sure(OTHER), "nobody shares with it");
        // The one that is named was made anew, and those that used its network were not.
        assert_eq!(recognised(&hints, std::slice::from_ref(&me)), sure(ID));
        assert_eq!(recognised(&hints, &[me, of(&films.id, "films", OTHER)]), one_of(&[ID, &films.id]));
        // Each shares with the next, which is looked at after it.
        let ids = ["5", "6", "7"].map(|digit| digit.repeat(64));
        let [third, second, first] =
            [(0, &ids[1]), (1, &ids[2]), (2, &vpn.id)].map(|(at, on)| of(&ids[at], &ids[at][..3], on));
        let chain = [third, second, first, vpn.clone()];
        assert_eq!(recognised(&hints, &chain), one_of(&[&ids[0], &ids[1], &ids[2], OTHER]));
        // The host name alone, as where the name files were replaced.
        let hostname = SelfHints::parse("", "0::/", Some(&OTHER[..12]), true);
        assert_eq!(recognised(&hostname, &all), one_of(&[ID, OTHER, &films.id]));
        assert_eq!(recognised(&hostname, &[]), SelfDetection::Unknown);
    }

    #[test]
    fn what_is_its_own_decides() {
        let layered = |id: &str, name: &str, parent: &str, layer: &str| Container {
            layer: Some(layer.to_owned()),
            ..of(id, name, parent)
        };
        let all = |mine: &str| {
            [
                layered(ID, "docknap", OTHER, mine),
                layered(OTHER, "vpn", "", "/var/lib/docker/overlay2/0/diff"),
            ]
        };
        let shared = |upper: &str| SelfHints::parse(&mounts(OTHER, upper), "0::/", None, true);
        assert_eq!(recognised(&shared(UPPER), &all(UPPER)), sure(ID));
        assert_eq!(recognised(&shared("0a1b/diff"), &all(UPPER)), sure(ID), "a shortened path");
        assert_eq!(recognised(&shared("b/diff"), &all(UPPER)), one_of(&[ID, OTHER]), "part of a name");
        assert_eq!(recognised(&shared("/srv/my\\040disk/diff"), &all("/srv/my disk/diff")), sure(ID));
        assert_eq!(
            recognised(&shared(UPPER), &[of(ID, "docknap", OTHER), of(OTHER, "vpn", "")]),
            one_of(&[ID, OTHER])
        );
        let grouped = SelfHints::parse(&mounts(OTHER, ""), &format!("1:x:/docker/{ID}"), None, true);
        assert_eq!(recognised(&grouped, &[of(ID, "docknap", OTHER), of(OTHER, "vpn", "")]), sure(ID));
        // What two have is nobody's own.
        assert_eq!(
            recognised(&shared(UPPER), &[layered(ID, "a", OTHER, UPPER), layered(OTHER, "b", "", UPPER)]),
            one_of(&[ID, OTHER])
        );
    }
}
