//! Where sessions and the directory are, and where the admin socket is.

use super::*;

/// The honest configuration with these lines in `[sessions]` and this `[directory]`.
fn with(sessions: &str, directory: &str) -> [(&'static str, String); 2] {
    [
        ("idle_timeout = \"12h\"", format!("idle_timeout = \"12h\"\n{sessions}")),
        ("[log]", format!("{directory}\n[log]")),
    ]
}

fn loads(sessions: &str, directory: &str) -> Loaded {
    let changes = with(sessions, directory);
    accepted(&changes.each_ref().map(|(from, to)| (*from, to.as_str())))
}

#[track_caller]
fn wrong(sessions: &str, directory: &str, key: &str, says: &str) {
    let changes = with(sessions, directory);
    refused(&changes.each_ref().map(|(from, to)| (*from, to.as_str())), key, says);
}

fn url(url: &str) -> String {
    format!("[directory]\nurl = {url:?}")
}

#[test]
fn without_a_word_sessions_are_kept_in_a_file_beside_the_configuration() {
    let Loaded { config, warnings } = loads("", "");
    assert_eq!(warnings, []);
    let sessions = &config.sessions;
    assert_eq!((sessions.store, sessions.on_disable), (SessionsStore::Directory, OnDisable::EndConnectors));
    assert_eq!((sessions.revocation_bound, sessions.cookie_domain.as_deref()), (Duration::from_secs(5), None));
    let DirectoryLocation::Sqlite(file) = &config.directory.location else { panic!("a file") };
    assert!(file.is_absolute() && file.ends_with("anteroom.db"), "{file:?}");
    assert_eq!(config.ops.admin_socket.path, file.with_file_name("anteroom.sock"));
    assert!(!config.ops.admin_socket.is_written);
}

#[test]
fn a_sqlite_url_names_a_file_as_sqlx_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("anteroom.toml");
    let read = |text: &str, env: &[(&str, &str)]| {
        std::fs::write(&file, changed(&[("[log]", &format!("{}\n[log]", url(text)))])).unwrap();
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let config = load(Some(&file), env, &Overrides::default()).unwrap().config;
        let DirectoryLocation::Sqlite(path) = config.directory.location else { panic!("a file") };
        path
    };
    assert_eq!(read("sqlite://data/a.db", &[]), dir.path().join("data/a.db"));
    assert_eq!(read("sqlite:data/a.db", &[]), dir.path().join("data/a.db"));
    assert_eq!(read("sqlite:///var/lib/a%20b.db", &[]), std::path::Path::new("/var/lib/a b.db"));
    let env = [("ANTEROOM__DIRECTORY__URL", "sqlite://env.db")];
    assert_eq!(read("sqlite://a.db", &env), std::env::current_dir().unwrap().join("env.db"));
    for bad in
        ["sqlite://", "sqlite:", "sqlite://dir/", "sqlite://a.db?mode=ro", "sqlite::memory:", "sqlite://:memory:"]
    {
        wrong("", &url(bad), "directory.url", "allowed");
    }
    for bad in ["anteroom.db", "mysql://a/b", "file:a.db", "SQLITE://a.db"] {
        wrong("", &url(bad), "directory.url", "another kind of URL");
    }
    wrong("", &url(" "), "directory.url", "empty");
}

#[test]
fn a_postgresql_url_is_a_secret_with_a_host_and_a_database() {
    let here = "postgres://anteroom:canary@localhost/anteroom";
    let Loaded { config, warnings } = loads("", &url(here));
    assert_eq!(warnings, []);
    assert!(!format!("{config:?}").contains("canary"));
    let DirectoryLocation::Postgres(Secret::Value(secret)) = &config.directory.location else { panic!("PostgreSQL") };
    assert_eq!(secret.expose_secret(), here);
    assert_eq!(config.ops.admin_socket.path, config.keys.dir.join("anteroom.sock"));
    loads("", &url("postgresql:///anteroom?host=/run/postgresql"));
    let warned = loads("", &url("postgres://a:canary@db.example.com/a?sslmode=require")).warnings;
    assert!(warned.len() == 1 && warned[0].text.contains("sslmode") && !warned[0].text.contains("canary"));
    assert_eq!(loads("", &url("postgres://a:canary@db.example.com/a?sslmode=verify-full")).warnings, []);
    for (bad, says) in [
        ("postgres:///anteroom", "no host"),
        ("postgres://u:canary@localhost", "no name of a database"),
        ("postgres://u:can/ary@localhost:1:2/a", "found no URL"),
        ("http://u:canary@localhost/a", "another kind"),
    ] {
        wrong("", &url(bad), "directory.url", says);
    }
}

