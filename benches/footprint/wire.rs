//! A forwarder in front of a gateway that counts the bytes, TLS and all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

/// What went through since the start.
#[derive(Default)]
struct Bytes {
    to_gateway: AtomicU64,
    from_gateway: AtomicU64,
}

/// Forwards connections to a gateway.
pub(crate) struct Wire {
    /// Where the gateway is found now.
    pub(crate) address: String,
    bytes: Arc<Bytes>,
}

impl Wire {
    /// In front of the gateway at the URL `gateway`.
    pub(crate) fn new(servers: &Handle, gateway: &str) -> Self {
        let (scheme, target) = gateway.split_once("://").unwrap();
        let target: SocketAddr = target.parse().unwrap();
        let listener = servers.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = format!("{scheme}://{}", listener.local_addr().unwrap());
        let bytes = Arc::new(Bytes::default());
        let counting = Arc::clone(&bytes);
        servers.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, target, Arc::clone(&counting)));
            }
        });
        Self { address, bytes }
    }

    /// How many bytes were sent to the gateway, and how many came from it.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        let Bytes { to_gateway, from_gateway } = &*self.bytes;
        (to_gateway.load(Ordering::Relaxed), from_gateway.load(Ordering::Relaxed))
    }
}

async fn forward(client: TcpStream, target: SocketAddr, bytes: Arc<Bytes>) {
    let Ok(gateway) = TcpStream::connect(target).await else { return };
    gateway.set_nodelay(true).unwrap();
    client.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_gateway, to_gateway) = gateway.into_split();
    tokio::select! {
        () = copy(from_client, to_gateway, &bytes.to_gateway) => {}
        () = copy(from_gateway, to_client, &bytes.from_gateway) => {}
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, counter: &AtomicU64) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        counter.fetch_add(read as u64, Ordering::Relaxed);
        if to.write_all(buffer.get(..read).unwrap()).await.is_err() {
            return;
        }
    }
}
