//! What the machine is doing: the system record of protocol §5, and the load of the coordinator and its local agents.
//!
//! A walk through the process table blocks, on a busy machine for long. So all of it happens on a thread of its own, and whoever
//! wants a figure takes the latest. What can not be measured is null.

use crate::clock::Clock;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use everlog_replay::Timestamp;
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use sysinfo::{Networks, ProcessRefreshKind, ProcessesToUpdate, System};

/// The system record (protocol §5), which is read as [`crate::api::SystemMetrics`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct SystemSample {
    /// Log time.
    #[serde(serialize_with = "as_text")]
    pub timestamp: Timestamp,
    /// Processor time of all cores together.
    pub cpu_percent: Option<f64>,
    /// Memory that is in use.
    pub memory_percent: Option<f64>,
    /// The same in MB (of 1024 KiB).
    pub memory_used_mb: Option<f64>,
    /// What programs could still get, in MB.
    pub memory_available_mb: Option<f64>,
    /// used / (used + available) of the file system that holds the data directory.
    pub disk_usage_percent: Option<f64>,
    /// MB a second to other machines.
    pub network_sent_mb: Option<f64>,
    /// MB a second from other machines.
    pub network_recv_mb: Option<f64>,
    /// Over 1, 5 and 15 minutes.
    pub load_average: Option<[f64; 3]>,
    /// Processes.
    pub process_count: Option<usize>,
}

fn as_text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// What the coordinator and its local agents use together, with all their descendants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Processor time in hundredths of a percent of one core.
    pub cpu_hundredths: u32,
    /// Resident memory in KiB.
    pub memory_kib: u64,
}

/// What is done with a sample; the load is missing where processes can not be seen.
pub(crate) type Observe = Box<dyn Fn(&SystemSample, Option<Load>) + Send>;

/// What to watch, and whom to tell.
pub(crate) struct Watch {
    /// The data directory, if there is one.
    pub data: Option<PathBuf>,
    /// Time between two samples.
    pub interval: Duration,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The processes of the agents on this machine.
    pub local_agents: Box<dyn Fn() -> Vec<u32> + Send>,
    /// Called with every sample.
    pub observe: Observe,
}

/// The thread that watches.
#[derive(Debug)]
pub(crate) struct Machine {
    /// New intervals; closing it ends the thread.
    intervals: Sender<Duration>,
    thread: JoinHandle<()>,
}

/// The first sample comes so long after the start, however long the interval: limits should not be blind for minutes. Long enough
/// for a share of processor time to mean something.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// The shortest interval: a sample of the processor needs two readings this far apart.
const INTERVAL_MIN: Duration = sysinfo::MINIMUM_CPU_UPDATE_INTERVAL;
/// Bytes in a MB of the protocol.
const MEGABYTE: f64 = 1_048_576.0;
/// Bytes in a KiB.
const KIB: u64 = 1_024;

