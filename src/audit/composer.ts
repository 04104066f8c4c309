/**
 * Writes the body of one record after the other. What records of one kind share is drawn once, as a
 * form; for the next of them it is only filled.
 */
import { itemBytesMax } from "../limits.ts";
import { bitsOf, THERE } from "./circumstances.ts";
import { type ContextBytes, contextBytes, nameJson } from "./context-bytes.ts";
import { Drafter } from "./drafter.ts";
import { FormDrawer } from "./draw-form.ts";
import { Filler } from "./filler.ts";
import type { Form } from "./form.ts";
import type { FormMemory } from "./form-memory.ts";
import { Inheritance } from "./inheritance.ts";
import type { JsonWriter } from "./json-writer.ts";
import { MEMBER } from "./members.ts";
import { formFor, keepForm, type Outline, outlineOf } from "./outline.ts";
import { type Clues, outcomeOf } from "./outcome.ts";
import type { Finding, RedactedRequest } from "./redact/request.ts";
import { attributesOf, type PendingRecord } from "./survey.ts";
import { findingsJson, phiJson, relationsJson } from "./trail.ts";
import type { ScopeContext } from "./walk/items.ts";
import type { ShapeTree } from "./walk/shapes.ts";
import type { View } from "./walk/view.ts";

/** What is used for request after request. */
export interface Desk {
  readonly shapes: ShapeTree;
  readonly drawer: FormDrawer;
}

/** What one request brings. */
interface Materials extends Desk {
  readonly view: View;
  readonly redacted: RedactedRequest;
  /** Those of all records, 16 bytes each. */
  readonly ids: Uint8Array;
  /** Where the request, the nonce of the record and the time of observation are. */
  readonly memory: FormMemory;
  readonly writer: JsonWriter;
}

export class Composer {
  readonly #materials: Materials;
  readonly #view: View;
  readonly #filler: Filler;
  readonly #inheritance: Inheritance;
  readonly #drafter: Drafter;
  /** Bits that all records of the request share. */
  readonly #bits: number;
  #scope: ScopeContext | undefined = undefined;
  #context!: ContextBytes;
  /** The item whose account of returned columns was written last. */
  #accounted = -1;
  readonly #clues: Clues = { result: -1, errorType: -1, finishReasons: -1, evidence: false };

  constructor(materials: Materials, authenticated: boolean) {
    const { view, writer, memory } = materials;
    this.#materials = materials;
    this.#view = view;
    this.#filler = new Filler(view, memory, writer);
    this.#inheritance = new Inheritance(view);
    this.#drafter = new Drafter(view, this.#inheritance, this.#filler);
    this.#bits = authenticated ? THERE.authenticated : 0;
  }

  /** Appends the record's body. */
  write(record: PendingRecord): void {
    const { writer } = this.#materials;
    const { columns } = this.#view;
    const filler = this.#filler;
    const start = writer.at;
    const rows = columns.size;
    let bits = this.#begin(record);
    let outline = this.#outline(record);
    for (;;) {
      columns.size = rows;
      writer.at = start;
      writer.coerced = false;
      const known = outline === undefined ? undefined : this.#known(record, outline, bits);
      const form = known ?? this.#draw(record, outline, bits);
      if (!filler.fill(form)) outline = undefined;
      else if (writer.coerced && !form.coerced) bits |= THERE.coerced;
      else break;
    }
    columns.size = rows;
  }

