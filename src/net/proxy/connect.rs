//! A tunnel by the method CONNECT of HTTP/1.1: RFC 9110 §9.3.6, RFC 9112 §3.2.3.

use std::io;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use zeroize::Zeroizing;

use super::{Credentials, ProxyTrouble};
use crate::net::Endpoint;

/// The most bytes of a proxy's reply, up to the empty line, and the most headers in it. Proxies that show a page
/// to people put it behind that line.
const LARGEST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 100;

pub(super) async fn tunnel(
    mut stream: TcpStream,
    endpoint: &Endpoint,
    credentials: Option<&Credentials>,
) -> Result<TcpStream, ProxyTrouble> {
    stream.write_all(request(endpoint, credentials).as_bytes()).await.map_err(ProxyTrouble::Lost)?;
    match status(&mut stream).await? {
        200..=299 => Ok(stream),
        // RFC 9110 §15.5.8.
        407 => Err(ProxyTrouble::Credentials(credentials.is_some())),
        403 | 405 | 451 => Err(ProxyTrouble::Forbidden(endpoint.to_string())),
        status => Err(ProxyTrouble::NoWay(endpoint.to_string(), format!("HTTP {status}"))),
    }
}

fn request(endpoint: &Endpoint, credentials: Option<&Credentials>) -> Zeroizing<String> {
    let mut request = Zeroizing::new(format!("CONNECT {endpoint} HTTP/1.1\r\nHost: {endpoint}\r\n"));
    if let Some((user, password)) = credentials {
        // RFC 7617 §2.
        let both = Zeroizing::new([user.expose(), b":", password.expose()].concat());
        let both = Zeroizing::new(BASE64_STANDARD.encode(&both[..]));
        *request = format!("{}Proxy-Authorization: Basic {}\r\n", *request, *both);
    }
    request.push_str("\r\n");
    request
}

/// Takes the head of the reply off the stream, and not a byte more: an upstream that speaks first may have
/// been quicker than this.
async fn status(stream: &mut TcpStream) -> Result<u16, ProxyTrouble> {
    let (mut head, mut chunk) = (Vec::new(), [0; 2048]);
    loop {
        let seen = stream.peek(&mut chunk).await.map_err(ProxyTrouble::Lost)?;
        if seen == 0 {
            return Err(ProxyTrouble::Lost(io::Error::other("it closed the connection")));
        }
        let before = head.len();
        head.extend_from_slice(&chunk[..seen]);
        let read = parsed(&head)?;
        let taken = read.map_or(seen, |(end, _)| end - before);
        stream.read_exact(&mut chunk[..taken]).await.map_err(ProxyTrouble::Lost)?;
        match read {
            Some((_, status)) => return Ok(status),
            None if head.len() >= LARGEST_HEAD => {
                return Err(stranger(format!("more than {LARGEST_HEAD} bytes without the end of a reply")));
            }
            None => (),
        }
    }
}

/// How long the head is and what status it has; nothing while it is not whole.
fn parsed(head: &[u8]) -> Result<Option<(usize, u16)>, ProxyTrouble> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut reply = httparse::Response::new(&mut headers);
    let read = reply.parse(head).map_err(|error| stranger(error.to_string()))?;
    match (read, reply.code) {
        (httparse::Status::Complete(end), Some(status)) => Ok(Some((end, status))),
        _ => Ok(None),
    }
}

