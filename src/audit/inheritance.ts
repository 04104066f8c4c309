/**
 * What a record has from around its item about who acted: from enclosing spans, and from the
 * resource between those of its own and those of other resources.
 */
import { ancestorsMax } from "../limits.ts";
import { groupsMissing, type Statement, statementsUnder } from "./actor.ts";
import { THERE } from "./circumstances.ts";
import { resourceSources } from "./conventions/base.ts";
import type { PendingRecord } from "./survey.ts";
import type { ResourceContext } from "./walk/items.ts";
import type { View } from "./walk/view.ts";

export class Inheritance {
  /** What the record that was asked for last takes, in this order, and the numbers of it. */
  readonly taken: Statement[] = [];
  readonly numbers: number[] = [];
  /** How many of these count: lists that were emptied would be allocated anew. */
  count = 0;
  /** Each of `taken` is a row as well, from this one on. */
  firstRow = 0;
  readonly #view: View;
  readonly #ofResources = new Map<ResourceContext, readonly Statement[]>();
  #held = 0;
  #bits = 0;

  constructor(view: View) {
    this.#view = view;
  }

  /**
   * @param held the members that the record has of its own
   * @returns what is to be said of it, as bits
   */
  find(record: PendingRecord, held: number): number {
    this.count = 0;
    this.#view.columns.size = this.firstRow;
    this.#held = held;
    this.#bits = 0;
    const { resource } = record.item.scope;
    const { type } = record.action;
    let one = record.above;
    let missing = one === undefined ? 0 : groupsMissing(held, type);
    let resourceAsked = false;
    for (let count = 0; one !== undefined && missing !== 0 && count < ancestorsMax; count++) {
      if (!resourceAsked && one.resource !== resource) {
        this.#ask(resource);
        resourceAsked = true;
        missing &= groupsMissing(this.#held, type);
      }
      for (const statement of one.statements) {
        if ((missing & statement.group) === 0) continue;
        this.#take(statement);
        this.#bits |= THERE.inferred;
      }
      if ((missing & one.disputed) !== 0) this.#bits |= THERE.ambiguous;
      missing &= ~one.settled;
      one = one.above;
    }
    if (!resourceAsked) this.#ask(resource);
    return this.#bits;
  }

  #ask(resource: ResourceContext): void {
    if (resource.attributes.count === 0) return;
    let statements = this.#ofResources.get(resource);
    if (statements === undefined) {
      const { attributes } = this.#view;
      statements = statementsUnder(this.#view.at(resource.attributes), resourceSources, "resource");
      this.#view.at(attributes);
      this.#ofResources.set(resource, statements);
    }
    for (const statement of statements) {
      if ((this.#held & statement.bit) !== 0) continue;
      if (statement.sentinel) this.#bits |= THERE.sentinel;
      else this.#take(statement);
    }
  }

  #take(statement: Statement): void {
    const { columns } = this.#view;
    const row = columns.add();
    columns.kind[row] = statement.kind;
    columns.valueStart[row] = statement.start;
    columns.valueStop[row] = statement.stop;
    this.taken[this.count] = statement;
    this.numbers[this.count++] = statement.number;
    this.#held |= statement.bit;
  }
}
