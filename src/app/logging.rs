//! The log: to standard error, as text for people or as JSON for machines.

use std::{io, panic};

use tracing::{Level, error};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt,
    prelude::*,
};

/// How many lines wait for a reader that stalls, about a megabyte of them. Each has its place from the start.
const LINES: usize = 4_096;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// One line of text for each event.
    #[default]
    Text,
    /// One JSON object a line, fields flat.
    Json,
}

/// Keeps the thread that writes the log. What has been logged is written when this is dropped.
#[derive(Debug)]
pub struct Writing {
    _guard: WorkerGuard,
}

/// Starts logging. `level` is for the bridge itself: other crates are held to warnings, because
/// below that some print what they send, access tokens and all.
///
/// A thread of its own writes the lines: whoever reads them may stall, and no session shall wait for
/// that. Where it stalls for long, lines are lost.
///
/// # Errors
/// Where logging has been started before in this process.
pub fn start(format: Format, level: Level) -> Result<Writing, Box<dyn std::error::Error + Send + Sync>> {
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(LINES).finish(io::stderr());
    // What the certificate verifier says at error level, host unnamed, we say with the host and the cure. That
    // a peer takes its leave in an unusual way, as Java does, is nobody's trouble.
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("rustls_platform_verifier", LevelFilter::OFF)
        .with_target("rustls::common_state", LevelFilter::ERROR)
        .with_target("footbridge", level);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        Format::Text => registry.with(fmt::layer().with_writer(writer).with_ansi(false)).try_init()?,
        Format::Json => {
            let layer = fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(writer);
            registry.with(layer).try_init()?;
        }
    }
    panic::set_hook(Box::new(|info| {
        // The message may quote what the code was working on; the place is enough to find it.
        let place = info.location().map(ToString::to_string);
        error!(place, "internal error: please report it");
    }));
    Ok(Writing { _guard: guard })
}
