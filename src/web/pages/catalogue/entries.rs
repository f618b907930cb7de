//! The words themselves. A translator, or somebody who finds a kinder sentence, edits this file alone.

use http::StatusCode;

/// What a page says of one cause; `{provider}` and `{cookie}` are filled in.
pub(super) struct Entry {
    pub(super) status: StatusCode,
    pub(super) headline: &'static str,
    pub(super) explanation: &'static str,
    pub(super) what_to_do: &'static str,
}

pub(super) const fn failed(headline: &'static str, explanation: &'static str, what_to_do: &'static str) -> Entry {
    Entry { status: StatusCode::BAD_REQUEST, headline, explanation, what_to_do }
}

const fn refused(headline: &'static str, explanation: &'static str, what_to_do: &'static str) -> Entry {
    Entry { status: StatusCode::FORBIDDEN, headline, explanation, what_to_do }
}

const fn wait(headline: &'static str, explanation: &'static str, what_to_do: &'static str) -> Entry {
    Entry { status: StatusCode::SERVICE_UNAVAILABLE, headline, explanation, what_to_do }
}

pub(super) const GENERAL: Entry = failed(
    "The sign-in did not work",
    "Something went wrong between {provider} and this application.",
    "Try again. If it happens again, give the reference to your administrator.",
);

pub(super) const MISCONFIGURED: Entry = failed(
    "The sign-in is not set up correctly",
    "{provider} and this application do not agree on how they are connected. You cannot repair this yourself.",
    "Tell your administrator, and give them the reference and the code.",
);

const EXTRA_CHECK: Entry = failed(
    "{provider} asks for an extra check",
    "Your company requires a second proof, such as a code or an approval on your phone, and it was not completed.",
    "Try again and complete the check. If {provider} does not offer one, ask your administrator to set it up for you.",
);

const NO_CONSENT: Entry = failed(
    "Your company has not approved this application yet",
    "{provider} needs the consent of an administrator before anybody of your company can sign in here.",
    "Ask your administrator to grant consent to this application at {provider}, then try again.",
);

const WRONG_ACCOUNT: Entry = failed(
    "This account is not known in your company's directory",
    "{provider} signed you in with an account that your company's directory does not have.",
    "Try again with your work account. You may have to sign out of the other account at {provider} first.",
);

const PASSWORD: Entry = failed(
    "{provider} did not accept the password",
    "The password is wrong, has expired, or the account is locked for a while.",
    "Try again, or change your password at {provider}. Your administrator can unlock the account.",
);

const DISABLED: Entry = failed(
    "Your account at {provider} is switched off",
    "{provider} did not sign you in because the account is disabled.",
    "Ask your administrator to switch it on.",
);

const CONDITIONAL: Entry = failed(
    "Your company's rules did not let you in",
    "{provider} knows you, but a rule about device, place or network does not allow this sign-in.",
    "Try from your work device or your company's network. If you think the rule is wrong, ask your administrator.",
);

pub(super) const STALE: Entry = failed(
    "This sign-in took too long",
    "A sign-in has to be finished within ten minutes, and each answer of {provider} can be used once.",
    "Start again. The back button and old bookmarks of sign-in pages do not work.",
);

pub(super) const AWAY: Entry = wait(
    "{provider} cannot be reached",
    "{provider} does not answer at the moment. People who are signed in already can go on working.",
    "Wait a minute, then try again. If it goes on, tell your administrator.",
);

pub(super) const NOT_TRUSTED: Entry = failed(
    "The answer of {provider} could not be trusted",
    "The answer did not pass our checks, so you were not signed in.",
    "Try again. If it happens again, give the reference to your administrator.",
);

const NOT_SIGNED_IN: Entry = failed(
    "{provider} needs you to sign in",
    "You are not signed in at {provider} any more, or it needs you to choose an account.",
    "Try again, and sign in when {provider} asks.",
);

