//! What the simulation has found: each a seed or a scenario that failed once, and why.
