//! Integration tests: the whole of Anteroom in this process, on real sockets on loopback, with a clock that tests move,
//! a provider whose every answer a test may spoil, and an application that records what reaches it. Each negative case
//! has an honest twin that differs only in the defect. Names in brackets are security cases.
#![expect(unreachable_pub, reason = "one binary: `pub` here means for every area")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a helper of tests fails as a test does, and reads files; clippy.toml allows it in test functions alone"
)]

mod admin;
mod asker;
mod assertion;
mod caching;
mod command_line;
mod cookies;
mod cutover;
mod disabling;
mod discovery;
mod doctor;
mod explain;
mod framing;
mod frontchannel;
mod groups;
mod hand_off;
mod hand_off_refused;
mod headers;
mod identity_mapping;
mod initiated;
mod journey;
mod keep_post;
mod keys;
mod logout;
mod logout_tokens;
mod native;
mod native_connection;
mod native_list;
mod native_sign_in;
mod native_throttle;
mod oidc_callback;
mod oidc_errors;
mod oidc_provider;
mod oidc_token;
mod operations;
mod pages;
mod paths;
mod proxying;
mod race;
mod readiness;
mod redirects;
mod renewal;
mod saml_document;
mod saml_encrypted;
mod saml_explain;
mod saml_flow;
mod saml_identity;
mod saml_limits;
mod saml_load;
mod saml_logout;
mod saml_logout_refused;
mod saml_metadata;
mod saml_mixup;
mod saml_replay;
mod saml_requirement;
mod saml_response;
mod saml_shared;
mod saml_signature;
mod saml_signature_shape;
mod saml_status;
mod saml_stranger;
mod saml_subject;
mod saml_unsolicited;
mod saml_wrapping;
mod secrets;
mod shared_cookie;
mod show;
mod silent;
mod step_up;
mod streams;
mod support;
mod users;
mod websocket;
