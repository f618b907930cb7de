//! Bodies on their way through: streamed, never collected.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::connection::Connection;
use super::core::Exchange;
use super::upstream::Lease;

/// A request's body towards the application. Trailers end here: a field that arrives after the head was judged never
/// reaches the application (X06).
pub(super) struct RequestBody {
    inner: Incoming,
    /// Where it comes from: an upload that still moves may take its time.
    connection: Arc<Connection>,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, connection: Arc<Connection>) -> Self {
        Self { inner, connection }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) if frame.is_data() => {
                if self.inner.is_end_stream() {
                    self.connection.uploaded();
                } else {
                    self.connection.uploading();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Ok(_)) | None => {
                self.connection.uploaded();
                Poll::Ready(None)
            }
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
