use super::*;
use crate::base::outgoing::AddressClass;
use crate::connector::oidc::fixture;

fn answer(status: u16, content_type: &str, body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        content_type: Some(content_type.into()),
        body: body.to_owned().into(),
        date: None,
        from: AddressClass::Public,
    }
}

fn reason(answer: &Answer) -> &'static str {
    read(answer).map(|_| ()).unwrap_err().reason()
}

const HONEST: &str = r#"{"id_token":"i","access_token":"a","token_type":"Bearer"}"#;

#[test]
fn an_honest_answer_gives_its_tokens_o28() {
    let tokens = read(&answer(200, "application/json", HONEST)).unwrap();
    assert_eq!((tokens.id_token().unwrap(), tokens.access_token.as_str()), ("i", "a"));
    assert!(tokens.refresh_token.is_none() && tokens.expires_in.is_none());
    for kind in ["bearer", "BEARER", "bEARER"] {
        assert!(read(&answer(200, "application/json", &HONEST.replace("Bearer", kind))).is_ok());
    }
}

#[test]
fn an_answer_that_is_not_exactly_that_is_refused_o27_o28() {
    let mac = HONEST.replace("Bearer", "mac");
    let twice = HONEST.replacen('{', r#"{"id_token":"x","#, 1);
    for body in [
        &mac,
        &twice,
        "[]",
        "{",
        "",
        "{} {}",
        r#"{"id_token":"i","token_type":"Bearer"}"#,
        r#"{"id_token":["i"],"access_token":"a","token_type":"Bearer"}"#,
    ] {
        assert_eq!(reason(&answer(200, "application/json", body)), "token_response_invalid", "{body}");
    }
    assert_eq!(reason(&answer(200, "text/html", HONEST)), "token_response_invalid");
    assert_eq!(reason(&answer(201, "application/json", HONEST)), "token_response_invalid");
    assert_eq!(reason(&answer(302, "application/json", HONEST)), "token_response_invalid");
}

#[test]
fn an_oauth_error_says_whose_fault_it_is() {
    let error = |status, code: &str| {
        let body = format!(r#"{{"error":"{code}","error_description":"AADSTS7000215: the code was canary"}}"#);
        read(&answer(status, "application/json", &body)).map(|_| ()).unwrap_err()
    };
    use crate::connector::error::Kind;
    assert_eq!(error(401, "invalid_client").kind(), Kind::Misconfigured);
    assert_eq!(error(400, "invalid_grant").kind(), Kind::Refused);
    assert_eq!(error(400, "invalid_grant").reason(), "invalid_grant");
    assert_eq!(error(400, "temporarily_unavailable").kind(), Kind::Unavailable);
    assert_eq!(error(400, "invalid_request").reason(), "provider_error");
    assert_eq!(error(400, "invalid_grant").detail(), Some(("", "invalid_grant: AADSTS7000215")));
    assert!(!format!("{:?}", error(400, "invalid_grant")).contains("canary"));
    assert_eq!(reason(&answer(503, "text/html", "away")), "provider_unavailable");
    assert_eq!(reason(&answer(404, "text/html", "?")), "token_response_invalid");
}

const CODE: Grant<'_> =
    Grant::Code { code: "the code", pkce_verifier: "the-verifier", redirect_uri: "https://app.example.com/cb" };

fn secret() -> ClientAuthentication {
    ClientAuthentication::Secret(SecretString::from("s+ cret"))
}

fn write(metadata: &Metadata, authentication: &ClientAuthentication, grant: &Grant<'_>) -> Request<Vec<u8>> {
    request(metadata, "the:client", authentication, grant).unwrap()
}

#[test]
fn the_secret_goes_where_the_provider_takes_it_o23() {
    let mut metadata = fixture::metadata();
    let basic = write(&metadata, &secret(), &CODE);
    assert_eq!(basic.uri(), "https://idp.example.com/token");
    assert_eq!(basic.headers()["authorization"], "Basic dGhlJTNBY2xpZW50OnMlMkIrY3JldA==");
    let body = "grant_type=authorization_code&code=the+code&code_verifier=the-verifier&redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb";
    assert_eq!(String::from_utf8_lossy(basic.body()), body);

    metadata.secret_in_body = true;
    let post = write(&metadata, &secret(), &CODE);
    assert!(!post.headers().contains_key("authorization"));
    assert!(String::from_utf8_lossy(post.body()).contains("client_id=the%3Aclient&client_secret=s%2B+cret"));
}

#[test]
fn a_public_client_names_itself_in_the_body() {
    let request = write(&fixture::metadata(), &ClientAuthentication::None, &CODE);
    assert!(!request.headers().contains_key("authorization"));
    let body = String::from_utf8_lossy(request.body()).into_owned();
    assert!(body.contains("client_id=the%3Aclient") && !body.contains("client_secret"));
    assert!(body.contains("code_verifier=the-verifier"));
}

#[test]
fn a_refresh_is_written_with_the_same_credential_and_nothing_else() {
    let token = SecretString::from("the refresh+token");
    let grant = Grant::Refresh(&token);
    let basic = write(&fixture::metadata(), &secret(), &grant);
    assert_eq!(basic.headers()["authorization"], "Basic dGhlJTNBY2xpZW50OnMlMkIrY3JldA==");
    assert_eq!(String::from_utf8_lossy(basic.body()), "grant_type=refresh_token&refresh_token=the+refresh%2Btoken");
    let public = write(&fixture::metadata(), &ClientAuthentication::None, &grant);
    assert!(String::from_utf8_lossy(public.body()).ends_with("&client_id=the%3Aclient"));
}

#[test]
fn an_assertion_stands_in_the_secrets_place() {
    let assertion = ClientAuthentication::Assertion(SecretString::from("a.b.c"));
    let token = SecretString::from("r");
    let mut metadata = fixture::metadata();
    for in_body in [false, true] {
        metadata.secret_in_body = in_body;
        for grant in [CODE, Grant::Refresh(&token)] {
            let request = write(&metadata, &assertion, &grant);
            assert!(!request.headers().contains_key("authorization"));
            let body = String::from_utf8_lossy(request.body()).into_owned();
            let kind = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
            assert!(body.contains(kind) && body.contains("client_assertion=a.b.c"), "{body}");
            assert!(body.contains("client_id=the%3Aclient") && !body.contains("client_secret"), "{body}");
        }
    }
}

#[test]
fn how_long_a_token_is_good_is_read_and_bounded() {
    let life = |value: &str| {
        let body = HONEST.replacen('{', &format!("{{\"expires_in\":{value},"), 1);
        read(&answer(200, "application/json", &body)).unwrap().expires_in.map(|life| life.as_secs())
    };
    assert_eq!(life("3600"), Some(3600));
    assert_eq!(life("\"3600\""), Some(3600));
    assert_eq!(life("18446744073709551615"), Some(365 * 86_400));
    for nothing in ["-1", "1.5", "1e300", "null", "true", "[60]", "\"soon\""] {
        assert_eq!(life(nothing), None, "{nothing}");
    }
}

#[test]
fn a_refresh_token_is_text_of_a_size_that_can_be_kept() {
    let token = |value: &str| {
        let body = HONEST.replacen('{', &format!("{{\"refresh_token\":{value},"), 1);
        let tokens = read(&answer(200, "application/json", &body)).map_err(|e| e.reason())?;
        Ok(tokens.refresh_token.map(|token| token.expose_secret().to_owned()))
    };
    assert_eq!(token("\"r\""), Ok(Some(String::from("r"))));
    assert_eq!(token("\"\""), Ok(None));
    assert_eq!(token("null"), Ok(None));
    assert_eq!(token("[\"r\"]"), Err("token_response_invalid"));
    assert_eq!(token(&format!("\"{}\"", "r".repeat(64 * 1024 + 1))), Err("token_response_invalid"));
}

#[test]
fn a_server_in_trouble_has_judged_no_grant_o40() {
    let refused = |status| reason(&answer(status, "application/json", r#"{"error":"invalid_grant"}"#));
    assert_eq!((refused(400), refused(401)), ("invalid_grant", "invalid_grant"));
    assert_eq!((refused(500), refused(503)), ("provider_unavailable", "provider_unavailable"));
}
