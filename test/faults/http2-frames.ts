/** Frames of HTTP/2 (RFC 9113) as no library would send them. */
const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const END_STREAM = 0x1;
export const END_HEADERS = 0x4;
const ACK = 0x1;

export const preface: Buffer = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame("settings", 0, 0),
]);

export function frame(
  type: keyof typeof FRAME,
  flags: number,
  stream: number,
  payload: Uint8Array = new Uint8Array(),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = FRAME[type];
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const settingsAck: Buffer = frame("settings", ACK, 0);
export const ping: Buffer = frame("ping", 0, 0, Buffer.alloc(8));

/** SETTINGS with one value that changes nothing. */
export const settings: Buffer = frame("settings", 0, 0, Buffer.from([0, 3, 0, 0, 0, 100]));

export function windowUpdate(stream: number, increment = 1): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(increment);
  return frame("windowUpdate", 0, stream, payload);
}

export function priority(stream: number): Buffer {
  return frame("priority", 0, stream, Buffer.from([0, 0, 0, 0, 15]));
}

export function reset(stream: number): Buffer {
  return frame("reset", 0, stream, Buffer.from([0, 0, 0, 8]));
}

/** A literal header without indexing, and without Huffman coding. */
export function literal(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), hpackString(name), hpackString(value)]);
}

/** A literal header that enters the dynamic table. */
export function indexed(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x40]), hpackString(name), hpackString(value)]);
}

function hpackString(text: string): Buffer {
  return Buffer.concat([hpackInteger(text.length, 7), Buffer.from(text, "latin1")]);
}

function hpackInteger(value: number, bits: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.from([value]);
  const bytes = [most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** What an Export call begins with. */
export const callHeaders: Buffer = Buffer.concat([
  literal(":method", "POST"),
  literal(":scheme", "http"),
  literal(":path", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
  literal(":authority", "a"),
  literal("content-type", "application/grpc"),
  literal("te", "trailers"),
]);

/** HEADERS of a call; its body follows. */
export function openCall(stream: number, more: Uint8Array = new Uint8Array()): Buffer {
  return frame("headers", END_HEADERS, stream, Buffer.concat([callHeaders, more]));
}
