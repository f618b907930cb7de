//! `anteroom readiness` as people run it: the real command line on exports as vendors lay them out
//! (examples/readiness; R3, R4, R6).

use std::path::{Path, PathBuf};
use std::process::Command;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/readiness").join(name)
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs it as of 2026-01-05, a Monday.
fn readiness(domain: &str, files: &[(&str, &Path)], more: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anteroom"));
    command.args(["readiness", domain, "--as-of", "2026-01-05"]);
    for (flag, file) in files {
        command.arg(flag).arg(file);
    }
    finish(command.args(more))
}

fn finish(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn acme(provider: &str, more: &[&str]) -> Ran {
    let (users, provider) = (sample("users-of-acme.csv"), sample(provider));
    readiness("acme.com", &[("--users", &users), ("--provider", &provider)], more)
}

/// `line code` of each finding, in order, and the asserted address if there is one.
fn findings(ran: &Ran) -> Vec<String> {
    let mut rows = csv::Reader::from_reader(ran.out.as_bytes());
    let rows = rows.records().map(|row| {
        let row = row.unwrap();
        format!("{} {} {}", &row[2], &row[0], &row[6]).trim_end().to_owned()
    });
    rows.collect()
}

#[test]
fn an_export_of_the_entra_admin_center_is_compared() {
    let ran = acme("entra-download-users.csv", &["--kind", "entra", "--format", "csv"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let expected = [
        "6 upn_differs csmith@acme.com",
        "8 case_differs Erik.Berg@acme.com",
        "7 other_domain dora.klein@acmecorp.onmicrosoft.com",
        "11 no_counterpart",
        "14 no_counterpart",
        "9 disabled_at_provider fay.wong@acme.com",
        "10 guest gil.roy_partner.example#EXT#@acmecorp.onmicrosoft.com",
        "15 malformed_address",
        "20 native_user_is_address",
        "3 duplicate_in_account",
        "4 duplicate_in_account",
        "3 duplicate_across_accounts",
        "4 duplicate_across_accounts",
        "5 duplicate_across_accounts",
        "21 contact_not_unique",
        "16 no_address",
    ];
    let (meets, found): (Vec<_>, Vec<_>) = findings(&ran).into_iter().partition(|row| row.contains("meets_provider"));
    assert_eq!(found, expected);
    assert_eq!(meets.len(), 8);
}

#[test]
fn an_export_of_the_microsoft_365_admin_center_is_compared() {
    let ran = acme("microsoft-365-export-users.csv", &["--kind", "entra", "--format", "csv"]);
    let found = findings(&ran);
    for expected in [
        "6 upn_differs csmith@acme.com",
        "7 other_domain dora.klein@acmecorp.onmicrosoft.com",
        "9 disabled_at_provider fay.wong@acme.com",
        "12 app_address_in_other_domain ivan.petrov@acme.com",
    ] {
        assert!(found.iter().any(|row| row == expected), "{expected}: {found:#?}");
    }
    assert_eq!(found.iter().filter(|row| row.contains("alias_only")).count(), 0, "{found:#?}");
}

#[test]
fn an_export_of_powershell_in_utf_16_is_compared() {
    let text = std::fs::read_to_string(sample("graph-powershell.csv")).unwrap();
    let bytes: Vec<u8> = std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let dir = tempfile::tempdir().unwrap();
    let utf_16 = dir.path().join("graph.csv");
    std::fs::write(&utf_16, bytes).unwrap();
    let users = sample("users-of-acme.csv");
    let run = |provider: &Path| {
        let files = [("--users", users.as_path()), ("--provider", provider)];
        readiness("acme.com", &files, &["--kind", "entra", "--format", "csv"])
    };
    let (found, plain) = (run(&utf_16), run(&sample("graph-powershell.csv")));
    assert_eq!(findings(&found), findings(&plain));
    for expected in ["6 upn_differs csmith@acme.com", "11 alias_only hana.sato@acme.com"] {
        assert!(findings(&found).iter().any(|row| row == expected), "{expected}: {}", found.out);
    }
    let guest = "10 guest gil.roy_acme.com#EXT#@acmecorp.onmicrosoft.com";
    assert!(findings(&found).iter().any(|row| row == guest), "{}", found.out);
}

#[test]
fn an_export_of_google_workspace_is_compared_with_a_list_of_own_titles() {
    let (users, provider) = (sample("users-of-globex.csv"), sample("google-download-users.csv"));
    let run = |more: &[&str]| {
        let files = [("--users", users.as_path()), ("--provider", provider.as_path())];
        let own = ["--kind", "google", "--column", "account=Mandant", "--column", "last_sign_in=Letzter Login"];
        readiness("globex.example", &files, &[&own, more].concat())
    };
    let ran = run(&["--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let outcomes = serde_json::json!({ "ready": 1, "alias_only": 1, "case_differs": 1, "disabled_at_provider": 1 });
    assert_eq!(report["outcomes"], outcomes);
    assert_eq!(
        (ran.code, &report["provider"]["only_at_provider"], &report["without_session"]),
        (1, &1.into(), &1.into())
    );
    // Seven days after the last sign-in, in the order day, month, year.
    assert_eq!(report["sessions_end"]["2026-01-06"], 1);
    let twice = findings(&run(&["--format", "csv", "--ignore-case"]));
    let across = "2 duplicate_across_accounts";
    assert!(twice.iter().any(|row| row == across), "{twice:#?}");
}

#[test]
fn the_table_begins_with_the_verdict_and_shows_who_comes_when() {
    let ran = acme("entra-download-users.csv", &["--kind", "entra", "--rows", "1"]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.starts_with("acme.com: 9 findings block\n"), "{}", ran.out);
    assert!(ran.out.contains("20 rows in users-of-acme.csv, each once:"), "{}", ran.out);
    assert!(ran.out.contains("Mon 2026-01-05            2  ████"), "{}", ran.out);
    assert!(ran.out.contains("and 1 more; --format csv lists all"), "{}", ran.out);
    assert!(ran.out.lines().all(|line| line.chars().count() <= 100), "{}", ran.out);
}

#[test]
fn a_list_that_is_put_right_exits_with_0() {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("users.csv");
    let provider = sample("entra-download-users.csv");
    let run = |rows: &str| {
        std::fs::write(&users, format!("id,email,account\n{rows}")).unwrap();
        readiness("acme.com", &[("--users", &users), ("--provider", &provider)], &["--kind", "entra"])
    };
    let ran = run("1,ann.lee@acme.com,north\n2,ann.lee@acme.com,south\n");
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(ran.out.starts_with("acme.com: nothing blocks; 2 to choose\n"), "{}", ran.out);
    assert_eq!(run("1,ann.lee@acme.com,north\n2,carla.smith@acme.com,south\n").code, 1);
}

#[test]
fn the_connector_of_the_configuration_says_what_is_asserted() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "placeholder").unwrap();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/anteroom.toml");
    let run = |domain: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_anteroom"));
        for connector in ["ACME", "GLOBEX"] {
            command.env(format!("ANTEROOM__CONNECTORS__{connector}__CLIENT_SECRET_FILE"), secret.path());
        }
        command.args(["readiness", domain, "--as-of", "2026-01-05", "--config"]).arg(&config);
        command.arg("--users").arg(sample("users-of-acme.csv"));
        finish(command.arg("--provider").arg(sample("entra-download-users.csv")))
    };
    let ran = run("acme.com");
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.out.contains("Microsoft Entra ID asserts the UPN of members"), "{}", ran.out);
    let ran = run("other.example");
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("no [domains.\"other.example\"]"), "{}", ran.err);
}

