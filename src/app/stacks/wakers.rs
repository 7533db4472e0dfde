//! Containers known to start others, which may wake napping ones. They are recognised by their image.

use super::inventory;
use crate::app::{Actor, App, Result};
use crate::domain::ids::HostId;
use crate::domain::inventory::Container;
use crate::domain::permission::Permission;

/// Programs that start or restart containers: a part of the image name, and what they do.
const KNOWN: [(&str, &str); 5] = [
    ("autoheal", "restarts what fails its health check"),
    ("watchtower", "starts again what it updates"),
    ("ouroboros", "starts again what it updates"),
    ("sablier", "starts what somebody asks for over the web"),
    ("docker-cron", "may start containers at times of its own"),
];

/// A running container that may wake others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waker {
    pub name: String,
    pub key: String,
    /// A description of what it does.
    pub does: &'static str,
}

/// The image without its registry, tag and digest.
fn image_name(image: &str) -> &str {
    let path = image.split('@').next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

fn known(container: &Container) -> Option<&'static str> {
    let name = image_name(&container.image).to_ascii_lowercase();
    KNOWN.iter().find(|(part, _)| name.contains(part)).map(|(_, does)| *does)
}

/// The containers of a host that are up and known to start others.
///
/// # Errors
/// Where the actor lacks the permission, or the host is unknown.
pub fn wakers(app: &App, actor: &Actor, host: &HostId) -> Result<Vec<Waker>> {
    actor.require(Permission::View)?;
    let inventory = inventory(app, host)?;
    let up = inventory.containers.iter().filter(|container| container.state.is_up());
    Ok(up
        .filter_map(|container| {
            Some(Waker { does: known(container)?, name: container.name.clone(), key: container.key() })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_its_last_name() {
        assert_eq!(image_name("ghcr.io/nicholas-fedor/watchtower:1.2@sha256:ab"), "watchtower");
        assert_eq!(image_name("localhost:5000/willfarrell/autoheal"), "autoheal");
        assert_eq!(image_name(""), "");
    }
}
