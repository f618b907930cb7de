//! Own pages: e-mail address, connector button, callback, sign-out, and every refusal, as HTML or JSON by who asks.
//! Handlers parse, call one operation of `signin`, and render.

mod account;
mod callback;
mod discovery;
mod form;
mod hand_off;
mod keep_post;
mod limit;
mod native;
pub mod pages;
mod provider_logout;
mod refusal;
mod renewal;
mod router;
mod saml;
mod site;
mod step_up;

pub use keep_post::Unsent;
pub use native::NativeRefusal;
pub use refusal::Asked;
pub use router::Visit;
pub use site::Site;
