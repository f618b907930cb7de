//! The form of a signature, and the IDs that it is found by (security cases S06–S08). Where a signature of a wrong form can
//! be made at all it is a good one: it is refused for its form.

use crate::saml_signature::{Spoil, after, external, form, reference, refused, start};
use crate::support::{DS, ENVELOPED, EXC_C14N, SamlTrial, Signing, Words, between, transform};

#[tokio::test(flavor = "multi_thread")]
async fn each_id_is_there_once_and_under_its_name_s06() {
    let (app, idp) = start().await;
    const REASON: &str = "saml_duplicate_id";
    let with = |change: fn(&Words, String) -> String| {
        move |words: &mut Words| {
            let copy = words.clone();
            words.after(move |xml| change(&copy, xml));
        }
    };
    fn extension(id: &str, xml: &str) -> String {
        let extensions =
            format!("</saml:Issuer><samlp:Extensions><x:y xmlns:x=\"urn:x\" ID=\"{id}\"/></samlp:Extensions>");
        xml.replacen("</saml:Issuer>", &extensions, 1)
    }
    let twice = with(|words, xml| extension(&words.assertion_id, &xml));
    let response = with(|words, xml| extension(&words.response_id, &xml));
    let upper = with(|words, xml| {
        xml.replace(&format!(" ID=\"{}\"", words.assertion_id), &format!(" Id=\"{}\"", words.assertion_id))
    });
    let lower = with(|words, xml| {
        xml.replace(&format!(" ID=\"{}\"", words.response_id), &format!(" id=\"{}\"", words.response_id))
    });
    let xml_id = with(|words, xml| {
        xml.replace(
            &format!(" ID=\"{}\"", words.assertion_id),
            &format!(" ID=\"{0}\" xml:id=\"{0}\"", words.assertion_id),
        )
    });
    let also = with(|words, xml| {
        xml.replace(&format!(" ID=\"{}\"", words.response_id), &format!(" ID=\"{}\" Id=\"_other\"", words.response_id))
    });
    let saml_1 = with(|words, xml| {
        xml.replace(
            &format!(" ID=\"{}\"", words.assertion_id),
            &format!(" ID=\"{0}\" AssertionID=\"{0}\"", words.assertion_id),
        )
    });
    let rows: Vec<(&str, &str, Spoil<'_>)> = vec![
        ("the assertion's twice", REASON, Box::new(twice)),
        ("the response's twice", REASON, Box::new(response)),
        (
            "one ID for both",
            REASON,
            Box::new(|words| {
                let (response, assertion) =
                    (format!("\"{}\"", words.response_id), format!("\"{}\"", words.assertion_id));
                words.after(move |xml| xml.replace(&assertion, &response));
            }),
        ),
        ("Id", REASON, Box::new(upper)),
        ("id", REASON, Box::new(lower)),
        ("xml:id", REASON, Box::new(xml_id)),
        ("ID and Id", REASON, Box::new(also)),
        ("AssertionID", REASON, Box::new(saml_1)),
    ];
    refused(&app, &idp, &rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_of_the_element_around_it_and_of_nothing_else_s07() {
    let (app, idp) = start().await;
    const REASON: &str = "saml_signature_shape";
    let uri = |uri: &str| {
        let uri = uri.to_owned();
        form(move |form| form.uri = Some(uri.clone()))
    };
    let again = |mark: &'static str| {
        move |words: &mut Words| {
            words.after(move |xml| {
                let end = mark.replace('<', "</").replace(" ", "").replace("xmlns:ds", "");
                let inside = between(&xml, mark, &end).expect(mark);
                let whole = format!("{mark}{inside}{end}");
                xml.replacen(&whole, &whole.repeat(2), 1)
            });
        }
    };
    let two_references = form(|form| form.more_references = form.reference(""));
    let rows: Vec<(&str, &str, Spoil<'_>)> = vec![
        ("an empty URI", REASON, Box::new(uri(""))),
        ("no URI", REASON, Box::new(|words| words.after(|xml| reference(&xml, "")))),
        ("the document by XPointer", REASON, Box::new(external("#xpointer(/)"))),
        (
            "an id by XPointer",
            REASON,
            Box::new(|words| {
                let id = words.response_id.clone();
                words.after(move |xml| reference(&xml, &format!(" URI=\"#xpointer(id('{id}'))\"")));
            }),
        ),
        ("a file", REASON, Box::new(external("file:///etc/passwd"))),
        ("another element", REASON, Box::new(external("#_nobody"))),
        ("two references", REASON, Box::new(two_references)),
        ("two SignedInfo", REASON, Box::new(again("<ds:SignedInfo>"))),
        ("two SignatureValue", REASON, Box::new(again("<ds:SignatureValue>"))),
        ("two KeyInfo", REASON, Box::new(again("<ds:KeyInfo>"))),
        (
            "two signatures",
            REASON,
            Box::new(|words| {
                words.after(|xml| {
                    let start = xml.find("<ds:Signature xmlns").unwrap();
                    let end = xml[start..].find("</ds:Signature>").unwrap() + start + "</ds:Signature>".len();
                    let whole = xml[start..end].to_owned();
                    xml.replacen(&whole, &whole.repeat(2), 1)
                });
            }),
        ),
        (
            "an attribute of another namespace",
            REASON,
            Box::new(|words| {
                words.after(|xml| {
                    xml.replacen("<ds:Reference URI", "<ds:Reference xmlns:x=\"urn:x\" x:URI=\"#_other\" URI", 1)
                });
            }),
        ),
        (
            "no reference",
            REASON,
            Box::new(|words| {
                words.after(|xml| {
                    let (front, rest) = xml.split_once("<ds:Reference").unwrap();
                    format!("{front}{}", rest.split_once("</ds:Reference>").unwrap().1)
                });
            }),
        ),
        ("an object", REASON, Box::new(after("</ds:KeyInfo>", "</ds:KeyInfo><ds:Object>text</ds:Object>"))),
    ];
    refused(&app, &idp, &rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_two_transforms_of_the_profile_is_run_s08() {
    let (app, idp) = start().await;
    const REASON: &str = "saml_transform";
    let signed = |transforms: String| form(move |form| form.transforms.clone_from(&transforms));
    let comments = format!("{EXC_C14N}WithComments");
    let inclusive = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
    // The library signs none of these for us.
    let edited = |transforms: String| {
        let honest = [ENVELOPED, EXC_C14N].map(transform).concat();
        after(&honest, &transforms)
    };
    let xpath = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>true()</ds:XPath></ds:Transform>";
    let filter = "<ds:Transform Algorithm=\"http://www.w3.org/2002/06/xmldsig-filter2\"><f:XPath xmlns:f=\"http://www.w3.org/2002/06/xmldsig-filter2\" Filter=\"intersect\">//*</f:XPath></ds:Transform>";
    let xslt = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"><xsl:stylesheet xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\" version=\"1.0\"/></ds:Transform>";
    let enveloped = transform(ENVELOPED);
    let rows: Vec<(&str, &str, Spoil<'_>)> = vec![
        ("with comments", REASON, Box::new(signed(format!("{enveloped}{}", transform(&comments))))),
        ("inclusive", REASON, Box::new(signed(format!("{enveloped}{}", transform(inclusive))))),
        (
            "canonicalised with comments",
            REASON,
            Box::new({
                let comments = comments.clone();
                form(move |form| form.canonicalization.clone_from(&comments))
            }),
        ),
        ("canonicalised inclusively", REASON, Box::new(form(|form| form.canonicalization = inclusive.to_owned()))),
        ("XPath", REASON, Box::new(edited(format!("{enveloped}{xpath}")))),
        ("XPath alone", REASON, Box::new(edited(xpath.to_owned()))),
        ("XPath filter", REASON, Box::new(edited(format!("{enveloped}{filter}")))),
        ("XSLT", REASON, Box::new(edited(format!("{enveloped}{xslt}")))),
        ("Base64", REASON, Box::new(edited(format!("{enveloped}{}", transform(&format!("{DS}base64")))))),
        ("the other way round", REASON, Box::new(edited([EXC_C14N, ENVELOPED].map(transform).concat()))),
        ("canonicalised twice", REASON, Box::new(signed([ENVELOPED, EXC_C14N, EXC_C14N].map(transform).concat()))),
        ("none", REASON, Box::new(edited(String::new()))),
    ];
    refused(&app, &idp, &rows).await;
    // Prefixes that some providers name.
    let prefixes = format!(
        "{enveloped}<ds:Transform Algorithm=\"{EXC_C14N}\"><ec:InclusiveNamespaces xmlns:ec=\"{EXC_C14N}\" PrefixList=\"xs\"/></ds:Transform>"
    );
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        trial.accepts("with a list of prefixes", signed(prefixes.clone())).await;
        trial.accepts("enveloped alone", signed(enveloped.clone())).await;
    }
}
