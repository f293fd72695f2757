//! A client as they are in the field: an enum's spelling for the type, naive timestamps, counters for ids, handlers that are
//! installed late and run inside the read loop, an acknowledgement for everything, and not a word of attempts or leases.

use super::deadline::Deadline;
use super::peer::{Frame, Peer};
use super::server::Server;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a client does with a notification.
type Handler = Box<dyn FnMut(&Value) -> Option<Value>>;

/// One such client.
pub(crate) struct Legacy {
    pub(crate) peer: Peer,
    handlers: BTreeMap<&'static str, Handler>,
    /// Notifications that found no handler: lost, as in the field.
    pub(crate) lost: Vec<Frame>,
    sent: u64,
}

impl Legacy {
    pub(crate) fn connect(server: &Server) -> Self {
        Self { peer: server.peer(), handlers: BTreeMap::new(), lost: Vec::new(), sent: 0 }
    }

    fn send(&mut self, kind: &str, method: &str, params: &Value) -> String {
        self.sent += 1;
        let id = format!("msg_{}", self.sent);
        self.peer.send(&format!("MCPMessageType.{kind}"), &id, method, params);
        id
    }

    /// Asks and reads until the answer is there; what comes before it runs through the handlers there are.
    #[track_caller]
    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Value {
        let id = self.send("REQUEST", method, params);
        let deadline = Deadline::usual();
        loop {
            let frame = self.peer.read(deadline).unwrap_or_else(|gone| panic!("{method}: no answer but {gone:?}"));
            if frame.id() == id {
                return frame.granted();
            }
            self.dispatch(&frame);
        }
    }

    pub(crate) fn notify(&mut self, method: &str, params: &Value) {
        self.send("NOTIFICATION", method, params);
    }

    /// Installs a handler. What it returns is reported as the completion's result.
    pub(crate) fn on(&mut self, method: &'static str, handler: impl FnMut(&Value) -> Option<Value> + 'static) {
        self.handlers.insert(method, Box::new(handler));
    }

    /// Reads one frame and runs its handler; its method.
    #[track_caller]
    pub(crate) fn turn(&mut self) -> String {
        let frame = self.peer.read(Deadline::usual()).unwrap_or_else(|gone| panic!("no frame but {gone:?}"));
        self.dispatch(&frame);
        frame.method().to_owned()
    }

    fn dispatch(&mut self, frame: &Frame) {
        let Some(handler) = self.handlers.get_mut(frame.method()) else { return self.lost.push(frame.clone()) };
        let outcome = handler(frame.params());
        // Whatever comes is acknowledged, even what wants no answer.
        let acknowledged = json!({"id": frame.id(), "type": "MCPMessageType.RESPONSE", "method": "", "params": {},
            "timestamp": "2026-01-01T00:00:00", "result": {"status": "acknowledged"}, "error": null});
        self.peer.send_text(acknowledged.to_string());
        let Some(result) = outcome else { return };
        let params = frame.params();
        let done = json!({"task_id": params["task_id"], "agent_id": "legacy", "result": result, "success": true,
            "timestamp": "2026-01-01T00:00:00"});
        self.notify("task/completed", &done);
    }
}
