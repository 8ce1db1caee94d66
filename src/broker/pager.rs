//! Reads from the store what destinations want back in memory, tells them when their horizon is
//! durable, and empties queues: what a destination, or an operator, asks for and does not wait for.
//!
//! A value first: `step` does what is due. In production a thread calls it whenever there is news.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex};

use super::cell::{Cell, Destination, Work};
use super::shared::Shared;
use crate::core::{
    Effects, Now, PageReader, PageRequest, Position, Queue, Sequence, StoredMessage, StoredPage,
};
use crate::store::{Durable, PageLimit, StoreError, Writer};

/// What a destination asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    /// Messages from the store.
    Page(PageRequest),
    /// To hear that all changes so far, the horizon at this position among them, are durable.
    Horizon(Position),
    /// That the messages of a queue up to a position are dropped; those before `from` that wait on disk
    /// are.
    Purge { from: Position, until: Position },
}

/// As many messages are dropped from memory under one lock.
const PURGE_STEP: usize = 1_000;

/// About as many bytes of messages are dropped from disk at once.
const PURGE_BYTES: u64 = 256 * 1024;

/// What is left of a queue that is being emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    /// Something in memory, as far as the step went.
    InMemory,
    OnDisk,
}

#[derive(Debug)]
struct Task {
    cell: Arc<Cell>,
    wish: Wish,
    /// All that the answer depends on is committed once the log is committed up to here.
    after: Sequence,
}

/// The queue of wishes.
#[derive(Debug, Default)]
pub(super) struct Pager {
    inner: Mutex<Inner>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    tasks: VecDeque<Task>,
    /// Something may have become due since `step` last looked.
    news: bool,
    stopped: bool,
}

impl Pager {
    /// Notes a wish.
    pub(super) fn ask(self: &Arc<Self>, cell: Arc<Cell>, wish: Wish, writer: &Writer) {
        let after = match wish {
            // A page is read at once, unless it is for something certain; only when that brings nothing
            // does it depend on the log.
            Wish::Page(_) => writer.last_sequence(),
            Wish::Horizon(_) | Wish::Purge { .. } => {
                writer.sync(&(Arc::clone(self) as Arc<dyn Durable>))
            }
        };
        let mut inner = self.inner.lock();
        inner.tasks.push_back(Task { cell, wish, after });
        inner.news = true;
        self.news.notify_one();
    }

    /// Does what is due. Returns whether anything was.
    pub(super) fn step(self: &Arc<Self>, shared: &Shared) -> bool {
        let tasks = {
            let mut inner = self.inner.lock();
            inner.news = false;
            std::mem::take(&mut inner.tasks)
        };
        let mut done = false;
        let mut undone = VecDeque::new();
        for task in tasks {
            if self.attempt(shared, &task) {
                done = true;
            } else {
                undone.push_back(task);
            }
        }
        let mut inner = self.inner.lock();
        undone.append(&mut inner.tasks);
        inner.tasks = undone;
        done
    }

    /// Fulfils a wish, if it can be by now.
    fn attempt(self: &Arc<Self>, shared: &Shared, task: &Task) -> bool {
        let committed = shared.writer.committed() >= task.after;
        match task.wish {
            Wish::Horizon(position) => {
                if !committed {
                    return false;
                }
                let now = shared.clock.now();
                Work::run(shared, now, |work| {
                    task.cell.with(shared, work, None, |state, effects, _| {
                        if let Destination::Queue(queue) = &mut state.destination {
                            queue.horizon_durable(now, position, effects);
                        }
                    });
                });
                true
            }
            Wish::Purge { .. } if !committed => false,
            Wish::Purge { from, until } => {
                self.purge(shared, &task.cell, from, until);
                true
            }
            // What is not committed yet would be taken for lost.
            Wish::Page(request) if !committed && is_exact(request.reader) => {
                self.attempt_later(shared, task)
            }
            Wish::Page(request) => match read(shared, &task.cell, request) {
                Ok(page) if page.messages.is_empty() && !committed => {
                    self.attempt_later(shared, task)
                }
                Ok(mut page) => {
                    page.exhausted &= committed;
                    task.cell.page_in(shared, shared.clock.now(), request, page);
                    true
                }
                Err(error) => {
                    shared.report_failure(&error);
                    true
                }
            },
        }
    }

