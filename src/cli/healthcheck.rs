//! `docknap healthcheck`: the image has no shell and no curl, so the program asks itself.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use clap::ArgMatches;

use super::{FAILURE, Failure, Outcome};

/// For connecting, and for each read; below the image's HEALTHCHECK timeout.
const PATIENCE: Duration = Duration::from_secs(3);
/// The status line and the headers fit; the body is not of interest.
const ANSWER_MAX: u64 = 4096;

pub(super) fn run(matches: &ArgMatches) -> Outcome {
    let config = super::load(matches)?;
    let address = reachable(config.listen);
    let path = format!("{}/healthz", config.base_path());
    let status = ask(address, &path)
        .map_err(|error| Failure::new(FAILURE, format!("http://{address}{path} does not answer: {error}")))?;
    if status == 200 {
        Ok(())
    } else {
        Err(Failure::new(FAILURE, format!("http://{address}{path} answers {status}")))
    }
}

/// Where a server that listens on `listen` can be reached from the same machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// The status of `GET path`.
fn ask(address: SocketAddr, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // In one piece: a formatted write sends each part by itself.
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    // Until the status line is whole: the peer may keep the connection open.
    let mut reader = stream.take(ANSWER_MAX);
    let mut chunk = [0; 512];
    while !answer.contains(&b'\n') {
        match reader.read(&mut chunk)? {
            0 => break,
            count => answer.extend_from_slice(&chunk[..count]),
        }
    }
    let text = String::from_utf8_lossy(&answer);
    text.strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| std::io::Error::other("that is no HTTP"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answering(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("one caller");
            let mut request = [0; 256];
            let count = stream.read(&mut request).expect("a request");
            assert!(request[..count].starts_with(b"GET /nap/healthz HTTP/1.1\r\nHost: 127.0.0.1"));
            stream.write_all(answer).expect("the caller reads");
        });
        address
    }

    #[test]
    fn the_status_is_read_from_the_first_line() {
        assert_eq!(ask(answering(b"HTTP/1.1 200 OK\r\n\r\n"), "/nap/healthz").expect("it answers"), 200);
        assert_eq!(ask(answering(b"HTTP/1.1 503 Busy\r\n\r\n"), "/nap/healthz").expect("it answers"), 503);
        assert!(ask(answering(b"SSH-2.0-x\r\n"), "/nap/healthz").is_err());
        assert!(ask(answering(b""), "/nap/healthz").is_err());
    }

    #[test]
    fn everywhere_is_reached_at_home() {
        for (listen, expected) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:2", "[::1]:2"), ("10.1.2.3:4", "10.1.2.3:4")]
        {
            let listen = listen.parse().expect("an address");
            assert_eq!(reachable(listen).to_string(), expected);
        }
    }
}
