//! Messages that are sent on later: at their time they go where any sender's would, and leave the
//! schedule, or have their next time noted, in the same change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Broker;
use super::cell::Work;
use super::routing::sendings;
use super::shared::Shared;
use crate::core::{
    ConnectionId, DestinationId, DestinationName, DueRange, Fired, Forward, JobState, Jobs,
    Message, MessageId, Now, Persist, Position, Refusal, Sequence, StoredMessage, Tick, Timestamp,
    told,
};
use crate::store::{Durable, PageLimit, StoreError};

/// Jobs of before the start are read so many bytes at a time.
const PAGE: PageLimit = PageLimit {
    messages: usize::MAX,
    bytes: 1 << 20,
};

/// At least this often the wall clock is looked at while there are jobs, in milliseconds: it may step.
const LOOK: u64 = 30_000;

/// When a job is tried again whose message is still on its way to the store, in milliseconds.
const SOON: u64 = 20;

/// When a job is tried again that cannot be sent on for now, in milliseconds.
const LATER: u64 = 1_000;

/// At most so many are told of in one answer.
const TOLD: usize = 1000;

/// The schedule of a broker.
#[derive(Debug)]
pub(super) struct Scheduler {
    jobs: Mutex<Jobs>,
    /// How many jobs there may be.
    limit: usize,
    /// Who sends what comes more than once.
    sender: ConnectionId,
    sent: AtomicU64,
}

impl Scheduler {
    pub(super) fn new(jobs: Jobs, limit: usize, sender: ConnectionId) -> Self {
        Self {
            jobs: Mutex::new(jobs),
            limit,
            sender,
            sent: AtomicU64::new(0),
        }
    }

    /// How many jobs there are, as far as they have been read.
    pub(super) fn count(&self) -> usize {
        self.jobs.lock().len()
    }

    /// Why no job can be added, if so.
    pub(super) fn refuses(&self) -> Option<Refusal> {
        let actual = self.count();
        (actual >= self.limit).then_some(Refusal::NoRoom {
            what: "the schedule",
            key: "limits.max_scheduled",
            actual: actual as u64,
            limit: self.limit as u64,
        })
    }

    /// Schedules a message. Returns the change to wait for, if its sender wants to hear of it and there
    /// is one.
    pub(super) fn add(
        &self,
        shared: &Shared,
        message: &Arc<Message>,
        waiter: Option<&Arc<dyn Durable>>,
    ) -> Option<Sequence> {
        let due = message.job.as_ref()?.due;
        let mut changes = Vec::new();
        let mut jobs = self.jobs.lock();
        let (position, change) = jobs.reserve(message, &mut changes);
        let awaited: Vec<_> = change.filter(|_| waiter.is_some()).into_iter().collect();
        let first = append(shared, &mut changes, &awaited, waiter);
        book(shared, &mut jobs, |jobs| jobs.place(position, message, due));
        drop(jobs);
        shared.timers.nudge();
        let (first, change) = first.zip(change)?;
        Some(Sequence(first.0 + change as u64))
    }

    /// Keeps a place for a job of a transaction, and gathers the change that stores it; what defines
    /// the schedule goes ahead.
    pub(super) fn reserve(
        &self,
        shared: &Shared,
        message: &Arc<Message>,
        changes: &mut Vec<Persist>,
    ) -> Position {
        let mut own = Vec::new();
        let mut jobs = self.jobs.lock();
        let (position, change) = jobs.reserve(message, &mut own);
        changes.extend(change.and_then(|_| own.pop()));
        append(shared, &mut own, &[], None);
        position
    }

    /// Lets a job of a transaction take effect.
    pub(super) fn place(&self, shared: &Shared, position: Position, message: &Arc<Message>) {
        if let Some(job) = &message.job {
            let mut jobs = self.jobs.lock();
            book(shared, &mut jobs, |jobs| {
                jobs.place(position, message, job.due);
            });
            drop(jobs);
            shared.timers.nudge();
        }
    }

    /// When something is to be done.
    pub(super) fn next(&self, now: Now) -> Option<Tick> {
        let jobs = self.jobs.lock();
        if jobs.unread().is_some() {
            return Some(now.tick);
        }
        let Timestamp(due) = jobs.next()?;
        Some(now.tick.after(due.saturating_sub(now.wall.0).min(LOOK)))
    }

