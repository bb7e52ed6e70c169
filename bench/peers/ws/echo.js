// An echo on the package ws in Node: [CERTIFICATE.pem KEY.pem] are the arguments.
const fs = require("fs");
const { WebSocketServer } = require("ws");

const [certificate, key] = process.argv.slice(2);
const server = certificate
  ? require("https").createServer({ cert: fs.readFileSync(certificate), key: fs.readFileSync(key) })
  : require("http").createServer();

new WebSocketServer({ server, perMessageDeflate: false }).on("connection", (socket) => {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on("error", () => {});
});

server.listen(0, "127.0.0.1", 4096, () => {
  console.log(`listening on ${certificate ? "wss" : "ws"}://127.0.0.1:${server.address().port}`);
});
