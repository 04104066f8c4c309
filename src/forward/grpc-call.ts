/** One unary call of gRPC over HTTP/2: a message there, a message and a status back. */
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  IncomingHttpStatusHeader,
  OutgoingHttpHeaders,
} from "node:http2";
import { constants } from "node:http2";
import { fromLenientBase64 } from "../bytes/base64.ts";
import { sinkResponseBytesMax } from "../limits.ts";

/** A flag that says whether the message is compressed, and its length. */
const prefixBytes = 5;

export interface GrpcAnswer {
  /** HTTP status; anything but 200 comes from what lies between. */
  readonly httpStatus: number | undefined;
  /** Undefined where what answered does not speak gRPC. */
  readonly status: number | undefined;
  readonly message: string;
  /** `google.rpc.Status`, empty where there is none. */
  readonly details: Uint8Array;
  /** Undefined where it is longer than its bound. */
  readonly response: Uint8Array | undefined;
}

export interface GrpcCall {
  readonly headers: OutgoingHttpHeaders;
  readonly message: Uint8Array;
  readonly isCompressed: boolean;
}

/**
 * Resolves when there is a whole answer and nothing reads the message any more. Rejects where the
 * connection ends, or `abort` is aborted, before there is one.
 */
export function callUnary(
  session: ClientHttp2Session,
  { headers, message, isCompressed }: GrpcCall,
  abort: AbortSignal,
): Promise<GrpcAnswer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { signal: abort });
    let isAnswered = false;
    const fail = (error: Error): void => {
      if (!isAnswered) reject(error);
    };
    const settle = (answer: GrpcAnswer): void => {
      isAnswered = true;
      whenSent(stream, () => resolve(answer));
    };
    const received = new Received(stream);
    stream.on("error", fail);
    stream.on("close", () => fail(new Error("the stream was closed before the answer")));
    stream.on("end", () => {
      const answer = received.answer();
      if (answer === undefined) return fail(new Error("the answer ended before its status"));
      settle(answer);
    });
    received.onTooLong = () => {
      settle({ ...received.head(), status: 0, response: undefined });
      stream.close(constants.NGHTTP2_CANCEL);
    };
    stream.cork();
    stream.write(prefixOf(message, isCompressed));
    stream.end(message);
  });
}

function prefixOf({ length }: Uint8Array, isCompressed: boolean): Uint8Array {
  const prefix = Buffer.alloc(prefixBytes);
  prefix[0] = isCompressed ? 1 : 0;
  prefix.writeUInt32BE(length, 1);
  return prefix;
}

/** A sink may answer before it has read everything: only with its connection the sending ends. */
function whenSent(stream: ClientHttp2Stream, done: () => void): void {
  const { session } = stream;
  if (stream.writableFinished || session === undefined) return done();
  session.once("close", done);
  session.destroy();
}

/** What came of an answer so far. */
class Received {
  #headers: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
  #trailers: IncomingHttpHeaders = {};
  readonly #chunks: Buffer[] = [];
  #size = 0;
  onTooLong: () => void = () => undefined;

  constructor(stream: ClientHttp2Stream) {
    stream.on("response", (headers) => (this.#headers = headers));
    stream.on("trailers", (trailers) => (this.#trailers = trailers));
    stream.on("data", (chunk: Buffer) => {
      this.#size += chunk.length;
      if (this.#size > prefixBytes + sinkResponseBytesMax) return this.onTooLong();
      this.#chunks.push(chunk);
    });
  }

  /** Undefined where the status is missing that ends every answer. */
  answer(): GrpcAnswer | undefined {
    const head = this.head();
    const { status, httpStatus = 200 } = head;
    if (status === undefined && httpStatus === 200) return undefined;
    // Never compressed: the request says that nothing else is understood.
    const response = Buffer.concat(this.#chunks, this.#size).subarray(prefixBytes);
    return { ...head, response };
  }

  head(): Omit<GrpcAnswer, "response"> {
    // Where there is no message, what would be trailers comes as headers.
    const all = { ...this.#headers, ...this.#trailers };
    const status = all["grpc-status"];
    return {
      httpStatus: this.#headers[":status"],
      status: typeof status === "string" && /^\d{1,3}$/.test(status) ? Number(status) : undefined,
      message: percentDecoded(all["grpc-message"]),
      details: decodedBinary(all["grpc-status-details-bin"]),
    };
  }
}

type HeaderValue = string | string[] | undefined;

function percentDecoded(text: HeaderValue): string {
  if (typeof text !== "string") return "";
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function decodedBinary(text: HeaderValue): Uint8Array {
  if (typeof text !== "string") return new Uint8Array();
  try {
    return fromLenientBase64(Buffer.from(text, "latin1"));
  } catch {
    return new Uint8Array();
  }
}
