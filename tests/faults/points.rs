//! A fault at every step: the process killed at the k-th write, sync, rename, opening or removal of a session, half a write, a
//! write that writes half, a disk that fails once or for ever, one that is full; and another fault in the recovery from a kill.

use super::session::{Break, Session};
use super::shim::{Action, Fault, Shim};
use super::{Dice, for_each, seed, setting};
use crate::harness::Ended;
use serde_json::Value;
use std::fmt;

/// In CI every so many-th step of a session is tried, from another one on every time.
const STRIDE: u64 = 7;

/// A session has more steps than this, or the shim is not between it and the disk.
const STEPS_MIN: u64 = 1_000;
/// By how many steps sessions differ at most: some work goes side by side, and changes that meet are written together.
const SPREAD: u64 = 100;
/// Steps of a start on what a killed process left, about.
const RECOVERY: u64 = 60;
/// Steps from the end of a session in which the store is closed, about.
const CLOSING: u64 = 12;
/// Pairs of a campaign: nearly two for every step of a session.
const PAIRS: u64 = 2_000;

/// One experiment: a fault in the session, and perhaps another in the recovery.
#[derive(Clone, Copy, Debug)]
struct Point {
    first: Fault,
    second: Option<Fault>,
}

impl fmt::Display for Point {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.first)?;
        self.second.map_or(Ok(()), |second| write!(out, ", then {second}"))
    }
}

/// A session without a fault: what it comes to, and its number of steps.
fn undisturbed() -> (Value, u64) {
    let mut session = Session::new();
    assert!(session.operations() >= 200);
    let shim = Shim::new(session.home(), &session.data(), None);
    session.run(Some(&shim)).unwrap();
    assert!(session.segments() > 1, "the log goes on in another segment");
    let steps = shim.steps();
    assert!(steps > STEPS_MIN, "the shim saw {steps} steps only");
    (session.outcome(), steps)
}

/// Goes on with the session into the fault. It must have been met, unless the session was over just before; and the process must
/// have ended as it makes it end.
fn run_into(session: &mut Session, fault: Fault) {
    let shim = Shim::new(session.home(), &session.data(), Some(fault));
    let ran = session.run(Some(&shim));
    let met = shim.steps() >= fault.at;
    match (ran, fault.action) {
        (Ok(()), Action::Kill | Action::Tear) => assert!(!met, "it lived on after {fault}"),
        (Ok(()), _) => {}
        (Err(Break::Died(ended)), Action::Kill | Action::Tear) => assert_eq!(ended.code, 137, "{ended:#?}"),
        (Err(Break::Died(ended)), _) => assert!(gives_up(&ended), "it says why, and the next step: {ended:#?}"),
        (Err(Break::Full(ended)), Action::Enospc | Action::EnospcForever) => {
            assert!(ended.code == 0 || gives_up(&ended), "{ended:#?}");
        }
        (Err(Break::Full(ended)), _) => panic!("the disk was not full: {ended:#?}"),
    }
    assert!(met || session.is_over(), "it broke off after {} steps, before {fault}", shim.steps());
    assert!(shim.steps() + SPREAD >= fault.at, "it was over after {} steps, long before {fault}", shim.steps());
}

/// The disk failed, and whoever reads that knows what to do.
fn gives_up(ended: &Ended) -> bool {
    ended.code == 1 && ended.stderr.contains("again")
}

/// Runs into the fault, recovers, goes on to the end.
fn experiment(point: &Point, expected: &Value) {
    let mut session = Session::new();
    for fault in std::iter::once(point.first).chain(point.second) {
        if !session.is_over() {
            run_into(&mut session, fault);
        }
    }
    session.check();
    session.run(None).unwrap();
    assert_eq!(session.outcome(), *expected, "it came to something else");
}

/// Every action at these steps.
fn everything_at(steps: impl Iterator<Item = u64> + Send, expected: &Value) {
    let faults = steps.flat_map(|at| Action::ALL.map(|action| Fault { at, action }));
    for_each(faults.map(|first| Point { first, second: None }), |point| experiment(point, expected));
}

#[test]
fn a_fault_at_every_seventh_step_loses_nothing() {
    let (expected, steps) = undisturbed();
    let mut dice = Dice(seed());
    let first = 1 + dice.next() % STRIDE;
    let actions = (dice.throw(Action::ALL.len())..).map(|nth| Action::ALL[nth % Action::ALL.len()]);
    let faults = (first..=steps).step_by(STRIDE as usize).zip(actions);
    for_each(faults.map(|(at, action)| Point { first: Fault { at, action }, second: None }), |point| {
        experiment(point, &expected);
    });
}

/// sled panicked when it was closed on a disk that had failed, in whatever thread closed it last.
#[test]
fn a_disk_that_fails_while_the_store_is_closed_is_no_panic() {
    let (expected, steps) = undisturbed();
    let last = (steps - CLOSING..=steps).map(|at| Fault { at, action: Action::EioForever });
    for_each(last.map(|first| Point { first, second: None }), |point| experiment(point, &expected));
}

#[test]
#[ignore = "a campaign: tests/faults/campaign points"]
fn points() {
    let (expected, steps) = undisturbed();
    eprintln!("{steps} steps, {} actions", Action::ALL.len());
    match setting("EVERLOG_POINT") {
        Some(first) => experiment(&Point { first, second: setting("EVERLOG_SECOND") }, &expected),
        None => everything_at((1..=steps).step_by(setting("EVERLOG_STRIDE").unwrap_or(1)), &expected),
    }
}

#[test]
#[ignore = "a campaign: tests/faults/campaign pairs"]
fn pairs() {
    let (expected, steps) = undisturbed();
    let mut dice = Dice(seed());
    let mut draw =
        |actions: &[Action], steps| Fault { at: 1 + dice.next() % steps, action: actions[dice.throw(actions.len())] };
    let pairs: Vec<Point> = (0..setting("EVERLOG_PAIRS").unwrap_or(PAIRS))
        .map(|_| Point {
            first: draw(&[Action::Kill, Action::Tear], steps),
            second: Some(draw(&Action::ALL, RECOVERY)),
        })
        .collect();
    eprintln!("{} pairs", pairs.len());
    for_each(pairs, |point| experiment(point, &expected));
}
