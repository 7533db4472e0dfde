//! Detects the container that this process runs in.
//!
//! Docker offers no official way to find it. Two kinds of hints can be read (semantics §6, rulings 76). Some belong
//! to this container alone: its control group, where it is visible, and the directory of its writable layer. Others,
//! namely the files Docker mounts for names and the host name, are shared by all containers that use the same
//! network, so they prove nothing. [`SelfHints`] holds what was read; `SelfHints::recognise` compares it with the
//! containers of an Engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::inventory::{Container, SelfDetection};

/// Hints about the container that this process runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelfHints {
    /// Docker ids in the process's control groups: its own id.
    pub own: Vec<String>,
    /// Storage of its root directory as the kernel lists it; no other container has the same.
    pub layers: Vec<String>,
    /// Docker ids in the mount sources of its name files (`/etc/hosts` and so on): its own id, or that of a container
    /// whose network it shares.
    pub named: Vec<String>,
    /// A host name that may be the beginning of a Docker id. Used only if the name files contain no known id.
    pub hostname: Option<String>,
    /// Whether the process runs in a container at all.
    pub contained: bool,
    /// A random text that DockNap logs and then looks for in containers' logs. Empty = logs are not searched.
    pub mark: String,
}

impl SelfHints {
    /// Reads the hints from the system.
    pub fn read() -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let hints = Self::parse(
            &file("/proc/self/mountinfo"),
            &file("/proc/self/cgroup"),
            std::env::var("HOSTNAME").ok().as_deref(),
            Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists(),
        );
        let mut word = [0; 18];
        // A failure only disables the search in logs. (Without random numbers most of DockNap fails anyway.)
        let has_mark = getrandom::fill(&mut word).is_ok() && hints.contained;
        Self { mark: if has_mark { URL_SAFE_NO_PAD.encode(word) } else { String::new() }, ..hints }
    }

    /// Extracts hints from the contents of `/proc/self/mountinfo`, `/proc/self/cgroup` and `HOSTNAME`. `marked` says
    /// whether one of the files exists that container engines create in the root directory.
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
        // Outside a container a host name of twelve hex digits is not a Docker id.
        let hostname = hostname.filter(|name| contained && is_short_id(name)).map(str::to_ascii_lowercase);
        Self { own, layers: layers(mountinfo), named, hostname, contained, mark: String::new() }
    }

    /// Finds the own container among all containers of an Engine.
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
            // No other container shares the network, so the shared hints belong to this one.
            (1, Some(id)) => SelfDetection::Container((*id).to_owned()),
            _ => SelfDetection::OneOf(BTreeSet::from_iter(suspects.into_keys().map(ToOwned::to_owned))),
        }
    }

    /// Whether a hint that belongs to one container alone matches this container.
    pub(super) fn proves(&self, container: &Container) -> bool {
        let under = |path: &str, end: &str| {
            path == end || path.strip_suffix(end).is_some_and(|rest| rest.ends_with('/'))
        };
        self.own.contains(&container.id)
            || container.layer.as_deref().is_some_and(|layer| {
                // Docker mounts with shortened paths where the full ones are too long.
                self.layers.iter().any(|seen| under(layer, seen) || under(seen, layer))
            })
    }

    /// Whether a container may be the own one, judged without knowing the other containers.
    pub(super) fn may_be(&self, container: &Container) -> bool {
        let named = self.named.iter().chain(&self.hostname);
        self.proves(container) || is_one_of(container, named)
    }

    /// The containers that may be the own one, by id: those that the shared hints name and all that share a network
    /// with one of these, also if the network's owner no longer exists because it was re-created.
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

/// Whether one of these ids (or beginnings of ids) is the container's, or that of the container whose network it
/// shares.
fn is_one_of<'a>(container: &Container, mut ids: impl Iterator<Item = &'a String>) -> bool {
    ids.any(|id| {
        container.id.starts_with(id) || container.network_of().is_some_and(|parent| parent.starts_with(id))
    })
}

/// The storage of the mount at `/`: the directory of the writable layer, the device or data set, and the directory
/// within the file system, where present.
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
    // A value without a slash, such as `overlay`, is only a type of file system.
    parts
        .filter(|part| part.trim_start_matches('/').contains('/'))
        .map(|part| part.replace("\\040", " "))
        .collect()
}