impl Machine {
    /// Starts to watch.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub(crate) fn start(watch: Watch) -> io::Result<Self> {
        let (intervals, changed) = unbounded();
        let thread = std::thread::Builder::new().name("machine".to_owned()).spawn(move || run(&watch, &changed))?;
        Ok(Self { intervals, thread })
    }

    /// Changes the time between two samples, from now on.
    pub(crate) fn set_interval(&self, interval: Duration) {
        // An error would mean that the thread has ended, and it does so only when this is dropped.
        let _ = self.intervals.send(interval);
    }

    /// Ends the thread: when this returns it holds nothing any more.
    pub(crate) async fn stop(self) {
        let Self { intervals, thread } = self;
        drop(intervals);
        // A sample that is under way is waited for, but not on a thread that serves clients.
        let _ = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

fn run(watch: &Watch, changed: &Receiver<Duration>) {
    let mut interval = watch.interval.max(INTERVAL_MIN);
    let mut probe = Probe::new(&*watch.clock);
    let mut wait = interval.min(FIRST_WITHIN);
    loop {
        match changed.recv_timeout(wait) {
            Ok(new) => interval = new.max(INTERVAL_MIN),
            Err(RecvTimeoutError::Timeout) => {
                let (sample, load) = probe.sample(watch);
                (watch.observe)(&sample, load);
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
        wait = interval;
    }
}

/// What is read twice to tell a rate.
struct Probe {
    /// `None` on a platform that sysinfo does not know.
    system: Option<System>,
    networks: Option<Networks>,
    read_ms: i64,
}

impl Probe {
    fn new(clock: &dyn Clock) -> Self {
        let mut probe = Self {
            system: System::new().ok(),
            networks: Networks::new_with_refreshed_list().ok(),
            read_ms: clock.mono_ms(),
        };
        probe.refresh();
        probe
    }

    fn refresh(&mut self) {
        if let Some(system) = &mut self.system {
            system.refresh_cpu_usage();
            system.refresh_memory();
            let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
            system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        }
        if let Some(networks) = &mut self.networks {
            networks.refresh(true);
        }
    }

    fn sample(&mut self, watch: &Watch) -> (SystemSample, Option<Load>) {
        self.refresh();
        let now_ms = watch.clock.mono_ms();
        let seconds = Duration::from_millis(u64::try_from(now_ms - self.read_ms).unwrap_or(0)).as_secs_f64();
        self.read_ms = now_ms;
        let system = self.system.as_ref();
        let memory = system.filter(|system| system.total_memory() > 0);
        let megabytes = |bytes: u64| rounded(bytes as f64 / MEGABYTE);
        let sample = SystemSample {
            timestamp: watch.clock.now(),
            cpu_percent: system.map(|system| rounded(f64::from(system.global_cpu_usage()))),
            memory_percent: memory
                .map(|system| rounded(100.0 * system.used_memory() as f64 / system.total_memory() as f64)),
            memory_used_mb: memory.map(|system| megabytes(system.used_memory())),
            memory_available_mb: memory.map(|system| megabytes(system.available_memory())),
            disk_usage_percent: watch.data.as_deref().and_then(disk_usage_percent),
            network_sent_mb: self.network_mb(seconds, |network| network.transmitted()),
            network_recv_mb: self.network_mb(seconds, |network| network.received()),
            load_average: System::load_average().ok().map(|load| [load.one, load.five, load.fifteen]),
            process_count: system.map(|system| system.processes().len()).filter(|count| *count > 0),
        };
        let load = system.and_then(|system| load_of(system, &(watch.local_agents)()));
        (sample, load)
    }

    /// Traffic with other machines: what this machine says to itself would count twice.
    fn network_mb(&self, seconds: f64, bytes: impl Fn(&sysinfo::NetworkData) -> u64) -> Option<f64> {
        let networks = self.networks.as_ref().filter(|_| seconds > 0.0)?;
        let is_loopback = |network: &sysinfo::NetworkData| network.ip_networks().iter().any(|ip| ip.addr.is_loopback());
        let total: u64 = networks.values().filter(|network| !is_loopback(network)).map(bytes).sum();
        Some(rounded(total as f64 / MEGABYTE / seconds))
    }
}

/// Hundredths are as much as any of these figures is worth.
fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

/// As `df` has it: blocks that only the superuser may use count neither as used nor as available.
fn disk_usage_percent(data: &Path) -> Option<f64> {
    let disk = rustix::fs::statvfs(data).ok()?;
    let used = disk.f_blocks.saturating_sub(disk.f_bfree);
    let all = used.saturating_add(disk.f_bavail);
    (all > 0).then(|| rounded(100.0 * used as f64 / all as f64))
}

/// One process, as far as it matters here.
#[derive(Clone, Copy, Debug)]
struct Process {
    parent: Option<u32>,
    /// In percent of one core.
    cpu: f32,
    memory_kib: u64,
}

fn load_of(system: &System, local_agents: &[u32]) -> Option<Load> {
    let own = std::process::id();
    let processes: BTreeMap<u32, Process> = system
        .processes()
        .iter()
        .map(|(pid, process)| {
            let parent = process.parent().map(sysinfo::Pid::as_u32);
            (pid.as_u32(), Process { parent, cpu: process.cpu_usage(), memory_kib: process.memory() / KIB })
        })
        .collect();
    let roots = local_agents.iter().copied().chain([own]).collect();
    processes.contains_key(&own).then(|| sum(&processes, &roots))
}

/// What the processes below (and including) `roots` use.
fn sum(processes: &BTreeMap<u32, Process>, roots: &BTreeSet<u32>) -> Load {
    let ours = processes.iter().filter(|(pid, _)| is_below(processes, roots, **pid));
    let (cpu, memory_kib) =
        ours.fold((0.0, 0), |(cpu, memory), (_, process)| (cpu + f64::from(process.cpu), memory + process.memory_kib));
    Load { cpu_hundredths: (cpu * 100.0).round() as u32, memory_kib }
}

/// Whether a process or one of its ancestors is one of `roots`. The table was not read at one moment, so a reused number may
/// close a circle: the way up has an end.
fn is_below(processes: &BTreeMap<u32, Process>, roots: &BTreeSet<u32>, pid: u32) -> bool {
    const GENERATIONS_MAX: usize = 1_024;
    let parent = |pid: &u32| processes.get(pid).and_then(|process| process.parent);
    std::iter::successors(Some(pid), parent).take(GENERATIONS_MAX).any(|pid| roots.contains(&pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crossbeam_channel::bounded;

    fn process(parent: Option<u32>, cpu: f32, memory_kib: u64) -> Process {
        Process { parent, cpu, memory_kib }
    }

    #[test]
    fn the_load_is_that_of_the_roots_and_all_below_them() {
        let processes = BTreeMap::from([
            (1, process(None, 50.0, 1)),
            (10, process(Some(1), 20.0, 100)),
            (11, process(Some(10), 30.0, 10)),
            (12, process(Some(11), 100.0, 1_000)),
            (20, process(Some(1), 10.0, 5)),
            // Two that call each other their parent.
            (30, process(Some(31), 9.0, 9)),
            (31, process(Some(30), 9.0, 9)),
        ]);
        let of = |roots: &[u32]| sum(&processes, &roots.iter().copied().collect());
        assert_eq!(of(&[10]), Load { cpu_hundredths: 15_000, memory_kib: 1_110 });
        assert_eq!(of(&[10, 12, 20]), Load { cpu_hundredths: 16_000, memory_kib: 1_115 }, "nothing counts twice");
        assert_eq!(of(&[99]), Load { cpu_hundredths: 0, memory_kib: 0 });
    }

    #[test]
    fn a_real_machine_is_sampled() {
        let (told, samples) = bounded(1);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::start(Timestamp::default()).0);
        let machine = Machine::start(Watch {
            data: Some(std::env::temp_dir()),
            interval: Duration::ZERO,
            clock,
            local_agents: Box::new(Vec::new),
            observe: Box::new(move |sample, load| {
                // The test takes one; there is no room for more, and that is fine.
                let _ = told.try_send((sample.clone(), load));
            }),
        })
        .unwrap();
        let (sample, load) = samples.recv_timeout(Duration::from_secs(30)).unwrap();
        let load = load.unwrap();
        assert!((1..100 << 20).contains(&load.memory_kib) && load.cpu_hundredths <= 1_000_000, "{load:?}");
        for percent in [sample.cpu_percent, sample.memory_percent, sample.disk_usage_percent] {
            assert!((0.0..=100.0).contains(&percent.unwrap()), "{sample:?}");
        }
        assert!(sample.process_count.unwrap() >= 1 && sample.memory_used_mb.unwrap() > 0.0, "{sample:?}");
        let json = serde_json::to_value(&sample).unwrap();
        assert_eq!(json.as_object().unwrap().len(), 10);
        assert!(json["timestamp"].as_str().unwrap().ends_with("+00:00"));
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(machine.stop());
    }

    #[test]
    fn a_directory_that_is_not_there_has_no_disk_usage() {
        assert_eq!(disk_usage_percent(Path::new("no/such/directory")), None);
    }
}
