//! The entrance: connections that have not said yet what they want. Each gets so much time to send one request, and so many may
//! be about it at once; otherwise a few clients that send nothing, or a byte now and then, would take every descriptor that the
//! process has, and with them the log's. Who is answered and not let in has to go.

use super::limits::{HANDSHAKE_WITHIN, HANDSHAKES_MAX, HEAD_BYTES_MAX};
use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Lets connections in, and hands the one request of each to the router.
pub(super) async fn accept(mut listener: impl Listener<Addr = SocketAddr>, router: Router) -> Infallible {
    let seats = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        // Nobody closes the semaphore, so there always is a seat.
        let seat = Arc::clone(&seats).acquire_owned().await.ok();
        let (stream, peer) = listener.accept().await;
        tokio::spawn(serve(TokioIo::new(stream), peer, router.clone(), seat));
    }
}

/// Serves one connection up to its upgrade, or to the answer.
async fn serve(
    stream: impl hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    seat: Option<OwnedSemaphorePermit>,
) {
    let (router, seat) = (TowerToHyperService::new(router), Mutex::new(seat));
    let service = service_fn(move |mut request: Request<Incoming>| {
        // It has said what it wants: it is answered at once, or has one of the places behind the door.
        seat.lock().take();
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.call(request);
        async move {
            let mut answer = answer.await?;
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HANDSHAKE_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(stream, service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a connection ended before its request was answered");
    }
}
