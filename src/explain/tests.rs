use std::time::Duration;

use async_trait::async_trait;
use std::sync::Arc;

use super::queue::MAX_ROWS;
use super::record::Asked;
use super::*;
use crate::base::clock::{Clock, Timestamp};
use crate::config::{Explain, PersonalData};
use crate::directory::{Directory, DirectoryError, Explained, Explanations};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn settings() -> Explain {
    Explain { enabled: true, keep: Duration::from_secs(3600), max: 10_000, personal_data: PersonalData::Masked }
}

fn recorder() -> (Recorder, Directory) {
    (Recorder::new(&settings()), Directory::in_memory())
}

fn asked(request_id: &str, after: u64) -> Asked<'_> {
    let at = NOW.plus(Duration::from_secs(after));
    Asked { at, client: "203.0.113.77".parse().unwrap(), request_id }
}

fn challenge(request_id: &str) -> Record {
    Record::challenge(Step::Request, "sign_in_required", true, asked(request_id, 0)).with(Field::Cookie, "unknown")
}

/// A sign-in that began and could not be finished, in three requests.
fn sign_in(recorder: &Recorder) {
    recorder.record(|| {
        Record::attempt(Step::Start, "sign_in_started", true, asked("r1", 0))
            .of_attempt("a1")
            .with(Field::Connector, "acme")
            .with(Field::Typed, "alice@acme.com")
    });
    recorder.record(|| {
        Record::attempt(Step::Callback, "domain_not_allowed", false, asked("r2", 30))
            .of_attempt("a1")
            .with(Field::Connector, "acme")
            .with(Field::Claim, "upn")
            .with(Field::Expected, "an address in acme.com")
            .with(Field::Found, "alice@partner.example")
    });
    recorder.record(|| {
        Record::attempt(Step::Callback, "tx_not_bound", true, asked("r3", 40))
            .with(Field::Connector, "acme")
            .with(Field::MissingCookie, "__Host-anteroom-try-a1")
    });
}

