//! The driver of one connection: bytes between a socket, its session and the broker. It knows no
//! word of any protocol.
//!
//! One task with a hand-written `poll`: mail is taken in, deliveries are encoded and written, then
//! one read is taken and submitted; all within a budget, so that a busy peer does not delay others.
//! A connection owns no read buffer: reads go to a buffer of the thread, and only the bytes of an
//! unfinished frame are kept.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::count::Tallies;
use crate::broker::{Clock, Connection};
use crate::core::{Completion, Now, Request, Tick};
use crate::protocol::{Code, Departure, Session};

/// How many pieces one vectored write takes.
const PIECES: usize = 32;

/// An unfinished frame of at most this many bytes is put in front of the next read.
const UNFINISHED_MAX: usize = 16 * 1024;

/// How many writes one poll takes, so that a consumer with a long backlog does not delay others.
const WRITES: usize = 4;

/// How often a commit is put off because other connections are busy, before the writer's thread is
/// woken for it.
const LEAD_PUT_OFF: u32 = 1;

/// How long, and for how many bytes, a closing connection reads on so that its peer can read the
/// last words before the system resets the connection.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// How much one poll may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Bytes of one read.
    pub(super) read: usize,
    /// Bytes encoded ahead of the socket.
    pub(super) write: usize,
}

thread_local! {
    /// Where this thread's connections read to.
    static READ_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// How often a connection had this thread.
    static TURNS: Cell<u64> = const { Cell::new(0) };
}

/// Why a connection ended, for the log and the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The session said so.
    Session(Departure),
    /// The peer closed its side, or the socket broke.
    Gone,
}

/// The task of one connection. Resolves when the connection is over and the broker has taken back
/// what it held.
pub(super) struct Driver<S> {
    socket: S,
    session: Box<dyn Session>,
    connection: Option<Connection>,
    clock: Clock,
    budget: Budget,
    tallies: Tallies,
    /// The bytes of an unfinished frame.
    unfinished: Vec<u8>,
    requests: Vec<Request>,
    completions: Vec<Completion>,
    timer: Option<Pin<Box<Sleep>>>,
    timer_at: Tick,
    stage: Stage,
    /// The thread's turn before this one, while a commit is to be made; and how often it was put off.
    leading: Option<(u64, u32)>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Open,
    /// A commit on its way has to arrive before the broker lets go of the connection.
    Leaving(Ending),
    /// The broker has let go; the last bytes go out.
    Flushing(Ending),
    /// Nothing more is sent; what comes is thrown away until the peer closes too.
    Lingering(Ending, usize),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    pub(super) fn new(
        socket: S,
        session: Box<dyn Session>,
        mut connection: Connection,
        clock: Clock,
        budget: Budget,
        tallies: Tallies,
    ) -> Self {
        connection.set_leads();
        Self {
            socket,
            session,
            connection: Some(connection),
            clock,
            budget,
            tallies,
            unfinished: Vec::new(),
            requests: Vec::new(),
            completions: Vec::new(),
            timer: None,
            timer_at: Tick(u64::MAX),
            stage: Stage::Open,
            leading: None,
        }
    }

