use super::*;
use crate::session::tests::{row, session};

const TENTH: Duration = Duration::from_millis(100);

fn clock() -> Clock {
    Clock::manual(Timestamp::from_secs(1_800_000_000))
}

/// What `benches/` counts a million times: with the counters of its `Arc` 200 bytes, and the allocator takes 208.
#[test]
fn a_session_takes_no_more_room_than_it_did() {
    assert!(size_of::<Session>() <= 184, "{}", size_of::<Session>());
}

#[test]
fn a_renewal_is_due_at_its_time_and_at_most_a_tenth_of_a_second_before() {
    let clock = clock();
    let at = clock.now().plus(Duration::from_millis(60_050));
    let due = session(&SessionRow { renew_at: Some(at), ..row(&clock) }, &clock);
    let never = session(&row(&clock), &clock);
    let far = clock.now().plus(Duration::from_secs(20 * 366 * 86_400));
    let far = session(&SessionRow { renew_at: Some(far), ..row(&clock) }, &clock);
    clock.advance(Duration::from_millis(60_050) - TENTH);
    assert!(!due.is_renewal_due(clock.tick()));
    clock.advance(TENTH);
    assert!(due.is_renewal_due(clock.tick()));
    clock.advance(Duration::from_secs(366 * 86_400));
    assert!(due.is_renewal_due(clock.tick()) && !never.is_renewal_due(clock.tick()));
    assert!(!far.is_renewal_due(clock.tick()), "further than is counted");
    clock.advance(Duration::from_secs(20 * 366 * 86_400));
    assert!(!never.is_renewal_due(clock.tick()), "never");
}

#[test]
fn a_session_ends_when_its_provider_wants_it_to_and_never_later_than_our_limit() {
    let (clock, limits) = (clock(), Limits { idle: Duration::from_secs(900), absolute: Duration::from_secs(100) });
    let until = |secs| SessionRow { ends_at: Some(clock.now().plus(Duration::from_secs(secs))), ..row(&clock) };
    let [sooner, later, silent] = [until(10), until(1_000), row(&clock)].map(|row| session(&row, &clock));
    clock.advance(Duration::from_secs(10) - TENTH);
    assert!([&sooner, &later, &silent].iter().all(|session| session.check(&limits, clock.tick()).is_ok()));
    assert!(sooner.remaining(&limits, clock.tick()).1 <= TENTH);
    clock.advance(TENTH);
    assert_eq!(sooner.check(&limits, clock.tick()), Err(Ending::Absolute));
    assert_eq!((later.check(&limits, clock.tick()), silent.check(&limits, clock.tick())), (Ok(()), Ok(())));
    clock.advance(Duration::from_secs(90));
    let over = [later, silent].map(|session| session.check(&limits, clock.tick()));
    assert_eq!(over, [Err(Ending::Absolute), Err(Ending::Absolute)]);
}

#[test]
fn a_use_is_told_once_each_interval() {
    let (clock, minute) = (clock(), Duration::from_secs(60));
    let one = session(&row(&clock), &clock);
    assert!(!one.claim_note(clock.tick(), minute));
    clock.advance(minute - TENTH);
    assert!(!one.claim_note(clock.tick(), minute));
    clock.advance(TENTH);
    assert!(one.claim_note(clock.tick(), minute));
    assert!(!one.claim_note(clock.tick(), minute));
}

#[test]
fn a_renewal_is_claimed_by_one_and_by_none_before_it_is_due() {
    let clock = clock();
    let at = clock.now().plus(Duration::from_secs(10));
    let one = session(&SessionRow { renew_at: Some(at), version: 3, ..row(&clock) }, &clock);
    assert_eq!(one.claim_renewal(clock.tick()), None);
    clock.advance(Duration::from_secs(10));
    assert_eq!(one.claim_renewal(clock.tick()), Some(3), "who came too early has kept no claim");
    assert_eq!(one.claim_renewal(clock.tick()), None);
    one.renew_next(Some(clock.tick().plus(TENTH)));
    assert_eq!(one.claim_renewal(clock.tick()), None);
    clock.advance(TENTH);
    assert_eq!(one.claim_renewal(clock.tick()), Some(3));
}

#[test]
fn a_record_goes_on_for_what_differs_in_nothing_that_it_shows() {
    let clock = clock();
    let before = SessionRow { renew_at: Some(clock.now()), ..row(&clock) };
    let claimed = || {
        let one = session(&before, &clock);
        assert_eq!(one.claim_renewal(clock.tick()), Some(0));
        one.renewal_failed();
        one
    };
    let hour = clock.now().plus(Duration::from_secs(3600));
    let after = SessionRow { renew_at: Some(hour), version: 1, ..before.clone() };
    clock.advance(Duration::from_secs(60));
    let used = SessionRow { last_used: clock.now(), ..after.clone() };

    let one = claimed();
    assert!(one.go_on(&session(&used, &clock)));
    assert_eq!((one.version(), one.renewal_failed()), (1, 1), "it counts failures anew");
    assert!(!one.is_renewal_due(clock.tick()));
    assert!(!one.touch(clock.tick()), "it knows of the use elsewhere");
    clock.advance(Duration::from_secs(3600));
    assert_eq!(one.claim_renewal(clock.tick()), Some(1), "the claim is free");

    let mut grouped = after.clone();
    grouped.identity.groups.push("new".to_owned());
    let proven = SessionRow { auth_time: Some(clock.now()), ..after.clone() };
    for other in [grouped, proven] {
        assert!(!claimed().go_on(&session(&other, &clock)), "{other:?}");
    }
    let newer = session(&SessionRow { version: 2, ..after.clone() }, &clock);
    assert!(!newer.go_on(&session(&after, &clock)), "read before what is known");
    let ended = claimed();
    ended.end();
    assert!(!ended.go_on(&session(&after, &clock)));
    let over = session(&after, &clock);
    over.end();
    assert!(!claimed().go_on(&over));
}

#[test]
fn a_replaced_record_that_goes_on_is_good_again_and_an_ended_one_is_not() {
    let clock = clock();
    let limits = Limits { idle: Duration::from_secs(60), absolute: Duration::from_secs(3600) };
    let of = row(&clock);
    let one = session(&of, &clock);
    one.replace();
    assert_eq!(one.check(&limits, clock.tick()), Err(Ending::Replaced));
    assert!(one.go_on(&session(&of, &clock)));
    assert_eq!(one.check(&limits, clock.tick()), Ok(()));
    one.end();
    assert!(!one.go_on(&session(&of, &clock)));
    assert_eq!(one.check(&limits, clock.tick()), Err(Ending::Ended));
}
