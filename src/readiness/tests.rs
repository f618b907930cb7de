//! The comparison as a whole: lists in, report out.

use proptest::prelude::*;

use super::*;

/// 2026-01-05, a Monday, at noon.
fn question(asserted: Asserted) -> Question {
    Question {
        domain: "acme.com".parse().unwrap(),
        also: vec!["acme.example".parse().unwrap()],
        asserted,
        days: 14,
        absolute_timeout: Duration::from_secs(7 * 86_400),
        now: Timestamp::from_secs(1_767_614_400),
        ignore_case: false,
        dates: None,
    }
}

fn entra() -> Question {
    question(Asserted::UserPrincipalName)
}

fn report(users: &str, provider: &str, question: &Question) -> Report {
    let none = Columns::default();
    let accounts = read_accounts(provider.as_bytes(), &none, question, &mut |_| {}).unwrap();
    compare(users.as_bytes(), &none, Some(accounts), question, &mut |_| {}).unwrap()
}

/// The one outcome of the row `user` against an Entra export of `account` (UPN, mail, aliases, type, enabled).
fn outcome(email: &str, account: &str) -> &'static str {
    let provider = format!("userPrincipalName,mail,proxyAddresses,userType,accountEnabled\n{account}\n");
    let report = report(&format!("id,email\n1,{email}\n"), &provider, &entra());
    assert_eq!(report.rows, 1);
    report.outcomes.keys().next().unwrap().word()
}

/// R3
#[test]
fn each_way_not_to_match_has_its_code_and_the_honest_twin_is_ready() {
    let honest = "ann@acme.com,ann@acme.com,SMTP:ann@acme.com;smtp:lee@acme.com,Member,True";
    assert_eq!(outcome("ann@acme.com", honest), "ready");
    for (email, account, expected) in [
        ("ann@ACME.com", honest, "ready"),
        ("Ann@acme.com", honest, "case_differs"),
        ("lee@acme.com", honest, "alias_only"),
        ("bob@acme.com", honest, "no_counterpart"),
        ("ann lee@acme.com", honest, "malformed_address"),
        ("", honest, "no_address"),
        ("ann@other.com", honest, "other_users"),
        ("ann lee@other.com", honest, "other_users"),
        ("ann@acme.com", "lee@acme.com,ann@acme.com,,Member,True", "upn_differs"),
        ("ann@acme.com", "lee@acme.com,,SMTP:ann@acme.com,Member,True", "upn_differs"),
        ("ann@acme.com", "lee@acme.com,,smtp:ann@acme.com,Member,True", "alias_only"),
        ("ann@acme.com", "ann@acme.example,ann@acme.com,,Member,True", "upn_differs"),
        ("ann@acme.com", "ann@acme.onmicrosoft.com,ann@acme.com,,Member,True", "other_domain"),
        ("ann@acme.com", "ann@acme.com,ann@acme.com,,Member,False", "disabled_at_provider"),
        ("ann@acme.com", "ann@acme.com,ann@acme.com,,Guest,True", "guest"),
        ("ann@acme.com", "ann_acme.com#EXT#@big.onmicrosoft.com,,,Member,True", "guest"),
        ("ann@acme.com", "x_y.com#EXT#@big.onmicrosoft.com,ann@acme.com,,Guest,True", "guest"),
        ("ann@old.example", "ann@acme.com,,smtp:ann@old.example,Member,True", "app_address_in_other_domain"),
        ("ann@old.example", "ann@acme.com,,smtp:ann@old.example,Member,False", "other_users"),
    ] {
        assert_eq!(outcome(email, account), expected, "{email:?} against {account:?}");
    }
}

#[test]
fn what_is_asserted_depends_on_the_connector() {
    let users = "email\nann@acme.com\n";
    let both = "userPrincipalName,mail\nlee@acme.com,ann@acme.com\n";
    let word = |asserted, provider: &str| {
        let report = report(users, provider, &question(asserted));
        report.outcomes.keys().next().unwrap().word()
    };
    assert_eq!(word(Asserted::UserPrincipalName, both), "upn_differs");
    assert_eq!(word(Asserted::EntraEmail, both), "ready");
    assert_eq!(word(Asserted::Primary, "Email Address [Required],aliases\nlee@acme.com,ann@acme.com\n"), "alias_only");
    assert_eq!(word(Asserted::Primary, "primaryEmail,suspended\nann@acme.com,True\n"), "disabled_at_provider");
    let claim = |claim: &str| Asserted::Email { claim: Some(claim.into()) };
    assert_eq!(word(claim("work"), "email,work\nlee@acme.com,ann@acme.com\n"), "ready");
    assert_eq!(word(claim("absent"), "email,login\nlee@acme.com,ann@acme.com\n"), "alias_only");
    // A guest's mail address may be verified (xms_edov); the UPN alone never is.
    let guest = "userPrincipalName,mail,userType\nx#EXT#@y.com,ann@acme.com,Guest\n";
    assert_eq!((word(Asserted::EntraEmail, guest), word(Asserted::UserPrincipalName, guest)), ("ready", "guest"));
}