#[test]
fn a_wrong_call_or_list_exits_with_2_and_says_what_is_wrong() {
    let users = sample("users-of-acme.csv");
    let provider = sample("google-download-users.csv");
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("broken.csv");
    std::fs::write(&broken, b"id,email\n1,ann@acme.com\n2,b\xf6b@acme.com\n").unwrap();
    let missing = dir.path().join("missing.csv");
    type Case<'a> = (&'a [(&'a str, &'a Path)], &'a [&'a str], &'a str);
    let cases: [Case<'_>; 7] = [
        (&[("--users", &users), ("--provider", &provider)], &[], "--provider needs --config"),
        (&[("--users", &users), ("--provider", &provider)], &["--kind", "entra"], "no column for the UPN"),
        (&[("--users", &broken)], &[], "line 3, column 2 (email)"),
        (&[("--users", &missing)], &[], "missing.csv"),
        (&[("--users", &users)], &["--column", "email=Nope"], "there is no such column"),
        (&[("--users", &users)], &["--column", "mail=email"], "allowed: WHAT=HEADER"),
        (&[("--users", &users)], &["--absolute-timeout", "long"], "--absolute-timeout"),
    ];
    for (files, more, expected) in cases {
        let ran = readiness("acme.com", files, more);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{more:?}: {}", ran.err);
        assert!(ran.err.contains(expected), "{:?} does not say {expected:?}", ran.err);
    }
    let ran = readiness("not a domain", &[("--users", &users)], &[]);
    assert_eq!(ran.code, 2, "{}", ran.err);
}

#[test]
fn without_the_providers_list_the_applications_own_is_judged() {
    let users = sample("users-of-acme.csv");
    let ran = readiness("acme.com", &[("--users", &users)], &["--format", "csv"]);
    assert_eq!(ran.code, 1);
    let found = findings(&ran);
    assert!(found.iter().any(|row| row == "20 native_user_is_address"), "{found:#?}");
    assert!(!found.iter().any(|row| row.contains("no_counterpart")), "{found:#?}");
}