/// Microsoft Entra ID's numbers.
pub(super) const NUMBERS: &[(&[u32], Entry)] = &[
    (
        &[50105],
        failed(
            "You are not assigned to this application",
            "{provider} knows you, but your company has not assigned this application to you or to a group of yours.",
            "Ask your administrator to assign you to the application at {provider}, then try again.",
        ),
    ),
    (&[65001, 90094, 90093, 900941], NO_CONSENT),
    (
        &[65004],
        failed(
            "You did not give consent",
            "{provider} asked whether this application may see your name and address, and the answer was no.",
            "Try again and accept, or ask your administrator to consent for your company.",
        ),
    ),
    (&[50072, 50074, 50076, 50078, 50079, 50158, 500_121, 530_035], EXTRA_CHECK),
    (&[50097, 50131, 53000, 53001, 53002, 53003, 53004, 53011, 530_032], CONDITIONAL),
    (&[16000, 16003, 50020, 50034, 51004, 90072, 500_208], WRONG_ACCOUNT),
    (&[50053, 50055, 50056, 50126, 50144], PASSWORD),
    (&[50057], DISABLED),
    (&[54005, 70008, 50089, 50173, 70043, 70044, 700_082], STALE),
    (
        &[7_000_215, 7_000_222],
        failed(
            "The sign-in is not set up correctly",
            "The secret that this application uses at {provider} is wrong or has expired. You cannot repair this yourself.",
            "Tell your administrator: the application needs a new client secret.",
        ),
    ),
    (
        &[50011, 500_113],
        failed(
            "The sign-in is not set up correctly",
            "The address that {provider} should send you back to is not registered there. You cannot repair this yourself.",
            "Tell your administrator: the redirect URI of the application is missing at {provider}.",
        ),
    ),
    (&[50194, 65005, 90002, 650_052, 650_056, 700_016, 700_054, 7_000_112, 700_025, 700_027], MISCONFIGURED),
    (&[50058], NOT_SIGNED_IN),
    (&[90006, 90033], AWAY),
];

/// Error codes of OAuth 2.0 and OpenID Connect, and status codes of SAML that mean the same.
pub(super) const ERRORS: &[(&[&str], Entry)] = &[
    (
        &["access_denied", "RequestDenied"],
        failed(
            "{provider} did not let you in",
            "Either the sign-in was cancelled, or {provider} does not allow you to use this application.",
            "Try again. If you did not cancel, ask your administrator to give you access at {provider}.",
        ),
    ),
    (&["consent_required", "admin_policy_enforced"], NO_CONSENT),
    (
        &["login_required", "interaction_required", "account_selection_required", "user_cancelled_login", "NoPassive"],
        NOT_SIGNED_IN,
    ),
    (&["unmet_authentication_requirements"], EXTRA_CHECK),
    (&["temporarily_unavailable", "server_error"], AWAY),
    (&["org_internal"], WRONG_ACCOUNT),
    (
        &[
            "invalid_request",
            "unauthorized_client",
            "unsupported_response_type",
            "invalid_scope",
            "invalid_client",
            "invalid_resource",
            "unsupported_grant_type",
            "redirect_uri_mismatch",
            "request_not_supported",
            "request_uri_not_supported",
            "registration_not_supported",
        ],
        MISCONFIGURED,
    ),
    (&["invalid_grant"], STALE),
];