/// The id in the mount source of `/etc/hostname`, `/etc/hosts` or `/etc/resolv.conf`. Other mount points are ignored:
/// outside a container the list includes the mounts of all containers.
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

    /// Mounts of one container's name files and its root directory.
    fn mounts(id: &str, upper: &str) -> String {
        [
            format!("1 2 0:9 / / ro - overlay overlay rw,lowerdir=/l/A:/l/B,upperdir={upper},workdir=/w\n"),
            mount(&format!("/var/lib/docker/containers/{id}/hostname"), "/etc/hostname"),
            mount(&format!("/var/lib/docker/containers/{id}/hosts"), "/etc/hosts"),
        ]
        .concat()
    }

    /// A container with this id; it uses the network of `network_of` if that is not empty.
    fn network_user(id: &str, name: &str, network_of: &str) -> Container {
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

    fn certain(id: &str) -> SelfDetection {
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
    fn another_containers_mounts_are_no_hint() {
        let mountinfo = [
            mount(&format!("/docker/containers/{OTHER}/mounts/shm"), "/var/lib/docker/x/shm"),
            mount(&format!("/docker/containers/{OTHER}/hostname"), "/backup/hostname"),
        ]
        .concat();
        let hints = SelfHints::parse(&mountinfo, "0::/init.scope\n", Some("2f5e6a7b8c9d"), false);
        assert_eq!(hints, SelfHints::default());
        assert_eq!(recognised(&hints, &[network_user(OTHER, "other", "")]), SelfDetection::OutsideDocker);
    }

    #[test]
    fn malformed_text_is_no_hint() {
        for text in ["a b\n\n812 797 8:1", "1 2 3 / / - ", "1 2 3 / / rw -", "1 2 3 / / rw - overlay"] {
            let hints = SelfHints::parse(text, ":::\n\n1:", Some("é".repeat(12).as_str()), true);
            assert_eq!(hints, SelfHints { contained: true, ..SelfHints::default() }, "{text}");
        }
    }

    #[test]
    fn shared_hints_match_all_containers_of_a_network() {
        let (me, vpn) = (network_user(ID, "docknap", OTHER), network_user(OTHER, "vpn", ""));
        let (films, other) =
            (network_user(&"3".repeat(64), "films", "vpn"), network_user(&"4".repeat(64), "other", ""));
        let hints = SelfHints::parse(&mounts(OTHER, UPPER), "0::/", Some(&OTHER[..12]), true);
        let all = [me.clone(), vpn.clone(), films.clone(), other.clone()];
        assert_eq!(recognised(&hints, &all), one_of(&[ID, OTHER, &films.id]));
        // A chain: the third container shares the network of `me`, which shares that of `vpn`.
        let chain = [me.clone(), vpn.clone(), network_user(&"5".repeat(64), "late", &ID[..12])];
        assert_eq!(recognised(&hints, &chain), one_of(&[ID, OTHER, &"5".repeat(64)]));
        assert_eq!(recognised(&hints, &[vpn.clone(), other]), certain(OTHER), "nobody shares with it");
        // The named container was re-created; those that share its network still refer to the old one.
        assert_eq!(recognised(&hints, std::slice::from_ref(&me)), certain(ID));
        assert_eq!(
            recognised(&hints, &[me, network_user(&films.id, "films", OTHER)]),
            one_of(&[ID, &films.id])
        );
        // Each container shares the network of the next one in the list.
        let ids = ["5", "6", "7"].map(|digit| digit.repeat(64));
        let [third, second, first] = [(0, &ids[1]), (1, &ids[2]), (2, &vpn.id)]
            .map(|(at, on)| network_user(&ids[at], &ids[at][..3], on));
        let chain = [third, second, first, vpn.clone()];
        assert_eq!(recognised(&hints, &chain), one_of(&[&ids[0], &ids[1], &ids[2], OTHER]));
        // Only the host name is known, as when the name files are replaced by other mounts.
        let hostname = SelfHints::parse("", "0::/", Some(&OTHER[..12]), true);
        assert_eq!(recognised(&hostname, &all), one_of(&[ID, OTHER, &films.id]));
        assert_eq!(recognised(&hostname, &[]), SelfDetection::Unknown);
    }

    #[test]
    fn hints_of_its_own_decide() {
        let layered = |id: &str, name: &str, parent: &str, layer: &str| Container {
            layer: Some(layer.to_owned()),
            ..network_user(id, name, parent)
        };
        let all = |mine: &str| {
            [
                layered(ID, "docknap", OTHER, mine),
                layered(OTHER, "vpn", "", "/var/lib/docker/overlay2/0/diff"),
            ]
        };
        let shared = |upper: &str| SelfHints::parse(&mounts(OTHER, upper), "0::/", None, true);
        assert_eq!(recognised(&shared(UPPER), &all(UPPER)), certain(ID));
        assert_eq!(recognised(&shared("0a1b/diff"), &all(UPPER)), certain(ID), "a shortened path");
        assert_eq!(recognised(&shared("b/diff"), &all(UPPER)), one_of(&[ID, OTHER]), "part of a name");
        assert_eq!(recognised(&shared("/srv/my\\040disk/diff"), &all("/srv/my disk/diff")), certain(ID));
        assert_eq!(
            recognised(&shared(UPPER), &[network_user(ID, "docknap", OTHER), network_user(OTHER, "vpn", "")]),
            one_of(&[ID, OTHER])
        );
        let grouped = SelfHints::parse(&mounts(OTHER, ""), &format!("1:x:/docker/{ID}"), None, true);
        assert_eq!(
            recognised(&grouped, &[network_user(ID, "docknap", OTHER), network_user(OTHER, "vpn", "")]),
            certain(ID)
        );
        // A hint that matches two containers proves nothing.
        assert_eq!(
            recognised(&shared(UPPER), &[layered(ID, "a", OTHER, UPPER), layered(OTHER, "b", "", UPPER)]),
            one_of(&[ID, OTHER])
        );
    }
}
