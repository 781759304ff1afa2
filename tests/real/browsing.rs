//! The authority's pages in a real browser. These tests need no bridge.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::browser::Browser;
use crate::delegated::{claims, text};
use crate::devices::{device_codes, poll};
use crate::servers::servers;
use crate::walk::query;

#[test]
fn chromium_walks_from_the_login_to_the_application() {
    let authority = &servers().authority;
    let client = "public-browser";
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let redirect_uri = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
    let browser = Browser::start("code-flow");
    thread::scope(|scope| {
        let application = scope.spawn(|| answer_with_a_page(&listener));
        browser.open(&authority.authorization_request(client, &redirect_uri));
        browser.sign_in("lisa@example.test");
        let page = browser.page_at(&redirect_uri);
        assert_eq!((page.title.as_str(), page.text.as_str()), ("Thanks", "The code is here."));
        let asked = application.join().unwrap();
        let target = asked.split(' ').nth(1).unwrap();
        let code = query(&format!("http://localhost{target}"), "code").unwrap();
        let reply = authority.redeem(client, &redirect_uri, &code);
        assert_eq!(claims(&reply["access_token"])["upn"], "lisa@example.test");
    });
}

#[test]
fn chromium_approves_a_device() {
    let authority = &servers().authority;
    let client = "public-browser-device";
    authority.device_codes(client, 0, 900);
    let device = device_codes(authority, client, None);
    let browser = Browser::start("device-flow");
    browser.approve_device(text(&device, "verification_uri"), text(&device, "user_code"), "mia@example.test");
    assert_eq!(browser.page_at(&authority.origin()).title, "You have signed in");
    let picture = browser.screenshot().unwrap();
    assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    fs::remove_file(picture).unwrap();
    let reply = poll(authority, client, None, &device);
    assert_eq!(claims(&reply["access_token"])["upn"], "mia@example.test", "{reply}");
}

/// What an application's page for the redirect does, once: returns the request.
///
/// Browsers open connections on suspicion and may never say a word on them: each is listened to by itself.
pub fn answer_with_a_page(listener: &TcpListener) -> String {
    let listener = listener.try_clone().unwrap();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().take(16).flatten() {
            let tell = tell.clone();
            thread::spawn(move || {
                if let Some(request) = answer(stream) {
                    let _ = tell.send(request);
                }
            });
        }
    });
    told.recv_timeout(Duration::from_mins(1)).expect("no request came to the application's page")
}

/// The request of a connection, answered; none came where it was closed before one was whole.
fn answer(mut stream: TcpStream) -> Option<String> {
    let mut request = String::new();
    let mut lines = BufReader::new(&stream);
    while !request.ends_with("\r\n\r\n") {
        let read = lines.read_line(&mut request).ok()?;
        if read == 0 {
            return None;
        }
    }
    let page = "<html><head><title>Thanks</title></head><body><p>The code is here.</p></body></html>";
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    )
    .ok()?;
    Some(request)
}
