//! An echo on fastwebsockets.

use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{FragmentCollector, OpCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lapps_bench_peers::{Failure, Handler, Stream, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Clone, Copy)]
struct Echo;

impl Handler for Echo {
    async fn serve(self, stream: impl Stream) -> Result<(), Failure> {
        let service = service_fn(async |mut request| {
            let (response, socket) = upgrade(&mut request)?;
            tokio::task::spawn_local(tokio::task::unconstrained(echo(socket)));
            Ok::<_, fastwebsockets::WebSocketError>(response)
        });
        Ok(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await?)
    }
}

async fn echo(socket: UpgradeFut) -> Result<(), Failure> {
    let mut socket = FragmentCollector::new(socket.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

fn main() -> Result<(), Failure> {
    run(Echo)
}
