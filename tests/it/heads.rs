//! What callers who never finish what they say cost: as many as there may be, against the real program.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use docknap::clock::Clock;
use docknap::sim::World;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::support::program::{PATIENCE, Program, settings};
use crate::support::sim::Simulated;
use crate::support::wait;

/// Connections, from so many addresses: near the most that one address, and all of them, may have.
const EACH: usize = 250;
const ADDRESSES: std::ops::RangeInclusive<u8> = 2..=5;
/// What each holds back the end of, in bytes: below the longest head, and far beyond it.
const SHORT: usize = 30 * 1024;
const LONG: usize = 395 * 1024;
/// What they may cost together, in KiB: 32 KiB each, and twice as much again for all that a connection is.
const MOST: u64 = 96 * 1000;

/// The process's memory by the kernel's count, in KiB: `VmRSS` now, `VmHWM` at the most so far.
fn memory(program: &Program, which: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(which)).expect("the kernel counts it");
    line.trim_matches([':', ' ', '\t']).trim_end_matches(" kB").trim().parse().expect("a number")
}

/// Bytes sent to a port of this machine that nobody has read yet.
fn unread(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux tells");
    let mine = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_mine = fields.get(1)?.ends_with(&format!(":{port:04X}"));
        let queued = fields.get(4)?.split_once(':')?.1;
        is_mine.then(|| u64::from_str_radix(queued, 16).unwrap_or(0))
    });
    mine.sum()
}

async fn connect(from: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind(format!("127.0.0.{from}:0").parse().expect("an address"))
        .expect("an address of this machine");
    socket.connect(to).await.expect("it connects")
}

#[tokio::test]
async fn a_thousand_heads_without_end_are_held_in_little_memory() {
    let simulated = Simulated::start(Clock::system(), World::new()).await;
    let home = tempfile::tempdir().expect("a directory");
    let mut program =
        Program::start(Program::binary(), &settings(home.path(), &simulated.control.docker_host()));
    program.serves().await;
    let address: SocketAddr = program.address();
    let before = memory(&program, "VmRSS");
    let mut held = Vec::new();
    for from in ADDRESSES {
        for _ in 0..EACH {
            let mut stream = connect(from, address).await;
            let head = format!("GET / HTTP/1.1\r\nhost: nas\r\ncookie: {}", "x".repeat(SHORT));
            stream.write_all(head.as_bytes()).await.expect("it is sent");
            held.push(stream);
        }
    }
    wait::until("all is read", PATIENCE, async || unread(address.port()) == 0).await;
    let short = memory(&program, "VmRSS").saturating_sub(before);
    assert_eq!(program.status("/healthz").await, 200, "it serves whoever is in order");
    let rest = vec![b'x'; LONG - SHORT];
    for mut stream in held {
        // Refused while it is sent.
        let clock = Clock::system();
        let _ = clock.timeout(Duration::from_secs(5), stream.write_all(&rest)).await;
    }
    wait::until("all is read", PATIENCE, async || unread(address.port()) == 0).await;
    let long = memory(&program, "VmHWM").saturating_sub(before);
    let _ = writeln!(
        std::io::stderr(),
        "{before} KiB at first, {short} more with short heads, {long} at the most"
    );
    assert!(short <= MOST && long <= MOST, "{before} KiB at first, {short} and {long} more");
    assert_eq!(program.status("/healthz").await, 200);
}
