/** Which chain a record belongs to, and what a request shows about its traces. */
import { dataViewOf } from "../bytes/copy.ts";
import { checkName } from "./names.ts";
import type { AuditPolicy } from "./policy.ts";
import type { ChainName } from "./prepared-batch.ts";
import { agree, type TraceFacts, type TraceMemory, type TraceName } from "./trace-memory.ts";
import type { Attributes } from "./walk/attributes.ts";
import type { Item, ResourceContext, ScopeContext } from "./walk/items.ts";
import { keyId } from "./walk/keys.ts";
import type { View } from "./walk/view.ts";

type NameKind = "namespace" | "tenant";

/** What one request shows about one trace. */
export interface TraceNotes {
  /** The trace id as 16 latin1 characters. */
  readonly id: string;
  /** Running number of the trace in the request. */
  readonly number: number;
  agent: boolean;
  /** The one name seen; null where spans of the trace disagree. */
  namespace: TraceName;
  tenant: TraceName;
  /** What earlier requests showed. */
  readonly remembered: TraceFacts | undefined;
}

export interface Names {
  readonly namespace: string | undefined;
  readonly tenant: string | undefined;
}

export class ChainResolver {
  readonly #keys: Readonly<Record<NameKind, readonly number[]>>;
  readonly #policy: AuditPolicy;
  readonly #memory: TraceMemory;
  readonly #view: View;
  /** The bytes of the request. */
  readonly #words: DataView;
  readonly #ofContext = new Map<ScopeContext | ResourceContext, Names>();
  readonly #traces = new Map<string, TraceNotes>();
  #latest: TraceNotes | undefined = undefined;
  #latestAt = -1;
  readonly chains: ChainName[] = [];
  readonly #numbers = new Map<string, number>();
  #chainLatest = -1;

  constructor(policy: AuditPolicy, memory: TraceMemory, view: View) {
    this.#policy = policy;
    this.#memory = memory;
    this.#view = view;
    this.#words = dataViewOf(view.bytes);
    this.#keys = {
      namespace: policy.namespace.from.map((name) => keyId(name)),
      tenant: policy.tenant.from.map((name) => keyId(name)),
    };
  }

  /** Notes of the item's trace, undefined where it has no trace id. */
  trace(item: Item): TraceNotes | undefined {
    const at = item.traceAt;
    if (at < 0) return undefined;
    if (this.#latest !== undefined && this.#sameAsLatest(at)) return this.#latest;
    const id = this.#view.latin1(at, at + 16);
    let notes = this.#traces.get(id);
    if (notes === undefined) {
      const remembered = this.#memory.recall(id);
      const number = this.#traces.size;
      notes = { id, number, agent: false, namespace: undefined, tenant: undefined, remembered };
      this.#traces.set(id, notes);
    }
    this.#latest = notes;
    this.#latestAt = at;
    return notes;
  }

  #sameAsLatest(at: number): boolean {
    const words = this.#words;
    for (let offset = 0; offset < 16; offset += 4) {
      const word = words.getInt32(at + offset, true);
      if (word !== words.getInt32(this.#latestAt + offset, true)) return false;
    }
    return true;
  }

  /**
   * The names that the item itself, its scope or its resource states; noted for its trace.
   *
   * @throws RequestError where one cannot name a chain.
   */
  namesOf(item: Item, trace: TraceNotes | undefined): Names {
    const own = this.#read(item.attributes);
    const around = this.#namesOfScope(item.scope);
    if (own === NOTHING && around === NOTHING) return NOTHING;
    let names = around;
    if (own !== NOTHING) {
      names = {
        namespace: own.namespace ?? around.namespace,
        tenant: own.tenant ?? around.tenant,
      };
    }
    if (trace !== undefined) {
      trace.namespace = agree(trace.namespace, names.namespace);
      trace.tenant = agree(trace.tenant, names.tenant);
    }
    return names;
  }

  #namesOfScope(scope: ScopeContext): Names {
    const known = this.#ofContext.get(scope);
    if (known !== undefined) return known;
    const own = this.#read(scope.attributes);
    const around = this.#read(scope.resource.attributes);
    const namespace = own.namespace ?? around.namespace;
    const tenant = own.tenant ?? around.tenant;
    const names = namespace === undefined && tenant === undefined ? NOTHING : { namespace, tenant };
    this.#ofContext.set(scope, names);
    return names;
  }

  #read(attributes: Attributes): Names {
    if (attributes.count === 0) return NOTHING;
    const namespace = this.#readOne("namespace", attributes);
    const tenant = this.#readOne("tenant", attributes);
    return namespace === undefined && tenant === undefined ? NOTHING : { namespace, tenant };
  }

  #readOne(kind: NameKind, attributes: Attributes): string | undefined {
    const { bytes, columns } = this.#view;
    const { positions } = attributes.layout(bytes, columns);
    for (const key of this.#keys[kind]) {
      if ((positions[key] ?? -1) < 0) continue;
      const name = this.#view.at(attributes).name(key);
      if (name === undefined || name === "") continue;
      checkName(kind, name);
      return name;
    }
    return undefined;
  }

  /** The number of the chain in `chains`, after all items of the request were noted. */
  chainOf(names: Names, trace: TraceNotes | undefined): number {
    const namespace =
      names.namespace ?? nameOf(trace, "namespace") ?? this.#policy.namespace.default;
    const tenant = names.tenant ?? nameOf(trace, "tenant") ?? this.#policy.tenant.default;
    const latest = this.chains[this.#chainLatest];
    if (latest !== undefined && latest.namespace === namespace && latest.tenant === tenant) {
      return this.#chainLatest;
    }
    // Neither name can hold a line feed.
    const key = `${namespace}\n${tenant}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.chains.push({ namespace, tenant }) - 1;
      this.#numbers.set(key, number);
    }
    this.#chainLatest = number;
    return number;
  }

  /** Hands what this request showed to the memory. */
  remember(): void {
    for (const { id, agent, namespace, tenant } of this.#traces.values()) {
      if (!agent && namespace === undefined && tenant === undefined) continue;
      this.#memory.remember(id, { agent, namespace, tenant });
    }
  }
}

/** Whether an agent takes part in the trace, by this request or by earlier ones. */
export function agentSeen(trace: TraceNotes | undefined): boolean {
  return trace !== undefined && (trace.agent || trace.remembered?.agent === true);
}

/** Whether spans of the trace name different chains, so that only an ancestor can tell. */
export function isMixed(trace: TraceNotes | undefined): boolean {
  return trace !== undefined && (trace.namespace === null || trace.tenant === null);
}

/** Whether the chain had to be the default because spans of the trace name different ones. */
export function isAmbiguous(names: Names, trace: TraceNotes | undefined): boolean {
  return (
    (names.namespace === undefined && nameOf(trace, "namespace") === null) ||
    (names.tenant === undefined && nameOf(trace, "tenant") === null)
  );
}

/** By what this request shows of the trace, else by what earlier ones showed. */
function nameOf(trace: TraceNotes | undefined, kind: NameKind): TraceName {
  const own = trace?.[kind];
  return own === undefined ? trace?.remembered?.[kind] : own;
}

const NOTHING: Names = { namespace: undefined, tenant: undefined };
