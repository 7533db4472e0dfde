//! Filled in with the calls.
