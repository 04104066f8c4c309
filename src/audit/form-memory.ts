/**
 * The memory in which forms are filled: tables, places, the forms themselves, then the request and
 * what is made of it. There is one, because nobody works in it while another does.
 */
import { type Computation, compile } from "../bytes/wasm-module.ts";
import { formMemoryBytesKept } from "../limits.ts";
import { type Form, numbersPerBlank, PLACE, placesMax, PLACES_OF_CONTEXT } from "./form.ts";
import { program, stepBytes, tables, tablesEnd, writtenAt } from "./form-program.ts";

const placeBytes = 8;
const placesAt: number = Math.ceil(tablesEnd / placeBytes) * placeBytes;
const contextAt: number = placesAt + placesMax * placeBytes;
/** For each of what scope and resource say; names are cut, see `context-bytes.ts`. */
const contextBytesMax = 32_768;
const formsAt: number = contextAt + PLACES_OF_CONTEXT * contextBytesMax;
const formsBytesMax = 2_097_152;
const requestAt: number = formsAt + formsBytesMax;
/** Reading and writing goes on for so much behind the end of anything. */
const slackBytes = 64;

/** Of all memories: no two have a turn in common. */
let turns = 0;

export class FormMemory {
  bytes!: Uint8Array;
  #words!: Int32Array;
  readonly #run: Computation["run"];
  readonly #grow: Computation["grow"];
  #formsEnd = formsAt;
  /** Forms that came in an earlier turn were written over. */
  #turn: number = turns++;

  constructor() {
    instantiate ??= compile(program());
    const { memory, run, grow } = instantiate(requestAt + slackBytes);
    this.#run = run;
    this.#grow = grow;
    this.#look(memory);
    this.bytes.set(tables());
  }

  /**
   * Takes what forms are filled from: a request, and bytes behind it that belong to its records.
   *
   * @returns where the free bytes begin
   */
  take(request: Uint8Array, more: Uint8Array): number {
    const moreAt = requestAt + request.length;
    const end = moreAt + more.length + slackBytes;
    this.reserve(end);
    this.bytes.set(request, requestAt);
    this.bytes.set(more, moreAt);
    return end;
  }

  /** Makes room up to `end`, and some more. @returns all bytes, also those before */
  reserve(end: number): Uint8Array {
    const size = this.bytes.length;
    if (end + slackBytes <= size) return this.bytes;
    return this.#look(this.#grow(Math.max(end + slackBytes, size + (size >> 1))));
  }

  #look(memory: ArrayBuffer): Uint8Array {
    this.#words = new Int32Array(memory);
    return (this.bytes = new Uint8Array(memory));
  }

  /** A place is these bytes of the request, or of those behind it; a negative start: there is none. */
  set(place: number, start: number, stop: number): void {
    const at = (placesAt >> 2) + 2 * place;
    this.#words[at] = start < 0 ? 0 : requestAt + start;
    this.#words[at + 1] = requestAt + stop;
  }

  /** A place of the context is these bytes. */
  setContext(place: number, bytes: Uint8Array): void {
    const to = contextAt + (place - PLACE.service) * contextBytesMax;
    this.bytes.set(bytes, to);
    const at = (placesAt >> 2) + 2 * place;
    this.#words[at] = to;
    this.#words[at + 1] = to + bytes.length;
  }

  /** What a place of the context is. */
  contextAt(place: number): Uint8Array {
    const at = (placesAt >> 2) + 2 * place;
    return this.bytes.subarray(this.#words[at], this.#words[at + 1]);
  }

  get contextBytes(): number {
    let count = 0;
    for (let place = PLACE.service; place < PLACE.service + PLACES_OF_CONTEXT; place++) {
      count += this.contextAt(place).length;
    }
    return count;
  }

  /** Where a place begins in this memory; 0 where there is none. */
  startOf(place: number): number {
    return this.#words[(placesAt >> 2) + 2 * place]!;
  }

  /** Where the first step of a form is. */
  stepsOf(form: Form): number {
    if (form.turn !== this.#turn) this.#install(form);
    return form.stepsAt;
  }

  #install(form: Form): void {
    const count = form.blanks.length / numbersPerBlank;
    const textAt = Math.ceil(this.#formsEnd / stepBytes) * stepBytes + count * stepBytes;
    const end = textAt + form.text.length + slackBytes;
    if (end > requestAt) {
      if (this.#formsEnd === formsAt) throw new RangeError("the form is too large");
      // None is in use: all come again as they are needed.
      this.#turn = turns++;
      this.#formsEnd = formsAt;
      this.#install(form);
      return;
    }
    form.turn = this.#turn;
    form.stepsAt = textAt - count * stepBytes;
    this.#formsEnd = end;
    this.bytes.set(form.text, textAt);
    let runAt = textAt;
    let word = form.stepsAt >> 2;
    for (let at = 0; at < form.blanks.length; at += numbersPerBlank) {
      const length = form.blanks[at]!;
      this.#words[word++] = runAt;
      this.#words[word++] = length;
      this.#words[word++] = form.blanks[at + 1]!;
      this.#words[word++] = placesAt + placeBytes * form.blanks[at + 2]!;
      runAt += length;
    }
  }

  /**
   * Fills a form from one of its steps on, where there must be room.
   *
   * @returns the step that is not for this to do, whose run is written; `written` says how far
   */
  fill(step: number, at: number): number {
    return this.#run(step, at);
  }

  get written(): number {
    return this.#words[writtenAt >> 2]!;
  }
}

let instantiate: ReturnType<typeof compile> | undefined;
let memory: FormMemory | undefined;

/** Works in the memory: one that this made large is not kept. */
export function inFormMemory<Result>(work: (memory: FormMemory) => Result): Result {
  memory ??= new FormMemory();
  try {
    return work(memory);
  } finally {
    if (memory.bytes.length > formMemoryBytesKept) memory = undefined;
  }
}
