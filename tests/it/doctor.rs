//! `anteroom doctor`, from outside.

use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::command_line::{Binary, Place, anteroom, run, tree};
use crate::support::PATIENCE;

/// Metadata of a provider whose certificate expires on that day.
pub fn metadata(expires: (i32, u8, u8), attributes: &str) -> String {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["idp".into()]).unwrap();
    params.not_after = rcgen::date_time_ymd(expires.0, expires.1, expires.2);
    let certificate = STANDARD.encode(params.self_signed(&key).unwrap().der());
    format!(
        "<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"urn:idp\" {attributes}>\
         <IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"><KeyDescriptor>\
         <KeyInfo xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><X509Data><X509Certificate>{certificate}\
         </X509Certificate></X509Data></KeyInfo></KeyDescriptor>\
         <SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" \
         Location=\"http://127.0.0.1:1/sso\"/></IDPSSODescriptor></EntityDescriptor>"
    )
}

/// A web server that answers everybody with `body` and a clock that is so many seconds ahead; not before `open`.
async fn server(body: String, ahead: i64, mut open: watch::Receiver<bool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                head.push(byte);
            }
            open.wait_for(|open| *open).await.unwrap();
            let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
            let at = jiff::Timestamp::from_second(now + ahead).unwrap();
            let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).unwrap();
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            // Whoever has read enough hangs up.
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    port
}

fn opened() -> watch::Receiver<bool> {
    watch::channel(true).1
}

/// State, what it is about, and the text.
type Bad = (String, String, String);

/// A deployment with one connector over SAML, an application that listens, and no process.
struct Deployment {
    place: Place,
    _app: TcpListener,
}

impl Deployment {
    async fn new(connector: &str) -> Self {
        let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = app.local_addr().unwrap();
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"https://app.example.com\"\n\
             environment = \"production\"\n[ops]\nlisten = \"127.0.0.1:0\"\n[apps.portal]\nupstream = \
             \"http://{upstream}\"\n[domains.\"globex.example\"]\nconnector = \"globex\"\nenvironment = \"production\"\n\
             [connectors.globex]\nkind = \"saml\"\n{connector}\n"
        );
        Self { place: Place::new("anteroom.toml", &text), _app: app }
    }

    async fn with_metadata(body: String, ahead: i64) -> Self {
        let port = server(body, ahead, opened()).await;
        Self::new(&format!("metadata_url = \"http://127.0.0.1:{port}/metadata\"")).await
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.place.dir.path().join(name), text).unwrap();
    }

    async fn doctor(&self, more: &[&str]) -> (i32, String, String) {
        run(anteroom(&["doctor", "--config", self.place.file.to_str().unwrap()]).args(more)).await
    }

    /// Its exit code, and the findings that are not ok.
    async fn findings(&self, more: &[&str]) -> (i32, Vec<Bad>) {
        let (code, out, err) = self.doctor(&[more, &["--json"]].concat()).await;
        let all: Vec<Value> = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        assert!(all.iter().any(|finding| finding["state"] == "ok"), "{out}");
        let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        let bad = all.iter().filter(|finding| finding["state"] != "ok");
        (code, bad.map(|f| (text(f, "state"), text(f, "about"), text(f, "text"))).collect())
    }
}

/// One finding that is not ok.
#[track_caller]
fn one(found: &(i32, Vec<Bad>), code: i32, about: &str, says: &str) {
    let state = if code == 1 { "warning" } else { "problem" };
    assert_eq!(found.1.len(), 1, "{found:?}");
    let (found_state, found_about, text) = &found.1[0];
    assert_eq!((found.0, found_state.as_str(), found_about.as_str()), (code, state, about), "{text}");
    assert!(text.contains(says), "{text}");
}

#[tokio::test]
async fn a_deployment_that_works_is_well_and_nothing_is_changed() {
    let deployment = Deployment::with_metadata(metadata((2099, 1, 1), ""), 0).await;
    let before = tree(deployment.place.dir.path());
    let (code, out, err) = deployment.doctor(&[]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.lines().all(|line| line.starts_with("ok       ")), "{out}");
    for line in [
        "configuration: 1 app, 1 connector, 1 domain at https://app.example.com",
        "keys.dir: keys will be made",
        "process: none runs here",
        "server.listen: 127.0.0.1:0 is free",
        "directory.url: ",
        "connectors.globex: urn:idp, 1 signing key, sign-on by redirect",
        "connectors.globex: the clock of 127.0.0.1 agrees",
        "saml-signing.pem is made at the first start",
        "apps.portal.upstream: 127.0.0.1 takes connections",
    ] {
        assert!(out.contains(line), "{line} is not in\n{out}");
    }
    assert_eq!(tree(deployment.place.dir.path()), before);
    assert!(!deployment.place.dir.path().join("keys").exists());
}

