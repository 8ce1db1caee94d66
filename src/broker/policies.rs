//! Which settings each destination has, and how they change while the broker runs.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Broker;
use super::cell::Work;
use crate::core::{DestinationName, DestinationPolicy, Policies, PolicyRule};

/// The settings of all destinations. Locked for a moment where a destination comes to life.
#[derive(Debug)]
pub(super) struct PolicyTable(Mutex<Policies>);

impl PolicyTable {
    pub(super) fn new(base: DestinationPolicy, rules: Vec<PolicyRule>) -> Self {
        Self(Mutex::new(Policies::new(base, rules)))
    }

    /// What holds where no policy says otherwise.
    pub(super) fn base(&self) -> Arc<DestinationPolicy> {
        Arc::clone(self.0.lock().base())
    }

    /// The settings of a destination.
    pub(super) fn of(&self, name: &DestinationName) -> Arc<DestinationPolicy> {
        self.0.lock().resolve(name)
    }

    fn replace(&self, mut base: DestinationPolicy, rules: Vec<PolicyRule>) {
        let mut policies = self.0.lock();
        base.keep = policies.base().keep;
        *policies = Policies::new(base, rules);
    }
}

impl Broker {
    /// Gives all destinations, those that there are and those to come, other settings. What the store
    /// is given ([`DestinationPolicy::keep`]) stays as it is. Subscriptions keep the prefetch that
    /// they have begun with.
    pub fn set_policies(&self, base: DestinationPolicy, rules: Vec<PolicyRule>) {
        let shared = &self.shared;
        shared.policies.replace(base, rules);
        // A destination that comes to life meanwhile has either the new settings, or is found here.
        let now = shared.clock.now();
        Work::run(shared, now, |work| {
            for cell in shared.registry.snapshot() {
                let policy = shared.policies.of(&cell.name);
                cell.set_policy(shared, work, now, policy);
            }
        });
    }

    /// The settings that a destination has, or would have.
    pub fn policy_of(&self, name: &DestinationName) -> Arc<DestinationPolicy> {
        self.shared.policies.of(name)
    }
}
