//! One binary for all integration tests: it links once.

mod backup;
mod dependencies;
mod docker;
mod docker_link;
mod docker_tls;
mod sim;
mod storage;
mod support;
