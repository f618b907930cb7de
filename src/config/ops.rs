//! `[ops]`: the listener for probes and metrics.

use std::net::SocketAddr;

use super::parse::{Context, socket};
use super::problem::Place;
use super::read::{At, section};

/// `[ops]`
#[derive(Clone, Debug)]
pub struct Ops {
    /// `/livez`, `/readyz`, `/metrics`; never on the data listener.
    pub listen: SocketAddr,
}

section! {
    /// The listener for probes and metrics.
    RawOps {
        /// Address and port of `/livez`, `/readyz` and `/metrics`. Never the data listener.
        #[schemars(extend("default" = "127.0.0.1:9090"))]
        listen: String,
    }
}

impl RawOps {
    /// The section, and where its address stands.
    pub(super) fn resolve(raw: At<Self>, cx: &mut Context<'_>) -> Option<At<Ops>> {
        let place: Place = raw.value.listen.set().map_or_else(|| raw.place.child("listen"), |at| at.place.clone());
        let listen =
            raw.value.listen.parse(cx.report, |text| socket(text)).or(SocketAddr::from(([127, 0, 0, 1], 9090)))?;
        Some(At { value: Ops { listen }, place })
    }
}
