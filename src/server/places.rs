//! Places for connections: how many there are may change while some of them are taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// The places behind a door.
#[derive(Debug)]
pub(crate) struct Places {
    taken: watch::Sender<u32>,
    most: AtomicU32,
}

/// One of them, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Places>);

impl Places {
    pub(crate) fn new(most: u32) -> Arc<Self> {
        Arc::new(Self { taken: watch::Sender::new(0), most: AtomicU32::new(most) })
    }

    /// A place, if one is free.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Place> {
        let most = self.most();
        let free = self.taken.send_if_modified(|taken| {
            let free = *taken < most;
            *taken += u32::from(free);
            free
        });
        free.then(|| Place(Arc::clone(self)))
    }

    /// How many may be taken at a time.
    pub(crate) fn most(&self) -> u32 {
        self.most.load(Ordering::Acquire)
    }

    /// Changes how many may be taken. Who has a place keeps it.
    pub(crate) fn set_most(&self, most: u32) {
        self.most.store(most, Ordering::Release);
    }

    /// Resolves when all are free, or after `within`; whether all are.
    pub(crate) async fn all_free(&self, within: Duration) -> bool {
        timeout(within, self.taken.subscribe().wait_for(|taken| *taken == 0)).await.is_ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.send_modify(|taken| *taken -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn places_are_taken_and_given_back() {
        let places = Places::new(2);
        let (one, two) = (places.take().unwrap(), places.take().unwrap());
        assert!(places.take().is_none());
        places.set_most(3);
        let three = places.take().unwrap();
        places.set_most(1);
        drop((one, two));
        assert!(places.take().is_none(), "one is taken still");
        assert!(!places.all_free(Duration::from_secs(1)).await);
        drop(three);
        assert!(places.all_free(Duration::from_secs(1)).await);
        assert!(places.take().is_some() && places.most() == 1);
    }
}