fn stranger(why: String) -> ProxyTrouble {
    ProxyTrouble::Stranger("HTTP", why)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::{net::UpstreamTls, secret::Secret};

    fn endpoint(host: &str) -> Endpoint {
        Endpoint { host: host.to_owned(), port: 993, tls: UpstreamTls::Implicit }
    }

    /// What is made of a reply that comes in these pieces, and what is left on the stream.
    async fn told(pieces: &[&[u8]], credentials: Option<&Credentials>) -> Result<Vec<u8>, ProxyTrouble> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        server.set_nodelay(true).unwrap();
        let mail = endpoint("mail.example.com");
        let sending = async {
            for piece in pieces {
                server.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            server.shutdown().await.unwrap();
            server
        };
        let (stream, _server) = tokio::join!(tunnel(client, &mail, credentials), sending);
        let mut rest = Vec::new();
        stream?.read_to_end(&mut rest).await.unwrap();
        Ok(rest)
    }

    #[test]
    fn a_request_names_the_target_and_shows_the_credentials() {
        let asked = request(&endpoint("mail.example.com"), None);
        assert_eq!(*asked, "CONNECT mail.example.com:993 HTTP/1.1\r\nHost: mail.example.com:993\r\n\r\n");
        let credentials = (Secret::new("Aladdin"), Secret::new("open sesame"));
        let asked = request(&endpoint("2001:db8::1"), Some(&credentials));
        assert!(asked.starts_with("CONNECT [2001:db8::1]:993 HTTP/1.1\r\n"), "{}", *asked);
        assert!(asked.ends_with("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"));
    }

    #[tokio::test]
    async fn bytes_behind_the_reply_stay_on_the_stream_however_it_is_cut() {
        let whole = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n220 ready\r\nmore";
        for at in 0..whole.len() {
            let (one, other) = whole.split_at(at);
            assert_eq!(told(&[one, other], None).await.unwrap(), b"220 ready\r\nmore", "cut at {at}");
        }
        assert_eq!(told(&[b"HTTP/1.0 200\n\n\n"], None).await.unwrap(), b"\n");
    }

    /// A reply, whether credentials were shown, and what is made of it.
    type Case = (&'static [u8], bool, &'static str);

    #[tokio::test]
    async fn every_refusal_says_what_the_proxy_is_like() {
        let credentials = (Secret::new("u"), Secret::new("p"));
        let cases: [Case; 8] = [
            (b"HTTP/1.1 407 Who?\r\n\r\n<html>", false, "wants a user and a password"),
            (b"HTTP/1.1 407 Who?\r\n\r\n", true, "refuses our user and password"),
            (b"HTTP/1.1 403 Filtered\r\n\r\n", false, "forbids connections to mail.example.com:993"),
            (b"HTTP/1.1 502 Bad\r\n\r\n", false, "cannot connect to mail.example.com:993: HTTP 502"),
            (b"HTTP/1.1 301 Moved\r\n\r\n", false, "cannot connect to mail.example.com:993: HTTP 301"),
            (b"* OK IMAP4rev1\r\n", false, "does not speak HTTP: invalid HTTP version"),
            (b"HTTP/1.1 200 OK\r\nVia: x\r\n", false, "broke off: it closed the connection"),
            (b"", false, "broke off: it closed the connection"),
        ];
        for (reply, shown, why) in cases {
            assert_eq!(told(&[reply], shown.then_some(&credentials)).await.unwrap_err().to_string(), why);
        }
    }

    #[tokio::test]
    async fn an_endless_reply_is_not_read_to_its_end() {
        let long = b"X-Header: value\r\n".repeat(LARGEST_HEAD);
        let error = told_until_refused(&[b"HTTP/1.1 200 OK\r\n".as_slice(), &long].concat()).await;
        assert!(error.starts_with("does not speak HTTP: "), "{error}");
        let line =
            told_until_refused(&[b"HTTP/1.1 200 ".as_slice(), &b"x".repeat(LARGEST_HEAD * 2)].concat()).await;
        assert_eq!(line, "does not speak HTTP: more than 16384 bytes without the end of a reply");
    }

    /// The trouble with a proxy that sends on until it is hung up on.
    async fn told_until_refused(reply: &[u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let mail = endpoint("mail.example.com");
        let asking = tunnel(client, &mail, None);
        let (told, _) = tokio::join!(asking, server.write_all(reply));
        told.unwrap_err().to_string()
    }
}
