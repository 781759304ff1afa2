//! `footbridge authorize`: the consent of the person whom an account acts for.

use std::{
    env,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::Path,
    pin::Pin,
    process::ExitCode,
    task::Poll,
    thread,
    time::Duration,
};

use qrcode::{QrCode, render::unicode};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use super::{
    beside::{Beside, Unanswered},
    check, fail, ours,
};
use crate::{
    app::{Alone, Authorize, Begun, Pasted, Progress, Way},
    clock::{Clock as _, System},
    config,
    failure::Explanation,
    net::tls,
};

/// How long a running bridge may take to answer: it holds questions for the outcome, and a begun device
/// code asks the authority first.
const PATIENCE: Duration = Duration::from_secs(50);

/// How long a question for the outcome is held where no bridge runs.
const HELD: Duration = Duration::from_secs(20);

/// Begins the consent, tells the person what to do, and waits for the outcome.
pub(super) fn run(path: &Path, wanted: &Authorize, no_browser: bool) -> ExitCode {
    tls::install_cryptography();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start the runtime: {error}")),
    };
    let done = runtime.block_on(authorized(path, wanted, no_browser));
    // A thread may still wait for a line of standard input.
    runtime.shutdown_background();
    match done {
        Ok(text) => {
            println(&text);
            ExitCode::SUCCESS
        }
        Err(trouble) => fail(&trouble),
    }
}

async fn authorized(path: &Path, wanted: &Authorize, no_browser: bool) -> Result<String, String> {
    let state_dir = config::state_dir(path).map_err(|mistakes| check::reported(&mistakes))?;
    let beside = Beside::of(&state_dir).with_patience(PATIENCE);
    match beside.post::<Begun>("/authorize", wanted).await {
        Ok(begun) => {
            let interruption = interruption().await;
            tell(&begun, no_browser);
            finished(&begun, &Through::Bridge(&beside), interruption).await
        }
        Err(Unanswered::NoServe(_) | Unanswered::NotHere) => {
            ours(&state_dir, "authorize")?;
            let alone = alone(path).await?;
            let begun = alone.begin(wanted).await.map_err(|why| explained(&why))?;
            let interruption = interruption().await;
            tell(&begun, no_browser);
            let ended = finished(&begun, &Through::Alone(&alone), interruption).await;
            alone.finish().await;
            ended
        }
        Err(unanswered) => Err(unanswered.to_string()),
    }
}

async fn alone(path: &Path) -> Result<Alone, String> {
    let loaded = config::load(path).map_err(|mistakes| check::reported(&mistakes))?;
    Alone::open(loaded.without_plain_passwords()).await.map_err(|error| error.to_string())
}

/// Who carries the consent out.
enum Through<'a> {
    Bridge(&'a Beside),
    Alone(&'a Alone),
}

impl Through<'_> {
    async fn progress(&self, id: &str) -> Result<Progress, String> {
        match self {
            Self::Bridge(beside) => {
                beside.get(&format!("/authorize/{id}")).await.map_err(|error| error.to_string())
            }
            Self::Alone(alone) => alone.consenter.progress(id, HELD).await.map_err(|why| explained(&why)),
        }
    }

    /// What becomes of a consent that this command waits for no more.
    fn interrupted(&self, begun: &Begun) -> String {
        match self {
            Self::Bridge(_) => {
                let minutes = minutes_until(begun.expires_at);
                format!("interrupted: the running bridge waits {minutes} minutes more for the sign-in")
            }
            Self::Alone(_) => "interrupted: nobody waits for the sign-in any more".to_owned(),
        }
    }

    async fn pasted(&self, pasted: &Pasted) -> Result<(), String> {
        match self {
            Self::Bridge(beside) => {
                beside.post("/authorize/pasted", pasted).await.map_err(|error| error.to_string())
            }
            Self::Alone(alone) => alone.consenter.pasted(pasted).await.map_err(|why| explained(&why)),
        }
    }
}