    /// Reads a page of jobs of before the start, and sends one on that is due. Returns whether there was
    /// anything to do.
    pub(super) fn step(&self, shared: &Shared) -> bool {
        let read = self.read_some(shared);
        self.fire_one(shared, shared.clock.now()) || read
    }

    fn read_some(&self, shared: &Shared) -> bool {
        let (id, from) = {
            let jobs = self.jobs.lock();
            let Some(from) = jobs.unread() else {
                return false;
            };
            (jobs.id(), from)
        };
        match read(shared, id, from, PAGE) {
            Ok((stored, next)) => self.jobs.lock().read(&stored, next),
            Err(error) => {
                shared.report_failure(&error);
                self.jobs.lock().read(&[], None);
            }
        }
        true
    }

    fn fire_one(&self, shared: &Shared, now: Now) -> bool {
        let Some((state, held)) = self.jobs.lock().due(now.wall) else {
            return false;
        };
        let message = match held {
            Some(message) => Ok(Some(message)),
            None => self.fetch(shared, state.id),
        };
        let message = match message {
            Ok(Some(message)) => message,
            Ok(None) => return self.postpone(state, now, SOON),
            Err(error) => {
                shared.report_failure(&error);
                return self.postpone(state, now, LATER);
            }
        };
        let Some(job) = message.job.clone() else {
            self.end(shared, state.id);
            return true;
        };
        let again = self.next_id();
        let times = (state.due, state.times);
        let fired = job.fire(&message, state.id, times, now.wall, again);
        let sent = match fired.message.job {
            Some(_) => self.begin_series(shared, state, fired),
            None => self.send_on(shared, now, state, fired),
        };
        sent.unwrap_or_else(|refusal| {
            tracing::warn!(
                target: "tidegate::schedule",
                to = %job.target,
                %refusal,
                "a scheduled message has to wait"
            );
            self.postpone(state, now, LATER)
        })
    }

    /// A tick of the calendar begins a series: it is a job of its own.
    fn begin_series(
        &self,
        shared: &Shared,
        state: JobState,
        fired: Fired,
    ) -> Result<bool, Refusal> {
        let Fired { message, next, .. } = fired;
        let Some(due) = message.job.as_ref().map(|job| job.due) else {
            return Ok(true);
        };
        self.refuses().map_or(Ok(()), Err)?;
        let mut changes = Vec::new();
        let mut jobs = self.jobs.lock();
        if jobs.state(state.id) == Some(state) {
            let (position, _) = jobs.reserve(&message, &mut changes);
            book(shared, &mut jobs, |jobs| {
                jobs.place(position, &message, due);
                changes.extend(jobs.fired(state.id, next));
            });
            append(shared, &mut changes, &[], None);
        }
        Ok(true)
    }

    /// Sends a message on. What its job is from here on is noted with the last of its copies.
    fn send_on(
        &self,
        shared: &Shared,
        now: Now,
        state: JobState,
        fired: Fired,
    ) -> Result<bool, Refusal> {
        let Fired { message, to, next } = fired;
        let targets = sendings(shared, self.sender, &to, &message)?;
        let mut changes = Vec::new();
        {
            let mut jobs = self.jobs.lock();
            // Meanwhile somebody may have cancelled it.
            if jobs.state(state.id) != Some(state) {
                return Ok(true);
            }
            book(shared, &mut jobs, |jobs| {
                changes.extend(jobs.fired(state.id, next));
            });
        }
        Work::run(shared, now, |work| {
            let last = targets.len().saturating_sub(1);
            for (index, (cell, message)) in targets.into_iter().enumerate() {
                let with = if index == last {
                    std::mem::take(&mut changes)
                } else {
                    Vec::new()
                };
                let target = cell.name.clone();
                let forward = Forward {
                    target,
                    message,
                    with,
                };
                work.forward(shared, now, forward);
            }
            // Nobody may have been there to take it.
            append(shared, &mut changes, &[], None);
        });
        Ok(true)
    }

    fn postpone(&self, state: JobState, now: Now, by: u64) -> bool {
        let until = Timestamp(now.wall.0.saturating_add(by));
        self.jobs.lock().postpone(state.id, until);
        false
    }