#[test]
fn two_accounts_with_one_address_block_and_one_that_is_disabled_does_not_count() {
    let users = "email\nann@acme.com\n";
    let oidc = question(Asserted::Email { claim: None });
    let word = |rows: &str| {
        let report = report(users, &format!("email,enabled\n{rows}"), &oidc);
        report.outcomes.keys().next().unwrap().word()
    };
    assert_eq!(word("ann@acme.com,true\nann@acme.com,true\n"), "duplicate_at_provider");
    for twin in ["ann@acme.com,true\nann@acme.com,false\n", "ann@acme.com,false\nann@acme.com,true\n"] {
        assert_eq!(word(twin), "ready");
    }
}

/// The codes of one line, in order.
fn codes(report: &Report, line: u64) -> Vec<&'static str> {
    let of_line = |finding: &&Finding| report.user(finding).unwrap().line == line;
    report.findings.iter().filter(of_line).map(|finding| finding.code.word()).collect()
}

/// R6
#[test]
fn people_with_one_address_will_choose() {
    let provider = "userPrincipalName\nann@acme.com\nbob@acme.com\n";
    let users =
        "id,email,account\n1,ann@acme.com,north\n2,ann@ACME.com,north\n3,ann@acme.com,south\n4,bob@acme.com,south\n";
    let report = report(users, provider, &entra());
    assert_eq!(codes(&report, 2), ["duplicate_in_account", "duplicate_across_accounts"]);
    assert_eq!(codes(&report, 4), ["duplicate_across_accounts"]);
    assert_eq!(codes(&report, 5), [""; 0]);
    assert_eq!(report.findings.first().unwrap().detail, Detail::AlsoInLines([3, 4].into()));
    assert!(!report.blocks(), "a choice does not block");
    assert_eq!(report.outcomes[&Outcome::Ready], 4);
}

/// R4
#[test]
fn a_program_keeps_a_user_name_that_is_no_address() {
    let provider = "userPrincipalName\nann@acme.com\n";
    let users = "id,username,email,kind,authentication\n\
        1,svc-billing,team@acme.com,api,\n\
        2,bot@acme.com,bot@acme.com,api,\n\
        3,bot@other.com,bot@acme.com,api,\n\
        4,svc-x,x@other.com,api,\n\
        5,svc-y,y@acme.com,,api key\n\
        6,ann,ann@acme.com,person,basic\n\
        7,svc-z,ann@acme.com,api,\n";
    let report = report(users, provider, &entra());
    assert_eq!(codes(&report, 2), [""; 0]);
    assert_eq!(codes(&report, 3), ["native_user_is_address", "contact_not_unique"]);
    assert_eq!(codes(&report, 4), ["contact_not_unique"]);
    assert_eq!(codes(&report, 8), ["contact_not_unique"]);
    assert_eq!(codes(&report, 7), [""; 0], "a person whose address a program has too does not choose");
    let count = |outcome| report.outcomes.get(&outcome).copied().unwrap_or_default();
    assert_eq!((count(Outcome::Native), count(Outcome::OtherUsers), count(Outcome::Ready)), (4, 1, 1));
    assert!(report.blocks());
    assert_eq!(report.user(&report.findings[0]).unwrap().id.as_ref(), "bot@acme.com");
}

#[test]
fn a_difference_in_case_blocks_unless_the_application_ignores_it() {
    let (users, provider) = ("email\nAnn@acme.com\nann@acme.com\n", "userPrincipalName\nann@acme.com\n");
    let strict = report(users, provider, &entra());
    assert!(strict.blocks());
    assert_eq!(codes(&strict, 2), ["case_differs"]);
    let lenient = report(users, provider, &Question { ignore_case: true, ..entra() });
    assert!(!lenient.blocks());
    assert_eq!(codes(&lenient, 2), ["case_differs", "duplicate_in_account"]);
}

