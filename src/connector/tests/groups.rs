//! Groups as part of a sign-in; the look-ups themselves are in `groups/tests.rs`.

use super::*;

#[tokio::test]
async fn groups_elsewhere_are_asked_for_last_and_with_the_persons_token_i10() {
    let (idp, provider, clock) = setup().await;
    idp.claim("hasgroups", json!(true));
    assert_eq!(verdict(&provider).await, Err("groups_elsewhere"));
    let groups = crate::config::GroupsFrom::Graph { url: idp.issuer().parse().unwrap(), always: false };
    let graph = self::provider(&OidcConnector { groups, ..provider.connector.clone() }, &clock);
    let path = "/v1.0/me/transitiveMemberOf/microsoft.graph.group";
    assert_eq!(verdict(&graph).await, Err("groups_invalid"), "404");
    assert_eq!(idp.asked(path), 1);
    idp.claim("email", json!("ann@other.com"));
    assert_eq!(verdict(&graph).await, Err("domain_not_allowed"));
    assert_eq!(idp.asked(path), 1, "nobody asks about somebody who may not sign in");
}
