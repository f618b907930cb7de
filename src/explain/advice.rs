//! What an operator can do about a decision. For people who run Anteroom; what visitors read stands in
//! `web/pages/catalogue`.

mod saml;

/// What to do about `reason`; of a challenge, about what the session cookie answered.
pub(super) fn advice(reason: &str, cookie: &str) -> &'static str {
    let of = |key: &str| all().find(|(keys, _)| keys.contains(&key)).map(|(_, text)| *text);
    let by_cookie = || match (reason, cookie) {
        ("sign_in_required", "none") => Some(NO_COOKIE),
        ("sign_in_required", "unknown") => of("session_unknown"),
        ("sign_in_required", "ended") => of("session_ended"),
        ("sign_in_required", "malformed" | "twice") => of("cookie_duplicate"),
        _ => None,
    };
    let path = || reason.strip_prefix("path_").and_then(|_| of("path"));
    by_cookie().or_else(|| of(reason)).or_else(path).unwrap_or(GENERAL)
}

fn all() -> impl Iterator<Item = &'static (&'static [&'static str], &'static str)> {
    ADVICE.iter().chain(saml::ADVICE)
}

const GENERAL: &str = "Search the log for this reference: its audit and app lines say more.";

const CLOCKS: &str = "Compare this machine's clock with the provider's; both need time synchronisation.";
const FORGED: &str = "If this was an honest sign-in, compare issuer, client_id and algorithms of the connector with the \
                      provider's registration. If it was not, somebody tried to pass a forged answer: it was refused.";
const ONCE_MORE: &str = "The person starts again from the application. The back button, a second tab, a bookmark of the \
                         sign-in page or more than ten minutes at the provider end like this.";
const NO_COOKIE: &str = "The person signs in. If they just have: does the browser keep the cookie? Another host name, http \
                         in place of https, or a frame on another site (sessions.same_site) keep it away.";
const SETTINGS: &str = "Compare the connector's settings with the provider's registration: issuer, client_id, secret, \
                        redirect URI.";
const NOT_OURS: &str = "The client sent what can be read in two ways. If it is an honest one, repair the client or the \
                        proxy in front; if not, it was kept away from the application.";

