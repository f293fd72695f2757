//! A flag that is raised once and can be waited for.

use tokio::sync::watch;

/// Tells whoever holds a clone to stop. Raised once, never lowered.
#[derive(Debug, Clone)]
pub struct CancelToken(watch::Sender<bool>);

impl CancelToken {
    /// A token that is not raised.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Raises the flag for all clones.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Whether the flag is raised.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the flag is raised, at once if it is already.
    pub async fn cancelled(&self) {
        // The sender is held by `self`, so the wait cannot end in any other way.
        let _ = self.0.subscribe().wait_for(|raised| *raised).await;
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        Self::new()
    }
}
