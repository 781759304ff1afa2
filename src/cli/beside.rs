//! Talking to the `serve` that runs beside this command, by the control socket of its state folder.

use std::{fmt, path::Path, path::PathBuf, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use crate::app::Declined;

/// How long a running bridge may take to answer what it need not work for.
pub(super) const PROMPT: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// No bridge serves from the state folder.
    NoServe(PathBuf),
    /// One does, and this user may not talk to it.
    NotAllowed(PathBuf),
    /// One does, and something is wrong with it or on the way.
    Trouble(PathBuf, String),
    /// Elsewhere than on Unix there is no way to ask in this version.
    #[cfg_attr(unix, expect(dead_code, reason = "here there is one"))]
    NotHere,
    /// It says no.
    Declined(Declined),
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoServe(folder) => write!(
                f,
                "no footbridge serves from state_dir {}\n  \
                 cure: start it with `footbridge serve`, or name its configuration with --config",
                folder.display()
            ),
            Self::NotHere => {
                f.write_str("a running footbridge cannot be asked on this system in this version")
            }
            Self::NotAllowed(socket) => write!(
                f,
                "this user may not talk to the running footbridge: {} is another's\n  \
                 cure: run this as the user who runs `footbridge serve`",
                socket.display()
            ),
            Self::Trouble(socket, why) => {
                write!(f, "the running footbridge does not answer on {}: {why}", socket.display())
            }
            Self::Declined(Declined { cause, cure }) if cure.is_empty() => f.write_str(cause),
            Self::Declined(Declined { cause, cure }) => write!(f, "{cause}\n  cure: {cure}"),
        }
    }
}

/// The bridge that serves from a state folder, if one does.
#[derive(Debug, Clone)]
pub(super) struct Beside {
    state_dir: PathBuf,
    patience: Duration,
}

impl Beside {
    /// Asks nothing yet.
    pub(super) fn of(state_dir: &Path) -> Self {
        Self { state_dir: state_dir.to_owned(), patience: PROMPT }
    }

    /// Waits so long for each answer.
    pub(super) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Asks for what is at `path`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Unanswered> {
        self.ask("GET", path, Vec::new()).await
    }