#[tokio::test]
async fn a_sign_in_is_told_whole_under_each_of_its_references() {
    let (recorder, directory) = recorder();
    sign_in(&recorder);
    let story = |reference| {
        let (recorder, directory) = (recorder.clone(), directory.clone());
        async move { json(&recorder.of(&directory, reference).await.unwrap()) }
    };
    let reasons = |story: &serde_json::Value| {
        story.as_array().unwrap().iter().map(|told| told["reason"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for reference in ["r1", "r2", "a1"] {
        assert_eq!(reasons(&story(reference).await), ["sign_in_started", "domain_not_allowed"], "{reference}");
    }
    assert_eq!(reasons(&story("r3").await), ["tx_not_bound"]);
    assert_eq!(reasons(&story("r4").await), Vec::<String>::new());
}

#[tokio::test]
async fn the_story_says_what_was_checked_what_was_found_and_what_to_do() {
    let (recorder, directory) = recorder();
    sign_in(&recorder);
    recorder.record(|| {
        Record::denial(Step::Request, "role_missing", false, asked("r5", 50))
            .with(Field::Method, "GET")
            .with(Field::Host, "app.example.com")
            .with(Field::Path, "/admin/users")
            .with(Field::Asker, "page")
            .with(Field::Status, "403")
            .with(Field::App, "portal")
            .with(Field::Route, "/admin/** (all methods)")
            .with(Field::Asks, "signed-in, role Admin")
            .with(Field::Cookie, "good")
            .with(Field::User, "alice@acme.com")
            .with(Field::Role, "User")
    });
    let mut text = String::new();
    for reference in ["a1", "r3", "r5", "nothing"] {
        text += &format!(
            "$ anteroom explain {reference}\n{}\n",
            render(&recorder.of(&directory, reference).await.unwrap())
        );
    }
    insta::assert_snapshot!("story", text);
}

/// E09, G5: nothing that acts, whoever wrote it.
#[tokio::test]
async fn what_strangers_wrote_cannot_move_a_terminals_cursor() {
    let (recorder, directory) = recorder();
    recorder.record(|| {
        Record::attempt(Step::Callback, "provider_refused", false, asked("r", 0))
            .with(Field::ProviderError, "\u{1b}[2Jaccess_denied\u{202e}\r\n2027-01-15T08:00:00.000Z  signed in")
    });
    let text = render(&recorder.of(&directory, "r").await.unwrap());
    assert!(text.contains("access_denied") && text.contains("\\u{1b}[2J"), "{text}");
    assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
    assert_eq!(text.lines().filter(|line| line.starts_with("2027")).count(), 1, "{text}");
}

#[tokio::test]
async fn people_and_machines_are_masked_unless_the_setting_shows_them() {
    let shown = Recorder::new(&Explain { personal_data: PersonalData::Shown, ..settings() });
    let (masked, directory) = recorder();
    for (recorder, reference) in [(&shown, "r2"), (&masked, "r1")] {
        sign_in(recorder);
        let story = recorder.of(&directory, reference).await.unwrap();
        let text = render(&story) + &json(&story).to_string();
        let clear = ["alice@acme.com", "alice@partner.example", "203.0.113.77"];
        let hidden = ["a***@acme.com", "a***@partner.example", "203.0.113.0/24"];
        let (there, absent) = if reference == "r2" { (clear, hidden) } else { (hidden, clear) };
        assert!(there.iter().all(|value| text.contains(value)), "{text}");
        assert!(!absent.iter().any(|value| text.contains(value)), "{text}");
        directory.explanations.purge(NOW, 0).await.unwrap();
    }
}

/// A flood of strangers neither fills the directory nor hides what happened to others.
#[tokio::test]
async fn of_too_many_the_strangers_oldest_challenges_go_first() {
    let (recorder, directory) = recorder();
    sign_in(&recorder);
    for i in 0..20_000 {
        recorder.record(|| challenge(&format!("flood-{i}")));
    }
    recorder.record(|| Record::denial(Step::Request, "role_missing", false, asked("denied", 0)));
    recorder.flush(&directory).await.unwrap();
    let count = async |reference: &str| directory.explanations.of(reference).await.unwrap().len();
    assert_eq!((count("a1").await, count("r3").await, count("denied").await), (2, 1, 1));
    assert_eq!((count("flood-0").await, count("flood-19999").await), (0, 1));
    let kept = directory.explanations.purge(NOW, 0).await.unwrap();
    assert_eq!(kept, MAX_ROWS as u64);
}

#[tokio::test]
async fn without_a_flood_every_challenge_is_kept() {
    let (recorder, directory) = recorder();
    for second in 0..3 {
        for i in 0..400 {
            recorder.record(|| challenge(&format!("{second}-{i}")));
        }
        recorder.flush(&directory).await.unwrap();
    }
    assert_eq!(directory.explanations.purge(NOW, 0).await.unwrap(), 1200);
}

#[tokio::test]
async fn nothing_is_made_where_explaining_is_switched_off() {
    let directory = Directory::in_memory();
    let off = Recorder::new(&Explain { enabled: false, ..settings() });
    off.record(|| panic!("not even the record is made"));
    assert!(off.of(&directory, "r1").await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn in_the_background_records_are_written_and_forgotten_after_their_time() {
    let clock = Clock::manual(NOW);
    let directory = Directory::in_memory();
    let recorder = Recorder::new(&Explain { max: 100, ..settings() });
    let running = tokio::spawn(recorder.clone().run(directory.clone(), clock.clone()));
    for i in 0..150 {
        recorder.record(|| challenge(&format!("r{i}")));
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let count = async |reference: &str| directory.explanations.of(reference).await.unwrap().len();
    assert_eq!((count("r0").await, count("r149").await), (0, 1), "at most explain.max");
    clock.advance(Duration::from_secs(3601));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(count("r149").await, 0, "after explain.keep");
    running.abort();
}

/// A directory that cannot be reached.
struct Away;

#[async_trait]
impl Explanations for Away {
    async fn keep(&self, _: &[Explained]) -> Result<(), DirectoryError> {
        Err(DirectoryError::Unavailable("away".into()))
    }

    async fn of(&self, _: &str) -> Result<Vec<Explained>, DirectoryError> {
        Err(DirectoryError::Unavailable("away".into()))
    }

    async fn purge(&self, _: Timestamp, _: u64) -> Result<u64, DirectoryError> {
        Err(DirectoryError::Unavailable("away".into()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_is_away_stops_nothing() {
    let mut directory = Directory::in_memory();
    directory.explanations = Arc::new(Away);
    let recorder = Recorder::new(&settings());
    let running = tokio::spawn(recorder.clone().run(directory.clone(), Clock::manual(NOW)));
    for _ in 0..100 {
        recorder.record(|| challenge("r"));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(!running.is_finished());
    assert!(recorder.of(&directory, "r").await.is_err(), "said, not hidden");
    running.abort();
}
