//! Whole configurations: what loads, and what each mistake is answered with. A negative case is the honest
//! configuration with one change.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::*;
use crate::base::role::{RequiredRole, Role};
use crate::base::secret::Secret;

mod connectors;
mod durable;
mod groups;
mod mistakes;
mod native;
mod renewal;
mod saml;
mod sources;

const HONEST: &str = r#"
[server]
public_url = "https://app.example.com"
environment = "production"
trusted_proxies = ["10.0.0.0/8"]

[apps.portal]
upstream = "http://127.0.0.1:3000"
sign_out = "/logout"
routes = [
  { path = "/assets/**", access = "public" },
  { path = "/api/**", access = "native", methods = ["GET", "POST"] },
  { path = "/admin/**", role = "Admin" },
]

[apps.portal.native]
challenge = "Basic realm=\"portal\""
api_key_headers = ["X-Api-Key"]

[connectors.acme-entra]
kind = "entra"
issuer = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/"
client_id = "entra-client"
client_secret = "canary-entra"

[connectors.globex]
kind = "google"
client_id = "google-client"
client_secret = "canary-google"

[connectors.initech]
kind = "oidc"
issuer = "https://idp.initech.example/realms/main"
client_id = "oidc-client"

[domains."acme.com"]
connector = "acme-entra"
environment = "production"

[domains."globex.example"]
connector = "globex"
environment = "production"

[domains."initech.example"]
connector = "initech"
environment = "production"

[identity]
headers = ["x-forwarded", { name = "X-Mail", value = "{email}" }]
assertion = { lifetime = "30s" }

[sessions]
idle_timeout = "12h"

[log]
format = "text"
"#;

/// Loads `text` as a file of that ending, with these variables and flags.
fn load_as(ending: &str, text: &str, env: &[(&str, &str)], flags: &Overrides) -> Result<Loaded, Problems> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(format!("anteroom.{ending}"));
    std::fs::write(&path, text).unwrap();
    load(Some(&path), env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())), flags)
}

fn load_toml(text: &str) -> Result<Loaded, Problems> {
    load_as("toml", text, &[], &Overrides::default())
}

fn changed(changes: &[(&str, &str)]) -> String {
    let mut text = HONEST.to_owned();
    for (from, to) in changes {
        assert_eq!(text.matches(from).count(), 1, "{from:?} stands once in the honest configuration");
        text = text.replace(from, to);
    }
    text
}

/// The honest configuration with the changes has exactly one mistake, at this key, in a line of the file, and the
/// message says this.
#[track_caller]
fn refused(changes: &[(&str, &str)], key: &str, says: &str) {
    let text = changed(changes);
    let problems = load_toml(&text).expect_err("the change is a mistake").0;
    assert_eq!(problems.len(), 1, "one mistake: {}", Problems(problems.clone()));
    let problem = &problems[0];
    assert_eq!(problem.place.key, key, "{problem}");
    assert!(problem.text.contains(says), "{problem}");
    assert!(!problem.text.contains("canary"), "{problem}");
    assert!(matches!(problem.place.source, Source::File { .. }), "{problem}");
}

