//! Anteroom: the room before the app. An authentication sidecar that gives a legacy web application
//! corporate sign-in. `ARCHITECTURE.md` is the map; modules are listed from the top of the house to its base,
//! and each may use only those after it (`tests/layers.rs` holds that).

pub mod base;
pub mod config;
pub mod connector;
pub mod identity;
pub mod web;
