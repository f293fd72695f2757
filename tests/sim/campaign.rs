//! The command line of the simulator: many seeds, or one.

use super::faults::Fault;
use super::marks::Marks;
use super::world::World;
use clap::Parser;
use parking_lot::Mutex;
use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Seeds from which on every mark must have been reached: a CI run.
const MARKS_FROM: u64 = 500;

/// Every so many seeds one is run a second time, and has to give the same trace byte by byte.
const REPEAT_EVERY: u64 = 20;

/// Seeds within which a disk that lies about its syncs has to be found out.
const CANARY_SEEDS: u64 = 10;

/// What a seed has at least: agents, tasks, crashes, kinds of fault.
const LEAST: Size = Size { agents: 20, tasks: 200, crashes: 1, faults: 3 };

/// Simulates the coordinator, one world a seed.
#[derive(Parser)]
#[command(name = "everlog-sim")]
struct Args {
    /// How many seeds, from --from on.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// This seed alone, with every line of its trace.
    #[arg(long)]
    seed: Option<u64>,
    /// Faults that are left out, by name.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// The only faults, by name: a seed that is kept stays the same world when there is a new fault.
    #[arg(long, value_delimiter = ',', conflicts_with = "without")]
    only: Option<Vec<String>>,
    /// Threads; each runs whole seeds.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    jobs: u64,
    /// Says which seed failed and why, without looking for the shortest story.
    #[arg(long)]
    brief: bool,
}

/// What one seed came to.
struct Report {
    failure: Option<String>,
    /// The hash of its trace.
    trace: [u8; 32],
    /// The lines of it that tell of the failure.
    story: Vec<String>,
    size: Size,
    totals: Totals,
}

/// How large a world was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    agents: u64,
    tasks: u64,
    crashes: u64,
    faults: u64,
}

impl Size {
    fn is_at_least(self, least: Self) -> bool {
        self.agents >= least.agents
            && self.tasks >= least.tasks
            && self.crashes >= least.crashes
            && self.faults >= least.faults
    }
}

/// What runs add up to.
#[derive(Default)]
struct Totals {
    seeds: u64,
    events: u64,
    answers: u64,
    tasks: u64,
    crashes: u64,
    starts: u64,
    marks: Marks,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.answers += other.answers;
        self.tasks += other.tasks;
        self.crashes += other.crashes;
        self.starts += other.starts;
        self.marks.add(&other.marks);
    }
}

/// The command `everlog-sim`.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    let unknown = |name: &&String| !name.is_empty() && !Fault::ALL.iter().any(|fault| fault.name() == name.as_str());
    let named = || args.without.iter().chain(args.only.iter().flatten());
    if let Some(name) = named().find(unknown) {
        eprintln!("there is no fault {name}; these are known: {}", names(Fault::ALL.iter()));
        return ExitCode::from(2);
    }
    let is_out = |fault: &Fault| {
        let names = |all: &Vec<String>| all.iter().any(|name| name == fault.name());
        names(&args.without) || args.only.as_ref().is_some_and(|only| !names(only))
    };
    let without = Fault::ALL.iter().copied().filter(is_out).collect();
    // A broken law is told by the report, once.
    std::panic::set_hook(Box::new(|_| {}));
    match args.seed {
        Some(seed) => one(seed, &without),
        None => many(&args, &without),
    }
}

fn names<'a>(faults: impl Iterator<Item = &'a Fault>) -> String {
    faults.map(|fault| fault.name()).collect::<Vec<_>>().join(",")
}

fn one(seed: u64, without: &BTreeSet<Fault>) -> ExitCode {
    let report = run(seed, without, true);
    if let Some(failure) = report.failure {
        println!("seed {seed} fails: {failure}");
        return ExitCode::FAILURE;
    }
    println!("seed {seed}: {} events, {} crashes, every law holds", report.totals.events, report.totals.crashes);
    ExitCode::SUCCESS
}