/// The tests' own twin of each: `a_deployment_that_works_is_well_and_nothing_is_changed`.
#[tokio::test]
async fn what_will_fail_soon_is_a_warning_and_exit_code_1() {
    let about = "connectors.globex";
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(20 * 24);
    let soon = soon.to_zoned(jiff::tz::TimeZone::UTC).date();
    let day = |date: jiff::civil::Date| {
        (i32::from(date.year()), u8::try_from(date.month()).unwrap(), u8::try_from(date.day()).unwrap())
    };
    let found = Deployment::with_metadata(metadata(day(soon), ""), 0).await.findings(&[]).await;
    one(&found, 1, about, " expires ");
    let found = Deployment::with_metadata(metadata((2020, 1, 1), ""), 0).await.findings(&[]).await;
    one(&found, 1, about, " expired 2020-01-01 00:00 UTC");
    let found = Deployment::with_metadata(metadata((2099, 1, 1), ""), 90).await.findings(&[]).await;
    one(&found, 1, about, "ahead of this machine's");
    let found = Deployment::with_metadata(metadata((2099, 1, 1), ""), -90).await.findings(&[]).await;
    one(&found, 1, about, "behind this machine's");
    // A file is not renewed by itself.
    let deployment = Deployment::new("metadata_file = \"globex.xml\"").await;
    deployment.write("globex.xml", &metadata((2099, 1, 1), &format!("validUntil=\"{soon}T00:00:00Z\"")));
    one(&deployment.findings(&[]).await, 1, about, "the provider's metadata expires");
    deployment.write("globex.xml", &metadata((2099, 1, 1), "validUntil=\"2099-01-01T00:00:00Z\""));
    assert_eq!(deployment.findings(&[]).await, (0, vec![]));
    // What `check` warns of is a warning here.
    let (code, found) = deployment.findings(&["--set", "sessions.store=memory"]).await;
    assert_eq!((code, found.len()), (1, 1), "{found:?}");
    assert!(found[0].1.contains("sessions.store"), "{found:?}");
}

#[tokio::test]
async fn what_does_not_work_is_a_problem_and_exit_code_2() {
    let deployment = Deployment::with_metadata(metadata((2099, 1, 1), ""), 0).await;
    assert_eq!(deployment.findings(&[]).await, (0, vec![]));
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    one(&deployment.findings(&["--listen", &address]).await, 2, "server.listen", "Address already in use");
    one(&deployment.findings(&["--ops-listen", &address]).await, 2, "ops.listen", "Address already in use");
    let gone = "apps.portal.upstream=http://127.0.0.1:1";
    one(&deployment.findings(&["--set", gone]).await, 2, "apps.portal.upstream", "Connection refused");
    let nobody = "connectors.globex.metadata_url=http://127.0.0.1:1/m";
    one(&deployment.findings(&["--set", nobody]).await, 2, "connectors.globex", "Connection refused");
    let post = "connectors.globex.request_binding=post";
    one(&deployment.findings(&["--set", post]).await, 2, "connectors.globex", "does not take");
    let entra = "connectors.globex.preset=entra";
    one(&deployment.findings(&["--set", entra]).await, 2, "connectors.globex", "names no tenant");
    let tenant = "connectors.globex.tenant_id=11111111-2222-3333-4444-555555555555";
    assert_eq!(deployment.findings(&["--set", entra, "--set", tenant]).await.1, vec![]);
    deployment.write("anteroom.db", "this was never a database of SQLite's");
    one(&deployment.findings(&[]).await, 2, "directory.url", "damaged or no SQLite database");
    std::fs::remove_file(deployment.place.dir.path().join("anteroom.db")).unwrap();
    std::fs::create_dir(deployment.place.dir.path().join("keys")).unwrap();
    deployment.write("keys/saml-signing.pem", "no key");
    one(&deployment.findings(&[]).await, 2, "connectors.globex", "saml-signing.pem");
    deployment.write("keys/sealing-1.key", "no key");
    let (code, found) = deployment.findings(&[]).await;
    assert_eq!((code, found[0].1.as_str(), found.len()), (2, "keys.dir", 2), "{found:?}");
}

#[tokio::test]
async fn mistakes_of_the_configuration_are_problems_with_their_places() {
    let deployment = Deployment::new("metadata_file = \"none.xml\"\nclient_secret = \"canary\"").await;
    let (code, out, err) = deployment.doctor(&[]).await;
    assert_eq!((code, err.as_str()), (2, ""));
    assert_eq!(out.lines().count(), 2, "{out}");
    for (line, key) in out.lines().zip(["metadata_file", "client_secret"]) {
        assert!(
            line.starts_with("problem  configuration ") && line.contains(&format!(": connectors.globex.{key}: ")),
            "{out}"
        );
    }
    assert!(!out.contains("canary"), "{out}");
    let (code, _, _) = deployment.doctor(&["--set", "server.workers"]).await;
    assert_eq!(code, 2);
}

#[tokio::test]
async fn what_takes_long_is_named() {
    let (open, opened) = watch::channel(false);
    let port = server(metadata((2099, 1, 1), ""), 0, opened).await;
    let deployment = Deployment::new(&format!("metadata_url = \"http://127.0.0.1:{port}/m\"")).await;
    let mut command = anteroom(&["doctor", "--config", deployment.place.file.to_str().unwrap()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = tokio::time::timeout(PATIENCE, said.next_line()).await.expect("it says so").unwrap();
    assert_eq!(line.as_deref(), Some("waiting for connectors.globex ..."));
    open.send_replace(true);
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("connectors.globex: urn:idp"));
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_running_process_its_addresses_are_taken_by_it() {
    let binary = Binary::start(|text| text).await;
    let (listen, ops) = (binary.address.to_string(), binary.ops.to_string());
    let config = binary.place.file.to_str().unwrap();
    let mut command = anteroom(&["doctor", "--config", config, "--listen", &listen, "--ops-listen", &ops]);
    let (code, out, err) = run(&mut command).await;
    assert_eq!(err, "", "{out}");
    assert!(code <= 1 && out.contains("ok       connectors.acme: ") && out.contains(" answers, with 1 key"), "{out}");
    assert!(out.contains("ok       connectors.acme: the clock of "), "{out}");
    assert!(out.contains(" runs as process "), "{out}");
    for key in ["server.listen", "ops.listen"] {
        assert!(
            out.lines().any(|line| line.starts_with(&format!("ok       {key}: ")) && line.contains("is taken, and")),
            "{out}"
        );
    }
    assert!(!out.contains("canary") && !out.contains("problem"), "{out}");
}
