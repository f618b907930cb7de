use std::fs;
use std::sync::Barrier;
use std::time::Duration;

use super::*;
use crate::base::seal::Sealer;

const T0: i64 = 1_700_000_000;
const OPEN_FOR: Duration = Duration::from_secs(86_400);

fn clock() -> Clock {
    Clock::manual(Timestamp::from_secs(T0))
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.filter(|n| n != ".lock").collect();
    names.sort();
    names
}

fn kids(ring: &KeyRing, now: Timestamp) -> Vec<String> {
    ring.published_keys(now).iter().map(|k| k.kid().to_owned()).collect()
}

#[expect(clippy::disallowed_methods, reason = "a test looks at what was written")]
fn text_of(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_first_start_makes_private_keys_and_the_second_finds_them() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("state/keys");
    let clock = clock();
    assert_eq!(KeyRing::check(&dir).unwrap().will_make, [KeyKind::Sealing, KeyKind::Assertion]);
    assert!(!dir.exists(), "check writes nothing");
    let first = KeyRing::open(&dir, OPEN_FOR, clock.clone()).unwrap();
    assert_eq!(names(&dir), ["assertion-1700000000.pem", "sealing-1700000000.key"], "and no temporary file");
    assert_eq!(mode(&dir), 0o700);
    for name in names(&dir) {
        assert_eq!(mode(&dir.join(name)), 0o600);
    }
    clock.advance(Duration::from_secs(60));
    let second = KeyRing::open(&dir, OPEN_FOR, clock.clone()).unwrap();
    assert_eq!(kids(&first, clock.now()), kids(&second, clock.now()));
    let report = KeyRing::check(&dir).unwrap();
    assert_eq!((report.sealing, report.assertion, report.will_make), (1, 1, vec![]));
    assert_eq!(report.readable_by_others, Vec::<PathBuf>::new());
}

#[test]
fn processes_that_start_at_once_end_with_the_same_keys() {
    for _ in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let start = Barrier::new(8);
        let rings: Vec<KeyRing> = std::thread::scope(|scope| {
            // Clocks that differ, so that each would choose another file name.
            let open = |i| {
                let clock = Clock::manual(Timestamp::from_secs(T0 + i));
                let (dir, start) = (dir.path(), &start);
                scope.spawn(move || {
                    start.wait();
                    KeyRing::open(dir, OPEN_FOR, clock).unwrap()
                })
            };
            let handles: Vec<_> = (0..8).map(open).collect();
            handles.into_iter().map(|h| h.join().unwrap()).collect()
        });
        let now = Timestamp::from_secs(T0);
        let first = kids(&rings[0], now);
        let sealed = Sealer::new(Arc::new(KeyRing::open(dir.path(), OPEN_FOR, clock()).unwrap())).seal("p", b"x");
        for ring in rings {
            assert_eq!(kids(&ring, now), first);
            assert!(Sealer::new(Arc::new(ring)).open("p", &sealed).is_some());
        }
        assert_eq!(names(dir.path()).len(), 2);
    }
}

#[test]
fn a_damaged_key_stops_the_start_and_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    KeyRing::open(dir.path(), OPEN_FOR, clock.clone()).unwrap();
    let sealing = dir.path().join("sealing-1700000000.key");
    let assertion = dir.path().join("assertion-1700000000.pem");
    let p384 = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for path in [sealing, assertion] {
        let good = text_of(&path);
        for bad in ["", "\n", "x", &good[..good.len() / 2], p384, &"A".repeat(20_000)] {
            fs::write(&path, bad).unwrap();
            let error = KeyRing::open(dir.path(), OPEN_FOR, clock.clone()).unwrap_err();
            assert!(matches!(error, KeysError::Damaged { .. } | KeysError::Read { .. }), "{error}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            assert!(bad.is_empty() || !error.to_string().contains(bad.trim()) || bad.len() < 3, "{error}");
            KeyRing::check(dir.path()).unwrap_err();
            assert_eq!(text_of(&path), bad, "left as it was");
        }
        fs::write(&path, &good).unwrap();
        KeyRing::open(dir.path(), OPEN_FOR, clock.clone()).unwrap();
    }
}

