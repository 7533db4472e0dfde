//! A minimal HTTP client with one persistent connection and a cookie or token.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Name of the account of every measured program.
pub const NAME: &str = "admin";
/// Password of the account.
pub const PASSWORD: &str = "a walk along the harbour";
/// Timeout of a response.
const PATIENCE: Duration = Duration::from_secs(60);

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// Body as sent; compressed if the caller requested that.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// A client with one connection.
pub struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
    /// Header lines added to each request.
    pub with: String,
}

impl Client {
    /// A client for this address; it connects at the first request.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, with: String::new() }
    }

    /// A client with the same headers and a new connection.
    pub fn again(&self) -> Self {
        Self { address: self.address, stream: None, with: self.with.clone() }
    }

    /// Sends a request on the open connection, or on a new one if there is none.
    ///
    /// # Errors
    /// If the connection breaks.
    pub fn ask(&mut self, method: &str, path: &str, body: Option<(&str, &str)>) -> io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(self.connect()?),
        };
        let answer = self.on(&mut stream, method, path, body)?;
        if answer.header("connection") != Some("close") {
            self.stream = Some(stream);
        }
        Ok(answer)
    }

    /// Sends a GET request.
    ///
    /// # Errors
    /// As [`Client::ask`], and if the status is not 200.
    pub fn get(&mut self, path: &str) -> io::Result<Answer> {
        let answer = self.ask("GET", path, None)?;
        expect(answer, path, &[200])
    }

    /// Sends JSON with POST.
    ///
    /// # Errors
    /// As [`Client::ask`], and if the request is refused.
    pub fn post(&mut self, path: &str, body: &serde_json::Value) -> io::Result<Answer> {
        let answer = self.ask("POST", path, Some(("application/json", &body.to_string())))?;
        expect(answer, path, &[200, 201, 202, 204])
    }

    /// Logs in through the login page; later requests send the cookie.
    ///
    /// # Errors
    /// As [`Client::ask`], and if the request is refused.
    pub fn log_in(&mut self, name: &str) -> io::Result<()> {
        let form = format!("name={name}&password={}&next=%2F", PASSWORD.replace(' ', "+"));
        self.with = format!("origin: http://{}\r\n", self.address);
        let answer = self.ask("POST", "/login", Some(("application/x-www-form-urlencoded", &form)))?;
        let answer = expect(answer, "/login", &[303])?;
        let cookie =
            answer.header("set-cookie").and_then(|cookie| cookie.split(';').next()).unwrap_or_default();
        self.with = format!("cookie: {cookie}\r\norigin: http://{}\r\n", self.address);
        Ok(())
    }

    /// Logs in through the API; later requests send the token.
    ///
    /// # Errors
    /// As [`Client::ask`], and if the request is refused.
    pub fn log_in_to_api(&mut self) -> io::Result<()> {
        self.with.clear();
        let body = serde_json::json!({"username": NAME, "password": PASSWORD});
        let token = self.post("/api/auth/login", &body)?.json();
        self.with = format!("authorization: Bearer {}\r\n", token["token"].as_str().unwrap_or_default());
        Ok(())
    }

    /// Opens an event stream and passes each line to `each`, until that returns false or the stream ends.
    ///
    /// # Errors
    /// As [`Client::ask`], and if the status is not 200.
    pub fn listen(&mut self, path: &str, mut each: impl FnMut(&str) -> bool) -> io::Result<()> {
        let stream = self.connect()?;
        // The stream may be silent for long.
        stream.set_read_timeout(None)?;
        let mut stream = BufReader::new(stream);
        write!(
            stream.get_mut(),
            "GET {path} HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\n{}\r\n",
            self.address,
            self.with
        )?;
        let head = head(&mut stream)?;
        if status(&head)? != 200 {
            return Err(io::Error::other(format!("{path}: {}", head.lines().next().unwrap_or_default())));
        }
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 || !each(line.trim_end()) {
                return Ok(());
            }
        }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    fn on(
        &self,
        stream: &mut BufReader<TcpStream>,
        method: &str,
        path: &str,
        body: Option<(&str, &str)>,
    ) -> io::Result<Answer> {
        let (kind, body) = body.unwrap_or_default();
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n{}", self.address, self.with);
        if !kind.is_empty() {
            request += "content-type: ";
            request += kind;
            request += "\r\ncontent-length: ";
            request += &body.len().to_string();
            request += "\r\n";
        }
        request.push_str("\r\n");
        request.push_str(body);
        stream.get_mut().write_all(request.as_bytes())?;
        let head = head(stream)?;
        let status = status(&head)?;
        let mut answer = Answer { status, head, body: Vec::new() };
        answer.body = match (answer.header("content-length"), answer.header("transfer-encoding")) {
            _ if status == 304 || status == 204 => Vec::new(),
            (Some(length), _) => {
                let mut body = vec![0; length.parse().map_err(io::Error::other)?];
                stream.read_exact(&mut body)?;
                body
            }
            (None, Some(_)) => chunks(stream)?,
            (None, None) => Vec::new(),
        };
        Ok(answer)
    }
}

fn expect(answer: Answer, path: &str, statuses: &[u16]) -> io::Result<Answer> {
    if statuses.contains(&answer.status) {
        Ok(answer)
    } else {
        Err(io::Error::other(format!("{path}: {} {}", answer.status, answer.text())))
    }
}

fn head(stream: &mut impl BufRead) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

fn status(head: &str) -> io::Result<u16> {
    let word = head.split(' ').nth(1).unwrap_or_default();
    word.parse().map_err(|_| io::Error::other(format!("no answer of HTTP: {head}")))
}

fn chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        let begin = body.len();
        body.resize(begin + size, 0);
        stream.read_exact(&mut body[begin..])?;
        stream.read_line(&mut String::new())?;
        if size == 0 {
            return Ok(body);
        }
    }
}