#[test]
fn sessions_are_counted_by_the_day_on_which_they_end() {
    let provider = "userPrincipalName\nann@acme.com\n";
    let ends = "email,session_ends,last_sign_in\nann@acme.com,2026-01-06 10:00,\nann@acme.com,,2026-01-05\n\
        ann@acme.com,2026-02-01,\nann@acme.com,2026-01-05 11:00,\nzoe@other.com,2026-01-06,\n";
    let by_end = report(ends, provider, &entra());
    let calendar = by_end.calendar.as_ref().unwrap();
    assert_eq!((&calendar.days[..3], calendar.none, calendar.later), ([0, 1, 0].as_slice(), 2, 1));
    assert_eq!(codes(&by_end, 2).last(), Some(&"meets_provider_within"));
    let last = "email,last_login\nann@acme.com,2026-01-04 10:00\nann@acme.com,never\nann@acme.com,2025-12-01\n";
    let calendar = report(last, provider, &entra()).calendar.unwrap();
    assert_eq!((calendar.days.iter().position(|count| *count == 1), calendar.none), (Some(6), 2));
    assert!(report("email\nann@acme.com\n", provider, &entra()).calendar.is_none());
}

#[test]
fn accounts_that_the_application_lacks_are_counted_once() {
    let provider = "userPrincipalName,mail,userType,accountEnabled\nann@acme.com,,Member,True\nlee@acme.com,bob@acme.com,Member,True\n\
        new@acme.com,,Member,True\noff@acme.com,,Member,False\nx@other.com,,Member,True\nguest@acme.com,,Guest,True\n,,Member,True\n";
    let report = report("email\nann@acme.com\nbob@acme.com\n", provider, &entra());
    let expected = Provider { rows: 7, without_address: 1, working: 3, only_at_provider: 1 };
    assert_eq!(report.provider, Some(expected));
}

#[test]
fn lists_that_cannot_be_read_name_line_and_column() {
    let error = |users: &[u8]| {
        let read = compare(users, &Columns::default(), None, &entra(), &mut |_| {});
        read.err().map(|error| error.to_string()).unwrap_or_default()
    };
    for (users, expected) in [
        (b"".as_slice(), "empty"),
        (b"\n\n", "empty"),
        (b"PK\x03\x04rest", "workbook"),
        (b"{\"users\":[]}", "JSON"),
        (b"id,name\n1,ann\n", "found: id, name"),
        (b"email,email\na,b\n", "columns 1 and 2"),
        (b"id,email\n1,ann@acme.com\n2\n", "line 3: has 1 cells, the header has 2"),
        (b"sep=;\nid;email\n1;M\xfcller@acme.com\n", "line 3, column 2 (email): is neither UTF-8 nor UTF-16"),
        (b"email,session_ends\nann@acme.com,soon\n", "line 2, column 2 (session_ends): is no date"),
        (b"email,session_ends\nann@acme.com,1/2/2026\n", "--dates"),
    ] {
        let found = error(users);
        assert!(found.contains(expected), "{found:?} does not say {expected:?}");
    }
    assert_eq!(error(b"id,email\n1,ann@acme.com\n"), "");
}

#[test]
fn delimiters_quotes_and_preambles_make_no_difference() {
    let provider = "userPrincipalName\nann@acme.com\n";
    for users in [
        "id,email\n\"a,b;c\",ann@acme.com\n",
        "id;email\r\n\"a,b;c\";ann@acme.com\r\n",
        "id\temail\n\"a,b;c\"\tann@acme.com\n",
        "sep=;\nid;email\n\"a,b;c\";\" ann@acme.com \"\n",
        "#TYPE System.Object\n\"id\";\"email\"\n\"a,b;c\";\"ann@acme.com\"\n",
        "version:v1.0\nid,E-Mail [email] Required\n\"a,b;c\",ann@acme.com\n",
        "\u{feff}id,email\n\"a,b;c\",ann@acme.com",
        "\"e,m\ni\",email\n\"a,b;c\",ann@acme.com\n",
    ] {
        let report = report(users, provider, &entra());
        assert_eq!(report.outcomes.get(&Outcome::Ready), Some(&1), "{users:?}");
    }
}