#[test]
fn a_key_name_without_a_time_and_a_directory_in_a_keys_place_are_refused_and_other_files_are_not_ours() {
    let dir = tempfile::tempdir().unwrap();
    KeyRing::open(dir.path(), OPEN_FOR, clock()).unwrap();
    fs::write(dir.path().join("notes.txt"), "x").unwrap();
    fs::write(dir.path().join("saml-signing.pem"), "x").unwrap();
    fs::write(dir.path().join("sealing-1700000000.key.bak"), "").unwrap();
    KeyRing::open(dir.path(), OPEN_FOR, clock()).unwrap();
    for name in ["sealing-.key", "sealing-today.key", "assertion-+5.pem", "assertion--5.pem"] {
        fs::write(dir.path().join(name), "x").unwrap();
        let error = KeyRing::open(dir.path(), OPEN_FOR, clock()).unwrap_err();
        assert!(matches!(error, KeysError::Name { .. }), "{name}: {error}");
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    fs::create_dir(dir.path().join("sealing-1.key")).unwrap();
    assert!(matches!(KeyRing::open(dir.path(), OPEN_FOR, clock()).unwrap_err(), KeysError::Read { .. }));
}

#[test]
fn a_directory_that_cannot_be_written_stops_the_first_start_with_what_to_do() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    // Under a file nobody can make a directory, and in /proc nobody can make a file: not even root, as whom
    // containers run tests.
    for dir in [file.join("keys"), PathBuf::from("/proc/self")] {
        let error = KeyRing::open(&dir, OPEN_FOR, clock()).unwrap_err();
        let text = error.to_string();
        let readable = matches!(error, KeysError::NotWritable { .. }) && text.contains("openssl");
        assert!(readable || matches!(error, KeysError::Read { .. }), "{text}");
    }
    KeyRing::check(&file.join("keys")).unwrap_err();
    KeyRing::check(&file).unwrap_err();
}

#[test]
fn keys_made_with_the_commands_in_the_error_text_are_accepted() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, name) in [(KeyKind::Sealing, "sealing-1700000000.key"), (KeyKind::Assertion, "assertion-1700000000.pem")]
    {
        let recipe = KeysError::NotWritable { dir: PathBuf::new(), kind, source: std::io::ErrorKind::Other.into() };
        let recipe = recipe.to_string();
        let command = recipe.split_once("one there: ").unwrap().1.replace("$(date +%s)", "1700000000");
        let status = std::process::Command::new("sh").args(["-c", &command]).current_dir(dir.path()).output().unwrap();
        assert!(status.status.success(), "{command}");
        assert!(dir.path().join(name).exists(), "{command}");
    }
    let before = names(dir.path());
    KeyRing::open(dir.path(), OPEN_FOR, clock()).unwrap();
    assert_eq!(names(dir.path()), before, "nothing was made");
}

#[test]
fn mounted_secrets_are_links_and_a_file_that_everybody_reads_is_reported() {
    use std::os::unix::fs::PermissionsExt as _;
    let made = tempfile::tempdir().unwrap();
    KeyRing::open(made.path(), OPEN_FOR, clock()).unwrap();
    let mount = tempfile::tempdir().unwrap();
    for name in names(made.path()) {
        std::os::unix::fs::symlink(made.path().join(&name), mount.path().join(&name)).unwrap();
    }
    let open = made.path().join("sealing-1700000000.key");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let report = KeyRing::check(mount.path()).unwrap();
    assert_eq!(report.readable_by_others, [mount.path().join("sealing-1700000000.key")]);
    KeyRing::open(mount.path(), OPEN_FOR, clock()).unwrap();
    assert!(!mount.path().join(".lock").exists(), "a complete directory is not written");
}

