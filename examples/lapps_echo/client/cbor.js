// CBOR (RFC 8949) as far as the LAppS protocol needs it: null, booleans, numbers, texts, arrays, objects.
//
// Whole numbers beyond Number.MAX_SAFE_INTEGER are BigInts on both sides. Byte strings come out as Uint8Array.
"use strict";

const CBOR = (() => {
  const MAX_DEPTH = 128;

  function encode(value) {
    const bytes = [];
    write(bytes, value, 0);
    return Uint8Array.from(bytes);
  }

  function write(bytes, value, depth) {
    if (depth > MAX_DEPTH) throw new RangeError("nested too deeply");
    if (value === null || value === undefined) bytes.push(0xf6);
    else if (value === false) bytes.push(0xf4);
    else if (value === true) bytes.push(0xf5);
    else if (typeof value === "number") writeNumber(bytes, value);
    else if (typeof value === "bigint") writeInteger(bytes, value);
    else if (typeof value === "string") {
      const text = new TextEncoder().encode(value);
      head(bytes, 3, text.length);
      for (const byte of text) bytes.push(byte);
    } else if (value instanceof Uint8Array) {
      head(bytes, 2, value.length);
      for (const byte of value) bytes.push(byte);
    } else if (Array.isArray(value)) {
      head(bytes, 4, value.length);
      for (const item of value) write(bytes, item, depth + 1);
    } else if (typeof value === "object") {
      const entries = Object.entries(value).filter(([, item]) => item !== undefined);
      head(bytes, 5, entries.length);
      for (const [key, item] of entries) {
        write(bytes, key, depth + 1);
        write(bytes, item, depth + 1);
      }
    } else throw new TypeError(`cannot encode a ${typeof value}`);
  }

  function writeNumber(bytes, value) {
    if (Number.isSafeInteger(value) && !Object.is(value, -0)) return writeInteger(bytes, BigInt(value));
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value);
    bytes.push(0xfb);
    for (let at = 0; at < 8; at++) bytes.push(view.getUint8(at));
  }

  function writeInteger(bytes, value) {
    if (BigInt.asIntN(64, value) !== value && BigInt.asUintN(64, value) !== value) throw new RangeError("needs more than 64 bits");
    if (value < 0n) head(bytes, 1, -1n - value);
    else head(bytes, 0, value);
  }

  // The shortest form of a major type with its argument.
  function head(bytes, major, argument) {
    const value = BigInt(argument);
    const first = major << 5;
    if (value < 24n) return bytes.push(first | Number(value));
    const [mark, size] = value < 0x100n ? [24, 1] : value < 0x10000n ? [25, 2] : value < 0x100000000n ? [26, 4] : [27, 8];
    bytes.push(first | mark);
    for (let shift = BigInt(8 * (size - 1)); shift >= 0n; shift -= 8n) bytes.push(Number((value >> shift) & 0xffn));
  }

  function decode(buffer) {
    const bytes = buffer instanceof Uint8Array ? buffer : new Uint8Array(buffer);
    const input = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), at: 0 };
    const value = readItem(input, 0);
    if (input.at !== bytes.length) throw new SyntaxError(`${bytes.length - input.at} bytes too many`);
    return value;
  }

  // Ends an item of indefinite length.
  const BREAK = Symbol("break");

  function readItem(input, depth) {
    const value = read(input, depth);
    if (value === BREAK) throw new SyntaxError("not CBOR");
    return value;
  }

  // An item, or BREAK where an indefinite length may end.
  function read(input, depth) {
    if (depth > MAX_DEPTH) throw new RangeError("nested too deeply");
    const first = take(input, 1, "getUint8");
    const major = first >> 5;
    const info = first & 0x1f;
    if (major === 7) return readSimple(input, info);
    const endless = info === 31;
    if (endless && (major < 2 || major === 6)) throw new SyntaxError("not CBOR");
    const argument = endless ? Infinity : readArgument(input, info);
    switch (major) {
      case 0: return argument;
      case 1: return typeof argument === "bigint" ? -1n - argument : negative(argument);
      case 2: return endless ? readChunks(input, depth, 2) : readBytes(input, argument);
      case 3: return endless ? readChunks(input, depth, 3) : text(readBytes(input, argument));
      case 4: return readArray(input, argument, depth);
      case 5: return readObject(input, argument, depth);
      default: return readItem(input, depth + 1); // The content of a tag.
    }
  }

  function negative(argument) {
    return Number.isSafeInteger(-1 - argument) ? -1 - argument : -1n - BigInt(argument);
  }

  function readArgument(input, info) {
    if (info < 24) return info;
    if (info === 24) return take(input, 1, "getUint8");
    if (info === 25) return take(input, 2, "getUint16");
    if (info === 26) return take(input, 4, "getUint32");
    if (info !== 27) throw new SyntaxError("not CBOR");
    const value = take(input, 8, "getBigUint64");
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  }

  function readSimple(input, info) {
    switch (info) {
      case 20: return false;
      case 21: return true;
      case 22: return null;
      case 23: return undefined;
      case 25: return half(take(input, 2, "getUint16"));
      case 26: return take(input, 4, "getFloat32");
      case 27: return take(input, 8, "getFloat64");
      case 31: return BREAK;
      default: throw new SyntaxError("a simple value without a meaning");
    }
  }

  function half(bits) {
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    const sign = bits & 0x8000 ? -1 : 1;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }

  function readBytes(input, length) {
    const { view, at } = input;
    if (length > view.byteLength - at) throw new SyntaxError("cut off");
    input.at += length;
    return new Uint8Array(view.buffer, view.byteOffset + at, length);
  }

  function text(bytes) {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  }

  function readChunks(input, depth, major) {
    const chunks = [];
    for (let chunk; (chunk = read(input, depth + 1)) !== BREAK; ) chunks.push(chunk);
    const isChunk = major === 3 ? (chunk) => typeof chunk === "string" : (chunk) => chunk instanceof Uint8Array;
    if (!chunks.every(isChunk)) throw new SyntaxError("not CBOR");
    if (major === 3) return chunks.join("");
    return Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
  }

  function readArray(input, count, depth) {
    const array = [];
    for (let n = 0; n < count; n++) {
      const item = count === Infinity ? read(input, depth + 1) : readItem(input, depth + 1);
      if (item === BREAK) break;
      array.push(item);
    }
    return array;
  }

  function readObject(input, count, depth) {
    const entries = [];
    for (let n = 0; n < count; n++) {
      const key = read(input, depth + 1);
      if (key === BREAK && count === Infinity) break;
      if (typeof key !== "string") throw new SyntaxError("a key that is no text");
      entries.push([key, readItem(input, depth + 1)]);
    }
    // Not `object[key] = value`: "__proto__" is a key like any other.
    return Object.fromEntries(entries);
  }

  function take(input, size, get) {
    if (input.at + size > input.view.byteLength) throw new SyntaxError("cut off");
    const value = input.view[get](input.at);
    input.at += size;
    return value;
  }

  return { encode, decode };
})();
