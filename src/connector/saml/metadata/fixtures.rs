//! Metadata in the form in which each product publishes it.

pub(super) const ENTRA_TENANT: &str = "11111111-2222-4333-8444-555555555555";

fn signing(certificate: &str) -> String {
    format!(
        "<KeyDescriptor use=\"signing\"><KeyInfo xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><X509Data>\
         <X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo></KeyDescriptor>"
    )
}

/// Entra: one descriptor per protocol, of which ours is the last, each with the keys; and a signature around nothing
/// that we look at.
pub(super) fn entra(certificates: &[&str], federation_only: &str) -> String {
    let keys: String = certificates.iter().map(|certificate| signing(certificate)).collect();
    let fed = signing(federation_only);
    let tenant = ENTRA_TENANT;
    format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\
         <EntityDescriptor ID=\"_7d1c6b2e-0000-4000-8000-000000000001\" entityID=\"https://sts.windows.net/{tenant}/\" \
         xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\">\
         <RoleDescriptor xsi:type=\"fed:SecurityTokenServiceType\" \
         protocolSupportEnumeration=\"http://docs.oasis-open.org/wsfed/federation/200706\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns:fed=\"http://docs.oasis-open.org/wsfed/federation/200706\">{fed}\
         <fed:ClaimTypesOffered><auth:ClaimType Uri=\"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name\" \
         xmlns:auth=\"http://docs.oasis-open.org/wsfed/authorization/200706\"><auth:DisplayName>Name</auth:DisplayName>\
         </auth:ClaimType></fed:ClaimTypesOffered>\
         <fed:PassiveRequestorEndpoint><wsa:EndpointReference xmlns:wsa=\"http://www.w3.org/2005/08/addressing\">\
         <wsa:Address>https://login.microsoftonline.com/{tenant}/wsfed</wsa:Address></wsa:EndpointReference>\
         </fed:PassiveRequestorEndpoint></RoleDescriptor>\
         <IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">{keys}\
         <SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" \
         Location=\"https://login.microsoftonline.com/{tenant}/saml2\"/>\
         <SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" \
         Location=\"https://login.microsoftonline.com/{tenant}/saml2\"/>\
         <SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" \
         Location=\"https://login.microsoftonline.com/{tenant}/saml2\"/></IDPSSODescriptor></EntityDescriptor>"
    )
}

/// Google: good for some years, certificates broken into lines, no logout.
pub(super) fn google(certificate: &str) -> String {
    let lines: Vec<String> = certificate.as_bytes().chunks(76).map(|l| String::from_utf8_lossy(l).into()).collect();
    let certificate = lines.join("\n");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n\
         <md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" \
         entityID=\"https://accounts.google.com/o/saml2?idpid=C01abc23d\" validUntil=\"2029-03-01T09:00:00.000Z\">\n  \
         <md:IDPSSODescriptor WantAuthnRequestsSigned=\"false\" \
         protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">\n    <md:KeyDescriptor use=\"signing\">\n      \
         <ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">\n        <ds:X509Data>\n          \
         <ds:X509Certificate>{certificate}</ds:X509Certificate>\n        </ds:X509Data>\n      </ds:KeyInfo>\n    \
         </md:KeyDescriptor>\n    \
         <md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress</md:NameIDFormat>\n    \
         <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" \
         Location=\"https://accounts.google.com/o/saml2/idp?idpid=C01abc23d\"/>\n    \
         <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" \
         Location=\"https://accounts.google.com/o/saml2/idp?idpid=C01abc23d\"/>\n  </md:IDPSSODescriptor>\n\
         </md:EntityDescriptor>\n"
    )
}

/// Keycloak: key names, four bindings for each service, signed requests wanted.
pub(super) fn keycloak(certificate: &str) -> String {
    let at = "https://sso.acme.com/realms/acme/protocol/saml";
    let service = |service: &str, binding: &str| {
        format!("<md:{service} Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:{binding}\" Location=\"{at}\"/>")
    };
    let bindings = ["HTTP-POST", "HTTP-Redirect", "HTTP-Artifact", "SOAP"];
    let services = |name: &str| bindings.iter().map(|binding| service(name, binding)).collect::<String>();
    let (logout, sign_on) = (services("SingleLogoutService"), services("SingleSignOnService"));
    format!(
        "<md:EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" \
         xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" \
         xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" entityID=\"https://sso.acme.com/realms/acme\">\
         <md:IDPSSODescriptor WantAuthnRequestsSigned=\"true\" \
         protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"><md:KeyDescriptor use=\"signing\">\
         <ds:KeyInfo><ds:KeyName>Xq3v0000</ds:KeyName><ds:X509Data><ds:X509Certificate>{certificate}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>\
         <md:ArtifactResolutionService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:SOAP\" \
         Location=\"{at}/resolve\" index=\"0\"/>{logout}\
         <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>\
         <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:transient</md:NameIDFormat>\
         <md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified</md:NameIDFormat>\
         <md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress</md:NameIDFormat>{sign_on}\
         </md:IDPSSODescriptor></md:EntityDescriptor>"
    )
}