#[test]
fn rotation_shows_a_new_key_before_it_signs_and_the_old_one_after() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let ring = KeyRing::open(dir.path(), OPEN_FOR, clock.clone()).unwrap();
    let old = ring.assertion_key(clock.now()).kid().to_owned();
    assert_eq!(ring.rotate_if_due().unwrap(), Rotation::Unchanged);
    clock.advance(plan::ROTATE_AFTER);
    let Rotation::Made { kid: new } = ring.rotate_if_due().unwrap() else { panic!("due") };
    assert_eq!(ring.rotate_if_due().unwrap(), Rotation::Unchanged, "once");
    assert_eq!(kids(&ring, clock.now()), [new.clone(), old.clone()]);
    assert_eq!(ring.assertion_key(clock.now()).kid(), old);
    clock.advance(plan::USE_AFTER);
    assert_eq!(ring.assertion_key(clock.now()).kid(), new);
    clock.advance(plan::PUBLISH_FOR);
    assert_eq!(kids(&ring, clock.now()), [new.as_str()]);
    assert_eq!(names(dir.path()).len(), 3, "no file is deleted");
    let restarted = KeyRing::open(dir.path(), OPEN_FOR, clock.clone()).unwrap();
    assert_eq!(restarted.assertion_key(clock.now()).kid(), new);
}

#[test]
fn two_processes_on_one_directory_make_one_new_key_and_learn_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let one = KeyRing::open(dir.path(), OPEN_FOR, clock.clone()).unwrap();
    let two = KeyRing::open(dir.path(), OPEN_FOR, clock.clone()).unwrap();
    clock.advance(plan::ROTATE_AFTER);
    assert!(matches!(one.rotate_if_due().unwrap(), Rotation::Made { .. }));
    assert_eq!(two.rotate_if_due().unwrap(), Rotation::Reread);
    assert_eq!(kids(&one, clock.now()), kids(&two, clock.now()));
    assert_eq!(names(dir.path()).len(), 3);
}

#[test]
fn e12_a_sealing_key_put_there_by_the_operator_seals_ten_minutes_later_and_the_old_one_still_opens() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let ring = Arc::new(KeyRing::open(dir.path(), OPEN_FOR, clock.clone()).unwrap());
    let sealer = Sealer::new(Arc::clone(&ring));
    let old = sealer.seal("p", b"old");
    clock.advance(Duration::from_secs(3600));
    let added = dir.path().join(format!("sealing-{}.key", T0 + 60));
    fs::write(&added, &*SealingKey::make()).unwrap();
    let id = |sealed: &str| sealed[..6].to_owned();
    assert_eq!(ring.rotate_if_due().unwrap(), Rotation::Reread);
    assert_eq!(id(&sealer.seal("p", b"x")), id(&old), "other processes may not know the new one yet");
    clock.advance(plan::USE_AFTER);
    let new = sealer.seal("p", b"new");
    assert_ne!(id(&new), id(&old));
    assert_eq!(sealer.open("p", &old).as_deref(), Some(b"old".as_slice()));
    // Retired: what it sealed no longer opens (E05).
    fs::remove_file(dir.path().join("sealing-1700000000.key")).unwrap();
    assert_eq!(ring.rotate_if_due().unwrap(), Rotation::Reread);
    assert_eq!(sealer.open("p", &old), None);
    assert_eq!(sealer.open("p", &new).as_deref(), Some(b"new".as_slice()));
}

