//! Where groups come from: Entra's overage and Google's directory.

use super::*;
use crate::base::service_account::tests::key_file;

const ENTRA: &str = "client_id = \"entra-client\"";
const GOOGLE: &str = "client_id = \"google-client\"";

fn entra(keys: &str) -> String {
    format!("{ENTRA}\n{keys}")
}

#[test]
fn an_overage_is_refused_unless_graph_is_named() {
    for keys in ["", "groups_overage = \"refuse\""] {
        let connector = accepted(&[(ENTRA, &entra(keys))]).config.connectors["acme-entra"].oidc().unwrap().clone();
        assert!(matches!(connector.groups, GroupsFrom::Token));
        assert_eq!(connector.scopes, ["openid", "profile", "email", "offline_access"]);
    }
    for (word, expected) in [("graph", false), ("always-graph", true)] {
        let keys = entra(&format!("groups_overage = {word:?}"));
        let connector = accepted(&[(ENTRA, &keys)]).config.connectors["acme-entra"].oidc().unwrap().clone();
        let GroupsFrom::Graph { url, always } = connector.groups else { panic!("graph") };
        assert_eq!((url.as_str(), always), ("https://graph.microsoft.com/", expected));
        assert_eq!(connector.scopes, ["openid", "profile", "email", "offline_access", "User.Read"]);
    }
    refused(&[(ENTRA, &entra("groups_overage = \"none\""))], "connectors.acme-entra.groups_overage", "\"refuse\"");
}

#[test]
fn graph_has_an_origin_in_each_cloud_and_its_scope() {
    let china = "https://microsoftgraph.chinacloudapi.cn";
    let scopes = |keys: &str| {
        let keys = entra(&format!("groups_overage = \"graph\"\n{keys}"));
        accepted(&[(ENTRA, &keys)]).config.connectors["acme-entra"].oidc().unwrap().scopes.clone()
    };
    let own = format!("graph_url = \"{china}\"");
    assert_eq!(scopes(&own).last().unwrap(), &format!("{china}/User.Read"));
    for scope in ["user.read", "https://graph.microsoft.com/User.Read", "https://graph.microsoft.com/.default"] {
        assert_eq!(scopes(&format!("scopes = [\"openid\", {scope:?}]")), ["openid", scope], "it is there");
    }
    for bad in ["https://graph.microsoft.com/v1.0", "graph.microsoft.com", "http://graph.example.com", "https://a@b"] {
        let keys = entra(&format!("groups_overage = \"graph\"\ngraph_url = {bad:?}"));
        refused(&[(ENTRA, &keys)], "connectors.acme-entra.graph_url", "allowed:");
    }
    refused(&[(ENTRA, &entra(&own))], "connectors.acme-entra.graph_url", "is not used");
}

#[test]
fn a_directory_has_a_key_file_and_an_administrator() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.json");
    std::fs::write(&path, key_file(0).to_string()).unwrap();
    let with = |keys: &str| format!("{GOOGLE}\ndirectory = {{ {keys} }}");
    let file = format!("service_account_file = {path:?}");
    let good = with(&format!("{file}, subject = \"admin@globex.example\""));
    let loaded = accepted(&[(GOOGLE, &good)]);
    let GroupsFrom::Directory(directory) = &loaded.config.connectors["globex"].oidc().unwrap().groups else {
        panic!("a directory")
    };
    assert_eq!(directory.subject.as_str(), "admin@globex.example");
    assert_eq!(directory.url.as_str(), "https://admin.googleapis.com/");
    assert_eq!(directory.token_url.as_str(), "https://oauth2.googleapis.com/token");

    let at = |key: &str| format!("connectors.globex.directory.{key}");
    refused(&[(GOOGLE, &with(&file))], &at("subject"), "missing");
    refused(&[(GOOGLE, &with("subject = \"admin@globex.example\""))], &at("service_account_file"), "missing");
    refused(&[(GOOGLE, &with(&format!("{file}, subject = \"admin\"")))], &at("subject"), "e-mail address");
    for (key, bad) in
        [("url", "https://a.example/path"), ("url", "http://a.example"), ("token_url", "http://a.example")]
    {
        let keys = format!("{file}, subject = \"admin@globex.example\", {key} = {bad:?}");
        refused(&[(GOOGLE, &with(&keys))], &at(key), "allowed:");
    }
    let mut other = key_file(0);
    other["type"] = "authorized_user".into();
    for (text, says) in [(other.to_string(), "service_account"), ("canary".into(), "JSON"), (String::new(), "empty")] {
        std::fs::write(&path, text).unwrap();
        refused(&[(GOOGLE, &good)], &at("service_account_file"), says);
    }
    std::fs::remove_file(&path).unwrap();
    refused(&[(GOOGLE, &good)], &at("service_account_file"), "cannot read");
}

#[test]
fn each_kind_has_its_own_way_to_groups() {
    let oidc = |key: &str| format!("client_id = \"oidc-client\"\n{key}");
    for (key, name, kind) in [
        ("groups_overage = \"graph\"", "groups_overage", "entra"),
        ("graph_url = \"https://graph.microsoft.com\"", "graph_url", "entra"),
    ] {
        let says = format!("{name} belongs to kind = {kind:?}");
        let at = format!("connectors.initech.{name}");
        refused(&[("client_id = \"oidc-client\"", &oidc(key))], &at, &says);
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.json");
    std::fs::write(&path, key_file(0).to_string()).unwrap();
    let keys = entra(&format!("directory = {{ service_account_file = {path:?}, subject = \"a@acme.com\" }}"));
    refused(&[(ENTRA, &keys)], "connectors.acme-entra.directory", "belongs to kind = \"google\"");
}