#[test]
fn a_postgresql_url_may_stand_in_a_file_and_not_on_the_command_line() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    let path = secret.path().to_str().unwrap();
    std::fs::write(path, "postgres://u:canary@localhost/a\n").unwrap();
    let config = loads("", &format!("[directory]\nurl_file = {path:?}")).config;
    assert!(matches!(config.directory.location, DirectoryLocation::Postgres(Secret::File(_))));
    let both = format!("[directory]\nurl_file = {path:?}\nurl = \"sqlite://a.db\"");
    wrong("", &both, "directory.url_file", "given twice");
    std::fs::write(path, "sqlite://a.db").unwrap();
    wrong("", &format!("[directory]\nurl_file = {path:?}"), "directory.url_file", "no secret");
    let set = |assignment: &str| {
        let mut flags = Overrides::default();
        flags.assign("--set", assignment).unwrap();
        load_as("toml", HONEST, &[], &flags)
    };
    set("directory.url=sqlite:///a.db").unwrap();
    let problems = set("directory.url=postgres://u:canary@localhost/a").unwrap_err().to_string();
    assert!(problems.contains("url_file") && !problems.contains("canary"), "{problems}");
}

#[test]
fn where_and_how_long_sessions_are_kept_has_few_words() {
    let memory = loads("store = \"memory\"", "");
    assert_eq!(memory.config.sessions.store, SessionsStore::Memory);
    assert_eq!(memory.warnings.len(), 1);
    assert_eq!(memory.warnings[0].place.key, "sessions.store");
    wrong("store = \"redis\"", "", "sessions.store", "does not have yet");
    wrong("store = \"disk\"", "", "sessions.store", "allowed: \"directory\", \"memory\"");
    assert_eq!(loads("on_disable = \"keep\"", "").config.sessions.on_disable, OnDisable::Keep);
    wrong("on_disable = \"stop\"", "", "sessions.on_disable", "allowed");
    assert_eq!(loads("revocation_bound = \"60s\"", "").config.sessions.revocation_bound, Duration::from_secs(60));
    for bad in ["0s", "61s", "500ms"] {
        wrong(&format!("revocation_bound = {bad:?}"), "", "sessions.revocation_bound", "from 1s to 1m");
    }
}

#[test]
fn e11_a_cookie_for_a_whole_domain_carries_its_warning_and_reaches_no_strangers() {
    let cookie_domain = |domain: &str| format!("cookie_domain = \"shared-with-every-host-of:{domain}\"");
    for (written, domain) in [("example.com", "example.com"), ("App.Example.com", "app.example.com")] {
        let config = loads(&cookie_domain(written), "").config;
        assert_eq!(config.sessions.cookie_domain.as_deref(), Some(domain));
    }
    wrong("cookie_domain = \"example.com\"", "", "sessions.cookie_domain", "shared-with-every-host-of");
    for (bad, says) in [
        ("", "two labels"),
        ("com", "two labels"),
        (".example.com", "two labels"),
        ("example.com.", "two labels"),
        ("exa mple.com", "two labels"),
        ("other.example", "is not in it"),
        ("xample.com", "is not in it"),
        ("x.app.example.com", "is not in it"),
        ("co.uk", "public suffix"),
        ("github.io", "public suffix"),
        ("10.0.0.1", "an address"),
    ] {
        wrong(&cookie_domain(bad), "", "sessions.cookie_domain", says);
    }
    let text = changed(&[
        ("\"https://app.example.com\"", "\"http://app.example.com\"\ninsecure_http = \"yes-for-testing-only\""),
        ("idle_timeout = \"12h\"", &format!("idle_timeout = \"12h\"\n{}", cookie_domain("example.com"))),
    ]);
    let problems = load_toml(&text).unwrap_err().to_string();
    assert!(problems.contains("plain http"), "{problems}");
}

#[test]
fn the_admin_socket_has_a_path_that_the_system_takes() {
    let ops = |path: &str| format!("[ops]\nadmin_socket = {path:?}");
    let config = loads("", &ops("run/admin.sock")).config;
    assert!(config.ops.admin_socket.path.ends_with("run/admin.sock") && config.ops.admin_socket.path.is_absolute());
    assert!(config.ops.admin_socket.is_written);
    let longest = format!("/{}", "a".repeat(AdminSocket::MAX - 1));
    loads("", &ops(&longest));
    let longest_dir = format!("/{}", "a".repeat(AdminSocket::MAX_DIR - 1));
    loads("", &ops(&format!("{longest_dir}/s")));
    wrong("", &ops(&format!("{longest_dir}a/s")), "ops.admin_socket", "the directory has at most 95");
    wrong("", &ops(&format!("{longest}a")), "ops.admin_socket", "has 108 bytes; allowed: at most 107");
}

#[test]
fn check_judges_the_place_of_the_file_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| DirectoryLocation::Sqlite(dir.path().join(path)).check();
    at("a.db").unwrap();
    assert!(!dir.path().join("a.db").exists(), "nothing is made");
    std::fs::write(dir.path().join("a.db"), "").unwrap();
    at("a.db").unwrap();
    std::fs::create_dir(dir.path().join("b.db")).unwrap();
    for (bad, says) in [("sub/a.db", "no such directory"), ("a.db/a.db", "no directory"), ("b.db", "no file")] {
        let error = at(bad).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("directory.url"), "{error}");
    }
    // Not even root can write there.
    assert!(DirectoryLocation::Sqlite("/proc/self/a.db".into()).check().is_err());
}
