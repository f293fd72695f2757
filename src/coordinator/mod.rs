//! Stub of the coordinator; replaced at the merge.

use crate::shared::Shared;
use everlog_replay::ConnectionNo;
use everlog_storage::Fault;
use std::sync::Arc;

/// How to open a coordinator.
#[derive(Debug)]
pub struct Options {
    /// What decisions rest on.
    pub settings: everlog_replay::spec::Settings,
    /// The data directory.
    pub data: std::path::PathBuf,
}

/// A running coordinator.
pub struct Coordinator {
    shared: Arc<Shared>,
}

impl Coordinator {
    /// Recovers and starts.
    ///
    /// # Errors
    /// Always: there is none in this branch.
    pub fn open(options: Options) -> Result<Coordinator, Fault> {
        Err(Fault::NotADataDir { path: options.data, detail: "the coordinator comes with the merge".to_owned() })
    }

    /// What is shared.
    #[must_use]
    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// The next number.
    #[must_use]
    pub fn next_connection(&self) -> ConnectionNo {
        0
    }

    /// Resolves when the coordinator has died.
    pub async fn failed(&self) -> Fault {
        std::future::pending().await
    }

    /// Ends.
    ///
    /// # Errors
    /// When the last snapshot can not be written.
    pub async fn drain(self, reason: &str) -> Result<(), Fault> {
        drop(reason.to_owned());
        Ok(())
    }

    /// Tells the load.
    pub fn observe_load(&self, cpu_hundredths: u32, memory_kib: u64) {
        let _ = (cpu_hundredths, memory_kib);
    }
}
