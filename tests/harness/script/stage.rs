//! Plays a script: is the client, the upstream and the authority of a real bridge.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use futures::FutureExt as _;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::task::AbortOnDropHandle;

use super::{Step, Text, What, Who};
use crate::harness::{
    PATIENCE,
    authority::{Answer, Authority},
    certs::Certs,
    wire::Wire,
};

/// Everybody but the bridge.
pub struct Stage {
    way: Way,
    client: Option<Wire>,
    /// Connections of the client that are open beside this one.
    aside: Vec<Wire>,
    any_lines: bool,
    /// How often the client has connected.
    pub connections: usize,
    upstream: Upstream,
    authority: Arc<Authority>,
    answers: usize,
    last_answer: Option<Answer>,
    and_so_on: Option<AbortOnDropHandle<()>>,
}

/// How the client gets to the bridge.
pub struct Way {
    /// Where that listens.
    pub bridge: SocketAddr,
    /// Checks its certificate.
    pub connector: TlsConnector,
    /// The line is encrypted before anything is said.
    pub is_implicit: bool,
}

/// The upstream that is waited for by the bridge.
#[derive(Clone)]
pub struct Door {
    listener: Arc<TcpListener>,
    acceptor: TlsAcceptor,
    starttls: bool,
}

struct Upstream {
    door: Door,
    wire: Option<Wire>,
    any_lines: bool,
    tag: Vec<u8>,
    /// What was said since the last connection began.
    said: Vec<Step>,
}

impl Door {
    /// Opens the upstream's port.
    pub async fn open(certs: &Certs, starttls: bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self { listener: Arc::new(listener), acceptor: certs.acceptor(), starttls }
    }

    /// Where it is.
    pub fn addr(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

impl Stage {
    /// Sets the stage around a bridge.
    pub fn new(way: Way, door: Door, authority: Arc<Authority>) -> Self {
        let upstream = Upstream { door, wire: None, any_lines: false, tag: Vec::new(), said: Vec::new() };
        Self {
            way,
            client: None,
            aside: Vec::new(),
            any_lines: false,
            connections: 0,
            upstream,
            authority,
            answers: 0,
            last_answer: None,
            and_so_on: None,
        }
    }

    /// Plays one line.
    ///
    /// # Errors
    /// What was expected and what came instead.
    pub async fn play(&mut self, step: &Step) -> Result<(), String> {
        match step.who {
            Who::Client | Who::Bridge => self.play_client(step).await,
            Who::BridgeUp | Who::Upstream if matches!(step.what, What::AndSoOn) => {
                self.and_so_on = Some(self.upstream.repeat());
                Ok(())
            }
            Who::BridgeUp | Who::Upstream => self.upstream.play(step).await,
            Who::Authority => self.play_authority(&step.what).await,
        }
    }

    /// Ends what is still open, the client first; nothing more may come then.
    ///
    /// # Errors
    /// What comes after all.
    pub async fn clear(&mut self) -> Result<(), String> {
        if let Some(client) = &mut self.client {
            // It may have said before that it is done.
            let _ = client.finish().await;
        }
        if let Some(mut upstream) = self.upstream.wire.take() {
            expect_end(&mut upstream).await.map_err(|trouble| format!("upstream: {trouble}"))?;
            let _ = upstream.finish().await;
        }
        if let Some(mut client) = self.client.take() {
            expect_end(&mut client).await.map_err(|trouble| format!("client: {trouble}"))?;
        }
        Ok(())
    }

    /// After the bridge has ended: nobody may have come who was not expected.
    ///
    /// # Errors
    /// Who came.
    pub fn nobody_else_came(&self) -> Result<(), String> {
        if self.and_so_on.is_none() && self.upstream.door.listener.accept().now_or_never().is_some() {
            return Err("the upstream was dialled once more".to_owned());
        }
        let asked = self.authority.requests().get();
        if asked > self.answers {
            return Err(format!("the authority was asked {asked} times, expected {}", self.answers));
        }
        Ok(())
    }

    async fn play_client(&mut self, step: &Step) -> Result<(), String> {
        if matches!(step.what, What::ConnectsBeside) {
            self.aside.extend(self.client.take());
        } else if matches!(step.what, What::Connects) {
            self.client = None;
        }
        let mut client = if let Some(client) = self.client.take() {
            client
        } else {
            self.connections += 1;
            let stream = within(TcpStream::connect(self.way.bridge)).await?;
            let _ = stream.set_nodelay(true);
            let wire = Wire::new(stream);
            if self.way.is_implicit { within(wire.connect_tls(&self.way.connector)).await? } else { wire }
        };
        let speaks = step.who == Who::Client;
        match &step.what {
            What::Connects | What::ConnectsBeside => (),
            What::Says(text) if speaks => say(&mut client, &text.to_send(b"")).await?,
            What::Says(text) => {
                expect(&mut client, text, std::mem::take(&mut self.any_lines)).await?;
            }
            What::AnyLines => self.any_lines = true,
            What::Closes => {
                // The one beside which it was opened is there again.
                self.client = self.aside.pop();
                return if speaks { Ok(()) } else { expect_end(&mut client).await };
            }
            What::HalfCloses if speaks => within(client.finish()).await?,
            What::HalfCloses => expect_end(&mut client).await?,
            What::StartsTls => client = within(client.connect_tls(&self.way.connector)).await?,
            What::AndSoOn | What::Answers(_) => {
                return Err("no client does that".to_owned());
            }
        }
        self.client = Some(client);
        Ok(())
    }

    async fn play_authority(&mut self, what: &What) -> Result<(), String> {
        if let What::Answers(answer) = what {
            self.authority.next(answer.clone());
            self.answers += 1;
            let answered = self.authority.answered().reached_in_time(self.answers).await;
            if !answered {
                return Err("the authority was not asked".to_owned());
            }
            self.last_answer = Some(answer.clone());
        } else {
            let last = self.last_answer.clone().ok_or("the authority has not answered yet")?;
            self.authority.always(last);
            self.answers = usize::MAX;
        }
        Ok(())
    }
}

impl Upstream {
    async fn play(&mut self, step: &Step) -> Result<(), String> {
        let mut wire = if let Some(wire) = self.wire.take() {
            wire
        } else {
            self.said.clear();
            let dialled = within(self.door.listener.accept()).await;
            let (stream, _) = dialled.map_err(|_| "the upstream was not dialled".to_owned())?;
            let _ = stream.set_nodelay(true);
            let wire = Wire::new(stream);
            if self.door.starttls { wire } else { within(wire.accept_tls(&self.door.acceptor)).await? }
        };
        self.said.push(step.clone());
        let speaks = step.who == Who::Upstream;
        match &step.what {
            What::Says(text) if speaks => say(&mut wire, &text.to_send(&self.tag)).await?,
            What::Says(text) => {
                let tag = expect(&mut wire, text, std::mem::take(&mut self.any_lines)).await?;
                if !tag.is_empty() {
                    self.tag = tag;
                }
            }
            What::AnyLines => self.any_lines = true,
            What::StartsTls => wire = within(wire.accept_tls(&self.door.acceptor)).await?,
            What::Closes if speaks => {
                let _ = wire.finish().await;
                return Ok(());
            }
            What::Closes => return expect_end(&mut wire).await,
            What::HalfCloses if speaks => within(wire.finish()).await?,
            What::HalfCloses => expect_end(&mut wire).await?,
            What::Connects | What::ConnectsBeside | What::AndSoOn | What::Answers(_) => {
                return Err("no upstream does that".to_owned());
            }
        }
        self.wire = Some(wire);
        Ok(())
    }

    /// Treats further connections like the last one, as long as the script lasts.
    fn repeat(&mut self) -> AbortOnDropHandle<()> {
        let steps = self.said.clone();
        let door = self.door.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                let mut next = Self {
                    door: door.clone(),
                    wire: None,
                    any_lines: false,
                    tag: Vec::new(),
                    said: Vec::new(),
                };
                for step in &steps {
                    // The bridge may end in the middle.
                    if next.play(step).await.is_err() {
                        break;
                    }
                }
            }
        }))
    }
}

