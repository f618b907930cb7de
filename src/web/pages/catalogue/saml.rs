//! The words for what goes wrong over SAML: status codes of the provider, Microsoft's numbers, and our own reasons.

use super::entries::{AWAY, Entry, MISCONFIGURED, NOT_TRUSTED, STALE, failed};

/// A certain kind of sign-in was asked for.
const OTHER_CONTEXT: Entry = failed(
    "Your way of signing in does not fit here",
    "This application asks {provider} for a certain kind of sign-in, and yours was of another kind.",
    "Try again with another method, if {provider} offers you one. If it does not, tell your administrator: the \
     authentication context that this application asks for is not the one that {provider} uses for you.",
);

const NAME_FORMAT: Entry = failed(
    "The sign-in is not set up correctly",
    "{provider} cannot name you in the form that this application asks for. You cannot repair this yourself.",
    "Tell your administrator: the name ID format that this application asks for has to be one that {provider} sends.",
);

const DID_NOT: Entry = failed(
    "{provider} did not sign you in",
    "{provider} ended the sign-in with an error, and you were not signed in.",
    "Try again. If it happens again, give the reference to your administrator, who can look it up at {provider}.",
);

const OTHER_TIME: Entry = failed(
    "This sign-in is not valid at this time",
    "It took too long, or the clocks of {provider} and of this application do not agree.",
    "Start again. If it happens again, tell your administrator to check the clocks.",
);

/// Microsoft Entra ID's numbers for SAML.
pub(super) const NUMBERS: &[(&[u32], Entry)] = &[
    (&[75011], OTHER_CONTEXT),
    (&[75016], NAME_FORMAT),
    (
        &[76021],
        failed(
            "The sign-in is not set up correctly",
            "{provider} takes signed requests alone, and this application did not sign its own. You cannot repair this yourself.",
            "Tell your administrator: request signing has to be switched on here, or off at {provider}.",
        ),
    ),
    (&[76026], OTHER_TIME),
    (&[75001, 75003, 75005, 75008, 750_054], MISCONFIGURED),
];

/// Status codes (SAML 2.0 Core, section 3.2.2.2). Some stand in the other table, beside the OAuth errors that mean the
/// same.
pub(super) const ERRORS: &[(&[&str], Entry)] = &[
    (
        &["AuthnFailed"],
        failed(
            "{provider} could not confirm who you are",
            "The sign-in at {provider} was not completed: it did not accept the password or the second proof, or was cancelled.",
            "Try again. If it happens again, ask your administrator whether your account at {provider} may sign in.",
        ),
    ),
    (&["NoAuthnContext"], OTHER_CONTEXT),
    (
        &["UnknownPrincipal"],
        failed(
            "{provider} does not know this account",
            "You were to be signed in with an account that {provider} does not have.",
            "Try again with your work account. If this is the one, ask your administrator to add you at {provider}.",
        ),
    ),
    (&["InvalidNameIDPolicy"], NAME_FORMAT),
    (&["Responder"], DID_NOT),
    (&["NoAvailableIDP"], AWAY),
    (
        &[
            "Requester",
            "VersionMismatch",
            "InvalidAttrNameOrValue",
            "NoSupportedIDP",
            "ProxyCountExceeded",
            "RequestUnsupported",
            "RequestVersionDeprecated",
            "RequestVersionTooHigh",
            "RequestVersionTooLow",
            "ResourceNotRecognized",
            "TooManyResponses",
            "UnknownAttrProfile",
            "UnsupportedBinding",
        ],
        MISCONFIGURED,
    ),
];

/// Our own reasons.
pub(super) const REASONS: &[(&[&str], Entry)] = &[
    (&["saml_status"], DID_NOT),
    (
        &["saml_malformed", "saml_too_large"],
        failed(
            "{provider} gave an answer we cannot use",
            "You may be signed in at {provider}, but this application could not read its answer.",
            "Start again from the application. If it happens again, give the reference to your administrator.",
        ),
    ),
    (
        &[
            "xml_doctype",
            "saml_content",
            "saml_structure",
            "saml_duplicate_id",
            "saml_signature_shape",
            "saml_transform",
            "saml_sig",
            "saml_logout_subject",
        ],
        NOT_TRUSTED,
    ),
    (
        &["saml_unsigned", "saml_alg"],
        failed(
            "The answer of {provider} could not be trusted",
            "The answer is not signed, or in a way that is too weak, so you were not signed in.",
            "Tell your administrator: {provider} has to sign its answers, with SHA-256 or stronger.",
        ),
    ),
    (
        &["saml_key_untrusted"],
        failed(
            "The answer of {provider} could not be trusted",
            "It is signed with a certificate that this application does not know. {provider} may have a new one.",
            "Tell your administrator: this application needs the current metadata of {provider}, with its certificate.",
        ),
    ),
    (
        &["saml_decrypt"],
        failed(
            "The answer of {provider} could not be opened",
            "The answer is encrypted in a way that this application cannot undo, so you were not signed in.",
            "Try again. If it happens again, tell your administrator: {provider} has to encrypt for the current \
             certificate of this application.",
        ),
    ),
    (
        &["saml_not_encrypted"],
        failed(
            "The answer of {provider} was not encrypted",
            "This application takes encrypted answers alone, so you were not signed in.",
            "Tell your administrator: encryption has to be switched on at {provider}, with the certificate of this application.",
        ),
    ),
    (
        &["saml_audience"],
        failed(
            "The answer was made for another application",
            "{provider} knows you, but its answer names an application other than this one.",
            "Start again from the application. If it happens again, tell your administrator: the Identifier (entity ID) \
             at {provider} has to be the one that is set here.",
        ),
    ),
    (
        &["saml_destination", "saml_recipient"],
        failed(
            "The answer was meant for another address",
            "{provider} knows you, but its answer was made to be delivered elsewhere.",
            "Start again from the application. If it happens again, tell your administrator: the Reply URL (assertion \
             consumer service) at {provider} has to be the one that is set here.",
        ),
    ),
    (
        &["saml_in_response_to"],
        failed(
            "This answer belongs to another sign-in",
            "What {provider} sent is not the answer to the sign-in that you started here, so you were not signed in.",
            "Start again from the application, in one tab alone. The back button and old sign-in pages do not work.",
        ),
    ),
    (
        &["saml_unsolicited"],
        failed(
            "Please begin at the application",
            "{provider} sent you here by itself, and this application takes sign-ins that begin here.",
            "Open the application with the address you normally use, and sign in from there.",
        ),
    ),
    (&["saml_time"], OTHER_TIME),
    (&["saml_replay"], STALE),
    (
        &["saml_subject"],
        failed(
            "{provider} did not say who you are",
            "Its answer lacks a lasting name for you, or does not say that you signed in.",
            "Ask your administrator to check which unique user identifier (name ID, or the attribute in its place) {provider} sends.",
        ),
    ),
    (
        &["saml_attribute_ambiguous"],
        failed(
            "{provider} said two things about you",
            "Its answer has several values where there can be only one, such as two different e-mail addresses.",
            "Ask your administrator to let {provider} send a single value.",
        ),
    ),
    (
        &["saml_metadata_expired"],
        failed(
            "The sign-in is not set up correctly",
            "What this application knows of {provider} has expired. You cannot repair this yourself.",
            "Tell your administrator: this application needs the current metadata of {provider}.",
        ),
    ),
    (&["saml_metadata_rejected", "saml_no_signing_key", "saml_key_unusable"], MISCONFIGURED),
    (&["saml_metadata_unavailable"], AWAY),
];