#[test]
fn the_table_fits_and_obeys_no_list() {
    let provider = format!("userPrincipalName,mail\nlee@acme.com,{}@acme.com\n", "x".repeat(64));
    let users = format!(
        "id,account,email,status\n\u{1b}[2J{},{},{}@acme.com,odd\n",
        "u".repeat(200),
        "ä".repeat(200),
        "x".repeat(64)
    );
    let users = format!("{users}{}", "1,north,nobody@acme.com,active\n".repeat(30));
    let report = report(&users, &provider, &entra());
    let mut out = Vec::new();
    write_table(&report, Lists { users: "users.csv", provider: Some("p.csv") }, 20, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(!text.contains('\u{1b}') && text.contains("\\u{1b}[2J"), "{text}");
    assert!(text.contains("and 10 more; --format csv lists all"), "{text}");
    assert!(text.contains("the status odd"), "{text}");
    for code in Code::ALL {
        assert!(code.meaning().chars().count() <= 53, "{} is cut in the summary", code.word());
    }
}

/// A cell of a list, more often one that means something.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "(ann|Ann|bob|lee)@(acme\\.com|ACME\\.COM|acme\\.example|other\\.com)",
        1 => "(SMTP:|smtp:|\\+|;|ann@acme\\.com|#EXT#|_acme\\.com|@|=|-|\u{0}){0,6}",
        1 => "(api|person|true|false|active|Guest|Member|2026-01-06|never|north|south|)",
        1 => "\\PC{0,12}",
    ]
}

fn table(titles: &'static str) -> impl Strategy<Value = String> {
    let width = titles.split(',').count();
    prop::collection::vec(prop::collection::vec(cell(), width), 0..12).prop_map(move |rows| {
        let mut out = csv::Writer::from_writer(Vec::new());
        out.write_record(titles.split(',')).unwrap();
        rows.iter().for_each(|row| out.write_record(row).unwrap());
        String::from_utf8(out.into_inner().unwrap()).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_row_is_accounted_for_once(
        users in table("id,username,email,account,kind,status"),
        provider in table("userPrincipalName,mail,proxyAddresses,userType,accountEnabled"),
        ignore_case: bool,
    ) {
        let question = Question { ignore_case, ..entra() };
        let report = report(&users, &provider, &question);
        let rows = csv::Reader::from_reader(users.as_bytes()).records().count() as u64;
        prop_assert_eq!(report.rows, rows);
        prop_assert_eq!(report.outcomes.values().sum::<u64>(), rows);
        // An outcome that is a finding is listed as often as it is counted, and a row has one such finding at most.
        for (outcome, count) in &report.outcomes {
            if let Outcome::Found(code) = outcome {
                let listed = report.findings.iter().filter(|finding| finding.code == *code).count() as u64;
                prop_assert_eq!(listed, *count, "{:?}", code);
            }
        }
        let mut csv = Vec::new();
        write_csv(&report, &mut csv).unwrap();
        let mut lines = csv::Reader::from_reader(csv.as_slice());
        let listed: Vec<_> = lines.records().map(Result::unwrap).collect();
        prop_assert_eq!(listed.len(), report.findings.len());
        for cell in listed.iter().flat_map(|line| line.iter()) {
            prop_assert!(!cell.starts_with(['=', '+', '-', '@']), "{}", cell);
        }
        let mut json = Vec::new();
        write_json(&report, &mut json).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(json["findings"].as_array().unwrap().len(), report.findings.len());
        prop_assert_eq!(json["blocks"].as_bool(), Some(report.blocks()));
    }

    #[test]
    fn no_bytes_panic(users: Vec<u8>, provider: Vec<u8>, title in "(email|userPrincipalName,mail|id;email|)") {
        let none = Columns::default();
        for question in [entra(), question(Asserted::Primary)] {
            let with_title = |bytes: &[u8]| [title.as_bytes(), b"\n", bytes].concat();
            for (users, provider) in [(users.clone(), provider.clone()), (with_title(&users), with_title(&provider))] {
                let accounts = read_accounts(provider.as_slice(), &none, &question, &mut |_| {}).ok();
                if let Ok(report) = compare(users.as_slice(), &none, accounts, &question, &mut |_| {}) {
                    prop_assert_eq!(report.outcomes.values().sum::<u64>(), report.rows);
                    let lists = Lists { users: "u", provider: None };
                    write_table(&report, lists, 5, &mut Vec::new()).unwrap();
                }
            }
        }
    }
}
