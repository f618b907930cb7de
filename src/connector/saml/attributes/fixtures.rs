//! Subjects and attribute statements in the form in which each product sends them.

use crate::base::clock::Timestamp;
use crate::connector::saml::NameId;
use crate::connector::saml::types::{Assertion, Attribute};
use crate::connector::saml::xml::{Element, Policy, SAML, Tree};

pub(super) const TENANT: &str = "11111111-2222-4333-8444-555555555555";
pub(super) const OBJECT: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";

/// A verified assertion with this subject and these attributes.
pub(in crate::connector::saml) fn assertion(subject_and_attributes: &str) -> Assertion {
    let xml = format!(
        "<Assertion xmlns=\"{SAML}\" xmlns:saml2=\"{SAML}\" xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">{}</Assertion>",
        subject_and_attributes.lines().map(str::trim).collect::<String>()
    );
    let tree = Tree::parse(&xml, Policy::Message).unwrap();
    let name_id = tree.root().descendants().find(|e| e.is(SAML, "NameID")).unwrap();
    let own = |name: &str| name_id.attribute(name).map(str::to_owned);
    let attributes = tree.root().descendants().filter(|e| e.is(SAML, "Attribute")).map(|e| Attribute {
        name: e.attribute("Name").unwrap().to_owned(),
        friendly_name: e.attribute("FriendlyName").map(str::to_owned),
        values: e.children_named(SAML, "AttributeValue").map(Element::text).collect(),
    });
    Assertion {
        id: "_a".into(),
        name_id: NameId {
            value: name_id.text(),
            format: own("Format"),
            name_qualifier: own("NameQualifier"),
            sp_name_qualifier: own("SPNameQualifier"),
        },
        session_index: None,
        session_not_on_or_after: None,
        authn_instant: Timestamp::from_secs(1_700_000_000),
        authn_context_class: None,
        attributes: attributes.collect(),
        expires: Timestamp::from_secs(1_700_003_600),
    }
}

/// Entra's default set, with groups and app roles switched on.
pub(super) fn entra() -> String {
    format!(
        r#"<Subject><NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">ann@acme.com</NameID></Subject>
        <AttributeStatement>
        <Attribute Name="http://schemas.microsoft.com/identity/claims/tenantid"><AttributeValue>{TENANT}</AttributeValue></Attribute>
        <Attribute Name="http://schemas.microsoft.com/identity/claims/objectidentifier"><AttributeValue>{OBJECT}</AttributeValue></Attribute>
        <Attribute Name="http://schemas.microsoft.com/identity/claims/displayname"><AttributeValue>Ann Example</AttributeValue></Attribute>
        <Attribute Name="http://schemas.microsoft.com/ws/2008/06/identity/claims/groups">
          <AttributeValue>0a000000-0000-4000-8000-000000000001</AttributeValue>
          <AttributeValue>0a000000-0000-4000-8000-000000000002</AttributeValue>
        </Attribute>
        <Attribute Name="http://schemas.microsoft.com/identity/claims/identityprovider"><AttributeValue>https://sts.windows.net/{TENANT}/</AttributeValue></Attribute>
        <Attribute Name="http://schemas.microsoft.com/claims/authnmethodsreferences"><AttributeValue>http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/password</AttributeValue></Attribute>
        <Attribute Name="http://schemas.microsoft.com/ws/2008/06/identity/claims/role"><AttributeValue>User</AttributeValue><AttributeValue>Admin</AttributeValue></Attribute>
        <Attribute Name="http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname"><AttributeValue>Ann</AttributeValue></Attribute>
        <Attribute Name="http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname"><AttributeValue>Example</AttributeValue></Attribute>
        <Attribute Name="http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"><AttributeValue>ann.example@acme.com</AttributeValue></Attribute>
        <Attribute Name="http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"><AttributeValue>ann@acme.com</AttributeValue></Attribute>
        </AttributeStatement>"#
    )
}

/// Google with the attributes that its form proposes.
pub(super) const GOOGLE: &str = r#"<saml2:Subject>
    <saml2:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified">ann@acme.com</saml2:NameID></saml2:Subject>
    <saml2:AttributeStatement>
    <saml2:Attribute Name="firstName"><saml2:AttributeValue xsi:type="xs:anyType">Ann</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute Name="lastName"><saml2:AttributeValue xsi:type="xs:anyType">Example</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute Name="groups"><saml2:AttributeValue xsi:type="xs:anyType">Staff</saml2:AttributeValue>
      <saml2:AttributeValue xsi:type="xs:anyType">Finance</saml2:AttributeValue></saml2:Attribute>
    </saml2:AttributeStatement>"#;

