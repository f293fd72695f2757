//! The shim between the binary and the disk, and what it is told to do.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
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
    trace: bool,
}

impl Shim {
    /// Counts the steps below `data`; its own files lie in `home`.
    pub(super) fn new(home: &Path, data: &Path, fault: Option<Fault>) -> Self {
        let shim = Self { home: home.to_owned(), data: data.to_owned(), fault, trace: false };
        std::fs::write(shim.count(), 0_u64.to_ne_bytes()).unwrap();
        shim
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
