//! `docknap healthcheck`: requests `/healthz` from the running server. The image has neither shell nor curl for that.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use clap::ArgMatches;

use super::{FAILURE, Failure, Outcome};

/// Timeout of the connection and of each read or write; shorter than the image's HEALTHCHECK timeout.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Upper limit of the response bytes that are read. The status line and the headers fit; the body is ignored.
const MAX_RESPONSE: u64 = 4096;

pub(super) fn run(matches: &ArgMatches) -> Outcome {
    let config = super::load(matches)?;
    let address = reachable(config.listen);
    let path = format!("{}/healthz", config.base_path());
    let status = get_status(address, &path)
        .map_err(|error| Failure::new(FAILURE, format!("http://{address}{path} does not answer: {error}")))?;
    if status == 200 {
        Ok(())
    } else {
        Err(Failure::new(FAILURE, format!("http://{address}{path} answers {status}")))
    }
}

/// Address at which a server with the listen address `listen` is reachable from the same machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// Sends `GET path` and returns the status code.
fn get_status(address: SocketAddr, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // The request is formatted first, since a formatted write to the socket sends each part separately.
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    // Reads only until the status line is complete, since the peer may keep the connection open.
    let mut reader = stream.take(MAX_RESPONSE);
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

    fn server_with_response(answer: &'static [u8]) -> SocketAddr {
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
        assert_eq!(
            get_status(server_with_response(b"HTTP/1.1 200 OK\r\n\r\n"), "/nap/healthz").expect("it answers"),
            200
        );
        assert_eq!(
            get_status(server_with_response(b"HTTP/1.1 503 Busy\r\n\r\n"), "/nap/healthz")
                .expect("it answers"),
            503
        );
        assert!(get_status(server_with_response(b"SSH-2.0-x\r\n"), "/nap/healthz").is_err());
        assert!(get_status(server_with_response(b""), "/nap/healthz").is_err());
    }

    #[test]
    fn an_unspecified_listen_address_is_reached_over_loopback() {
        for (listen, expected) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:2", "[::1]:2"), ("10.1.2.3:4", "10.1.2.3:4")]
        {
            let listen = listen.parse().expect("an address");
            assert_eq!(reachable(listen).to_string(), expected);
        }
    }
}