/// A person who interrupts.
type Interruption = Pin<Box<dyn Future<Output = ()>>>;

/// Waits for an interruption from here on: one that comes before anybody looks is not lost, nor does it end the process.
async fn interruption() -> Interruption {
    let mut interruption: Interruption = Box::pin(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    });
    // The first look is what begins it.
    let is_over = std::future::poll_fn(|cx| Poll::Ready(interruption.as_mut().poll(cx).is_ready())).await;
    if is_over { Box::pin(std::future::ready(())) } else { interruption }
}

async fn finished(
    begun: &Begun,
    through: &Through<'_>,
    mut interruption: Interruption,
) -> Result<String, String> {
    let mut lines = match &begun.way {
        Way::Browser { .. } => Some(pasted_lines()),
        Way::Device { .. } => None,
    };
    loop {
        let line = async {
            match &mut lines {
                Some(lines) => lines.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = &mut interruption => return Err(through.interrupted(begun)),
            progress = through.progress(&begun.id) => match progress? {
                Progress::Pending => {}
                Progress::Done { signed_in, expires_at } => return Ok(done(begun, signed_in, expires_at)),
                Progress::Failed { cause, cure } => return Err(explained(&Explanation::new(cause, cure))),
            },
            line = line => match line {
                Some(address) if address.trim().is_empty() => {}
                Some(address) => if let Err(trouble) = through.pasted(&Pasted { address }).await {
                    eprintln!("that address is not the one: {trouble}");
                },
                // Nobody will paste anything any more.
                None => lines = None,
            },
        }
    }
}

fn done(begun: &Begun, signed_in: Option<String>, expires_at: OffsetDateTime) -> String {
    let left = expires_at - OffsetDateTime::from(System.now());
    let minutes = left.whole_minutes().max(0);
    let signed_in = signed_in.filter(|user| *user != begun.login);
    let as_whom = signed_in.map(|user| format!(" as {user}")).unwrap_or_default();
    format!("{}: authorized{as_whom}; token expires in {minutes} min, refreshes by itself", begun.login)
}

/// Says what the person has to do, on standard output: the address or the code may be wanted there.
fn tell(begun: &Begun, no_browser: bool) {
    let minutes = minutes_until(begun.expires_at);
    let whom = begun.sign_in.join(" or ");
    match &begun.way {
        Way::Browser { url, redirect_uri } => {
            println(&format!(
                "Open this address within {minutes} minutes, and sign in as {whom}:\n\n{url}\n\n\
                 The browser comes back to {redirect_uri}. If it runs on another machine and cannot\n\
                 reach that, paste here the address that it ends at."
            ));
            if !no_browser && has_browser() && open::that_detached(url).is_err() {
                eprintln!("no browser could be opened");
            }
        }
        Way::Device { user_code, verification_uri, complete_uri } => {
            let address = complete_uri.as_ref().unwrap_or(verification_uri);
            println(&format!(
                "Open {verification_uri} within {minutes} minutes, enter the code\n\n    {user_code}\n\n\
                 and sign in as {whom}.\n"
            ));
            if let Ok(code) = QrCode::new(address.as_bytes()) {
                println(&code.render::<unicode::Dense1x2>().build());
            }
        }
    }
}

fn minutes_until(at: OffsetDateTime) -> i64 {
    let until = at - OffsetDateTime::from(System.now());
    (until.whole_seconds() + 59) / 60
}

/// Whether somebody sits before this machine.
fn has_browser() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let screen = cfg!(any(target_os = "macos", windows)) || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    screen && io::stdout().is_terminal()
}

/// The lines of standard input, as they come.
fn pasted_lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn println(text: &str) {
    let mut stdout = io::stdout().lock();
    // A reader that has left has seen enough.
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

fn explained(why: &Explanation) -> String {
    if why.cure.is_empty() { why.cause.clone() } else { format!("{}\n  cure: {}", why.cause, why.cure) }
}
