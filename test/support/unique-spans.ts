/** Requests that are sent many times, each time with spans that were never sent before. */
import { WireReader } from "../../src/bytes/wire.ts";

const idBytes = 8;

type Renamed = "span" | "trace";

export class UniqueSpans {
  readonly #bytes: Buffer;
  readonly #offsets: readonly number[];
  readonly #isText: boolean;
  readonly #what: Renamed;

  /**
   * @param body an ExportTraceServiceRequest, as protobuf or as OTLP/JSON
   * @param what `span`: each span gets an id that is known, but is nobody's parent any more;
   * `trace`: all traces get new ids, and spans keep their parents
   */
  constructor(body: Uint8Array, what: Renamed = "span") {
    this.#bytes = Buffer.from(body);
    this.#what = what;
    this.#isText = body[0] === "{".charCodeAt(0);
    this.#offsets = this.#isText ? textOffsets(this.#bytes, what) : wireOffsets(this.#bytes, what);
  }

  get count(): number {
    return this.#offsets.length;
  }

  /**
   * A copy whose span ids are `first`, `first` + 1 and so on, or all of whose trace ids begin with
   * `first`.
   */
  stamped(first: bigint): Uint8Array {
    const copy = Buffer.from(this.#bytes);
    let id = first;
    for (const offset of this.#offsets) {
      if (this.#isText) copy.write(spanIdText(id), offset, "latin1");
      else copy.writeBigUInt64BE(id, offset);
      if (this.#what === "span") id++;
    }
    return copy;
  }
}

/** A span id as records hold it. */
export function spanIdText(id: bigint): string {
  return id.toString(16).padStart(2 * idBytes, "0");
}

function textOffsets(bytes: Buffer, what: Renamed): number[] {
  const matches = bytes.toString("latin1").matchAll(new RegExp(`"${what}Id":"`, "g"));
  return [...matches].map((match) => match.index + match[0].length);
}

/** Spans are at request.1.2.2, their trace's id in field 1, their own in field 2. */
function wireOffsets(bytes: Uint8Array, what: Renamed): number[] {
  const offsets: number[] = [];
  const path = [1, 2, 2, what === "trace" ? 1 : 2];
  const walk = (reader: WireReader, depth: number): void => {
    while (reader.next()) {
      if (reader.field !== path[depth]) continue;
      if (depth === path.length - 1) offsets.push(reader.start);
      else walk(reader.message(), depth + 1);
    }
  };
  walk(new WireReader(bytes), 0);
  return offsets;
}

/** The span ids of a request, in its order. */
export function spanIdsOf(body: Uint8Array): string[] {
  const view = Buffer.from(body);
  return wireOffsets(body, "span").map((offset) => view.toString("hex", offset, offset + idBytes));
}
