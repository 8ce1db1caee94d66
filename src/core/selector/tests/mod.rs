//! What selectors say of messages.