#[test]
fn a_directory_that_lost_its_keys_or_holds_a_bad_one_leaves_the_loaded_ones_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let ring = KeyRing::open(dir.path(), OPEN_FOR, clock.clone()).unwrap();
    let before = kids(&ring, clock.now());
    clock.advance(plan::ROTATE_AFTER);
    fs::write(dir.path().join("assertion-5.pem"), "").unwrap();
    assert!(matches!(ring.rotate_if_due().unwrap_err(), KeysError::Damaged { .. }));
    for name in names(dir.path()) {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    assert!(matches!(ring.rotate_if_due().unwrap_err(), KeysError::Gone { .. }));
    assert_eq!(names(dir.path()), Vec::<String>::new(), "no fresh keys in what may be an unmounted volume");
    assert_eq!(kids(&ring, clock.now()), before);
}

#[test]
fn debug_shows_no_key_material() {
    let dir = tempfile::tempdir().unwrap();
    let ring = KeyRing::open(dir.path(), OPEN_FOR, clock()).unwrap();
    let secret = text_of(&dir.path().join("sealing-1700000000.key"));
    let text = format!("{ring:?}");
    assert!(text.contains("SealingKey") && !text.contains(secret.trim()));
}

#[test]
fn rotation_by_hand_makes_one_key_of_each_kind_however_often_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let one = KeyRing::open(dir.path(), OPEN_FOR, clock.clone()).unwrap();
    let two = KeyRing::open(dir.path(), OPEN_FOR, clock.clone()).unwrap();
    let before = names(dir.path());
    // Within the second in which the first keys were made: their files stay what they are.
    let rotated = one.rotate_now().unwrap();
    assert_eq!(two.rotate_now().unwrap(), rotated, "already on its way, whoever asks");
    assert_eq!(one.rotate_now().unwrap(), rotated);
    let after = names(dir.path());
    assert_eq!(after.len(), 4);
    assert!(before.iter().all(|name| after.contains(name)));
    for name in &after {
        assert_eq!(mode(&dir.path().join(name)), 0o600, "{name}");
    }
    let stages: Vec<_> = rotated.iter().map(|key| (key.kind, key.stage)).collect();
    let (sealing, assertion) = (KeyKind::Sealing, KeyKind::Assertion);
    let (current, waiting) = (Stage::Current, Stage::Waiting);
    assert_eq!(stages, [(sealing, current), (sealing, waiting), (assertion, current), (assertion, waiting)]);
    clock.advance(plan::USE_AFTER + Duration::from_secs(1));
    assert_eq!(one.rotate_now().unwrap().len(), 6, "done with: asked for again, there is another");
}

#[test]
fn a_clock_set_back_makes_a_key_that_follows_the_others_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let ring = KeyRing::open(dir.path(), OPEN_FOR, clock.clone()).unwrap();
    clock.set_wall(Timestamp::from_secs(T0 - 3600));
    let keys = ring.rotate_now().unwrap();
    let created: Vec<i64> = keys.iter().map(|key| key.created.secs()).collect();
    assert_eq!(created, [T0, T0 + 1, T0, T0 + 1]);
}

#[test]
fn e12_a_superseded_sealing_key_opens_for_as_long_as_asked_for_and_then_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let ring = Arc::new(KeyRing::open(dir.path(), OPEN_FOR, clock.clone()).unwrap());
    let sealer = Sealer::new(Arc::clone(&ring));
    let (text, record) = (sealer.seal("try", b"old"), sealer.seal_bytes("tokens", b"old"));
    clock.advance(Duration::from_secs(3600));
    let opens = || (sealer.open("try", &text).is_some(), sealer.open_bytes("tokens", &record).is_some());
    ring.rotate_now().unwrap();
    clock.advance(plan::USE_AFTER);
    let new = sealer.seal("try", b"new");
    assert_ne!(new[..6], text[..6], "sealed with the new key");
    clock.advance(OPEN_FOR + plan::OPEN_SLACK - Duration::from_millis(1));
    assert_eq!(opens(), (true, true));
    assert_eq!(ring.list()[0].stage, Stage::Superseded);
    assert_eq!(ring.list()[0].until, Some(clock.now().plus(Duration::from_millis(1))));
    clock.advance(Duration::from_millis(1));
    assert_eq!(opens(), (false, false));
    assert_eq!(ring.list()[0].stage, Stage::Retired);
    assert_eq!(sealer.open("try", &new).as_deref(), Some(b"new".as_slice()));
    let restarted = Sealer::new(Arc::new(KeyRing::open(dir.path(), OPEN_FOR, clock.clone()).unwrap()));
    assert_eq!(restarted.open("try", &text), None, "also after a restart");
    assert!(restarted.open("try", &new).is_some());
    assert_eq!(names(dir.path()).len(), 4, "no file is deleted");
}

