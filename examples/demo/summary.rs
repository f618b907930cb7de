//! What the terminal shows once everything runs.

use std::fmt::Write as _;

use crate::app::{NATIVE_USERS, SERVICE};
use crate::args::{Ports, loopback};
use crate::profile::Profile;

pub(crate) fn text(ports: Ports, providers: [&Profile; 2]) -> String {
    let portal = ports.portal_url();
    let app = loopback(ports.app());
    let ops = loopback(ports.ops());
    let mut out = format!(
        "\nReady. Open {portal}/ in Chromium, Chrome, Edge or Firefox and sign in with an address below.\n\n\
         \x20 {portal:<42} Portal, with Anteroom in front\n\
         \x20 http://{app:<35} Portal alone: its own sign-in page ({native})\n",
        native = NATIVE_USERS.map(|(name, password, _)| format!("{name} / {password}")).join(", "),
    );
    for provider in providers {
        let _ = writeln!(out, "  {:<42} {}", provider.origin, provider.name);
    }
    let _ = writeln!(out, "  http://{ops:<35} Anteroom's /livez, /readyz, /metrics");
    for provider in providers {
        let _ = writeln!(out, "\n{}:", provider.name);
        for person in &provider.people {
            let _ = writeln!(out, "  {:<22} {}", person.address, person.expect);
        }
    }
    let (user, password) = SERVICE;
    let _ = write!(
        out,
        "\nPeople whose address is of another domain are chosen at the provider, after an address of its own was typed.\n\
         Not a customer: anybody@example.org. A customer in production only: anybody@umbrella.com.\n\n\
         A script with the application's own credentials goes straight through:\n\
         \x20 curl -u {user}:{password} {portal}/api/invoices\n",
    );
    out
}
