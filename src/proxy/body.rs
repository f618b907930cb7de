//! Bodies on their way through: streamed, never collected.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use crate::base::clock::{Clock, Tick};

use super::core::Exchange;
use super::upstream::Lease;

/// A request's body towards the application. Trailers end here: a field that arrives after the head was judged never
/// reaches the application (X06).
pub(super) struct RequestBody {
    inner: Incoming,
    progress: Rc<Progress>,
}

/// How far an upload has come, for the limit on waiting for an answer.
pub(super) struct Progress {
    last: Cell<Tick>,
    clock: Clock,
}

impl Progress {
    pub(super) fn new(clock: Clock) -> Rc<Self> {
        Rc::new(Self { last: Cell::new(clock.tick()), clock })
    }

    /// When the client last sent a part of the body, or the request started.
    pub(super) fn last(&self) -> Tick {
        self.last.get()
    }
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, progress: Rc<Progress>) -> Self {
        Self { inner, progress }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) if frame.is_data() => {
                self.progress.last.set(self.progress.clock.tick());
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Ok(_)) | None => Poll::Ready(None),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body: one of ours, or the application's as it arrives.
pub struct Body {
    kind: Kind,
    /// Ends with the body: the request is in flight until then.
    exchange: Option<Exchange>,
}

enum Kind {
    Empty,
    Whole(Bytes),
    Streamed { inner: Incoming, lease: Option<Lease> },
}

impl Body {
    pub(super) const fn empty() -> Self {
        Self { kind: Kind::Empty, exchange: None }
    }

    pub(super) fn whole(bytes: Bytes) -> Self {
        Self { kind: if bytes.is_empty() { Kind::Empty } else { Kind::Whole(bytes) }, exchange: None }
    }

    /// The application's body. `lease` goes back to the pool when the body has ended, not before; an empty body may
    /// never be asked for its end, so it goes back at once.
    pub(super) fn streamed(inner: Incoming, lease: Option<Lease>) -> Self {
        let mut body = Self { kind: Kind::Streamed { inner, lease }, exchange: None };
        body.give_back_if_ended();
        body
    }

    pub(super) fn during(mut self, exchange: Exchange) -> Self {
        self.exchange = Some(exchange);
        self
    }

    fn give_back_if_ended(&mut self) {
        if let Kind::Streamed { inner, lease } = &mut self.kind
            && inner.is_end_stream()
            && let Some(lease) = lease.take()
        {
            lease.give_back();
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        match &mut this.kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                this.kind = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Streamed { inner, lease } => match ready!(Pin::new(inner).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_data() => {
                    this.give_back_if_ended();
                    Poll::Ready(Some(Ok(frame)))
                }
                // Trailers of the application end here too: nothing was said about them to the client.
                Some(Ok(_)) | None => {
                    if let Some(lease) = lease.take() {
                        lease.give_back();
                    }
                    Poll::Ready(None)
                }
                Some(Err(error)) => {
                    *lease = None;
                    Poll::Ready(Some(Err(error)))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Whole(_) => false,
            Kind::Streamed { inner, .. } => inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Streamed { inner, .. } => inner.size_hint(),
        }
    }
}
