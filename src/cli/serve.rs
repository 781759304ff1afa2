//! `footbridge serve`: the bridge in the foreground.

use std::{io, path::Path, process::ExitCode};

use tokio::runtime;
use tracing::{Level, info, warn};

use super::{check, fail, start_logging};
use crate::{
    app::{App, BuildError, Stop, logging::Format},
    config::{self, Mistakes},
    net::tls,
};

/// Serves until SIGTERM or SIGINT; the second one means now.
pub(super) fn run(path: &Path, format: Format, level: Level) -> ExitCode {
    if let Err(code) = start_logging(format, level) {
        return code;
    }
    tls::install_cryptography();
    let runtime = match runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start the runtime: {error}")),
    };
    match runtime.block_on(serve(path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Trouble::Mistakes(mistakes)) => {
            check::report(&mistakes);
            ExitCode::FAILURE
        }
        Err(Trouble::Build(error)) => fail(&error),
        Err(Trouble::Signals(error)) => fail(&format!("cannot receive signals: {error}")),
    }
}

/// Why the bridge does not serve.
enum Trouble {
    Mistakes(Mistakes),
    Build(BuildError),
    Signals(io::Error),
}

async fn serve(path: &Path) -> Result<(), Trouble> {
    let loaded = config::load(path).map_err(Trouble::Mistakes)?;
    let (config, warnings) = loaded.hash_plain_passwords().await.map_err(Trouble::Mistakes)?;
    for warning in warnings {
        warn!(place = warning.place(), cause = warning.cause(), cure = warning.cure(), "configuration");
    }
    let app = App::build(config).await.map_err(Trouble::Build)?;
    let stop = Stop::default();
    let signals = Signals::new().map_err(Trouble::Signals)?;
    tokio::select! {
        () = app.run(stop.clone()) => Ok(()),
        // Ends by itself only if signals can no longer be received.
        () = signals.obey(stop) => Err(Trouble::Signals(io::ErrorKind::BrokenPipe.into())),
    }
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn obey(mut self, stop: Stop) {
        loop {
            tokio::select! {
                received = self.terminate.recv() => if received.is_none() { return },
                received = self.interrupt.recv() => if received.is_none() { return },
                received = self.hangup.recv() => {
                    if received.is_none() { return }
                    warn!("SIGHUP received: reloading is not available in this version, restart instead");
                    continue;
                }
            }
            if stop.gently.is_cancelled() {
                info!("asked to stop again: stopping now");
                stop.now.cancel();
            }
            stop.gently.cancel();
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn obey(self, stop: Stop) {
        while tokio::signal::ctrl_c().await.is_ok() {
            if stop.gently.is_cancelled() {
                stop.now.cancel();
            }
            stop.gently.cancel();
        }
    }
}
