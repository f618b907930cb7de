//! Command line, and what follows from it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The base of the port range when nobody says otherwise.
pub(crate) const DEFAULT_PORT: u16 = 4180;
/// The variable that moves the whole range, for `make demo` and other callers that cannot pass a flag.
pub(crate) const PORT_VARIABLE: &str = "DEMO_PORT_BASE";

/// A legacy application, two identity providers, and Anteroom in front: all on this machine, for looking around.
#[derive(Debug, clap::Parser)]
#[command(name = "demo")]
pub(crate) struct Args {
    /// The Anteroom binary [default: the one built beside this example]
    #[arg(long, value_name = "FILE")]
    pub(crate) anteroom: Option<PathBuf>,
    /// Anteroom's configuration [default: examples/demo/anteroom.toml]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// First of the ports used: N (Anteroom), N+1 (application), N+2 and N+3 (providers), N+10 (operations)
    /// [default: $DEMO_PORT_BASE, else 4180]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1024..=65525))]
    pub(crate) port_base: Option<u16>,
    /// Where Anteroom's keys, database and log go [default: target/demo]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

impl Args {
    /// The ports to use.
    ///
    /// # Errors
    /// A sentence for the terminal when the environment names no usable port.
    pub(crate) fn ports(&self) -> Result<Ports, String> {
        if let Some(base) = self.port_base {
            return Ok(Ports { base });
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the demo's own variable; Anteroom's configuration is not read here"
        )]
        let Ok(text) = std::env::var(PORT_VARIABLE) else {
            return Ok(Ports { base: DEFAULT_PORT });
        };
        match text.parse() {
            Ok(base @ 1024..=65525) => Ok(Ports { base }),
            _ => Err(format!("{PORT_VARIABLE} is \"{text}\"; it must be a port from 1024 to 65525")),
        }
    }
}

/// Five loopback ports, all derived from one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    base: u16,
}

impl Ports {
    #[cfg(test)]
    pub(crate) fn standard() -> Self {
        Self { base: DEFAULT_PORT }
    }

    pub(crate) fn is_standard(self) -> bool {
        self.base == DEFAULT_PORT
    }

    pub(crate) fn anteroom(self) -> u16 {
        self.base
    }

    pub(crate) fn app(self) -> u16 {
        self.base.saturating_add(1)
    }

    pub(crate) fn entra(self) -> u16 {
        self.base.saturating_add(2)
    }

    pub(crate) fn google(self) -> u16 {
        self.base.saturating_add(3)
    }

    pub(crate) fn ops(self) -> u16 {
        self.base.saturating_add(10)
    }

    /// The address people type: where Anteroom answers for the application.
    pub(crate) fn portal_url(self) -> String {
        format!("http://portal.localhost:{}", self.anteroom())
    }
}

/// Every part of the demo listens on IPv4 loopback only.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