/// Compares what comes, after any lines where `skips` says so; returns the tag that it has.
async fn expect(wire: &mut Wire, text: &Text, skips: bool) -> Result<Vec<u8>, String> {
    let compared = async {
        if skips {
            loop {
                let line = wire.raw_line().await?;
                match line.as_ref().map(|line| text.matches(line)) {
                    Some(Some(tag)) => return Ok(Ok(tag)),
                    Some(None) => (),
                    None => return Ok(Err(b"<end>".to_vec())),
                }
            }
        }
        let Some(wanted) = text.exact() else {
            let line = wire.raw_line().await?.unwrap_or_default();
            return Ok(text.matches(&line).ok_or(line));
        };
        loop {
            let came = wire.waiting();
            let known = came.len().min(wanted.len());
            if came[..known] != wanted[..known] {
                return Ok(Err(came.to_vec()));
            }
            if known == wanted.len() {
                let _ = came.split_to(known);
                return Ok(Ok(Vec::new()));
            }
            if wire.fill().await? == 0 {
                return Ok(Err([wire.waiting(), &b"<end>"[..]].concat()));
            }
        }
    };
    within(compared).await?.map_err(|came| format!("came instead: {}", shown(&came)))
}

/// Sends bytes to a bridge that may have heard enough: whether it closes is for the next line to say.
async fn say(wire: &mut Wire, bytes: &[u8]) -> Result<(), String> {
    let gone = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
    };
    within(async { wire.send(bytes).await.or_else(|error| if gone(&error) { Ok(()) } else { Err(error) }) })
        .await
}

async fn expect_end(wire: &mut Wire) -> Result<(), String> {
    match timeout(PATIENCE, wire.raw_line()).await {
        Err(_) => Err("the connection did not end".to_owned()),
        // A connection that is reset has ended, too.
        Ok(Err(_) | Ok(None)) if wire.waiting().is_empty() => Ok(()),
        Ok(Err(_) | Ok(None)) => Err(format!("came before the end: {}", shown(wire.waiting()))),
        Ok(Ok(Some(line))) => Err(format!("came before the end: {}", shown(&line))),
    }
}

async fn within<T>(doing: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    match timeout(PATIENCE, doing).await {
        Err(_) => Err("nothing happened for long".to_owned()),
        Ok(done) => done.map_err(|error| error.to_string()),
    }
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
