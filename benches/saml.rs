//! Verifies one SAML response again and again, as the product does, and says what it costs. Written by
//! `benches/driver/saml.py`, which gives the same response to others.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anteroom::base::clock::Clock;
use anteroom::base::outgoing::Outgoing;
use anteroom::config::{self, Requirement};
use anteroom::connector::{SamlProvider, SamlSurroundings};
use anteroom::signin::SignIn;
use clap::Parser;

#[derive(Parser)]
struct Flags {
    /// The configuration file, with one SAML connector.
    #[arg(long)]
    config: PathBuf,
    /// The response, in Base64.
    #[arg(long)]
    response: PathBuf,
    /// The request that it answers.
    #[arg(long)]
    in_response_to: String,
    #[arg(long, default_value_t = 2000)]
    times: u32,
}

type Problem = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, Problem> {
    let flags = Flags::parse();
    let loaded = config::load(Some(&flags.config), std::iter::empty(), &config::Overrides::default())
        .map_err(|problems| format!("{problems:?}"))?;
    let config = &loaded.config;
    let response = std::fs::read_to_string(&flags.response)?;
    let (id, saml) = config.connectors.iter().find_map(|(id, c)| Some((id, c.saml()?))).ok_or("no SAML connector")?;
    let clock = Clock::system();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let surroundings = SamlSurroundings {
            outgoing: Outgoing::new(&config.outgoing)?,
            insecure_http: config.outgoing.insecure_http,
            keys_dir: config.keys.dir.clone(),
            base_url: format!("{}{}", config.server.public_url.origin, config.server.prefix),
            clock: clock.clone(),
        };
        let provider = SamlProvider::new(id.clone(), saml, SignIn::enabled_domains(config, id), surroundings)?;
        let none = Requirement::default();
        let mut begun = processor_time();
        for turn in 0..flags.times + 100 {
            if turn == 100 {
                begun = processor_time();
            }
            provider.response(&response, Some(&flags.in_response_to), &none, clock.now()).await?;
        }
        println!("{:.1}", (processor_time() - begun).as_secs_f64() * 1e6 / f64::from(flags.times));
        Ok(ExitCode::SUCCESS)
    })
}

/// What this process has used of the processor: on a shared machine the wall clock counts others' work too.
fn processor_time() -> Duration {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime)).unwrap_or_default()
}
