//! An echo on tokio-tungstenite: what is there at once is answered in one flush.

use futures_util::{FutureExt, SinkExt, StreamExt};
use lapps_bench_peers::{Failure, Handler, Stream, run};
use tokio_tungstenite::accept_async;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Messages that one flush may hold.
const BATCH: usize = 32;

#[derive(Clone, Copy)]
struct Echo;

impl Handler for Echo {
    async fn serve(self, stream: impl Stream) -> Result<(), Failure> {
        let mut socket = accept_async(stream).await?;
        while let Some(message) = socket.next().await {
            let mut next = Some(message);
            let mut taken = 0;
            while let Some(message) = next.take() {
                let message = message?;
                if message.is_text() || message.is_binary() {
                    socket.feed(message).await?;
                }
                taken += 1;
                if taken < BATCH {
                    next = socket.next().now_or_never().flatten();
                }
            }
            socket.flush().await?;
        }
        Ok(())
    }
}

fn main() -> Result<(), Failure> {
    run(Echo)
}
