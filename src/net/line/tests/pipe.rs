//! A pipe that is cut anywhere and ready only now and then.

use super::*;

/// One end of a pipe in memory.
pub(super) struct Choppy {
    pipe: DuplexStream,
    /// How much each read or write may move in turn; 0 makes it wait.
    steps: Vec<usize>,
    /// How many steps were taken, reading and writing.
    at: [usize; 2],
    /// How often it was read, and how much has come.
    pub(super) reads: usize,
    pub(super) read: usize,
}

impl Choppy {
    /// A pipe and its other end, which holds `size` bytes each way. No steps are no limit.
    pub(super) fn new(size: usize, steps: &[usize]) -> (Self, DuplexStream) {
        let (pipe, far) = tokio::io::duplex(size);
        let steps = if steps.iter().all(|&step| step == 0) { vec![usize::MAX] } else { steps.to_vec() };
        (Self { pipe, steps, at: [0; 2], reads: 0, read: 0 }, far)
    }

    fn step(&mut self, cx: &Context<'_>, way: usize) -> Poll<usize> {
        let step = self.steps[self.at[way] % self.steps.len()];
        self.at[way] += 1;
        if step == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(step)
    }
}

impl AsyncRead for Choppy {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let most = ready!(this.step(cx, 0)).min(buffer.remaining());
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.pipe).poll_read(cx, &mut piece))?;
        let read = piece.filled().len();
        buffer.advance(read);
        this.reads += 1;
        this.read += read;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Choppy {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let most = ready!(this.step(cx, 1)).min(bytes.len());
        Pin::new(&mut this.pipe).poll_write(cx, &bytes[..most])
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().pipe).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().pipe).poll_shutdown(cx)
    }
}
