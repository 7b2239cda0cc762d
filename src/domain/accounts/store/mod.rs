//! SQL of accounts: users, sessions, link tokens, phone codes, known networks and attempt counters.

pub(super) mod attempt_counters;
pub(super) mod known_networks;
pub(super) mod link_tokens;
pub(super) mod phone_codes;
pub(super) mod sessions;
pub(super) mod users;
