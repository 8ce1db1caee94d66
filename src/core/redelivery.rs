//! What becomes of a message that comes back.

use super::message::DeliveryState;
use super::policy::DestinationPolicy;
use super::request::Outcome;
use super::time::Timestamp;

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
