//! What the coordinator costs, from outside, line by line; and whether that came to rest.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::load::Load;
use crate::process::Coordinator;

/// Memory of one life may grow by so much, as a part, from its middle third to its last.
const GROWTH_MAX: f64 = 0.15;
/// Lives with fewer lines tell nothing.
const LINES_MIN: usize = 6;
/// Open files may differ by so many: connections that come and go, segments that are sealed.
const FILES_SLACK: u64 = 40;

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
}

impl Sample {
    pub(crate) const HEADER: &str = "   time life  tasks/s    ops/s | answer p50    p99   p999 ms | pipeline p50    p99   p999 ms |  RSS MiB  files  disk MiB";
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
        let before = self.samples.last().map_or(Duration::ZERO, |sample| sample.at);
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
        });
        Ok(&self.samples[self.samples.len() - 1])
    }

    /// Whether each life came to rest, and all pipelines to their end.
    pub(crate) fn verdict(&self, load: &Load) -> Verdict {
        let mut lives: BTreeMap<u32, Vec<&Sample>> = BTreeMap::new();
        for sample in &self.samples {
            lives.entry(sample.life).or_default().push(sample);
        }
        let grown = |samples: &Vec<&Sample>, of: fn(&Sample) -> u64| {
            let third = samples.len() / 3;
            let (middle, last) = (&samples[third..2 * third], &samples[2 * third..]);
            (median(middle, of), median(last, of))
        };
        let lives = lives.into_iter().filter(|(_, samples)| samples.len() >= LINES_MIN);
        let lives = lives.map(|(life, samples)| Life {
            life,
            rss_mib: grown(&samples, |sample| sample.rss_mib),
            files: grown(&samples, |sample| sample.files),
        });
        let (submitted, ended) = load.pipelines();
        Verdict { lives: lives.collect(), submitted, ended }
    }
}

/// One life of the coordinator: the medians of its middle third and of its last.
struct Life {
    life: u32,
    rss_mib: (u64, u64),
    files: (u64, u64),
}

impl Life {
    fn is_flat(&self) -> bool {
        let (before, after) = self.rss_mib;
        after as f64 <= before as f64 * (1.0 + GROWTH_MAX) && self.files.1 <= self.files.0 + FILES_SLACK
    }
}

/// What it came to.
pub(crate) struct Verdict {
    lives: Vec<Life>,
    submitted: u64,
    ended: u64,
}

impl Verdict {
    /// Whether all is well.
    pub(crate) fn is_flat(&self) -> bool {
        self.lives.iter().all(Life::is_flat) && self.submitted == self.ended
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Life { life, rss_mib, files } in &self.lives {
            writeln!(to, "life {life}: RSS {} -> {} MiB, files {} -> {}", rss_mib.0, rss_mib.1, files.0, files.1)?;
        }
        writeln!(to, "{} pipelines submitted, {} came to their end", self.submitted, self.ended)?;
        write!(to, "{}", if self.is_flat() { "flat: nothing grew without bound" } else { "NOT flat: see above" })
    }
}

/// The 50th, the 99th and the 99.9th percentile; zero of nothing.
fn percentiles(mut times: Vec<Duration>) -> [Duration; 3] {
    times.sort_unstable();
    let of = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or_default();
    [of(0.5), of(0.99), of(0.999)]
}

fn median(samples: &[&Sample], of: fn(&Sample) -> u64) -> u64 {
    let mut values: Vec<u64> = samples.iter().map(|sample| of(sample)).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
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
