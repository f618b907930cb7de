//! `anteroom connector show`, from outside.

use aws_lc_rs::digest;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;

use crate::command_line::{Binary, Place, anteroom, run, tree};
use crate::doctor::metadata;

const CONFIG: &str = r#"
[server]
public_url = "https://login.example.com"
environment = "production"

[apps.portal]
public_url = "https://app.example.com"
upstream = "http://127.0.0.1:1"

[connectors.globex]
kind = "saml"
name = "Globex"
metadata_file = "globex.xml"
entity_id = "urn:amazon:cognito:sp:us-east-1_x"
acs_url = "https://acs.example.com/saml2/idpresponse"

[connectors.initech]
kind = "entra"
protocol = "saml"
metadata_url = "https://idp.initech.example/metadata.xml?appid=1"

[connectors.acme]
kind = "oidc"
issuer = "https://idp.acme.example/main"
client_id = "acme-client"
client_secret = "canary"
callback_path = "/oauth2/callback"

[domains."globex.example"]
connector = "globex"
environment = "production"
"#;

fn place() -> Place {
    let place = Place::new("anteroom.toml", CONFIG);
    std::fs::write(place.dir.path().join("globex.xml"), metadata((2099, 1, 1), "")).unwrap();
    place
}

async fn show(place: &Place, more: &[&str]) -> (i32, String, String) {
    run(anteroom(&["connector", "show", "--config", place.file.to_str().unwrap()]).args(more)).await
}

async fn shown(place: &Place, id: &str) -> Value {
    let (code, out, err) = show(place, &["--json", id]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(!out.contains("canary"), "{out}");
    serde_json::from_str(&out).unwrap()
}

/// R8: an administrator reads what the provider's form asks for, in its words.
#[tokio::test]
async fn r8_a_connector_over_saml_is_shown_as_the_form_asks_for_it() {
    let place = place();
    let before = tree(place.dir.path());
    let (code, out, err) = show(&place, &["globex"]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let value = |name: &str| {
        let mut lines = out.lines().skip_while(|line| !line.trim_start().starts_with(name));
        lines.next().unwrap_or_default().trim_start().strip_prefix(name).unwrap_or_default().trim().to_owned()
    };
    for (name, expected) in [
        ("Identifier (Entity ID)", "urn:amazon:cognito:sp:us-east-1_x"),
        ("Reply URL (ACS URL)", "https://acs.example.com/saml2/idpresponse"),
        ("Sign-on URL", "https://app.example.com/"),
        ("Logout URL", "https://login.example.com/.anteroom/saml/globex/slo"),
        ("Metadata of Anteroom", "https://login.example.com/.anteroom/saml/globex/metadata"),
        ("Entity ID", "urn:idp"),
        ("Sign-on (redirect)", "http://127.0.0.1:1/sso"),
    ] {
        assert_eq!(value(name), expected, "{name}\n{out}");
    }
    assert!(out.contains("https://login.example.com/.anteroom/sign-in/go?connector=globex (begins at once)"), "{out}");
    assert!(value("Signing certificate").ends_with("keys/saml-signing.pem: not there yet, the first start makes it"));
    assert!(out.contains("domains: globex.example") && out.contains("until 2099-01-01"), "{out}");
    assert_eq!(tree(place.dir.path()), before, "nothing is written");
}

#[tokio::test]
async fn programs_are_told_the_same() {
    let place = place();
    let globex = shown(&place, "globex").await;
    let registration = &globex["registration"];
    assert_eq!(registration["acs_url"], "https://acs.example.com/saml2/idpresponse");
    assert_eq!(registration["signing"]["in_use"]["sha256"], Value::Null);
    assert_eq!(globex["provider"]["sign_on"]["redirect"], "http://127.0.0.1:1/sso");
    assert_eq!((&globex["protocol"], &globex["kind"]), (&"saml".into(), &"generic".into()));
    let initech = shown(&place, "initech").await;
    assert_eq!(initech["registration"]["entity_id"], "https://login.example.com/.anteroom/saml/initech/metadata");
    assert_eq!(initech["registration"]["acs_url"], "https://login.example.com/.anteroom/saml/initech/acs");
    assert!(initech["provider"]["not_read"].is_string() && initech["kind"] == "entra");
    let acme = shown(&place, "acme").await;
    assert_eq!(acme["registration"]["redirect_uri"], "https://login.example.com/oauth2/callback");
    assert_eq!(
        acme["registration"]["back_channel_logout_uri"],
        "https://login.example.com/.anteroom/backchannel-logout/acme"
    );
    assert_eq!(acme["registration"]["post_logout_redirect_uri"], "https://login.example.com/.anteroom/sign-out/done");
    assert_eq!(acme["registration"]["sign_on_urls"][0], "https://app.example.com/");
    assert!(acme.get("provider").is_none());
    let (code, out, err) = show(&place, &["acm"]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("there are: acme, globex, initech"), "{err}");
}

#[tokio::test]
async fn metadata_that_is_refused_is_shown_so() {
    let place = place();
    std::fs::write(place.dir.path().join("globex.xml"), "<EntityDescriptor/>").unwrap();
    let globex = shown(&place, "globex").await;
    let problem = globex["provider"]["problem"].as_str().unwrap();
    assert!(problem.starts_with("saml_metadata_rejected: "), "{problem}");
    let (code, out, _) = run(&mut anteroom(&["check", "-c", place.file.to_str().unwrap()])).await;
    assert!(code == 0 && out.contains("connectors.globex.metadata_file: nobody can sign in with it: "), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_shown_when_they_are_there() {
    let saml = "[connectors.globex-saml]\nkind = \"saml\"\nmetadata_url = \"http://127.0.0.1:1/m\"\n";
    let binary = Binary::start(|text| format!("{text}\n{saml}")).await;
    let found = shown(&binary.place, "globex-saml").await;
    for (key, name) in [("signing", "saml-signing.pem"), ("decryption", "saml-decryption.pem")] {
        let file = binary.place.dir.path().join("keys").join(name);
        let in_use = &found["registration"][key]["in_use"];
        assert_eq!(in_use["file"], file.to_str().unwrap());
        let certificate = CertificateDer::from_pem_file(&file).unwrap();
        let sha256 = digest::digest(&digest::SHA256, &certificate);
        let hex: String = sha256.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(in_use["sha256"], hex.as_str());
        assert!(in_use["expires"].as_str().is_some_and(|at| at.starts_with("20")));
    }
    let (_, out, _) = show(&binary.place, &["globex-saml"]).await;
    assert!(!out.contains("PRIVATE KEY") && out.contains("SHA-256 "), "{out}");
}
