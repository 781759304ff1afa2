//! An examination, told as it goes: one JSON object a line.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::header::CONTENT_TYPE,
    response::IntoResponse,
    routing::post,
};
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::mpsc;

use super::{super::doctor::Examine, Bridge, Refused};
use crate::doctor::report::Event;

/// How many events wait for a command that reads slowly. The examination waits then.
pub const EVENTS: usize = 16;

pub(super) fn routes() -> Router<Arc<Bridge>> {
    Router::new().route("/doctor", post(examine))
}

async fn examine(
    State(bridge): State<Arc<Bridge>>,
    Json(wanted): Json<Examine>,
) -> Result<impl IntoResponse, Refused> {
    let practice = bridge.practice();
    let queue = practice.queue(&wanted).map_err(Refused::because)?;
    let (listener, events) = mpsc::channel(EVENTS);
    let work = Box::pin(async move { practice.examine(queue, &listener).await });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::new(Telling { work: Some(work), events })))
}

/// An examination that goes on as long as somebody reads of it.
struct Telling {
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    events: mpsc::Receiver<Event>,
}

impl HttpBody for Telling {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(work) = &mut this.work
            && work.as_mut().poll(cx).is_ready()
        {
            // With it goes the sender: what is left to be read has an end.
            this.work = None;
        }
        this.events.poll_recv(cx).map(|event| {
            // Nothing of ours has a form that JSON has not.
            let mut line = serde_json::to_vec(&event?).unwrap_or_default();
            line.push(b'\n');
            Some(Ok(Frame::data(line.into())))
        })
    }
}
