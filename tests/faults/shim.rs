//! The shim between the binary and the disk, and what it is told to do.

use super::{scratch, tell};
use crate::harness::{Process, everlog};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Kill,
    Tear,
    Short,
    Eio,
    EioForever,
    Enospc,
    EnospcForever,
}

impl Action {
    pub(super) const ALL: [Self; 7] =
        [Self::Kill, Self::Tear, Self::Short, Self::Eio, Self::EioForever, Self::Enospc, Self::EnospcForever];

    /// As shim.c has it.
    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Tear => "tear",
            Self::Short => "short",
            Self::Eio => "eio",
            Self::EioForever => "eio-forever",
            Self::Enospc => "enospc",
            Self::EnospcForever => "enospc-forever",
        }
    }
}

/// A fault: at which step, counted from 1 over all processes of a session, what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: u64,
    pub(super) action: Action,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}@{}", self.action.name(), self.at)
    }
}

impl std::str::FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, at) = text.split_once('@').ok_or("a fault is ACTION@STEP")?;
        let action = Action::ALL.into_iter().find(|action| action.name() == name).ok_or("no such action")?;
        Ok(Self { action, at: at.parse().map_err(|_| "no such step")? })
    }
}

/// The shim over one data directory.
pub(super) struct Shim {
    home: PathBuf,
    data: PathBuf,
    fault: Option<Fault>,
    bad_page: Option<BadPage>,
    trace: bool,
}

/// A page that the disk can not read.
#[derive(Clone, Debug)]
pub(super) struct BadPage {
    /// Name of the file inside the data directory.
    pub(super) file: String,
    /// Where it begins, in bytes.
    pub(super) at: usize,
}

impl Shim {
    /// Counts the steps below `data`; its own files lie in `home`.
    pub(super) fn new(home: &Path, data: &Path, fault: Option<Fault>) -> Self {
        let shim = Self { home: home.to_owned(), data: data.to_owned(), fault, bad_page: None, trace: false };
        std::fs::write(shim.count(), 0_u64.to_ne_bytes()).unwrap();
        shim
    }

    /// One page cannot be read.
    pub(super) fn with_bad_page(mut self, page: BadPage) -> Self {
        self.bad_page = Some(page);
        self
    }

    /// Records everything too.
    pub(super) fn tracing(mut self) -> Self {
        self.trace = true;
        self
    }

    fn count(&self) -> PathBuf {
        self.home.join("steps")
    }

    /// Where the record is.
    pub(super) fn trace(&self) -> PathBuf {
        self.home.join("trace")
    }

    /// How many steps there were so far.
    pub(super) fn steps(&self) -> u64 {
        u64::from_ne_bytes(std::fs::read(self.count()).unwrap().try_into().unwrap())
    }

    /// Puts the shim under a command that has not been started.
    pub(super) fn put_under(&self, command: &mut Command) {
        command.env("LD_PRELOAD", library()).env("FAULTS_DIR", &self.data).env("FAULTS_COUNT", self.count());
        if let Some(fault) = self.fault {
            command.env("FAULTS_AT", fault.at.to_string()).env("FAULTS_ACTION", fault.action.name());
        }
        if let Some(BadPage { file, at }) = &self.bad_page {
            command.env("FAULTS_BAD", self.data.join(file)).env("FAULTS_BAD_AT", at.to_string());
        }
        if self.trace {
            command.env("FAULTS_TRACE", self.trace());
        }
    }
}

/// The shim as a library, built once a run.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shim.so");
        let built_here = library.with_extension(std::process::id().to_string());
        let options = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"];
        let built = Command::new("cc").args(options).arg(&built_here).arg(source).status();
        assert!(built.is_ok_and(|status| status.success()), "the shim needs a C compiler: install gcc or clang");
        std::fs::rename(&built_here, &library).unwrap();
        library
    })
}

/// Enough to do for a start, some operations, a snapshot and an end.
const PIPELINE: &str = "name: traced\ntasks:\n  - {name: one, command: [\"true\"]}\n";
/// System calls that change no file. Whatever else names one below the data directory has to be a step, also what nobody thought of.
const HARMLESS: [&str; 14] = [
    "close",
    "execve",
    "fadvise64",
    "fcntl",
    "flock",
    "fstat",
    "fstatfs",
    "getdents64",
    "lseek",
    "newfstatat",
    "pread64",
    "read",
    "statfs",
    "statx",
];
const OPENS_TO_CHANGE: [&str; 4] = ["O_CREAT", "O_TRUNC", "O_WRONLY", "O_RDWR"];

/// Starts what `command` would, under `strace`; what each thread asks of the system comes into a file `calls.ID`.
fn strace(command: &Command) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-ff", "-qq", "-y", "-s", "0", "-o", "calls"]);
    for (name, value) in command.get_envs() {
        let mut setting = name.to_owned();
        if let Some(value) = value {
            setting.push("=");
            setting.push(value);
        }
        strace.arg("-E").arg(setting);
    }
    strace.arg(command.get_program()).args(command.get_args());
    strace
}

/// The changes below `data`, by system call, that strace saw.
fn changes(home: &Path, data: &Path) -> BTreeMap<String, u64> {
    let mut changes = BTreeMap::new();
    let names = ["/", "\"", ">"].map(|end| format!("{}{end}", data.display()));
    for entry in std::fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_none_or(|stem| stem != "calls") {
            continue;
        }
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let call = line.split('(').next().unwrap_or_default();
            let is_change = match call {
                "open" | "openat" => OPENS_TO_CHANGE.iter().any(|flag| line.contains(flag)),
                _ => !HARMLESS.contains(&call),
            };
            if is_change && names.iter().any(|name| line.contains(name)) {
                *changes.entry(call.to_owned()).or_default() += 1;
            }
        }
    }
    changes
}

#[test]
fn the_shim_sees_every_change_that_the_system_sees() {
    let probe = Command::new("strace").args(["-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        return tell("the shim was not compared with strace, which is not here, or not allowed to trace");
    }
    let home = scratch();
    let data = home.path().join("data");
    std::fs::write(home.path().join("pipeline.yaml"), PIPELINE).unwrap();
    let shim = Shim::new(home.path(), &data, None);
    // On a new directory, and on what is there then.
    for _ in 0..2 {
        let mut command = everlog(["run", "pipeline.yaml", "--data"]);
        shim.put_under(command.arg(&data));
        let mut strace = strace(&command);
        strace.current_dir(home.path());
        Process::start(strace).end().expect_code(0);
    }
    let changes = changes(home.path(), &data);
    assert!(changes.len() > 5, "{changes:?}");
    assert_eq!(shim.steps(), changes.values().sum::<u64>(), "{changes:?}");
}
