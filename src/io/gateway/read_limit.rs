//! A limit on the number of bytes that are read from a connection.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::base::causes::causes;

/// A connection on which reading fails with [`LimitExceeded`] once more than a given number of bytes has arrived.
#[derive(Debug)]
pub(super) struct ReadLimited<S> {
    inner: S,
    /// The number of bytes that may still arrive; `None` when more have arrived.
    left: Option<usize>,
}

/// The error when too many bytes have arrived.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the response exceeds the size limit")]
pub(super) struct LimitExceeded;

impl LimitExceeded {
    /// Returns whether this caused `error`.
    pub(super) fn is_in(error: &(dyn StdError + 'static)) -> bool {
        causes(error).any(<dyn StdError>::is::<Self>)
    }
}

impl<S> ReadLimited<S> {
    /// Limits reading to about `limit` bytes, rounded up to a whole buffer.
    pub(super) const fn new(inner: S, limit: usize) -> Self {
        Self { inner, left: Some(limit) }
    }

    /// Returns the connection, without a limit.
    pub(super) fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadLimited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(left) = self.left else { return Poll::Ready(Err(io::Error::other(LimitExceeded))) };
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        // These bytes are still returned; only the next read fails.
        self.left = left.checked_sub(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadLimited<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn reading_fails_after_too_many_bytes() {
        let mut whole = Vec::new();
        ReadLimited::new(&b"12345"[..], 5).read_to_end(&mut whole).await.unwrap();
        assert_eq!(whole, b"12345");
        let error = ReadLimited::new(&b"123456"[..], 5).read_to_end(&mut whole).await.unwrap_err();
        assert!(LimitExceeded::is_in(&error));
        assert!(!LimitExceeded::is_in(&io::Error::other("another")));
    }
}