    /// Takes one step of emptying a queue, and asks for the next.
    fn purge(self: &Arc<Self>, shared: &Shared, cell: &Arc<Cell>, from: Position, until: Position) {
        let next = match drop_some(shared, cell, until, None) {
            Left::InMemory => from,
            Left::OnDisk if from <= until => drop_page(shared, cell, from, until),
            Left::Nothing | Left::OnDisk => {
                return change_queue(shared, cell, |now, queue, effects| {
                    queue.end_purge(now, effects);
                });
            }
        };
        let wish = Wish::Purge { from: next, until };
        self.ask(Arc::clone(cell), wish, &shared.writer);
    }

    /// Fulfils a wish once all that was asked before is committed.
    fn attempt_later(self: &Arc<Self>, shared: &Shared, task: &Task) -> bool {
        shared.writer.sync(&(Arc::clone(self) as Arc<dyn Durable>));
        shared.writer.committed() >= task.after && self.attempt(shared, task)
    }

    /// The thread: fulfils wishes until the broker stops.
    pub(super) fn run(self: &Arc<Self>, shared: &Weak<Shared>) {
        loop {
            {
                let mut inner = self.inner.lock();
                while !inner.news && !inner.stopped {
                    self.news.wait(&mut inner);
                }
                if inner.stopped {
                    return;
                }
            }
            let Some(shared) = shared.upgrade() else {
                return;
            };
            self.step(&shared);
        }
    }

    /// Ends the thread.
    pub(super) fn stop(&self) {
        self.inner.lock().stopped = true;
        self.news.notify_one();
    }

    fn look_again(&self) {
        self.inner.lock().news = true;
        self.news.notify_one();
    }
}

impl Durable for Pager {
    fn durable(&self, _up_to: Sequence) {
        self.look_again();
    }

    fn cancelled(&self, _sequence: Sequence) {}

    fn failed(&self, _cause: &str) {}

    fn room(&self) {}
}

/// Whether a reader wants exactly what the queue has, so that what is not committed yet counts.
fn is_exact(reader: PageReader) -> bool {
    match reader {
        PageReader::Aside | PageReader::Browser(_) => true,
        PageReader::Queue | PageReader::Subscription(_) => false,
    }
}

/// Drops what one page of the store shows. Returns where the next one starts.
fn drop_page(shared: &Shared, cell: &Arc<Cell>, from: Position, until: Position) -> Position {
    let request = PageRequest {
        reader: PageReader::Queue,
        from,
        priority: None,
        bytes: PURGE_BYTES,
    };
    match read(shared, cell, request) {
        Ok(page) => {
            drop_some(shared, cell, until, Some(&page));
            if page.exhausted || page.resume_at > until {
                until.next()
            } else {
                page.resume_at
            }
        }
        Err(error) => {
            shared.report_failure(&error);
            until.next()
        }
    }
}

/// Drops a part of a queue's messages up to a position, and those that a page shows.
fn drop_some(
    shared: &Shared,
    cell: &Arc<Cell>,
    until: Position,
    page: Option<&StoredPage>,
) -> Left {
    let mut left = Left::Nothing;
    change_queue(shared, cell, |now, queue, effects| {
        if let Some(page) = page {
            queue.purge_page(until, page, effects);
        }
        if queue.purge(now, until, PURGE_STEP, effects) {
            left = Left::InMemory;
        } else if queue.has_on_disk() {
            left = Left::OnDisk;
        }
    });
    left
}

/// Changes a queue that has not ended.
fn change_queue(
    shared: &Shared,
    cell: &Arc<Cell>,
    change: impl FnOnce(Now, &mut Queue, &mut Effects),
) {
    let now = shared.clock.now();
    Work::run(shared, now, |work| {
        cell.with(shared, work, None, |state, effects, _| {
            if let Destination::Queue(queue) = &mut state.destination
                && !state.gone
            {
                change(now, queue, effects);
            }
        });
    });
}

fn read(shared: &Shared, cell: &Cell, request: PageRequest) -> Result<StoredPage, StoreError> {
    let limit = PageLimit {
        messages: usize::MAX,
        bytes: usize::try_from(request.bytes).unwrap_or(usize::MAX),
    };
    let page = shared
        .reader
        .read(cell.id, request.from, request.priority, limit)?;
    Ok(StoredPage {
        messages: page
            .messages
            .into_iter()
            .map(|(position, message, state)| StoredMessage {
                position,
                message: Arc::new(message),
                state,
            })
            .collect(),
        resume_at: page.resume_at,
        exhausted: page.exhausted,
    })
}