/// Two processes that look at the directory every five minutes, at different times; a sign-in is begun every minute
/// at each and ended up to ten minutes later at the other.
#[test]
fn t45_nothing_sealed_is_lost_before_during_or_after_a_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let open = || Arc::new(KeyRing::open(dir.path(), Duration::ZERO, clock.clone()).unwrap());
    let rings = [open(), open()];
    let sealers = [Sealer::new(Arc::clone(&rings[0])), Sealer::new(Arc::clone(&rings[1]))];
    let mut begun: Vec<(u32, usize, String)> = Vec::new();
    let (mut opened, mut sealed_with) = (0, std::collections::BTreeSet::new());
    for minute in 0..60_u32 {
        if minute == 20 {
            rings[0].rotate_now().unwrap();
        }
        // The second looks four minutes after the first.
        for (ring, at) in [(&rings[0], 0), (&rings[1], 4)] {
            if minute % 5 == at {
                ring.rotate_if_due().unwrap();
            }
        }
        for (at, sealer) in sealers.iter().enumerate() {
            let sealed = sealer.seal("try", &minute.to_be_bytes());
            sealed_with.insert(sealed[..6].to_owned());
            begun.push((minute, at, sealed));
        }
        begun.retain(|(since, at, sealed)| {
            assert!(sealers[1 - at].open("try", sealed).is_some(), "begun at {since} at {at}, ended at {minute}");
            opened += 1;
            minute - since < 10
        });
        clock.advance(Duration::from_secs(60));
    }
    assert!(opened > 1000, "{opened}");
    assert_eq!(sealed_with.len(), 2, "both keys were used");
}

#[test]
fn fingerprints_tell_keys_apart_and_give_nothing_of_them_away() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let clock = clock();
    let ring = KeyRing::open(a.path(), OPEN_FOR, clock.clone()).unwrap();
    let first = ring.fingerprints();
    assert_eq!(first.len(), 1);
    assert!(first[0].len() == 16 && first[0].bytes().all(|b| b.is_ascii_hexdigit()), "{first:?}");
    assert_eq!(KeyRing::open(a.path(), OPEN_FOR, clock.clone()).unwrap().fingerprints(), first, "stable");
    assert_ne!(KeyRing::open(b.path(), OPEN_FOR, clock.clone()).unwrap().fingerprints(), first);
    ring.rotate_now().unwrap();
    assert_eq!(ring.fingerprints()[0], first[0]);
    assert_eq!(ring.fingerprints().len(), 2);
    // What a sealed text shows of its key is not what a list shows of it.
    let sealed = Sealer::new(Arc::new(ring)).seal_bytes("p", b"x");
    let id: String = sealed[1..5].iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(!first[0].starts_with(&id));
}

#[test]
fn a_rotation_in_a_directory_that_lost_its_keys_makes_none_there() {
    let dir = tempfile::tempdir().unwrap();
    let ring = KeyRing::open(dir.path(), OPEN_FOR, clock()).unwrap();
    for name in names(dir.path()) {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    assert!(matches!(ring.rotate_now().unwrap_err(), KeysError::Gone { .. }));
    assert_eq!(names(dir.path()), Vec::<String>::new());
    assert_eq!(ring.list().len(), 2, "those loaded stay in use");
}
