//! The real sessions, polled by hand: which of those that could go on does so next is drawn.

use super::random::Random;
use super::wire::{FRAME_BYTES_MAX, Line, Socket};
use crate::server::session;
use crate::shared::Shared;
use everlog_replay::ConnectionNo;
use futures_util::StreamExt;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// The open sessions of one coordinator. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Sessions(Rc<RefCell<BTreeMap<ConnectionNo, Session>>>);

struct Session {
    future: Pin<Box<dyn Future<Output = ()>>>,
    line: Line,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Sessions {
    pub(super) fn open(
        &self,
        shared: &Arc<Shared>,
        connection: ConnectionNo,
        line: &Line,
        now: &Rc<Cell<u64>>,
        durable: &Rc<Cell<u64>>,
    ) {
        let socket = Socket { line: Rc::clone(line), now: Rc::clone(now), durable: Rc::clone(durable) };
        let (sink, stream) = socket.split();
        let peer = format!("peer:{connection}");
        let future = session::run(sink, stream, peer, Arc::clone(shared), connection, FRAME_BYTES_MAX);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let session = Session { future: Box::pin(future), line: Rc::clone(line), woken };
        self.0.borrow_mut().insert(connection, session);
    }

    /// Lets every session go on that can, in a drawn order.
    pub(super) fn poll(&self, now: u64, random: &mut Random) {
        let mut order: Vec<ConnectionNo> = self.0.borrow().keys().copied().collect();
        random.shuffle(&mut order);
        for connection in order {
            let mut sessions = self.0.borrow_mut();
            let Some(session) = sessions.get_mut(&connection) else { continue };
            session.line.borrow_mut().wake(now);
            if !session.woken.0.swap(false, Ordering::AcqRel) {
                continue;
            }
            let waker = Waker::from(Arc::clone(&session.woken));
            if let Poll::Ready(()) = session.future.as_mut().poll(&mut Context::from_waker(&waker)) {
                session.line.borrow_mut().server_gone = true;
                sessions.remove(&connection);
            }
        }
    }

    /// How long nothing came through a connection that is open.
    pub(super) fn silent_ms(&self, connection: ConnectionNo, now: u64) -> Option<u64> {
        self.0.borrow().get(&connection).map(|session| now.saturating_sub(session.line.borrow().heard_ms))
    }

    /// The connections that are open, in order.
    pub(super) fn lines(&self) -> Vec<(ConnectionNo, Line)> {
        self.0.borrow().iter().map(|(connection, session)| (*connection, Rc::clone(&session.line))).collect()
    }

    /// The process is gone, and with it its ends of all connections.
    pub(super) fn die(&self) {
        for (_, session) in std::mem::take(&mut *self.0.borrow_mut()) {
            session.line.borrow_mut().server_gone = true;
        }
    }
}
