//! A connection on which the request target arrives as it was sent.
//!
//! A request target has no fragment. One that has is cut off before it by the HTTP library, so that it would be taken for
//! another target. Here its `#` becomes a `!`, which no listed path contains.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The place in what a client sends.
///
/// A request may begin anywhere on a line, because the body before it need not end with one. So a target is recognised by the
/// method before it alone. In a header or a body the same pattern is rare, and nobody depends on its `#`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// After a capital letter, which may be the last one of a method.
    Method,
    /// After the space that follows it.
    Space,
    /// Within what may be a target.
    Target,
    /// There, after a capital letter: the target of a body may end in the method of a request.
    TargetMethod,
    /// Elsewhere.
    Other,
}

impl Place {
    /// Advances by one byte, and replaces it if it begins a fragment.
    fn pass(self, byte: &mut u8) -> Self {
        match (self, *byte) {
            (Self::Target | Self::TargetMethod, b'#') => {
                *byte = b'!';
                Self::Target
            }
            (Self::Target | Self::TargetMethod, b'A'..=b'Z') => Self::TargetMethod,
            (Self::Method | Self::TargetMethod, b' ') => Self::Space,
            (Self::Target | Self::TargetMethod, byte) if !byte.is_ascii_whitespace() => Self::Target,
            (_, b'A'..=b'Z') => Self::Method,
            (Self::Space, b'/') => Self::Target,
            _ => Self::Other,
        }
    }
}

/// A connection on which the request target arrives as it was sent.
#[derive(Debug)]
pub(super) struct ExactTargets<S> {
    stream: S,
    /// `None` if nothing is to be replaced.
    place: Option<Place>,
}

impl<S> ExactTargets<S> {
    pub(super) fn new(stream: S, exact: bool) -> Self {
        Self { stream, place: exact.then_some(Place::Other) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ExactTargets<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if let (Some(mut place), Some(new)) = (self.place, buffer.filled_mut().get_mut(before..)) {
            for byte in new {
                place = place.pass(byte);
            }
            self.place = Some(place);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ExactTargets<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn received(sent: &str, exact: bool) -> String {
        let mut text = String::new();
        ExactTargets::new(sent.as_bytes(), exact).read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn only_the_fragment_of_a_request_target_is_replaced() {
        let sent = "GET /a#b#c HTTP/1.1\r\nHost: #1\r\nX-A: a /#\r\n\r\nPOST /#x HTTP/1.1\r\n\r\n#body";
        let expected = "GET /a!b!c HTTP/1.1\r\nHost: #1\r\nX-A: a /#\r\n\r\nPOST /!x HTTP/1.1\r\n\r\n#body";
        assert_eq!(received(sent, true).await, expected);
        assert_eq!(received(sent, false).await, sent);
    }

    #[tokio::test]
    async fn a_request_may_follow_a_body_that_does_not_end_with_a_line() {
        for body in ["", "x", ":", "{\"a\": 1}", "GET /", "PUT ", "5 "] {
            let sent = format!("{body}GET /a#b HTTP/1.1\r\n\r\n");
            let received = received(&sent, true).await;
            assert_eq!(received, sent.replace('#', "!"), "{body}");
        }
    }

    #[test]
    fn a_request_may_arrive_in_pieces() {
        let mut place = Place::Other;
        let mut bytes = b"\r\nOPTIONS /ivp#".to_vec();
        for byte in &mut bytes {
            place = place.pass(byte);
        }
        assert_eq!((place, bytes.last()), (Place::Target, Some(&b'!')));
    }
}
