/** What waits for a commit, and how much of it makes one group. */
import { batchRecordsMax, groupBytesMax, lineFrameBytesMax } from "../limits.ts";
import { itemBytes, itemCount, type Item } from "./group.ts";

export class CommitQueue {
  #items: Item[] = [];
  #bytes = 0;

  get length(): number {
    return this.#items.length;
  }

  /** Of the bodies that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  push(item: Item): void {
    this.#items.push(item);
    this.#bytes += itemBytes(item);
  }

  /** The next group: in order, at least one item, at most a group's size unless one item is larger. */
  take(): Item[] {
    const taken: Item[] = [];
    let bytes = 0;
    let count = 0;
    for (const item of this.#items) {
      const isAlone = item.type === "control" && item.alone;
      if (taken.length > 0 && isAlone) break;
      bytes += itemBytes(item) + itemCount(item) * lineFrameBytesMax;
      count += itemCount(item);
      if (taken.length > 0 && (bytes > groupBytesMax || count > batchRecordsMax)) break;
      taken.push(item);
      this.#bytes -= itemBytes(item);
      if (isAlone) break;
    }
    this.#items.splice(0, taken.length);
    return taken;
  }

  takeAll(): Item[] {
    const items = this.#items;
    this.#items = [];
    this.#bytes = 0;
    return items;
  }
}
