// A client of the LAppS protocol for browsers. Needs cbor.js.
//
//   const client = await LAppS.connect("ws://127.0.0.1:5083/lapps-echo");
//   const [me] = await client.request("login", [{ user: "anna", password: "secret" }]);
//   client.onnotification = (cid, message) => console.log(cid, message);
//   client.notify(1, "tell", ["hello"]);
//
// Responses carry no number, so they belong to the requests in the order in which these were sent.
"use strict";

class LAppSError extends Error {
  constructor({ code, message, data }) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

class LAppS {
  #socket;
  #waiting = [];

  onnotification = (cid, message) => {};
  onclose = (code, reason) => {};

  static connect(url) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url);
      socket.binaryType = "arraybuffer";
      const client = new LAppS(socket);
      socket.onopen = () => resolve(client);
      socket.onclose = ({ code, reason }) => {
        reject(new Error(`not connected: ${code} ${reason}`));
        client.#end(code, reason);
      };
    });
  }

  constructor(socket) {
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(data);
  }

  // Resolves with the result, or rejects with a LAppSError.
  request(method, params) {
    return new Promise((resolve, reject) => {
      this.#send({ lapps: 1, method, params });
      this.#waiting.push({ resolve, reject });
    });
  }

  // Nobody answers.
  notify(cid, method, params) {
    this.#send({ lapps: 1, method, params, cid });
  }

  close() {
    this.#socket.close(1000);
  }

  #send(message) {
    if (this.#socket.readyState !== WebSocket.OPEN) throw new Error("not connected");
    this.#socket.send(CBOR.encode(message));
  }

  #receive(data) {
    let message;
    try {
      message = CBOR.decode(data);
    } catch (error) {
      return this.#socket.close(4000, "no CBOR");
    }
    if (message.cid !== 0) return this.onnotification(message.cid, message.message);
    const { resolve, reject } = this.#waiting.shift() ?? {};
    if (message.status === 1) resolve?.(message.result);
    else reject?.(new LAppSError(message.error));
  }

  #end(code, reason) {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error(`the connection ended: ${code} ${reason}`));
    this.onclose(code, reason);
  }
}