    fn fetch(&self, shared: &Shared, at: Position) -> Result<Option<Arc<Message>>, StoreError> {
        let id = self.jobs.lock().id();
        let one = PageLimit {
            messages: 1,
            bytes: 1,
        };
        let (stored, _) = read(shared, id, at, one)?;
        let found = stored.into_iter().find(|stored| stored.position == at);
        Ok(found.map(|stored| stored.message))
    }

    /// Tells what is scheduled within a range of times, at most the first thousand, by messages to a
    /// destination.
    pub(super) fn tell(
        &self,
        shared: &Shared,
        work: &mut Work,
        now: Now,
        to: &DestinationName,
        due: DueRange,
    ) -> Result<(), Refusal> {
        let mut jobs = self.jobs.lock().all();
        jobs.retain(|job| due.has(job.due));
        for job in jobs.into_iter().take(TOLD) {
            let held = self.jobs.lock().held(job.id);
            let Some(message) = held.or_else(|| self.fetch(shared, job.id).ok().flatten()) else {
                continue;
            };
            let message = Arc::new(told(&message, job.id, self.next_id(), to));
            for (cell, message) in sendings(shared, self.sender, to, &message)? {
                let forward = Forward {
                    target: cell.name.clone(),
                    message,
                    with: Vec::new(),
                };
                work.forward(shared, now, forward);
            }
        }
        Ok(())
    }

    /// Forgets what is scheduled within a range of times.
    pub(super) fn end_all(&self, shared: &Shared, due: DueRange) {
        let mut changes = Vec::new();
        let mut jobs = self.jobs.lock();
        let all = jobs.all();
        book(shared, &mut jobs, |jobs| {
            let ended = all.iter().filter(|job| due.has(job.due));
            changes.extend(ended.filter_map(|job| jobs.end(job.id)));
        });
        append(shared, &mut changes, &[], None);
    }

    fn next_id(&self) -> MessageId {
        MessageId {
            connection: self.sender,
            number: self.sent.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }

    /// Forgets one. Returns whether there was one.
    pub(super) fn end(&self, shared: &Shared, id: Position) -> bool {
        let mut jobs = self.jobs.lock();
        if jobs.state(id).is_none() {
            return false;
        }
        let mut changes = Vec::new();
        book(shared, &mut jobs, |jobs| changes.extend(jobs.end(id)));
        append(shared, &mut changes, &[], None);
        true
    }
}

fn append(
    shared: &Shared,
    changes: &mut Vec<Persist>,
    awaited: &[usize],
    waiter: Option<&Arc<dyn Durable>>,
) -> Option<Sequence> {
    (!changes.is_empty()).then(|| shared.writer.append(changes, awaited, waiter))
}

/// Changes the jobs, and books what that changes of the memory for messages.
fn book(shared: &Shared, jobs: &mut Jobs, change: impl FnOnce(&mut Jobs)) {
    let before = jobs.bytes();
    change(jobs);
    let (before, after) = (before.cast_signed(), jobs.bytes().cast_signed());
    for waker in shared.flow.book(after - before) {
        waker.wake();
    }
}

fn read(
    shared: &Shared,
    id: DestinationId,
    from: Position,
    limit: PageLimit,
) -> Result<(Vec<StoredMessage>, Option<Position>), StoreError> {
    let page = shared.reader.read(id, from, None, limit)?;
    let message = |(position, message, state)| StoredMessage {
        position,
        message: Arc::new(message),
        state,
    };
    let next = (!page.exhausted).then_some(page.resume_at);
    Ok((page.messages.into_iter().map(message).collect(), next))
}

impl Broker {
    /// What is scheduled, in the order in which it is due.
    pub fn scheduled(&self) -> Vec<JobState> {
        self.shared.scheduler.jobs.lock().all()
    }

    /// Forgets something that is scheduled. Returns whether it was.
    pub fn cancel_scheduled(&self, id: Position) -> bool {
        self.shared.scheduler.end(&self.shared, id)
    }

    /// Sends something that is scheduled on now; what comes after that is as it was to be. Returns
    /// whether it is scheduled.
    pub fn run_scheduled(&self, id: Position) -> bool {
        let now = self.shared.clock.now();
        let hastened = self.shared.scheduler.jobs.lock().postpone(id, now.wall);
        self.shared.timers.nudge();
        hastened
    }
}
