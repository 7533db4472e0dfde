//! Which container this process runs in.
//!
//! Docker writes it nowhere on purpose, but the files it mounts into a container lie under `/containers/ID/` on the
//! machine, which `/proc/self/mountinfo` shows even with a custom host name or the host's network (semantics §6).
//! Reading yields [`Clues`]; only an Engine that knows a container of that id makes one of them true.

use std::path::Path;

/// What this process can tell about the container it runs in. Nothing is believed before the Engine knows a container
/// of that id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clues {
    /// Docker ids, or beginnings of one of at least 12 digits, in the order of trust.
    pub ids: Vec<String>,
    /// It runs in some container.
    pub contained: bool,
}

impl Clues {
    /// Reads what the machine shows this process.
    pub fn read() -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Self::parse(
            &file("/proc/self/mountinfo"),
            &file("/proc/self/cgroup"),
            std::env::var("HOSTNAME").ok().as_deref(),
            Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists(),
        )
    }

    /// What the files say: `/proc/self/mountinfo`, `/proc/self/cgroup`, `HOSTNAME`, and whether one of the marks
    /// that container engines leave in the root directory is there.
    pub fn parse(mountinfo: &str, cgroup: &str, hostname: Option<&str>, marked: bool) -> Self {
        let mut ids: Vec<String> = Vec::new();
        let mut add = |id: &str| {
            let id = id.to_ascii_lowercase();
            if !ids.contains(&id) {
                ids.push(id);
            }
        };
        mountinfo.lines().filter_map(id_of_mount).for_each(&mut add);
        cgroup.lines().filter_map(id_of_cgroup).for_each(&mut add);
        let contained = marked || !ids.is_empty();
        // Outside a container a host name of twelve hex digits is a coincidence.
        if contained && let Some(name) = hostname.filter(|name| is_short_id(name)) {
            let name = name.to_ascii_lowercase();
            if !ids.iter().any(|id| id.starts_with(&name)) {
                ids.push(name);
            }
        }
        Self { ids, contained }
    }
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

    const ID: &str = "2f5e6a7b8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8091";
    const OTHER: &str = "ffff6a7b8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7fffff";

    fn mount(root: &str, point: &str) -> String {
        format!("812 797 8:1 {root} {point} rw,relatime - ext4 /dev/sda1 rw\n")
    }

    #[test]
    fn finds_the_id_in_mountinfo_with_a_custom_host_name() {
        let mountinfo = [
            mount("/", "/"),
            mount(&format!("/var/lib/docker/containers/{ID}/hostname"), "/etc/hostname"),
            mount(&format!("/var/lib/docker/containers/{ID}/hosts"), "/etc/hosts"),
        ]
        .concat();
        let clues = Clues::parse(&mountinfo, "0::/\n", Some("docknap"), true);
        assert_eq!(clues, Clues { ids: vec![ID.to_owned()], contained: true });
    }

    #[test]
    fn finds_the_id_under_podman() {
        let root =
            format!("/home/u/.local/share/containers/storage/overlay-containers/{ID}/userdata/hostname");
        assert_eq!(Clues::parse(&mount(&root, "/etc/hostname"), "", None, false).ids, [ID]);
    }

    #[test]
    fn another_containers_mounts_are_no_clue() {
        let mountinfo = [
            mount(&format!("/docker/containers/{OTHER}/mounts/shm"), "/var/lib/docker/x/shm"),
            mount(&format!("/docker/containers/{OTHER}/hostname"), "/backup/hostname"),
        ]
        .concat();
        assert_eq!(
            Clues::parse(&mountinfo, "0::/init.scope\n", Some("2f5e6a7b8c9d"), false),
            Clues::default()
        );
    }

    #[test]
    fn falls_back_to_cgroup_and_then_to_the_host_name() {
        for line in [
            format!("12:memory:/docker/{ID}"),
            format!("1:name=systemd:/system.slice/docker-{ID}.scope"),
            format!("0::/user.slice/libpod-{ID}.scope/container"),
        ] {
            assert_eq!(Clues::parse("", &line, None, false).ids, [ID], "{line}");
        }
        let short = &ID[..12];
        assert_eq!(Clues::parse("", "", Some(short), true).ids, [short]);
        assert_eq!(Clues::parse("", &format!("1:x:/docker/{ID}"), Some(short), true).ids, [ID]);
    }

    #[test]
    fn rubbish_is_no_clue() {
        let clues = Clues::parse("a b\n\n812 797 8:1", ":::\n\n1:", Some("é".repeat(12).as_str()), true);
        assert_eq!(clues, Clues { ids: Vec::new(), contained: true });
    }
}
