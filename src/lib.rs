//! Anteroom: the room before the app. An authentication sidecar that gives a legacy web application corporate sign-in.
//! `ARCHITECTURE.md` is the map. Modules stand here from the top of the house to its base, and each may use only those
//! after it (`tests/layers.rs` holds that). The empty lines keep them in this order.

pub mod cli;

pub mod app;

pub mod readiness;

pub mod admin;

pub mod proxy;

pub mod web;

pub mod signin;

pub mod legacy;

pub mod gate;

pub mod session;

pub mod explain;

pub mod directory;

pub mod audit;

pub mod connector;

pub mod identity;

pub mod config;

pub mod base;
