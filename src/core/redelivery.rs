//! What becomes of a message that comes back.

use super::id::MessageId;
use super::message::DeliveryState;
use super::policy::DestinationPolicy;
use super::request::Outcome;
use super::time::Timestamp;

/// How long a message that a consumer refused waits before it is delivered again. One that only came
/// back, because its consumer ended, waits for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedeliveryDelays {
    /// Before the first redelivery, in milliseconds; 0 for at once.
    pub first: u64,
    /// What each further one is longer by, in percent of the one before: 200 doubles it.
    pub multiplier: u32,
    /// The longest there is, in milliseconds.
    pub longest: u64,
    /// By how much each may be shorter or longer, in percent, so that what failed together does not
    /// come again together.
    pub jitter: u32,
}

impl Default for RedeliveryDelays {
    /// A second, doubled each time up to a minute.
    fn default() -> Self {
        Self {
            first: 1000,
            multiplier: 200,
            longest: 60_000,
            jitter: 0,
        }
    }
}

impl RedeliveryDelays {
    /// Every redelivery is made at once.
    pub const NONE: Self = Self {
        first: 0,
        multiplier: 100,
        longest: 0,
        jitter: 0,
    };

    /// Before the redelivery that follows so many failed tries of a message, in milliseconds.
    pub(super) fn before(&self, message: MessageId, attempts: u32) -> u64 {
        let mut wait = self.first.min(self.longest);
        for _ in 1..attempts {
            let longer = wait.saturating_mul(u64::from(self.multiplier)) / 100;
            if longer >= self.longest || longer <= wait {
                wait = longer.min(self.longest);
                break;
            }
            wait = longer;
        }
        let spread = wait.saturating_mul(u64::from(self.jitter.min(100))) / 100;
        if spread == 0 {
            return wait;
        }
        // As good as chance, and the same each time it is asked.
        let mixed = (message.number ^ message.connection.0.rotate_left(32))
            .wrapping_add(u64::from(attempts))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let offset = (mixed >> 16) % spread.saturating_mul(2).saturating_add(1);
        (wait - spread).saturating_add(offset)
    }
}

/// What to do with a message whose delivery was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It waits in its old place, in this state.
    Again(DeliveryState),
    /// It goes to the dead-letter queue, in this state, for this reason.
    DeadLetter(DeliveryState, &'static str),
}

/// Judges a delivery that was not accepted. With the default policy a message is delivered seven
/// times: once, and six times again.
pub(super) fn judge(
    policy: &DestinationPolicy,
    before: DeliveryState,
    outcome: Outcome,
    now: Timestamp,
) -> Verdict {
    let mut after = before;
    match outcome {
        // A message that was accepted does not come back; one that was released was never looked at.
        Outcome::Accept | Outcome::Release => return Verdict::Again(before),
        Outcome::Modify { failed } => {
            after.deliveries = after.deliveries.saturating_add(1);
            after.redelivered = true;
            if !failed {
                return Verdict::Again(after);
            }
        }
        Outcome::Reject => after.deliveries = after.deliveries.saturating_add(1),
    }
    after.attempts = after.attempts.saturating_add(1);
    after.first_failure.get_or_insert(now);
    if outcome == Outcome::Reject {
        Verdict::DeadLetter(after, "rejected by the consumer")
    } else if after.attempts > policy.redelivery_max {
        Verdict::DeadLetter(after, "redelivery limit reached")
    } else {
        Verdict::Again(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> DestinationPolicy {
        DestinationPolicy::default()
    }

    #[test]
    fn delays_grow_up_to_the_longest_and_vary_as_much_as_they_may() {
        let id = MessageId::default();
        let delays = RedeliveryDelays::default();
        let all: Vec<_> = (1..9).map(|attempts| delays.before(id, attempts)).collect();
        assert_eq!(
            all,
            [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]
        );
        let multiplier = 100;
        let constant = RedeliveryDelays {
            multiplier,
            ..delays
        };
        assert_eq!(constant.before(id, 1_000_000), 1000);
        let jitter = 15;
        let varied = RedeliveryDelays { jitter, ..delays };
        let waits: Vec<_> = (0..200)
            .map(|number| varied.before(MessageId { number, ..id }, 1))
            .collect();
        assert!(
            waits.iter().all(|wait| (850..=1150).contains(wait)),
            "{waits:?}"
        );
        assert!(waits.iter().any(|wait| *wait < 900) && waits.iter().any(|wait| *wait > 1100));
        let none = RedeliveryDelays { first: 0, ..delays };
        assert_eq!(none.before(id, 3), 0);
    }

    #[test]
    fn six_redeliveries_then_the_dead_letter_queue() {
        let mut state = DeliveryState::default();
        for attempt in 1..=6 {
            let failed = Outcome::Modify { failed: true };
            let Verdict::Again(next) = judge(&policy(), state, failed, Timestamp(attempt)) else {
                panic!("given up after {attempt} failures");
            };
            assert!(next.redelivered);
            assert_eq!(u64::from(next.deliveries), attempt);
            state = next;
        }
        let last = judge(
            &policy(),
            state,
            Outcome::Modify { failed: true },
            Timestamp(9),
        );
        let Verdict::DeadLetter(state, _) = last else {
            panic!("tried for an eighth time")
        };
        assert_eq!((state.attempts, state.deliveries), (7, 7));
        assert_eq!(state.first_failure, Some(Timestamp(1)));
    }

    #[test]
    fn a_message_put_back_without_failure_never_dies() {
        let mut state = DeliveryState::default();
        for _ in 0..100 {
            let requeue = Outcome::Modify { failed: false };
            let Verdict::Again(next) = judge(&policy(), state, requeue, Timestamp(1)) else {
                panic!("given up");
            };
            state = next;
        }
        assert_eq!((state.attempts, state.deliveries), (0, 100));
    }

    #[test]
    fn a_rejected_message_is_dead_at_once_and_a_released_one_untouched() {
        let fresh = DeliveryState::default();
        assert!(matches!(
            judge(&policy(), fresh, Outcome::Reject, Timestamp(1)),
            Verdict::DeadLetter(_, "rejected by the consumer")
        ));
        assert_eq!(
            judge(&policy(), fresh, Outcome::Release, Timestamp(1)),
            Verdict::Again(fresh)
        );
    }
}