    /// One turn of an open connection.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        let now = self.clock.now();
        self.poll_timer(cx, now);
        let mut reads = 0;
        loop {
            self.collect(now);
            if self.poll_flush(cx, now).is_err() {
                return Poll::Ready(Ending::Gone);
            }
            if let Some(departure) = self.session.closing() {
                return Poll::Ready(Ending::Session(departure));
            }
            if !self.wants_read() {
                break;
            }
            if reads == 1 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.poll_read(cx, now) {
                Poll::Pending => break,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ending::Gone),
                Poll::Ready(Ok(count)) => reads += usize::from(count == self.budget.read),
            }
        }
        self.arm_timer(cx, now);
        let asleep = self
            .connection
            .as_ref()
            .is_none_or(|c| c.outbox().sleep(cx.waker()));
        if !asleep {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn wants_read(&self) -> bool {
        !self.session.is_congested()
            && self
                .connection
                .as_ref()
                .is_some_and(|connection| !connection.is_blocked())
    }

    /// Takes the mail in: what is durable, what completes, and as many deliveries as the socket's
    /// budget allows.
    fn collect(&mut self, now: Now) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let mail = connection.collect(now, &mut self.completions);
        // Before the news of the log: a request has to be known as waiting when its wait is over.
        for completion in self.completions.drain(..) {
            self.session.complete(now, completion);
        }
        if mail.durable.0 > 0 {
            self.session.durable(now, std::mem::take(&mut mail.durable));
        }
        for sequence in mail.cancelled.drain(..) {
            self.session.cancelled(now, sequence);
        }
        if let Some(cause) = mail.failed.take() {
            self.session.store_failed(now, &cause);
        }
        if std::mem::take(&mut mail.stop) {
            self.session.shut_down(now);
        }
        let mut bytes = 0;
        while self.session.transmit().len() < self.budget.write {
            let Some(delivery) = mail.deliveries.pop_front() else {
                break;
            };
            bytes += delivery.message.footprint();
            self.session.deliver(&delivery);
        }
        if bytes > 0 {
            connection.encoded(now, bytes);
        }
    }

    /// Writes what waits, as far as the socket takes it, and encodes more behind it.
    fn poll_flush(&mut self, cx: &mut Context<'_>, now: Now) -> io::Result<()> {
        for _ in 0..WRITES {
            if self.session.transmit().is_empty() {
                return Ok(());
            }
            match poll_write(&mut self.socket, self.session.as_mut(), cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(written) => {
                    let written = written?;
                    self.tallies.sent(written);
                    self.session.transmitted(now, written, &mut self.requests);
                    self.submit(now);
                }
            }
            self.collect(now);
        }
        if !self.session.transmit().is_empty() {
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    fn submit(&mut self, now: Now) {
        if let Some(connection) = &mut self.connection {
            connection.submit(now, &mut self.requests, &mut self.completions);
        }
    }

    /// Reads once and submits what the peer asks. The bytes of an unfinished frame are put in front of
    /// the new ones, unless there are so many of them that the new ones had better be put behind.
    fn poll_read(&mut self, cx: &mut Context<'_>, now: Now) -> Poll<io::Result<usize>> {
        READ_BUFFER.with(|buffer| {
            let mut buffer = buffer.borrow_mut();
            buffer.resize(self.budget.read + UNFINISHED_MAX, 0);
            let kept = if self.unfinished.len() <= UNFINISHED_MAX {
                self.unfinished.len()
            } else {
                0
            };
            let (front, back) = buffer.split_at_mut(kept);
            let mut read = ReadBuf::new(back.get_mut(..self.budget.read).unwrap_or_default());
            ready!(Pin::new(&mut self.socket).poll_read(cx, &mut read))?;
            let count = read.filled().len();
            self.tallies.received(count);
            if kept > 0 {
                front.copy_from_slice(&self.unfinished);
                self.unfinished.clear();
            }
            self.receive(now, buffer.get(..kept + count).unwrap_or_default());
            self.submit(now);
            if let Some(connection) = &mut self.connection {
                let arriving = self.session.arriving() + self.unfinished.capacity();
                connection.set_arriving(now, arriving);
            }
            Poll::Ready(Ok(count))
        })
    }

    /// Offers bytes to the session and keeps those of an unfinished frame.
    fn receive(&mut self, now: Now, bytes: &[u8]) {
        if self.unfinished.is_empty() {
            let consumed = self.session.receive(now, bytes, &mut self.requests);
            self.unfinished
                .extend_from_slice(bytes.get(consumed..).unwrap_or_default());
        } else {
            self.unfinished.extend_from_slice(bytes);
            let consumed = self
                .session
                .receive(now, &self.unfinished, &mut self.requests);
            self.unfinished.drain(..consumed.min(self.unfinished.len()));
        }
        if self.unfinished.is_empty() && self.unfinished.capacity() > 0 {
            self.unfinished = Vec::new();
        }
    }

    fn deadline(&self) -> Option<Tick> {
        let own = self.connection.as_ref().and_then(Connection::deadline);
        match (self.session.deadline(), own) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Does what is due, if the timer has fired.
    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Now) {
        let fired = self
            .timer
            .as_mut()
            .is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if !fired {
            return;
        }
        self.timer = None;
        self.timer_at = Tick(u64::MAX);
        let reading = self.wants_read();
        self.session.expire(now, reading);
        if let Some(connection) = &mut self.connection {
            connection.expire(now, &mut self.completions);
            if let Some(refusal) = connection.refuses_arriving(now) {
                self.session.refuse_arriving(now, &refusal);
            }
        }
    }

    /// Sees to it that the timer fires when something is due. A timer that fires too early is cheaper
    /// than one that is set again for each frame.
    fn arm_timer(&mut self, cx: &mut Context<'_>, now: Now) {
        let Some(deadline) = self.deadline().filter(|deadline| *deadline < self.timer_at) else {
            return;
        };
        let wait = Duration::from_millis(deadline.0.saturating_sub(now.tick.0).max(1));
        let at = Instant::now() + wait;
        self.timer_at = deadline;
        let timer = match &mut self.timer {
            Some(timer) => {
                timer.as_mut().reset(at);
                timer
            }
            none => none.insert(Box::pin(tokio::time::sleep_until(at))),
        };
        if timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }

    /// Gives back what the connection held, once no commit is on its way any more.
    fn poll_leave(&mut self, cx: &mut Context<'_>, ending: Ending) -> Poll<()> {
        let now = self.clock.now();
        if let Some(connection) = &mut self.connection {
            connection.collect(now, &mut self.completions);
            if connection.is_committing() {
                if !connection.outbox().sleep(cx.waker()) {
                    cx.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
        }
        let session = &self.session;
        let clean = ending == Ending::Session(Departure::Clean);
        if let Some(connection) = self.connection.take() {
            connection.disconnect(now, |subscription| {
                (!clean).then(|| session.written(subscription))
            });
        }
        Poll::Ready(())
    }

    /// Sends the last bytes and closes the sending side.
    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = self.clock.now();
        if let Poll::Ready(()) = self.poll_linger_timer(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        while !self.session.transmit().is_empty() {
            let written = ready!(poll_write(&mut self.socket, self.session.as_mut(), cx))?;
            self.session.transmitted(now, written, &mut self.requests);
            self.requests.clear();
        }
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    /// Throws away what still comes. Resolves when the peer has closed, or enough is enough.
    fn poll_linger(&mut self, cx: &mut Context<'_>, discarded: &mut usize) -> Poll<()> {
        READ_BUFFER.with(|buffer| {
            let mut buffer = buffer.borrow_mut();
            buffer.resize(self.budget.read, 0);
            while *discarded < LINGER_BYTES {
                let mut read = ReadBuf::new(&mut buffer);
                match Pin::new(&mut self.socket).poll_read(cx, &mut read) {
                    Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                        *discarded += read.filled().len();
                    }
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return self.poll_linger_timer(cx),
                }
            }
            Poll::Ready(())
        })
    }

    fn poll_linger_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)))
            .as_mut()
            .poll(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    /// How it ended, and the last error that the peer was told.
    type Output = (Ending, Option<Code>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.lead();
        let turn = this.poll_to_end(cx);
        this.call_again_to_lead(cx);
        let ending = ready!(turn);
        this.tallies.take(this.session.report());
        this.tallies.end();
        Poll::Ready((ending, this.tallies.last_error()))
    }
}

impl<S> Driver<S> {
    /// Makes the commit that the last turn was asked for, if no other connection had the thread since;
    /// with others waiting for the thread, the writer's thread does it.
    fn lead(&mut self) {
        let turn = TURNS.get();
        TURNS.set(turn.wrapping_add(1));
        let (Some(connection), Some((before, put_off))) =
            (&mut self.connection, self.leading.take())
        else {
            return;
        };
        let alone = before == turn;
        if alone || put_off == LEAD_PUT_OFF {
            connection.lead(self.clock.now(), alone);
        } else {
            self.leading = Some((before, put_off + 1));
        }
    }

    /// Lets others who wait for the thread go first, if a commit is to be made.
    fn call_again_to_lead(&mut self, cx: &Context<'_>) {
        if self.connection.as_ref().is_some_and(Connection::is_leading) {
            let put_off = self.leading.map_or(0, |(_, put_off)| put_off);
            self.leading = Some((TURNS.get(), put_off));
            cx.waker().wake_by_ref();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    fn poll_to_end(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        let this = self;
        loop {
            match this.stage {
                Stage::Open => {
                    let turn = this.poll_open(cx);
                    this.tallies.take(this.session.report());
                    let ending = ready!(turn);
                    this.stage = Stage::Leaving(ending);
                }
                Stage::Leaving(ending) => {
                    ready!(this.poll_leave(cx, ending));
                    this.timer = None;
                    this.stage = Stage::Flushing(ending);
                }
                Stage::Flushing(ending) => {
                    if ending == Ending::Gone || ready!(this.poll_last_words(cx)).is_err() {
                        return Poll::Ready(ending);
                    }
                    this.stage = Stage::Lingering(ending, 0);
                }
                Stage::Lingering(ending, mut discarded) => {
                    let over = this.poll_linger(cx, &mut discarded);
                    this.stage = Stage::Lingering(ending, discarded);
                    ready!(over);
                    return Poll::Ready(ending);
                }
            }
        }
    }
}

/// Writes once and takes off what the socket took.
fn poll_write<S: AsyncWrite + Unpin>(
    socket: &mut S,
    session: &mut dyn Session,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let transmit = session.transmit();
    let mut slices = [IoSlice::new(&[]); PIECES];
    let filled = transmit.slices(&mut slices);
    let pieces = slices.get(..filled).unwrap_or_default();
    let written = ready!(Pin::new(socket).poll_write_vectored(cx, pieces))?;
    if written == 0 {
        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
    }
    transmit.advance(written);
    Poll::Ready(Ok(written))
}