/// Our own reasons.
pub(super) const REASONS: &[(&[&str], Entry)] = &[
    (
        &["tx_not_bound"],
        failed(
            "This sign-in was not started in this browser",
            "The answer of {provider} arrived, but the cookie {cookie} that marks the start of a sign-in did not come with it.",
            "Start again in this browser. If it happens each time, allow cookies for this site, and open it with the address you normally use.",
        ),
    ),
    (
        &["hand_off_not_bound"],
        failed(
            "This sign-in was not started in this browser",
            "You come from the sign-in page, but the cookie {cookie} that marks the start of a sign-in did not come with you.",
            "Start again from the application, in this browser. If it happens each time, allow cookies for this site.",
        ),
    ),
    (
        &["hand_off_expired", "hand_off_code_unknown"],
        failed(
            "This sign-in took too long",
            "The step from the sign-in page to the application takes a few seconds and works once. This link was used, or is too old.",
            "Start again from the application. The back button and old bookmarks of sign-in pages do not work.",
        ),
    ),
    (
        &[
            "hand_off_malformed",
            "hand_off_other_step",
            "hand_off_other_host",
            "hand_off_other_attempt",
            "hand_off_other_browser",
        ],
        failed(
            "This link belongs to another sign-in",
            "The link that brought you here is not the answer to a sign-in that you started here, so you were not signed in.",
            "Start again from the application, and do not follow sign-in links from elsewhere.",
        ),
    ),
    (
        &["hand_off_host_unknown"],
        failed(
            "This application is not known here",
            "You are to be signed in at an application that does not belong to this sign-in page.",
            "Open the application with the address you normally use. If this goes on, tell your administrator.",
        ),
    ),
    (
        &["hand_off_session_ended"],
        failed(
            "You have been signed out meanwhile",
            "Your session ended while you were on the way to the application.",
            "Start again from the application.",
        ),
    ),
    (&["state_missing", "state_mismatch", "state_expired", "state_replayed", "not_verified_yet"], STALE),
    (&["expired", "invalid_grant"], STALE),
    (
        &["not_yet_valid", "stale"],
        failed(
            "The clocks do not agree",
            "The answer of {provider} carries a time that cannot be right here: one of the two clocks is wrong.",
            "Tell your administrator to check the clocks. Trying again helps only once they agree.",
        ),
    ),
    (&["provider_unreachable", "provider_unavailable"], AWAY),
    (
        &["provider_busy"],
        wait(
            "Many people are signing in right now",
            "{provider} does not answer as fast as people arrive.",
            "Wait a minute, then try again. If it goes on, tell your administrator.",
        ),
    ),
    (&["acr_insufficient", "amr_insufficient"], EXTRA_CHECK),
    (
        &["auth_too_old"],
        failed(
            "{provider} did not ask who you are",
            "This needs a sign-in that is newer than the one that {provider} remembers of you.",
            "Try again. If {provider} does not ask for your password or key, sign out there first. If it did ask, tell your \
             administrator: {provider} has to say when you signed in (auth_time).",
        ),
    ),
    (
        &["account_inactive"],
        refused(
            "Your account is switched off",
            "{provider} says that your account is not active any more.",
            "Ask your administrator to switch it on.",
        ),
    ),
    (
        &["provider_refused"],
        failed(
            "{provider} did not sign you in",
            "{provider} ended the sign-in with an error, and you were not signed in.",
            "Try again. If it happens again, give the reference to your administrator.",
        ),
    ),
    (
        &["provider_error", "token_response_invalid", "userinfo_invalid"],
        failed(
            "{provider} gave an answer we cannot use",
            "You may be signed in at {provider}, but this application could not read its answer.",
            "Try again. If it happens again, give the reference to your administrator.",
        ),
    ),
    (&["idp_config_rejected", "jwks_rejected", "invalid_client"], MISCONFIGURED),
    (&["client_secret_unreadable", "client_key_unusable", "connector_misconfigured"], MISCONFIGURED),
    (
        &["idp_mixup", "iss_mismatch", "iss_param_missing"],
        failed(
            "The answer came from another provider",
            "The sign-in was started with one provider and answered by another, so you were not signed in.",
            "Start again from the application, and do not follow sign-in links from elsewhere.",
        ),
    ),
    (
        &[
            "sig_invalid",
            "alg_not_allowed",
            "key_unknown",
            "crit_unsupported",
            "claim_missing",
            "aud_mismatch",
            "azp",
            "nonce_mismatch",
            "at_hash",
            "type",
            "wrong_token_type",
            "malformed",
            "userinfo_sub_mismatch",
            "sub_invalid",
            "tenant_mismatch",
            "refresh_identity_changed",
            "logout_token_events",
            "logout_token_nonce",
            "logout_token_subject",
            "logout_token_jti",
            "sid_invalid",
        ],
        NOT_TRUSTED,
    ),
    (
        &["duplicate_parameter", "unexpected_parameter", "code_missing", "response_too_large"],
        failed(
            "The answer cannot be read",
            "The address that brought you here has parts that do not belong together.",
            "Start again from the application, and do not follow sign-in links from elsewhere.",
        ),
    ),
    (
        &["tenant_not_allowed"],
        refused(
            "This organisation may not sign in here",
            "You signed in at {provider} with an account of an organisation that this application does not admit.",
            "Try again with your work account. If this is the one, ask the people who run the application to admit your organisation.",
        ),
    ),
    (
        &["hd_mismatch"],
        refused(
            "This is not a work account",
            "You signed in at {provider} with a private account, or one of another organisation.",
            "Try again and choose your work account. You may have to use “Use another account” at {provider}.",
        ),
    ),
    (
        &["email_unverified"],
        refused(
            "{provider} does not confirm your address",
            "Your e-mail address is not verified there, or you are a guest of the organisation that you signed in at.",
            "Try again with the account of your own company, or ask your administrator to have the address verified.",
        ),
    ),
    (
        &["email_invalid"],
        failed(
            "{provider} did not send an e-mail address",
            "This application recognises people by their address, and what {provider} sent is not one.",
            "Ask your administrator to correct your address at {provider}.",
        ),
    ),
    (
        &["header_too_long"],
        refused(
            "Your account is too large for this application",
            "{provider} sent more about you than this application can be told, such as very many groups.",
            "Ask your administrator to send this application only the groups that it needs.",
        ),
    ),
    (
        &["groups_elsewhere", "groups_too_many"],
        refused(
            "You are in too many groups for this application",
            "{provider} did not tell this application all groups of yours, because there are too many.",
            "Ask your administrator to let this application ask for them, or to send it only the groups that it needs.",
        ),
    ),
    (
        &["groups_unavailable", "groups_invalid"],
        wait(
            "Your groups cannot be looked up",
            "{provider} knows you, but the service that knows your groups does not answer as it should.",
            "Wait a minute, then try again. If it goes on, tell your administrator.",
        ),
    ),
    (&["groups_denied", "service_account_unreadable"], MISCONFIGURED),
    (
        &["email_missing"],
        refused(
            "{provider} did not send your e-mail address",
            "This application recognises people by their address, and there was none in the answer.",
            "Ask your administrator to fill in your address at {provider} and to let this application see it.",
        ),
    ),
    (
        &["domain_not_allowed"],
        refused(
            "Your address belongs to another company",
            "{provider} signed you in with an address whose domain does not sign in this way.",
            "Try again and begin with the address that you use at work.",
        ),
    ),
    (
        &["connector_disabled"],
        refused(
            "Signing in with {provider} is switched off",
            "An administrator switched this way of signing in off, maybe only for a while.",
            "Ask your administrator when it is back, or whether there is another way in.",
        ),
    ),
    (
        &["domain_disabled"],
        refused(
            "Signing in is switched off for your company",
            "{provider} knows you, but an administrator switched sign-in off for addresses like yours.",
            "Ask your administrator when it is back, or whether there is another way in.",
        ),
    ),
    (
        &["user_deactivated"],
        refused(
            "Your account here is switched off",
            "{provider} knows you, but an administrator switched off your account for this service.",
            "Ask your administrator to switch it on again, if that is a mistake.",
        ),
    ),
    (
        &["account_conflict"],
        refused(
            "Your address belongs to another account",
            "{provider} signed you in, but it had given your address to somebody else before, who has an account here.",
            "Ask your administrator to decide whose account it is. They find what to do under the reference below.",
        ),
    ),
    (
        &["provider_session_ended"],
        failed(
            "You signed out meanwhile",
            "{provider} ended your session while this sign-in was waiting for you, so it was not completed.",
            "Start again to sign in.",
        ),
    ),
    (
        &["sign_in_revoked"],
        failed(
            "Your sign-in was ended meanwhile",
            "You were signed out everywhere, by yourself or an administrator, before this sign-in was completed.",
            "Start again to sign in.",
        ),
    ),
    (
        &["directory_unavailable"],
        wait(
            "The sign-in cannot be completed right now",
            "Part of this service does not answer at the moment. Nothing is wrong with your account.",
            "Wait a minute, then try again. If it goes on, tell your administrator.",
        ),
    ),
];