  /** Everything that is put in blanks and stands in no attribute. @returns what there is, as bits */
  #begin(record: PendingRecord): number {
    const { item, event } = record;
    const filler = this.#filler;
    const { json } = filler;
    filler.begin(item, event);
    filler.attributes = attributesOf(record);
    filler.inheritedAt = this.#inheritance.firstRow = this.#view.columns.size;
    filler.cut = item.stop - item.start > itemBytesMax;
    this.#enter(item.scope);
    const bits = this.#bits | bitsOf(record, this.#context);
    if ((bits & THERE.eventName) !== 0) {
      const name = nameJson(event?.name ?? item.eventName);
      json[MEMBER["source.event_name"]] = json[MEMBER["action.name"]] = name;
    }
    if (record.related !== undefined)
      json[MEMBER.related] = relationsJson(record.related, this.#materials.ids);
    if (record.duplicateOf !== undefined) {
      json[MEMBER.duplicate_of] = relationsJson(record.duplicateOf, this.#materials.ids);
    }
    return bits | this.#findings(record);
  }

  #enter(scope: ScopeContext): void {
    if (scope === this.#scope) return;
    this.#scope = scope;
    this.#context = contextBytes(scope, this.#view);
    this.#filler.enter(this.#context);
  }

  #findings({ item }: PendingRecord): number {
    const { items, scopes, resources } = this.#materials.redacted;
    if (items.size + scopes.size + resources.size === 0) return 0;
    const { json } = this.#filler;
    const own = items.get(item.ordinal);
    const list: Finding[] = [
      ...(own?.findings ?? []),
      ...(scopes.get(item.scope.ordinal) ?? []),
      ...(resources.get(item.scope.resource.ordinal) ?? []),
    ];
    let bits = 0;
    if (list.length > 0) {
      json[MEMBER.redaction] = findingsJson(list);
      bits |= THERE.findings;
    }
    // What was returned is counted once: for what the item is about, not for decisions on it too.
    if (own?.phi === undefined || this.#accounted === item.ordinal) return bits;
    this.#accounted = item.ordinal;
    json[MEMBER["data.phi"]] = phiJson(own.phi);
    return bits | THERE.phi;
  }

  /** Undefined where no other record is like this one. */
  #outline(record: PendingRecord): Outline | undefined {
    const { action, convention, item, event } = record;
    if (event !== undefined || item.events.length > 0 || this.#filler.cut) return undefined;
    if (!action.lasting) return undefined;
    const outline = outlineOf(action, convention, this.#view.use(item).layout);
    return outline.usual ? outline : undefined;
  }

  /** The form that was drawn for a record like this one. */
  #known(record: PendingRecord, outline: Outline, bits: number): Form | undefined {
    const view = this.#view.use(record.item);
    const inheritance = this.#inheritance;
    const inherited = inheritance.find(record, outline.held);
    const { base } = view.attributes;
    const clues = this.#clues;
    clues.result = outline.result < 0 ? -1 : base + outline.result;
    clues.errorType = outline.errorType < 0 ? -1 : base + outline.errorType;
    clues.finishReasons = outline.finishReasons < 0 ? -1 : base + outline.finishReasons;
    clues.evidence = outline.evidence;
    const outcome = outcomeOf(view, record.action, clues, record.decided);
    return formFor(outline, outcome, bits | inherited, inheritance);
  }

  /** @param outline where the form may be of use again */
  #draw(record: PendingRecord, outline: Outline | undefined, bits: number): Form {
    const drafter = this.#drafter;
    const { draft } = drafter;
    const all = bits | drafter.take(record);
    const clues = drafter.clues(record.action);
    const outcome = outcomeOf(this.#view, record.action, clues, record.decided);
    drafter.finish(record, outcome, all);
    const lasting = outline !== undefined && !draft.particular;
    const subject = {
      draft,
      columns: this.#view.columns,
      attributes: this.#view.attributes,
      layout: this.#view.layout,
      inheritedAt: this.#inheritance.firstRow,
      cut: this.#filler.cut,
      lasting,
    };
    const { numbers, count } = this.#inheritance;
    const statements = lasting ? numbers.slice(0, count) : [];
    const form = this.#materials.drawer.draw(subject, { outcome, bits: all, statements });
    if (lasting) {
      keepForm(outline, form);
      this.#materials.shapes.noteForm();
    }
    return form;
  }
}
