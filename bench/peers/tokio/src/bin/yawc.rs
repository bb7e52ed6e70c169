//! An echo on yawc: what is there at once is answered in one flush.

use futures_util::{FutureExt, SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, http};
use hyper_util::rt::TokioIo;
use lapps_bench_peers::{Failure, Handler, Stream, run};
use yawc::{Frame, OpCode, Options, UpgradeFut, WebSocket};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages that one flush may hold.
const BATCH: usize = 32;

#[derive(Clone, Copy)]
struct Echo;

impl Handler for Echo {
    async fn serve(self, stream: impl Stream) -> Result<(), Failure> {
        let service = service_fn(async |mut request: Request<Incoming>| {
            let options = Options::default().without_compression();
            let (response, socket) = WebSocket::upgrade_with_options(&mut request, options)?;
            tokio::task::spawn_local(tokio::task::unconstrained(echo(socket)));
            Ok::<http::Response<_>, yawc::WebSocketError>(response)
        });
        Ok(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await?)
    }
}

async fn echo(socket: UpgradeFut) -> Result<(), Failure> {
    let mut socket = socket.await?;
    while let Some(frame) = socket.next().await {
        let mut next = Some(frame);
        let mut taken = 0;
        while let Some(frame) = next.take() {
            answer(&mut socket, frame).await?;
            taken += 1;
            if taken < BATCH {
                next = socket.next().now_or_never().flatten();
            }
        }
        socket.flush().await?;
    }
    Ok(())
}

async fn answer<S>(socket: &mut S, frame: Frame) -> Result<(), Failure>
where
    S: SinkExt<Frame, Error = yawc::WebSocketError> + Unpin,
{
    match frame.opcode() {
        OpCode::Text | OpCode::Binary => socket.feed(frame).await.map_err(Into::into),
        _ => Ok(()),
    }
}

fn main() -> Result<(), Failure> {
    run(Echo)
}