    /// Asks for something to be done.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Unanswered> {
        let body = serde_json::to_vec(body).map_err(|error| self.trouble(&error))?;
        self.ask("POST", path, body).await
    }

    /// Asks for something to be done that is told line by line, and hands on each line as it comes. The patience is
    /// for each.
    pub(super) async fn post_for_lines<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        mut hear: impl FnMut(T),
    ) -> Result<(), Unanswered> {
        let body = serde_json::to_vec(body).map_err(|error| self.trouble(&error))?;
        let (mut whole, mut known) = (Vec::new(), true);
        let done = self.exchange_in_pieces("POST", path, body, |piece| {
            whole.extend_from_slice(piece);
            while let Some(end) = whole.iter().position(|&byte| byte == b'\n') {
                let line: Vec<_> = whole.drain(..=end).collect();
                match serde_json::from_slice(&line) {
                    Ok(event) => hear(event),
                    Err(_) => known = false,
                }
            }
        });
        let done = done.await?;
        match serde_json::from_slice(&whole) {
            Ok(declined) if !done => Err(Unanswered::Declined(declined)),
            _ if done && known => Ok(()),
            _ => Err(self.trouble(&"it is of another version")),
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, Unanswered> {
        let asked = tokio::time::timeout(self.patience, self.exchange(method, path, body)).await;
        let late = |_| self.trouble(&format!("no answer within {} seconds", self.patience.as_secs()));
        let (done, answer) = asked.map_err(late)??;
        if !done {
            let declined = serde_json::from_slice(&answer);
            return Err(
                declined.map_or_else(|_| self.trouble(&"it is of another version"), Unanswered::Declined)
            );
        }
        serde_json::from_slice(&answer).map_err(|_| self.trouble(&"it is of another version"))
    }

    fn trouble(&self, why: &dyn fmt::Display) -> Unanswered {
        Unanswered::Trouble(crate::app::socket_path(&self.state_dir), why.to_string())
    }
}

#[cfg(unix)]
mod wire {
    use std::io;

    use bytes::Bytes;
    use http::{Request, header};
    use http_body_util::{BodyExt as _, Full, Limited};
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;
    use tokio::{net::UnixStream, time::timeout};

    use super::{Beside, Unanswered};
    use crate::app::socket_path;

    /// The largest answer, in bytes: tens of thousands of accounts.
    const LARGEST: usize = 64 * 1024 * 1024;

    impl Beside {
        /// Sends one request, and returns whether it was done and what was answered.
        pub(super) async fn exchange(
            &self,
            method: &str,
            path: &str,
            body: Vec<u8>,
        ) -> Result<(bool, Bytes), Unanswered> {
            let stream = self.connect().await?;
            let request = self.request(method, path, body)?;
            let handshake = http1::handshake(TokioIo::new(stream)).await;
            let (mut sender, connection) = handshake.map_err(|error| self.trouble(&error))?;
            // It owns the sender, with which the connection ends.
            let asking = async move {
                let response = sender.send_request(request).await.map_err(|error| self.trouble(&error))?;
                let done = response.status().is_success();
                let body = Limited::new(response.into_body(), LARGEST).collect().await;
                Ok((done, body.map_err(|error| self.trouble(&error))?.to_bytes()))
            };
            // The connection carries the bytes of the request; its end says nothing that the answer does not.
            let (answer, _) = tokio::join!(asking, connection);
            answer
        }

        /// Likewise, but hands on each piece of the answer as it comes, and returns whether it was done.
        pub(super) async fn exchange_in_pieces(
            &self,
            method: &str,
            path: &str,
            body: Vec<u8>,
            mut hear: impl FnMut(&[u8]),
        ) -> Result<bool, Unanswered> {
            let stream = self.connect().await?;
            let request = self.request(method, path, body)?;
            let handshake = http1::handshake(TokioIo::new(stream)).await;
            let (mut sender, connection) = handshake.map_err(|error| self.trouble(&error))?;
            let late = |_| self.trouble(&format!("silent for more than {} seconds", self.patience.as_secs()));
            // It owns the sender, with which the connection ends.
            let asking = async move {
                let sent = timeout(self.patience, sender.send_request(request)).await.map_err(late)?;
                let mut response = sent.map_err(|error| self.trouble(&error))?;
                while let Some(frame) =
                    timeout(self.patience, response.body_mut().frame()).await.map_err(late)?
                {
                    if let Ok(piece) = frame.map_err(|error| self.trouble(&error))?.into_data() {
                        hear(&piece);
                    }
                }
                Ok(response.status().is_success())
            };
            // As above; and a late answer leaves a connection that would go on.
            tokio::pin!(connection);
            tokio::pin!(asking);
            tokio::select! {
                done = &mut asking => done,
                _ = &mut connection => asking.await,
            }
        }

        fn request(
            &self,
            method: &str,
            path: &str,
            body: Vec<u8>,
        ) -> Result<Request<Full<Bytes>>, Unanswered> {
            Request::builder()
                .method(method)
                .uri(path)
                .header(header::HOST, "footbridge")
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::new(Bytes::from(body)))
                .map_err(|error| self.trouble(&error))
        }

        async fn connect(&self) -> Result<UnixStream, Unanswered> {
            let path = socket_path(&self.state_dir);
            let refused = |error: io::Error| {
                let kind = error.kind();
                if matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) {
                    return Unanswered::NoServe(self.state_dir.clone());
                }
                if kind == io::ErrorKind::PermissionDenied {
                    return Unanswered::NotAllowed(path.clone());
                }
                if kind == io::ErrorKind::InvalidInput {
                    return self.trouble(&"the path is too long for a socket; choose a shorter state_dir");
                }
                self.trouble(&error)
            };
            UnixStream::connect(&path).await.map_err(refused)
        }
    }
}

#[cfg(not(unix))]
impl Beside {
    #[expect(clippy::unused_async, reason = "as where there is a socket")]
    async fn exchange_in_pieces(
        &self,
        _: &str,
        _: &str,
        _: Vec<u8>,
        _: impl FnMut(&[u8]),
    ) -> Result<bool, Unanswered> {
        Err(Unanswered::NotHere)
    }

    #[expect(clippy::unused_async, reason = "as where there is a socket")]
    async fn exchange(&self, _: &str, _: &str, _: Vec<u8>) -> Result<(bool, Vec<u8>), Unanswered> {
        Err(Unanswered::NotHere)
    }
}