fn many(args: &Args, without: &BTreeSet<Fault>) -> ExitCode {
    if let Err(doubt) = trust(args.from, without) {
        println!("{doubt}");
        return ExitCode::FAILURE;
    }
    let (next, failed) = (AtomicU64::new(args.from), AtomicBool::new(false));
    let totals = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| {
                while !failed.load(Ordering::Acquire) {
                    let seed = next.fetch_add(1, Ordering::AcqRel);
                    if seed >= args.from + args.seeds {
                        return;
                    }
                    let mut report = run(seed, without, false);
                    if (seed - args.from).is_multiple_of(REPEAT_EVERY)
                        && run(seed, without, false).trace != report.trace
                    {
                        report.failure = Some(UNLIKE.to_owned());
                    }
                    if without.is_empty() && report.failure.is_none() && !report.size.is_at_least(LEAST) {
                        report.failure = Some(format!("{:?} is less than a seed has to be: {LEAST:?}", report.size));
                    }
                    totals.lock().add(&report.totals);
                    if let Some(failure) = &report.failure
                        && !failed.swap(true, Ordering::AcqRel)
                    {
                        println!("seed {seed} fails: {failure}");
                        if !args.brief {
                            explain(seed, without);
                        }
                    }
                }
            });
        }
    });
    if failed.into_inner() {
        return ExitCode::FAILURE;
    }
    tell(args, &totals.into_inner(), without)
}

const UNLIKE: &str = "it gives another trace when it is run again";

/// Before anything that the simulator says is believed: it repeats itself, and it finds the canary, a bug that it brings itself.
fn trust(seed: u64, without: &BTreeSet<Fault>) -> Result<(), String> {
    if run(seed, without, false).trace != run(seed, without, false).trace {
        return Err(format!("seed {seed} fails: {UNLIKE}"));
    }
    let found = |seed: u64| Some((seed, live(World::with_canary(seed)).failure?));
    match (0..CANARY_SEEDS).find_map(found) {
        Some((seed, failure)) => {
            println!("canary, a disk that lies about its syncs: found with seed {seed}: {failure}");
            Ok(())
        }
        None => Err(format!(
            "the canary, a disk that lies about its syncs, is not found within {CANARY_SEEDS} seeds: so nothing that is not \
             found means anything; see tests/sim/disk.rs"
        )),
    }
}

fn tell(args: &Args, totals: &Totals, without: &BTreeSet<Fault>) -> ExitCode {
    for (mark, count) in totals.marks.iter() {
        println!("{count:>9} {mark}");
    }
    let Totals { seeds, events, answers, tasks, crashes, starts, .. } = totals;
    println!(
        "from seed {}, {seeds} seeds: {events} events, {answers} answers, {tasks} tasks, {crashes} crashes, {starts} starts; every law holds",
        args.from
    );
    let missing = totals.marks.missing();
    if *seeds >= MARKS_FROM && without.is_empty() && !missing.is_empty() {
        println!("never reached, so nothing is known of it: {}", missing.join(", "));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Leaves out every fault that the failure does not need, and shows what is left.
fn explain(seed: u64, without: &BTreeSet<Fault>) {
    let mut without = without.clone();
    for fault in Fault::ALL {
        let mut fewer = without.clone();
        if fewer.insert(*fault) && run(seed, &fewer, false).failure.is_some() {
            without = fewer;
        }
    }
    let report = run(seed, &without, false);
    report.story.iter().for_each(|line| println!("  {line}"));
    println!("{}", report.failure.unwrap_or_default());
    let needed = names(Fault::ALL.iter().filter(|fault| !without.contains(fault)));
    println!("again: cargo sim --seed {seed} --only {needed}");
}

fn run(seed: u64, without: &BTreeSet<Fault>, aloud: bool) -> Report {
    live(World::new(seed, without, aloud))
}

fn live(mut world: World) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let story = AssertUnwindSafe(|| runtime.block_on(tokio::task::unconstrained(world.run())));
    let failure = catch_unwind(story).err().map(|panic| sentence(&*panic));
    let totals = Totals {
        seeds: 1,
        events: world.ledger.last(),
        answers: world.around.audit.answered,
        tasks: world.ledger.book.tasks.len() as u64,
        crashes: world.crashes,
        starts: world.starts,
        marks: world.around.marks,
    };
    let size = Size {
        agents: world.agents.len() as u64,
        tasks: totals.tasks,
        crashes: totals.crashes,
        faults: totals.marks.kinds_of_fault(),
    };
    let story = failure.as_ref().map(|failure| world.around.trace.story(failure)).unwrap_or_default();
    Report { failure, trace: world.around.trace.hash(), story, size, totals }
}

fn sentence(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