/// Okta with the statements of its wizard.
pub(super) const OKTA: &str = r#"<saml2:Subject>
    <saml2:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified">ann.example</saml2:NameID></saml2:Subject>
    <saml2:AttributeStatement>
    <saml2:Attribute Name="email" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified">
      <saml2:AttributeValue xsi:type="xs:string">ann@acme.com</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute Name="firstName" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified">
      <saml2:AttributeValue xsi:type="xs:string">Ann</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute Name="lastName" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified">
      <saml2:AttributeValue xsi:type="xs:string">Example</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute Name="login" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified">
      <saml2:AttributeValue xsi:type="xs:string">ann.example</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute Name="groups" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:unspecified">
      <saml2:AttributeValue xsi:type="xs:string">Everyone</saml2:AttributeValue>
      <saml2:AttributeValue xsi:type="xs:string">Finance</saml2:AttributeValue></saml2:Attribute>
    </saml2:AttributeStatement>"#;

/// AD FS with claims from Active Directory, its e-mail address as the name.
pub(super) const ADFS: &str = r#"<Subject>
    <NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">ann@acme.com</NameID></Subject>
    <AttributeStatement>
    <Attribute Name="http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"><AttributeValue>ann@acme.com</AttributeValue></Attribute>
    <Attribute Name="http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"><AttributeValue>ann@corp.acme.local</AttributeValue></Attribute>
    <Attribute Name="http://schemas.xmlsoap.org/claims/CommonName"><AttributeValue>Ann Example</AttributeValue></Attribute>
    <Attribute Name="http://schemas.microsoft.com/ws/2008/06/identity/claims/windowsaccountname"><AttributeValue>ACME\ann</AttributeValue></Attribute>
    <Attribute Name="http://schemas.xmlsoap.org/claims/Group"><AttributeValue>Domain Users</AttributeValue>
      <AttributeValue>Finance</AttributeValue></Attribute>
    <Attribute Name="http://schemas.microsoft.com/ws/2008/06/identity/claims/role"><AttributeValue>Admin</AttributeValue></Attribute>
    </AttributeStatement>"#;

/// Keycloak with the X.500 mappers; each role is an attribute of its own.
pub(super) const KEYCLOAK: &str = r#"<saml2:Subject>
    <saml2:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">G-3e1c8f0a-0000-4000-8000-000000000001</saml2:NameID></saml2:Subject>
    <saml2:AttributeStatement>
    <saml2:Attribute FriendlyName="email" Name="urn:oid:1.2.840.113549.1.9.1" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">
      <saml2:AttributeValue xsi:type="xs:string">ann@acme.com</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute FriendlyName="givenName" Name="urn:oid:2.5.4.42" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">
      <saml2:AttributeValue xsi:type="xs:string">Ann</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute FriendlyName="surname" Name="urn:oid:2.5.4.4" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">
      <saml2:AttributeValue xsi:type="xs:string">Example</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute Name="member" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic">
      <saml2:AttributeValue xsi:type="xs:string">/staff</saml2:AttributeValue>
      <saml2:AttributeValue xsi:type="xs:string">/finance</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute Name="Role" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic">
      <saml2:AttributeValue xsi:type="xs:string">uma_authorization</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute Name="Role" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic">
      <saml2:AttributeValue xsi:type="xs:string">Admin</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute Name="Role" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic">
      <saml2:AttributeValue xsi:type="xs:string">User</saml2:AttributeValue></saml2:Attribute>
    </saml2:AttributeStatement>"#;

/// Shibboleth with the attributes that federations recommend, under a name that is new each time.
pub(super) const SHIBBOLETH: &str = r#"<saml2:Subject>
    <saml2:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient" NameQualifier="https://idp.acme.com/idp/shibboleth" SPNameQualifier="https://app.example.com">AAdzZWNyZXQx0000</saml2:NameID></saml2:Subject>
    <saml2:AttributeStatement>
    <saml2:Attribute FriendlyName="subject-id" Name="urn:oasis:names:tc:SAML:attribute:subject-id" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">
      <saml2:AttributeValue>0f3c9a@acme.com</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute FriendlyName="eduPersonPrincipalName" Name="urn:oid:1.3.6.1.4.1.5923.1.1.1.6" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">
      <saml2:AttributeValue>aexample@acme.com</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute FriendlyName="mail" Name="urn:oid:0.9.2342.19200300.100.1.3" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">
      <saml2:AttributeValue>ann@acme.com</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute FriendlyName="displayName" Name="urn:oid:2.16.840.1.113730.3.1.241" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">
      <saml2:AttributeValue>Ann Example</saml2:AttributeValue></saml2:Attribute>
    <saml2:Attribute FriendlyName="isMemberOf" Name="urn:oid:1.3.6.1.4.1.5923.1.5.1.1" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">
      <saml2:AttributeValue>urn:mace:acme.com:staff</saml2:AttributeValue></saml2:Attribute>
    </saml2:AttributeStatement>"#;
