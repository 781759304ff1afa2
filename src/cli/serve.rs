//! `footbridge serve`: the bridge in the foreground.

use std::{io, path::Path, process::ExitCode, time::Duration};

use tokio::runtime;
use tracing::{Level, info, warn};

use super::{check, fail, start_logging};
use crate::{
    app::{App, BuildError, Stop, logging::Format},
    config::{self, Mistakes},
    net::tls,
};

/// How long the process waits, at its very end, for threads that are stuck in the system: a name
/// lookup, a hash. The service manager's patience is shorter than a dead resolver's.
const LAST_THREADS: Duration = Duration::from_millis(100);

/// Serves until SIGTERM or SIGINT; the second one means now.
pub(super) fn run(path: &Path, format: Format, level: Level) -> ExitCode {
    // Lines that are still on their way are written when this is dropped.
    let _writing = match start_logging(format, level) {
        Ok(writing) => writing,
        Err(code) => return code,
    };
    tls::install_cryptography();
    let runtime = match runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start the runtime: {error}")),
    };
    // Beside the reading of files, so that neither the start nor the first login waits for it.
    runtime.spawn_blocking(tls::prepare_randomness);
    let served = runtime.block_on(serve(path));
    runtime.shutdown_timeout(LAST_THREADS);
    match served {
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
    // Before anything that takes time: the first process of a container gets no signal that it does
    // not ask for.
    let signals = Signals::new().map_err(Trouble::Signals)?;
    let stop = Stop::default();
    tokio::select! {
        served = build_and_run(path, stop.clone()) => served,
        // Ends by itself only if signals can no longer be received.
        () = signals.obey(stop) => Err(Trouble::Signals(io::ErrorKind::BrokenPipe.into())),
    }
}

async fn build_and_run(path: &Path, stop: Stop) -> Result<(), Trouble> {
    let Some(app) = stop.gently.run_until_cancelled(build(path, stop.clone())).await else {
        info!("stopped before it was ready");
        return Ok(());
    };
    app?.run().await;
    Ok(())
}

async fn build(path: &Path, stop: Stop) -> Result<App, Trouble> {
    let loaded = config::load(path).map_err(Trouble::Mistakes)?;
    let (config, warnings) = loaded.hash_plain_passwords().await.map_err(Trouble::Mistakes)?;
    for warning in warnings {
        warn!(place = warning.place(), cause = warning.cause(), cure = warning.cure(), "configuration");
    }
    App::build(path, config, stop).await.map_err(Trouble::Build)
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
                    info!("SIGHUP received: reading the configuration again");
                    stop.reload.notify_one();
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
