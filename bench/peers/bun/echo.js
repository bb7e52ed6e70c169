// An echo on Bun's own WebSocket server: [CERTIFICATE.pem KEY.pem] are the arguments.
const [certificate, key] = process.argv.slice(2);

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  ...(certificate && { tls: { cert: Bun.file(certificate), key: Bun.file(key) } }),
  fetch(request, server) {
    if (server.upgrade(request)) return;
    return new Response("a WebSocket is wanted", { status: 400 });
  },
  websocket: {
    idleTimeout: 0,
    perMessageDeflate: false,
    maxPayloadLength: 16 * 1024 * 1024,
    backpressureLimit: 64 * 1024 * 1024,
    message(socket, message) {
      socket.send(message);
    },
  },
});

console.log(`listening on ${certificate ? "wss" : "ws"}://127.0.0.1:${server.port}`);