/// Okta: POST before Redirect, no logout unless it is switched on.
pub(super) fn okta(certificate: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><md:EntityDescriptor entityID=\"http://www.okta.com/exk1abc\" \
         xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\"><md:IDPSSODescriptor WantAuthnRequestsSigned=\"false\" \
         protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"><md:KeyDescriptor use=\"signing\">\
         <ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data><ds:X509Certificate>{certificate}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>\
         <md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified</md:NameIDFormat>\
         <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" \
         Location=\"https://acme.okta.com/app/acme_app_1/exk1abc/sso/saml\"/>\
         <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" \
         Location=\"https://acme.okta.com/app/acme_app_1/exk1abc/sso/saml\"/></md:IDPSSODescriptor></md:EntityDescriptor>"
    )
}

/// AD FS: descriptors for WS-Federation and for its own role as a service provider around ours, an encryption key.
pub(super) fn adfs(certificate: &str, encryption: &str) -> String {
    let (key, encryption) = (signing(certificate), signing(encryption).replace("signing", "encryption"));
    let service = |service: &str, binding: &str| {
        format!(
            "<{service} Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:{binding}\" \
             Location=\"https://fs.acme.com/adfs/ls/\"/>"
        )
    };
    let slo = service("SingleLogoutService", "HTTP-Redirect") + &service("SingleLogoutService", "HTTP-POST");
    let sso = service("SingleSignOnService", "HTTP-Redirect") + &service("SingleSignOnService", "HTTP-POST");
    format!(
        "<EntityDescriptor ID=\"_1f2e0000-0000-4000-8000-000000000001\" \
         entityID=\"http://fs.acme.com/adfs/services/trust\" xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\">\
         <SPSSODescriptor WantAssertionsSigned=\"true\" \
         protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">{encryption}{key}{slo}\
         <AssertionConsumerService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" \
         Location=\"https://fs.acme.com/adfs/ls/\" index=\"0\" isDefault=\"true\"/></SPSSODescriptor>\
         <IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">{encryption}{key}{slo}\
         <NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress</NameIDFormat>{sso}\
         <Attribute Name=\"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress\" \
         NameFormat=\"urn:oasis:names:tc:SAML:2.0:attrname-format:uri\" FriendlyName=\"E-Mail Address\" \
         xmlns=\"urn:oasis:names:tc:SAML:2.0:assertion\"/></IDPSSODescriptor></EntityDescriptor>"
    )
}

/// Shibboleth: comments, an extension, a back-channel key, one certificate for both uses, an answer's own address.
pub(super) fn shibboleth(certificate: &str, back_channel: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- Made by the installer; look at the comments below. -->\n\
         <EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" \
         xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" xmlns:shibmd=\"urn:mace:shibboleth:metadata:1.0\" \
         entityID=\"https://idp.acme.com/idp/shibboleth\">\n<IDPSSODescriptor \
         protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol urn:oasis:names:tc:SAML:1.1:protocol\">\n\
         <Extensions><shibmd:Scope regexp=\"false\">acme.com</shibmd:Scope></Extensions>\n\
         <!-- First signing certificate is for messages of the back channel. -->\n\
         <KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n{back_channel}\n\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo></KeyDescriptor>\n\
         <KeyDescriptor><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n{certificate}\n\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo></KeyDescriptor>\n\
         <SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" \
         Location=\"https://idp.acme.com/idp/profile/SAML2/POST/SLO\" \
         ResponseLocation=\"https://idp.acme.com/idp/profile/SAML2/POST/SLO/Response\"/>\n\
         <SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:SOAP\" \
         Location=\"https://idp.acme.com:8443/idp/profile/SAML2/SOAP/SLO\"/>\n\
         <SingleSignOnService Binding=\"urn:mace:shibboleth:1.0:profiles:AuthnRequest\" \
         Location=\"https://idp.acme.com/idp/profile/Shibboleth/SSO\"/>\n\
         <SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" \
         Location=\"https://idp.acme.com/idp/profile/SAML2/Redirect/SSO\"/>\n</IDPSSODescriptor>\n</EntityDescriptor>"
    )
}
