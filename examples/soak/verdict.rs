//! Whether the lines are flat: within each life of the coordinator, and from its first life to its last. Knows nothing of where they
//! come from, so that a test can hold it against lines that are not flat (`tests/it/examples.rs`).

use std::collections::BTreeMap;
use std::fmt;

/// What is judged, and how much more it may become: by this part of what it was, and by so much beside. Less is always well.
pub(crate) struct Measure {
    name: &'static str,
    part: f64,
    beside: f64,
}

/// In the order of [`Line::values`].
pub(crate) const MEASURES: [Measure; 5] = [
    Measure { name: "RSS MiB", part: 0.15, beside: 0.0 },
    // Connections that come and go, segments that are sealed.
    Measure { name: "open files", part: 0.0, beside: 40.0 },
    // All history is kept: what one operation costs must not grow.
    Measure { name: "disk KiB an operation", part: 0.15, beside: 0.0 },
    // Time depends on who else uses the machine; only what becomes slower all the time is meant.
    Measure { name: "ms a task", part: 1.0, beside: 0.5 },
    Measure { name: "answer p99 ms", part: 1.0, beside: 20.0 },
];

/// Lives with fewer lines tell nothing.
pub(crate) const LINES_MIN: usize = 6;

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) life: u32,
    pub(crate) values: [f64; MEASURES.len()],
}

/// What was measured once and again: the medians of two stretches.
struct Comparison {
    what: String,
    before: [f64; MEASURES.len()],
    after: [f64; MEASURES.len()],
}

impl Comparison {
    /// Each measure with what it was and what it became.
    fn pairs(&self) -> impl Iterator<Item = (&Measure, f64, f64)> {
        MEASURES
            .iter()
            .zip(self.before.into_iter().zip(self.after))
            .map(|(measure, (before, after))| (measure, before, after))
    }

    fn is_flat(&self) -> bool {
        self.pairs().all(|(measure, before, after)| measure.allows(before, after))
    }
}

impl Measure {
    fn allows(&self, before: f64, after: f64) -> bool {
        after <= before * (1.0 + self.part) + self.beside
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}:", self.what)?;
        for (nth, (measure, before, after)) in self.pairs().enumerate() {
            let comma = if nth == 0 { "" } else { "," };
            let grew = if measure.allows(before, after) { "" } else { " (GREW)" };
            write!(to, "{comma} {} {before:.2} -> {after:.2}{grew}", measure.name)?;
        }
        Ok(())
    }
}

/// What it came to.
pub(crate) struct Verdict {
    comparisons: Vec<Comparison>,
    /// Pipelines that were submitted, and that came to their end.
    pipelines: (u64, u64),
}

impl Verdict {
    /// Compares the last third of each life with its middle one, and of the last life with that of the first.
    pub(crate) fn of(lines: &[Line], pipelines: (u64, u64)) -> Self {
        let mut lives: BTreeMap<u32, Vec<&Line>> = BTreeMap::new();
        for line in lines {
            lives.entry(line.life).or_default().push(line);
        }
        lives.retain(|_, lines| lines.len() >= LINES_MIN);
        let mut comparisons: Vec<Comparison> = lives
            .iter()
            .map(|(life, lines)| {
                let third = lines.len() / 3;
                let (before, after) = (medians(&lines[third..2 * third]), medians(&lines[2 * third..]));
                Comparison { what: format!("life {life}"), before, after }
            })
            .collect();
        if let [first, .., last] = &comparisons[..] {
            let (before, after) = (first.after, last.after);
            comparisons.push(Comparison { what: format!("{} to {}", first.what, last.what), before, after });
        }
        Self { comparisons, pipelines }
    }

    /// 0 where all is well, 1 where something grew or did not end, 2 where there was not enough to tell.
    pub(crate) fn exit_code(&self) -> u8 {
        let (submitted, ended) = self.pipelines;
        if submitted != ended {
            1
        } else if self.comparisons.is_empty() {
            2
        } else {
            u8::from(!self.comparisons.iter().all(Comparison::is_flat))
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for comparison in &self.comparisons {
            writeln!(to, "{comparison}")?;
        }
        let (submitted, ended) = self.pipelines;
        writeln!(to, "{submitted} pipelines submitted, {ended} came to their end")?;
        match self.exit_code() {
            0 => write!(to, "flat: nothing grew without bound"),
            2 => write!(to, "too short to tell: no life of the coordinator had {LINES_MIN} lines; let it run longer"),
            _ => write!(to, "NOT flat: see above"),
        }
    }
}

/// The middle value of each measure.
fn medians(lines: &[&Line]) -> [f64; MEASURES.len()] {
    std::array::from_fn(|measure| {
        let mut values: Vec<f64> = lines.iter().map(|line| line.values[measure]).collect();
        values.sort_unstable_by(f64::total_cmp);
        values[values.len() / 2]
    })
}
