//! How a queue treats message groups.

/// What happens to groups when a consumer joins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rebalance {
    /// They stay where they are.
    Off,
    /// The new consumer gets its share, each group once what is in flight of it is settled.
    #[default]
    Drain,
    /// It gets its share at once; what is in flight may be overtaken.
    Immediate,
}

/// How a queue treats message groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupPolicy {
    /// What happens when a consumer joins.
    pub rebalance: Rebalance,
    /// How many groups without messages keep their consumer.
    pub remember: usize,
    /// For how many milliseconds a group without messages keeps its consumer; `None` is without end.
    pub idle_release: Option<u64>,
}

impl Default for GroupPolicy {
    fn default() -> Self {
        Self {
            rebalance: Rebalance::default(),
            remember: 1024,
            idle_release: None,
        }
    }
}
