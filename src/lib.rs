//! Anteroom: the room before the app. An authentication sidecar that gives a legacy web application corporate sign-in.
//! `ARCHITECTURE.md` is the map. Modules stand here from the top of the house to its base, and each may use only those
//! after it (`tests/layers.rs` holds that).

pub mod app;
pub mod audit;
pub mod base;
pub mod cli;
pub mod config;
pub mod connector;
pub mod gate;
pub mod identity;
pub mod proxy;
pub mod session;
pub mod signin;
pub mod web;
