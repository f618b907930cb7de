//! Which keys of a connector belong to which kind and protocol. One that belongs to another would be read by nobody: as
//! bad as an unknown one.

use super::connectors::RawConnector;
use super::kinds::{Kind, Protocol};
use super::problem::{Place, Report};
use super::saml_keys::Preset;

/// The protocol of a connector; reports what does not go with it. Where the kind is not known, the keys say which
/// protocol was meant, so that the other mistakes can be reported too.
pub(super) fn protocol(raw: &RawConnector, report: &mut Report) -> Protocol {
    let guessed = if raw.saml.places().next().is_some() { Protocol::Saml } else { Protocol::Oidc };
    let Some(kind) = raw.kind.set().map(|at| at.value.0) else { return guessed };
    let written = raw.protocol.set().map(|at| (at.value.0, &at.place));
    let protocol = match (kind, written) {
        (Kind::Saml, Some((Protocol::Oidc, place))) => {
            let text = "found \"oidc\", and kind = \"saml\" speaks SAML; remove it, or write kind = \"oidc\"";
            report.problem(place, text);
            return Protocol::Saml;
        }
        (Kind::Oidc, Some((Protocol::Saml, place))) => {
            let text =
                "found \"saml\", and kind = \"oidc\" speaks OpenID Connect; for SAML write kind = \"saml\" alone";
            report.problem(place, text);
            return guessed;
        }
        (Kind::Saml, _) => Protocol::Saml,
        (_, Some((protocol, _))) => protocol,
        (_, None) if raw.protocol.is_written() => return guessed,
        (_, None) => Protocol::Oidc,
    };
    refuse_keys_of_other_kinds(kind, protocol, raw, report);
    protocol
}

fn refuse_keys_of_other_kinds(kind: Kind, protocol: Protocol, raw: &RawConnector, report: &mut Report) {
    let preset = raw.saml.preset.set().map(|at| at.value.0);
    // A preset makes a kind = "saml" the product's.
    let product = match (kind, preset) {
        (Kind::Saml, Some(Preset::Entra)) => Kind::Entra,
        (Kind::Saml, Some(Preset::Google)) => Kind::Google,
        (kind, _) => kind,
    };
    let of_products = [
        (Kind::Entra, "tenant_id", raw.tenant_id.place()),
        (Kind::Entra, "allowed_tenants", raw.allowed_tenants.place()),
        (Kind::Google, "hosted_domains", raw.hosted_domains.place()),
    ];
    let mine = of_products.into_iter().filter(|(owner, ..)| *owner != product);
    let of_kinds = of_kinds(raw).into_iter().filter(|(owner, ..)| protocol == Protocol::Oidc && *owner != kind);
    for (owner, key, place) in mine.chain(of_kinds) {
        let Some(place) = place else { continue };
        let or = if kind == Kind::Saml { format!(", or write preset = {:?}", owner.word()) } else { String::new() };
        let (owner, kind) = (owner.word(), kind.word());
        let text = format!("{key} belongs to kind = {owner:?}, and this connector is kind = {kind:?}; remove it{or}");
        report.problem(place, text);
    }
    match protocol {
        Protocol::Oidc => {
            let speak_saml = match kind {
                Kind::Entra | Kind::Google => "; or write protocol = \"saml\"",
                Kind::Oidc | Kind::Saml => "; or write kind = \"saml\"",
            };
            for (key, place) in raw.saml.places() {
                let instead = oidc_has(key).map(|has| format!(" (OpenID Connect has {has})")).unwrap_or_default();
                let text = format!(
                    "{key} belongs to SAML, and this connector speaks OpenID Connect; remove it{instead}{speak_saml}"
                );
                report.problem(place, text);
            }
        }
        Protocol::Saml => {
            // Entra names methods over SAML too.
            let of_both = |key: &str| key == "amr" && product == Kind::Entra;
            for (key, place, has) in of_oidc(raw).into_iter().filter(|(key, ..)| !of_both(key)) {
                let Some(place) = place else { continue };
                let has = if has.is_empty() { String::new() } else { format!(" ({has})") };
                let text = format!("{key} belongs to OpenID Connect, and this connector speaks SAML; remove it{has}");
                report.problem(place, text);
            }
        }
    }
    if let (Some(at), Kind::Entra | Kind::Google) = (raw.saml.preset.set().filter(|_| protocol == Protocol::Saml), kind)
    {
        let kind = kind.word();
        report.problem(
            &at.place,
            format!("preset belongs to kind = \"saml\", and kind = {kind:?} is one itself; remove it"),
        );
    }
}

/// Keys of one kind's OpenID Connect.
fn of_kinds(raw: &RawConnector) -> [(Kind, &'static str, Option<&Place>); 4] {
    [
        (Kind::Oidc, "email_is_verified", raw.email_is_verified.place()),
        (Kind::Entra, "groups_overage", raw.groups_overage.place()),
        (Kind::Entra, "graph_url", raw.graph_url.place()),
        (Kind::Google, "directory", raw.directory.place()),
    ]
}

/// Keys of OpenID Connect, with what SAML has in their place.
fn of_oidc(raw: &RawConnector) -> [(&'static str, Option<&Place>, &'static str); 20] {
    let metadata = "metadata_file or metadata_url says who the provider is";
    let entity = "the provider knows Anteroom by its entity_id";
    let signing = "requests are signed with signing_key_file and signing_cert_file";
    let renewal = "SAML renews no session: it lasts until sessions.absolute_timeout, or as long as the provider says";
    let groups = "the groups are those of the assertion: attributes.groups";
    [
        ("issuer", raw.issuer.place(), metadata),
        ("client_id", raw.client_id.place(), entity),
        ("client_secret", raw.client_secret.place(), signing),
        ("client_secret_file", raw.client_secret_file.place(), signing),
        ("client_certificate_file", raw.client_certificate_file.place(), signing),
        ("client_key_file", raw.client_key_file.place(), signing),
        ("email_is_verified", raw.email_is_verified.place(), "the provider's addresses count, within the domains"),
        ("scopes", raw.scopes.place(), ""),
        ("email_claim", raw.email_claim.place(), "SAML has attributes.email"),
        ("groups_claim", raw.groups_claim.place(), "SAML has attributes.groups"),
        ("groups_overage", raw.groups_overage.place(), groups),
        ("graph_url", raw.graph_url.place(), groups),
        ("directory", raw.directory.place(), groups),
        ("roles_claim", raw.roles_claim.place(), "SAML has attributes.roles"),
        ("algorithms", raw.algorithms.place(), "the keys of the metadata say how responses are signed"),
        ("prompt", raw.prompt.place(), "max_age = \"0s\" asks for a new proof"),
        ("amr", raw.amr.place(), "only Entra ID names methods over SAML; acr asks for authentication context classes"),
        ("renewal", raw.renewal.place(), renewal),
        ("renewal_interval", raw.renewal_interval.place(), renewal),
        ("callback_path", raw.callback_path.place(), "SAML has acs_url"),
    ]
}

/// What OpenID Connect has in the place of a key of SAML's.
fn oidc_has(key: &str) -> Option<&'static str> {
    match key {
        "metadata_file" | "metadata_url" | "idp_entity_id" => Some("issuer"),
        "entity_id" => Some("client_id"),
        "acs_url" => Some("callback_path"),
        "attributes" => Some("email_claim, groups_claim and roles_claim"),
        "signing_key_file" => Some("client_key_file"),
        "signing_cert_file" => Some("client_certificate_file"),
        _ => None,
    }
}
