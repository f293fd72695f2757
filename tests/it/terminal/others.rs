//! What else may answer at the address of a coordinator.

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{Message, accept};

/// Listens on a port of its own and serves every connection with `serve`; the port.
fn listen(serve: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || listener.incoming().for_each(|stream| serve(stream.unwrap())));
    port
}

/// A web server.
pub(super) fn web_server() -> String {
    listen(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    })
}

/// A coordinator that knows a pipeline `nightly`, and no method but that which lists it.
pub(super) fn old_coordinator() -> String {
    listen(|stream| {
        let Ok(mut socket) = accept(stream) else { return };
        while let Ok(frame) = socket.read() {
            let Ok(request) = serde_json::from_str::<Value>(frame.to_text().unwrap_or_default()) else { continue };
            let (result, error) = if request["method"] == "pipeline/list" {
                let nightly =
                    json!({"id": "01a20848-f063-707c-ae91-cef5eef722be", "name": "nightly", "status": "failed"});
                (json!({"pipelines": [nightly], "total": 1}), Value::Null)
            } else {
                (Value::Null, json!({"code": -32_601, "message": "method not found"}))
            };
            let answer = json!({"id": request["id"], "type": "response", "method": "", "params": {},
                "timestamp": "2026-01-01T00:00:00.000000+00:00", "result": result, "error": error});
            if socket.send(Message::text(answer.to_string())).is_err() {
                return;
            }
        }
    })
}
