//! What the coordinator costs, from outside, line by line.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::load::Load;
use crate::process::Coordinator;
use crate::verdict::{Line, Verdict};

/// One line.
#[derive(Debug)]
pub(crate) struct Sample {
    at: Duration,
    life: u32,
    tasks_per_s: f64,
    operations_per_s: f64,
    answered: [Duration; 3],
    ended: [Duration; 3],
    rss_mib: u64,
    files: u64,
    disk_mib: u64,
    /// Tasks, and operations of hosts, since the beginning.
    done: u64,
}

impl Sample {
    pub(crate) const HEADER: &str = "   time life  tasks/s    ops/s | answer p50    p99   p999 ms | pipeline p50    p99   p999 ms |  RSS MiB  files  disk MiB";

    /// What is judged of it.
    fn line(&self) -> Line {
        let disk_kib = (self.disk_mib << 10) as f64 / self.done as f64;
        let p99_ms = self.answered[1].as_secs_f64() * 1e3;
        let values = [self.rss_mib as f64, self.files as f64, disk_kib, 1e3 / self.tasks_per_s, p99_ms];
        Line { life: self.life, values }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a50, a99, a999] = self.answered.map(|time| time.as_secs_f64() * 1e3);
        let [e50, e99, e999] = self.ended.map(|time| time.as_secs_f64() * 1e3);
        write!(
            to,
            "{:>5} s {:>4} {:>8.0} {:>8.0}",
            self.at.as_secs(),
            self.life,
            self.tasks_per_s,
            self.operations_per_s
        )?;
        write!(to, " | {a50:>10.1} {a99:>6.1} {a999:>9.1} | {e50:>12.1} {e99:>6.1} {e999:>9.1}")?;
        write!(to, " | {:>8} {:>6} {:>9}", self.rss_mib, self.files, self.disk_mib)
    }
}

/// All lines so far.
#[derive(Default)]
pub(crate) struct Gauge {
    samples: Vec<Sample>,
}

impl Gauge {
    /// Reads everything once.
    pub(crate) fn look(&mut self, at: Duration, coordinator: &Coordinator, load: &Load) -> std::io::Result<&Sample> {
        let (before, done) = self.samples.last().map_or((Duration::ZERO, 0), |sample| (sample.at, sample.done));
        let seconds = (at - before).as_secs_f64();
        let counts = load.take();
        let pid = coordinator.pid().unwrap_or_default();
        self.samples.push(Sample {
            at,
            life: coordinator.lives(),
            tasks_per_s: counts.tasks as f64 / seconds,
            operations_per_s: counts.operations as f64 / seconds,
            answered: percentiles(counts.answered),
            ended: percentiles(counts.ended),
            rss_mib: rss_mib(pid)?,
            files: std::fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
            disk_mib: bytes_below(coordinator.data())? >> 20,
            done: done + counts.tasks + counts.operations,
        });
        Ok(&self.samples[self.samples.len() - 1])
    }

    /// Whether the lines are flat, and all pipelines came to their end.
    pub(crate) fn verdict(&self, load: &Load) -> Verdict {
        let lines: Vec<Line> = self.samples.iter().map(Sample::line).collect();
        Verdict::of(&lines, load.pipelines())
    }
}

/// The 50th, the 99th and the 99.9th percentile; zero of nothing.
fn percentiles(mut times: Vec<Duration>) -> [Duration; 3] {
    times.sort_unstable();
    let of = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or_default();
    [of(0.5), of(0.99), of(0.999)]
}

/// Resident memory of a process.
fn rss_mib(pid: u32) -> std::io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.unwrap_or_default() / 1_024)
}

/// Bytes of all files below `dir`; those that vanish meanwhile do not count.
fn bytes_below(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let Ok(entry) = entry else { continue };
        let Ok(kind) = entry.file_type() else { continue };
        bytes += if kind.is_dir() {
            bytes_below(&entry.path()).unwrap_or_default()
        } else {
            entry.metadata().map_or(0, |meta| meta.len())
        };
    }
    Ok(bytes)
}