const ADVICE: &[(&[&str], &str)] = &[
    // What the session cookie answered.
    (
        &["session_unknown"],
        "The session reached sessions.idle_timeout or sessions.absolute_timeout, or the cookie is another deployment's. \
         The person signs in again; if many do at once, look at what happened to the directory database.",
    ),
    (&["session_ended"], "The session was signed out or revoked: look for session.ended in the audit log."),
    (
        &["cookie_malformed", "cookie_duplicate"],
        "The cookie was not set by Anteroom, or two were sent. Another program on this host, or on a domain above it, \
         sets a cookie of the same name.",
    ),
    // Requests.
    (
        &["credential_required"],
        "The route is native: the client sends the application's own credential, or opens it as a browser would.",
    ),
    (
        &["sso_required"],
        "The domain of this user name is switched on, so a password of the application does not count for it. A person \
         signs in at the provider; a program needs a user name that is no e-mail address (native.allow).",
    ),
    (
        &["credential_malformed"],
        "The Authorization header is not what its scheme says (RFC 7617, RFC 7616), so that the application might read \
         another user name than we do. The client has to send a plain one.",
    ),
    (
        &[
            "sign_in_content_type",
            "sign_in_encoding",
            "sign_in_too_large",
            "sign_in_malformed",
            "sign_in_name_missing",
            "sign_in_name_twice",
            "sign_in_name_malformed",
        ],
        "The application's own sign-in takes one user name, where native.sign_in says, in a plain form or JSON of at most \
         64 KB. If an honest client sends something else, compare username and path of the rule with what it sends.",
    ),
    (
        &["sign_in_throttled"],
        "Too many passwords failed from this network in ten minutes. Names are not locked: from another network, and from \
         where they signed in before, people go on. Look for spray_detected in the audit log.",
    ),
    (&["credential_ambiguous"], "The client sent two credentials of one kind; it has to send one."),
    (
        &["role_missing"],
        "Give the person the role at the provider (roles_claim says where it is read), or change the route's role. It \
         counts from their next sign-in or renewal.",
    ),
    (
        &["auth_too_old"],
        "The person signs in again. If that does not help, the provider does not assert auth_time, or ignores max_age: \
         see its documentation.",
    ),
    (
        &["acr_insufficient", "amr_insufficient"],
        "The person signs in with what the route asks for. If they did, compare the route's acr or amr with what the \
         provider asserts, shown above: case counts.",
    ),
    (
        &["websocket_origin"],
        "The page that opened the connection is of another origin. If it is the application's own, its host belongs \
         into the app's hosts.",
    ),
    (
        &["unknown_host"],
        "The Host header belongs to no app: add it to the app's hosts, or correct what the proxy in front sends.",
    ),
    (&["own_path_unknown"], "There is nothing at this path. Own paths are exact, and case counts."),
    (
        &["path"],
        "The path has no normal form (dot segments, encoded slashes, double escapes). Applications that need such paths \
         cannot be guarded by path.",
    ),
    (&["forwarded_malformed"], "Repair what the trusted proxy in front writes into X-Forwarded-For or Forwarded."),
    (
        &[
            "framing_ambiguous",
            "host_malformed",
            "host_conflict",
            "head_malformed",
            "head_too_large",
            "method_not_allowed",
        ],
        NOT_OURS,
    ),
    (
        &["cross_site", "cross_site_post", "form_expected", "form_too_large", "form_too_many_fields", "not_a_page"],
        "The request did not come from Anteroom's own pages, as it must. A link or form of another site was refused.",
    ),
    (&["rate_limited"], "Too many look-ups from one network. Behind an ingress, list it in server.trusted_proxies."),
    (
        &["connector_unknown", "connector_disabled", "domain_disabled"],
        "The connector or domain of the link is not configured here, or is switched off: `anteroom check`, and the list \
         of what is off.",
    ),
    // Sign-ins.
    (
        &["user_deactivated"],
        "An administrator deactivated the user, or one who has this address: `anteroom user list --address ADDRESS` shows \
         which, `anteroom user activate` lets them in again. If the address now belongs to another person, `anteroom \
         user deactivate ID --release-address` gives it free.",
    ),
    (
        &["account_conflict"],
        "The connector vouched for this address before, under another subject: the person was hired again, or the address \
         or domain has another owner. The same person: `anteroom user unlink ADDRESS --connector ID`, and they sign in \
         to the account they had. Another person: `anteroom user deactivate ADDRESS --release-address`, and they get an \
         account of their own.",
    ),
    (&["sign_in_started"], "Nothing: the browser was sent to its provider. If it never came back, look there."),
    (&["signed_in", "already_signed_in", "renewed", "signed_out"], "Nothing: it went well."),
    (
        &["address_mismatch"],
        "The provider verified another address than the one typed; the person is asked. If the verified one is wrong, \
         repair it at the provider, or run the readiness check for the domain.",
    ),
    (
        &["tx_not_bound"],
        "The cookie of the attempt did not come back: cookies are blocked, the sign-in began in another browser or on \
         another host name, took more than ten minutes, or began before a key was replaced.",
    ),
    (&["hand_off", "hand_off_started", "handed_off"], "Nothing: a sign-in for an application on another host went on."),
    (
        &["hand_off_not_bound"],
        "The cookie of the attempt did not come back to the application's host: cookies are blocked there, or the link \
         was opened in another browser.",
    ),
    (
        &["hand_off_expired", "hand_off_code_unknown", "hand_off_session_ended"],
        "The step back to the application took longer than 30 seconds, the link was used before, or the session ended \
         meanwhile: the person starts again.",
    ),
    (
        &[
            "hand_off_malformed",
            "hand_off_other_step",
            "hand_off_other_host",
            "hand_off_other_attempt",
            "hand_off_other_browser",
        ],
        FORGED,
    ),
    (
        &["hand_off_host_unknown"],
        "The link names a host that no app has as its public_url here. If several processes serve this deployment, do all \
         of them have the same configuration?",
    ),
    (
        &["state_missing", "state_mismatch", "state_expired", "state_replayed", "not_verified_yet", "invalid_grant"],
        ONCE_MORE,
    ),
    (
        &["duplicate_parameter", "unexpected_parameter", "response_too_large", "code_missing", "hint_too_long"],
        "The answer did not have the form of the provider's. If every sign-in ends so, something in between changes it.",
    ),
    (
        &["provider_refused", "provider_error"],
        "The provider said no; its words are above. AADSTS numbers are explained at Microsoft; access_denied means \
         cancelled, or not assigned to the application.",
    ),
    (
        &["provider_unreachable", "provider_unavailable"],
        "The provider does not answer. Check its status page, outgoing.proxy, DNS and the firewall from this machine.",
    ),
    (&["invalid_client", "idp_config_rejected", "jwks_rejected", "connector_misconfigured"], SETTINGS),
    (&["client_secret_unreadable"], "The connector's secret file cannot be read: check its path and owner."),
    (&["directory_unavailable"], "The directory database did not answer: see the app log, and the database itself."),
    (&["expired", "not_yet_valid", "stale"], CLOCKS),
    (&["idp_mixup", "iss_mismatch", "iss_param_missing", "aud_mismatch", "azp", "nonce_mismatch", "at_hash"], FORGED),
    (&["sig_invalid", "alg_not_allowed", "crit_unsupported", "key_unknown", "wrong_token_type", "malformed"], FORGED),
    (
        &[
            "claim_missing",
            "type",
            "sub_invalid",
            "token_response_invalid",
            "userinfo_invalid",
            "userinfo_sub_mismatch",
        ],
        "The provider asserts what cannot be used; claim, expected and found are above. Change the claim mapping there, or \
         the connector's claims here.",
    ),
    (
        &["tenant_mismatch", "tenant_not_allowed", "hd_mismatch"],
        "The account is of another organisation than the connector's. If it should come in, add the tenant \
         (allowed_tenants) or domain (hosted_domains).",
    ),
    (
        &["email_unverified", "email_missing", "email_invalid"],
        "The provider gives no address that it vouches for. Repair the account's address there, or email_claim here.",
    ),
    (
        &["domain_not_allowed"],
        "The verified address is in no domain of this connector: add the domain to the configuration, or repair the \
         address at the provider.",
    ),
    (
        &["account_inactive"],
        "The provider says that the account is not active. Whether that is right is decided there.",
    ),
    (
        &["provider_busy"],
        "More people signed in at once than the provider's token endpoint answered. If it lasts, look at its latency.",
    ),
    (
        &["provider_session_over"],
        "The provider had no session of this person any more, or wanted something of them, so they were asked to sign in \
         again (renewal = \"prompt-none\").",
    ),
    (
        &["issuer_unknown"],
        "No connector has the iss of the link as its issuer. Compare it with what the provider sends: it must be the same, \
         letter by letter.",
    ),
    (&["purpose_malformed"], "The link to the sign-in was changed: `for` is a method in capitals, a blank and a path."),
    (
        &["refresh_identity_changed"],
        "At the renewal of a session the provider spoke of somebody else: the session ended. With prompt-none somebody \
         else is signed in at the provider in this browser. With a refresh token, look at the provider's version and \
         settings; an honest one never does this.",
    ),
    (
        &[
            "logout_token_events",
            "logout_token_nonce",
            "logout_token_subject",
            "logout_token_jti",
            "logout_token_missing",
            "logout_token_replayed",
            "logout_token_sub_mismatch",
            "sid_invalid",
        ],
        "The provider's logout token is none by OpenID Connect Back-Channel Logout 1.0, or came twice. No session ended \
         by it.",
    ),
    (
        &["provider_session_ended"],
        "The provider signed the person out while the sign-in waited for them. Nothing to repair: they sign in again.",
    ),
    (
        &["groups_elsewhere", "groups_too_many"],
        "The person is in more groups than a token holds: set groups_overage, or assign only the groups that the \
         application needs at the provider.",
    ),
    (
        &["groups_unavailable", "groups_invalid"],
        "Microsoft Graph or the Directory API did not answer as it should. Nobody signs in with fewer groups than they \
         have; the person tries again.",
    ),
    (
        &["groups_denied", "service_account_unreadable"],
        "Microsoft Graph or the Directory API does not let Anteroom read groups: look at the consent, the service \
         account's delegation and its key file.",
    ),
    (
        &["client_key_unusable"],
        "The connector's client certificate or its key cannot be used: look at client_certificate_file and \
         client_key_file; they must belong together.",
    ),
    (
        &["header_too_long"],
        "The person's groups or name do not fit the identity headers. Narrow the groups claim at the provider.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_of_a_connector_has_an_advice() {
        for reason in crate::connector::Reason::ALL.iter().map(|reason| reason.code()) {
            assert_ne!(advice(reason, ""), GENERAL, "{reason}: say in src/explain/advice.rs what an operator can do");
        }
    }

    #[test]
    fn no_cause_has_two_advices() {
        let mut keys: Vec<&str> = all().flat_map(|(keys, _)| keys.iter().copied()).collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn of_a_challenge_the_cookie_says_what_to_do() {
        assert!(advice("sign_in_required", "unknown").contains("idle_timeout"));
        assert!(advice("sign_in_required", "none").contains("signs in"));
        assert!(advice("path_dot_segment", "").contains("normal form"));
        assert_eq!(advice("never_heard_of", "none"), GENERAL);
    }
}
