//! Power cuts: from what a session did to the disk every image that a cut could leave is built and opened. At every point: what
//! was not synced is gone, or all there, or a single change of it, or all but one, or any choice; and writes torn at every sector.

use super::history::Reference;
use super::session::{Session, id_of};
use super::shim::Shim;
use super::trace::{Event, Replay, read};
use super::{Dice, WORKERS, for_each, scratch, seed, setting};
use crate::harness::{Process, everlog};
use everlog_storage::{CrashPlan, DataDir, Log, MemoryDisk, Options, Seq};
use rustix::process::Signal;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Images in CI: opened by the library, and by the binary with its sled store.
const IMAGES: u64 = 2_000;
const WHOLE_IMAGES: u64 = 40;

/// Syncs that make an empty log.
const BEFORE_THE_FIRST_FRAME: usize = 12;

/// A recorded session.
struct Recording {
    events: Vec<Event>,
    reference: Reference,
    /// The newest request that had been answered, by the place in the events where its answer left.
    answered: Vec<Seq>,
}

impl Recording {
    fn make() -> Self {
        let mut session = Session::new();
        let shim = Shim::new(session.home(), &session.data(), None).tracing();
        session.run(Some(&shim)).unwrap();
        let events = read(&shim.trace(), &session.data());
        let reference = Reference::of(&session.data());
        let mut answered = Vec::new();
        let (mut newest, mut next) = (0, 0);
        for event in &events {
            if let Event::Sent { bytes } = event {
                let text = String::from_utf8_lossy(bytes);
                while let Some(step) = (next..next + 2).find(|step| text.contains(&id_of(*step))) {
                    newest = reference.requests[&id_of(step)].max(newest);
                    next = step + 1;
                }
            }
            answered.push(newest);
        }
        assert_eq!(next + 1, session.steps(), "every answer but that to the last SIGTERM was seen");
        Self { events, reference, answered }
    }
}

impl Recording {
    /// The number of points after which something waits for a sync, so that more than one image may be left.
    fn open_points(&self) -> u64 {
        let mut replay = Replay::new(false);
        let pending = self.events.iter().map(|event| {
            replay.step(event);
            replay.disk.pending()
        });
        pending.filter(|pending| *pending > 0).count() as u64
    }
}

/// One image: the cut after so many events, and what it leaves of the rest.
struct Image {
    after: usize,
    plan: CrashPlan,
}

impl fmt::Display for Image {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a cut after event {} that leaves {:?}", self.after, self.plan)
    }
}

/// What a cut may leave of so many pending changes: the plain cases first, then chance, `wanted` of them.
fn plans(pending: usize, wanted: u64, dice: &mut Dice) -> Vec<CrashPlan> {
    let single =
        |nth: usize, value: bool| CrashPlan::Subset((0..pending).map(|other| (other == nth) == value).collect());
    let mut plans = vec![CrashPlan::Nothing];
    if pending > 0 {
        plans.push(CrashPlan::Everything);
        plans.extend((0..pending).flat_map(|nth| [single(nth, true), single(nth, false)]));
        while (plans.len() as u64) < wanted {
            let torn = CrashPlan::Torn(dice.next());
            let subset = CrashPlan::Subset((0..pending).map(|_| dice.throw(2) == 0).collect());
            plans.extend([torn, subset]);
        }
    }
    while plans.len() as u64 > wanted.max(1) {
        plans.swap_remove(dice.throw(plans.len()));
    }
    plans
}

/// Opens `images` of them, spread over all points of the session where a cut may leave this or that; and the only one of every other
/// point. How many it were.
fn open_images(recording: &Recording, images: u64, seed: u64) -> u64 {
    let opened = AtomicU64::new(0);
    let open_points = recording.open_points();
    for_each(0..WORKERS, |worker| {
        let mut replay = Replay::new(false);
        let mut nth = 0;
        for (after, event) in recording.events.iter().enumerate() {
            replay.step(event);
            let pending = replay.disk.pending();
            let share = if pending == 0 {
                1
            } else {
                nth += 1;
                images * nth / open_points - images * (nth - 1) / open_points
            };
            if share == 0 || after % WORKERS != *worker {
                continue;
            }
            let mut dice = Dice(seed ^ after as u64);
            for plan in plans(pending, share, &mut dice) {
                let image = Image { after, plan };
                opened.fetch_add(1, Ordering::Relaxed);
                check(recording, &image, replay.disk.crash_image(&image.plan));
            }
        }
    });
    opened.into_inner()
}

