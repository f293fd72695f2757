//! What an attack costs the coordinator, as the kernel counts it.

use crate::harness::Server;
use std::fs;
use std::path::PathBuf;

const KIB_IN_MIB: u64 = 1_024;

/// Watches one process from now on.
pub(super) struct Gauge {
    process: PathBuf,
    before_mib: u64,
}

impl Gauge {
    pub(super) fn of(server: &mut Server) -> Self {
        let process = PathBuf::from(format!("/proc/{}", server.process().id()));
        // The peak counts from here on.
        fs::write(process.join("clear_refs"), "5").unwrap();
        let mut gauge = Self { process, before_mib: 0 };
        gauge.before_mib = gauge.mib("VmRSS:");
        gauge
    }

    fn mib(&self, field: &str) -> u64 {
        let status = fs::read_to_string(self.process.join("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / KIB_IN_MIB
    }

    /// Connections, with those that are on their way in or out, and the few sockets that are always there.
    pub(super) fn sockets(&self) -> usize {
        let open = fs::read_dir(self.process.join("fd")).unwrap();
        // What is closed in this moment cannot be looked at any more.
        let targets = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    }

    /// That at no moment it held so much more than before.
    #[track_caller]
    pub(super) fn check(&self, attack: &str, bound_mib: u64) {
        let (before, peak) = (self.before_mib, self.mib("VmHWM:"));
        eprintln!("{attack}: {peak} MiB at most, {before} before; {bound_mib} more are the bound");
        assert!(peak <= before + bound_mib, "{attack} took {} MiB, and {bound_mib} is the bound", peak - before);
    }
}
