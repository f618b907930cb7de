//! What an operator can do about a refusal over SAML. Expected and found stand beside it, and the connector's own values
//! in `anteroom connector show`.

const SIGNATURE: &str = "The document is not one that an identity provider writes, or was changed on the way. If every sign-in \
                         ends so, the provider uses a rare option: found says what it met. If not, it was a forgery.";
const METADATA: &str = "Fetch the provider's current federation metadata XML: for a file, replace it; for a URL, open it \
                        from this machine. Found says what is wrong with the present one.";
const ADDRESSES: &str = "Compare the Reply URL and Identifier at the provider with `anteroom connector show`: they are \
                         the same to the last character, or acs_url and entity_id have to be set.";

pub(super) const ADVICE: &[(&[&str], &str)] = &[
    (
        &["saml_status"],
        "The provider refused. Its code, and Microsoft's number, are above and in the provider's own sign-in log: \
         AADSTS50105 means not assigned, AADSTS75011 and NoAuthnContext that the connector's acr asks for another kind of \
         sign-in, InvalidNameIDPolicy that name_id_format is not one the provider has.",
    ),
    (
        &["saml_malformed", "saml_too_large"],
        "The answer is no SAML message of at most 512 KiB. A person with very many \
      groups makes a long one: let the provider send only the groups that the application needs.",
    ),
    (
        &[
            "xml_doctype",
            "saml_content",
            "saml_structure",
            "saml_duplicate_id",
            "saml_signature_shape",
            "saml_transform",
        ],
        SIGNATURE,
    ),
    (
        &["saml_sig"],
        "The message was changed after it was signed, or signed by another key than the metadata has. If every sign-in \
         ends so, the provider's certificate was renewed: fetch its metadata again.",
    ),
    (
        &["saml_key_untrusted"],
        "The provider signs with a certificate that its metadata here does not have. After a renewal there, fetch the \
         metadata again. Found names the certificate by its SHA-256: compare it with the provider's before you trust it.",
    ),
    (
        &["saml_unsigned"],
        "Switch signing on at the provider: the response or the assertion, and every logout message, has to be signed.",
    ),
    (
        &["saml_alg"],
        "Set the provider to RSA or ECDSA with SHA-256 or stronger, and to RSA-OAEP with AES-GCM for encryption. AES-CBC \
         needs allow_aes_cbc; SHA-1 and RSA 1.5 are never taken.",
    ),
    (
        &["saml_decrypt"],
        "Give the provider the present encryption certificate of this connector (its metadata has it). No more is told \
         of what went wrong, so that nobody can learn about ciphertexts from it.",
    ),
    (
        &["saml_not_encrypted"],
        "Switch token encryption on at the provider, with this connector's certificate, or want_encrypted off here.",
    ),
    (&["saml_audience", "saml_destination", "saml_recipient"], ADDRESSES),
    (
        &["saml_in_response_to"],
        "The answer belongs to another attempt, or to none: a second tab, the back button, or a page that was reloaded. \
         The person starts again.",
    ),
    (
        &["saml_unsolicited"],
        "The person came from the provider's portal. Let its tile lead to the sign-on URL, or set allow_idp_initiated. Where \
         two connectors with one acs_url have this provider, the sign-on URL alone tells which is meant.",
    ),
    (
        &["saml_time"],
        "Compare this machine's clock with the provider's: 60 seconds of difference are allowed. One message alone was \
         too late: the person starts again.",
    ),
    (
        &["saml_replay"],
        "The same message came twice: a reload or the back button. If nobody did that, somebody tried a copy.",
    ),
    (
        &["saml_subject"],
        "Let the provider send what the person is known by: the attribute that attributes.subject or the preset names, or \
         else a name ID that stays the same (best persistent, never transient); and a bearer confirmation and an \
         authentication statement. Expected and found say which is missing.",
    ),
    (
        &["saml_logout_subject"],
        "The provider's logout request names a person and somebody else's session (SessionIndex). Nothing ended by it. An \
         honest provider gives no two sessions one index: look at its version and settings.",
    ),
    (
        &["saml_attribute_ambiguous"],
        "Let the provider send one value of the attribute that is named above, or map another one under attributes.",
    ),
    (
        &["saml_metadata_rejected", "saml_metadata_expired", "saml_no_signing_key", "saml_metadata_unavailable"],
        METADATA,
    ),
    (
        &["saml_key_unusable"],
        "The connector's own key or certificate cannot be used: look at its files and their owner. Both must be RSA of \
         2048 bits or more, and belong together.",
    ),
];