/// Opening it brings back everything that was answered before the cut, and nothing that was not decided.
fn check(recording: &Recording, image: &Image, disk: MemoryDisk) {
    let options = Options { background: false, ..Options::default() };
    let opened = DataDir::open_on(Arc::new(disk), options).unwrap_or_else(|fault| panic!("{image}: {fault}"));
    let (last, answered) = (opened.log.durable(), recording.answered[image.after]);
    assert!(last >= answered, "{image}: record {answered} was acknowledged, and the log ends with {last}");
    let reader = opened.log.reader();
    assert_eq!(recording.reference.check_frames(reader.frames(1)), last, "{image}: other records");
    assert!(recording.reference.hashes.contains_key(&last), "{image}: half a batch, up to record {last}");
    recording.reference.check_state(&reader, &opened.snapshots);
}

/// The same with the binary, and with sled's files: it starts, ends in order, and the store holds what the log holds.
fn check_whole(recording: &Recording, replay: &Replay, image: &Image) {
    let home = scratch();
    let data = home.path().join("data");
    replay.put_image(&image.plan, &data);
    let mut command = everlog(["serve", "--host", "127.0.0.1", "--port", "0", "--data"]);
    command.arg(&data).current_dir(home.path());
    let mut process = Process::start(command);
    process.line().unwrap_or_else(|ended| panic!("{image}: {ended:#?}"));
    process.signal(Signal::TERM);
    process.end().expect_code(0);
    let opened = DataDir::open(&data, Options::default()).unwrap();
    let last = opened.log.durable();
    assert!(opened.store.wait_fed(last), "{image}: {:?}", opened.store.take_findings());
    let common = recording.reference.check_frames(opened.store.read_from(1));
    assert!(common >= recording.answered[image.after], "{image}: the store holds {common} records of the session");
}

fn open_whole_images(recording: &Recording, images: u64, seed: u64) {
    let cuts = recording.events.len() as u64;
    for_each(0..WORKERS as u64, |worker| {
        let mut replay = Replay::new(true);
        let mut dice = Dice(seed ^ worker);
        let mut next = dice.next() % (cuts / images).max(1);
        for (after, event) in recording.events.iter().enumerate() {
            replay.step(event);
            if after as u64 >= next {
                next += cuts * WORKERS as u64 / images;
                for plan in plans(replay.disk.pending(), 1, &mut dice) {
                    check_whole(recording, &replay, &Image { after, plan });
                }
            }
        }
    });
}

#[test]
fn two_thousand_power_cuts_lose_nothing() {
    let seed = seed();
    let recording = Recording::make();
    assert!(open_images(&recording, IMAGES, seed) >= IMAGES);
    open_whole_images(&recording, WHOLE_IMAGES, seed);
}

/// The machine can fail: on a disk that keeps nothing until the end, acknowledged operations are lost, and it says so.
#[test]
#[should_panic(expected = "failed")]
fn a_log_that_is_not_synced_is_found_out() {
    let mut recording = Recording::make();
    let syncs = recording.events.iter_mut().filter(|event| matches!(event, Event::Sync { .. }));
    syncs.skip(BEFORE_THE_FIRST_FRAME).for_each(|event| *event = Event::Sent { bytes: Vec::new() });
    open_images(&recording, IMAGES / 10, seed());
}

#[test]
#[ignore = "a campaign: tests/faults/campaign power"]
fn power() {
    let seed = seed();
    let images = setting("EVERLOG_IMAGES").unwrap_or(200_000);
    let recording = Recording::make();
    let opened = open_images(&recording, images, seed);
    assert!(opened >= images, "{opened} images of {images}");
    open_whole_images(&recording, images / 100, seed);
    let (events, records) = (recording.events.len(), recording.reference.last());
    eprintln!("{opened} images of {events} points, {records} records: nothing acknowledged was lost");
}