/// The honest configuration with the changes loads.
#[track_caller]
fn accepted(changes: &[(&str, &str)]) -> Loaded {
    load_toml(&changed(changes)).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_honest_configuration_loads_without_a_warning() {
    let Loaded { config, warnings } = accepted(&[]);
    assert_eq!(warnings, []);
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:4180");
    assert_eq!(config.server.public_url.origin, "https://app.example.com");
    assert_eq!(config.server.environment, Some(Environment::Production));
    assert!((1..=4).contains(&config.server.workers));
    assert_eq!(config.server.prefix, "/.anteroom");
    assert_eq!(config.ops.listen.to_string(), "127.0.0.1:9090");
    assert!(config.keys.dir.is_absolute() && config.keys.dir.ends_with("keys"));
    let app = &config.apps["portal"];
    assert_eq!(app.hosts, ["app.example.com"]);
    assert_eq!(app.upstream, Upstream { host: String::from("127.0.0.1"), port: 3000 });
    assert_eq!(app.sign_out.as_deref(), Some("/logout"));
    assert_eq!(
        app.routes.iter().map(|r| r.access).collect::<Vec<_>>(),
        [Access::Public, Access::Native, Access::SignedIn]
    );
    assert_eq!(app.routes[1].methods, [http::Method::GET, http::Method::POST]);
    assert_eq!(app.routes[2].role, RequiredRole::AtLeast(Role::Admin));
    assert!(app.routes[2].path.matches("/admin/x") && !app.routes[2].path.matches("/admin"));
    let NativeChallenge::Header(challenge) = &app.native.challenge else { panic!("a header") };
    assert_eq!(challenge, "Basic realm=\"portal\"");
    assert_eq!(config.domains[&"acme.com".parse().unwrap()].connector.as_str(), "acme-entra");
    assert_eq!(config.identity.presets, [HeaderPreset::XForwarded]);
    assert_eq!(config.identity.custom[0].value, [TemplatePart::Field(IdentityField::Email)]);
    let assertion = config.identity.assertion.unwrap();
    assert_eq!((assertion.header.as_str(), assertion.lifetime), ("x-anteroom-assertion", Duration::from_secs(30)));
    assert_eq!(config.sessions.idle_timeout, Duration::from_secs(12 * 3_600));
    assert_eq!(config.sessions.absolute_timeout, Duration::from_secs(7 * 86_400));
    assert_eq!((config.log.format, config.log.level.as_str(), config.log.access), (LogFormat::Text, "info", true));
}

#[test]
fn the_honest_connectors_have_their_kinds_defaults() {
    let config = accepted(&[]).config;
    let entra = &config.connectors["acme-entra"].oidc().unwrap();
    let tenant = "11111111-2222-3333-4444-555555555555";
    assert_eq!(entra.issuer.as_str(), format!("https://login.microsoftonline.com/{tenant}/v2.0"));
    let ConnectorKind::Entra { tenant: found, allowed_tenants } = &entra.kind else { panic!("entra") };
    assert_eq!((found.as_str(), allowed_tenants.as_slice()), (tenant, [tenant.to_owned()].as_slice()));
    assert_eq!(entra.name, "Microsoft");
    let Some(Secret::Value(secret)) = &entra.client_secret else { panic!("a secret") };
    assert_eq!(secret.expose_secret(), "canary-entra");
    assert_eq!(entra.callback_path, "/.anteroom/oidc/acme-entra/callback");
    assert_eq!(entra.scopes, ["openid", "profile", "email", "offline_access"]);
    assert_eq!((entra.renewal, &entra.requirement), (Renewal::Refresh, &Requirement::default()));
    assert_eq!(entra.algorithms, [SigningAlgorithm::RS256]);
    let google = &config.connectors["globex"].oidc().unwrap();
    assert_eq!((google.name.as_str(), google.issuer.host_str()), ("Google", Some("accounts.google.com")));
    let ConnectorKind::Google { hosted_domains } = &google.kind else { panic!("google") };
    assert_eq!(hosted_domains, &["globex.example".parse().unwrap()]);
    let oidc = &config.connectors["initech"].oidc().unwrap();
    assert_eq!((google.renewal, oidc.renewal), (Renewal::Off, Renewal::Refresh));
    assert_eq!((google.scopes.len(), oidc.scopes.len()), (3, 3));
    assert_eq!(oidc.name, "initech");
    assert!(oidc.client_secret.is_none());
    assert!(matches!(oidc.kind, ConnectorKind::Oidc { email_is_verified_by_operator: false }));
    assert!(!format!("{config:?}").contains("canary"), "Debug shows no secret");
}

#[test]
fn the_documented_defaults_are_the_defaults() {
    // Writes every default of the schema into the configuration: nothing may change.
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    let mut without = String::from("[server]\npublic_url = \"https://a.example\"\n");
    without.push_str("[apps.a]\nupstream = \"http://b:1\"\nroutes = [ { path = \"/x\" } ]\n");
    without.push_str("[connectors.c]\nkind = \"oidc\"\nissuer = \"https://i.example\"\nclient_id = \"c\"\n");
    let mut with: toml::Table = without.parse().unwrap();
    let mut count = 0;
    let mut fill = |at: &serde_json::Value, table: &mut toml::Table| {
        for (key, setting) in at["properties"].as_object().unwrap() {
            if let Some(default) = setting.get("default").filter(|d| **d != serde_json::json!([]) || key != "routes") {
                table.insert(key.clone(), toml::Value::try_from(default).unwrap());
                count += 1;
            }
        }
    };
    let sections = &schema["properties"];
    for name in ["server", "ops", "keys", "outgoing", "identity", "sessions", "log"] {
        let table = with.entry(name).or_insert_with(|| toml::Table::new().into()).as_table_mut().unwrap();
        fill(&sections[name], table);
    }
    let mut assertion = toml::Table::new();
    fill(&sections["identity"]["properties"]["assertion"], &mut assertion);
    with["identity"].as_table_mut().unwrap().insert(String::from("assertion"), assertion.into());
    fill(&sections["connectors"]["additionalProperties"], with["connectors"]["c"].as_table_mut().unwrap());
    let app = &sections["apps"]["additionalProperties"];
    let route = &app["properties"]["routes"]["items"];
    fill(route, with["apps"]["a"]["routes"][0].as_table_mut().unwrap());
    assert!(count >= 20, "{count} defaults are documented");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.toml");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let loaded = load(Some(&path), std::iter::empty(), &Overrides::default());
        format!("{:?}", loaded.unwrap_or_else(|problems| panic!("{problems}")).config)
    };
    assert_eq!(read(&with.to_string()), read(&without));
}
