//! Bodies on their way through: streamed, never collected.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::connection::Connection;
use super::core::Exchange;
use super::upstream::Lease;

/// A request's body towards the application. Trailers end here: a field that arrives after the head was judged never
/// reaches the application (X06).
pub(super) enum RequestBody {
    Streamed {
        inner: Incoming,
        /// Where it comes from: an upload that still moves may take its time.
        connection: Arc<Connection>,
    },
    /// It was read before it goes on.
    Whole(Bytes),
}

impl RequestBody {
    pub(super) const fn new(inner: Incoming, connection: Arc<Connection>) -> Self {
        Self::Streamed { inner, connection }
    }

    pub(super) const fn whole(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let (inner, connection) = match &mut *self {
            Self::Streamed { inner, connection } => (inner, connection),
            Self::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Self::Whole(bytes) => return Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
        };
        match ready!(Pin::new(&mut *inner).poll_frame(cx)) {
            Some(Ok(frame)) if frame.is_data() => {
                if inner.is_end_stream() {
                    connection.uploaded();
                } else {
                    connection.uploading();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Ok(_)) | None => {
                connection.uploaded();
                Poll::Ready(None)
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Streamed { inner, .. } => inner.is_end_stream(),
            Self::Whole(bytes) => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Streamed { inner, .. } => inner.size_hint(),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
        }
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
    Streamed {
        inner: Incoming,
        lease: Option<Lease>,
    },
    /// Of which the first part was looked at before it goes on.
    Begun {
        first: VecDeque<Bytes>,
        rest: Box<Body>,
    },
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

    /// Looks at the first `limit` bytes, or at what is there after `patience`; they go on with the rest.
    ///
    /// # Errors
    /// The application broke off.
    pub(super) async fn begun(mut self, limit: usize, patience: Duration) -> Result<(Self, Vec<u8>), hyper::Error> {
        let (mut first, mut seen) = (VecDeque::new(), Vec::new());
        let reading = async {
            while seen.len() < limit {
                let Some(frame) = self.frame().await else { break };
                if let Ok(data) = frame?.into_data() {
                    seen.extend_from_slice(&data);
                    first.push_back(data);
                }
            }
            Ok::<(), hyper::Error>(())
        };
        if let Ok(read) = tokio::time::timeout(patience, reading).await {
            read?;
        }
        seen.truncate(limit);
        let exchange = self.exchange.take();
        Ok((Self { kind: Kind::Begun { first, rest: Box::new(self) }, exchange }, seen))
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
            Kind::Begun { first, rest } => match first.pop_front() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => Pin::new(&mut **rest).poll_frame(cx),
            },
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
            Kind::Begun { first, rest } => first.is_empty() && rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Streamed { inner, .. } => inner.size_hint(),
            Kind::Begun { first, rest } => {
                let begun: u64 = first.iter().map(|bytes| bytes.len() as u64).sum();
                match rest.size_hint().exact() {
                    Some(rest) => SizeHint::with_exact(begun.saturating_add(rest)),
                    None => SizeHint::default(),
                }
            }
        }
    }
}
