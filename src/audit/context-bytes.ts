/** JSON that many records share, made once: enumerated words, and what scope and resource say. */
import { canonicalize } from "../bytes/canonical-json.ts";
import { encodeUtf8 } from "../bytes/utf8.ts";
import type { ScopeContext } from "./walk/items.ts";
import { keyId } from "./walk/keys.ts";
import type { View } from "./walk/view.ts";

const words = new Map<string | boolean, Uint8Array>();

/** For words from lists of our own only: what was made is kept for ever. */
export function jsonBytes(word: string | boolean): Uint8Array {
  let bytes = words.get(word);
  if (bytes === undefined) words.set(word, (bytes = encodeUtf8(canonicalize(word))));
  return bytes;
}

export interface ContextBytes {
  /** `name@version` of the instrumentation scope. */
  readonly scope: Uint8Array | undefined;
  readonly schemaUrl: Uint8Array | undefined;
  /** `service.name`, `.version` and `.instance.id` of the resource. */
  readonly service: Uint8Array | undefined;
}

const contexts = new WeakMap<ScopeContext, ContextBytes>();

export function contextBytes(scope: ScopeContext, view: View): ContextBytes {
  let bytes = contexts.get(scope);
  if (bytes === undefined) contexts.set(scope, (bytes = describe(scope, view)));
  return bytes;
}

const NAME = keyId("service.name");
const VERSION = keyId("service.version");
const INSTANCE = keyId("service.instance.id");

function describe(scope: ScopeContext, view: View): ContextBytes {
  const { name, version, schemaUrl } = scope;
  const before = view.attributes;
  view.at(scope.resource.attributes);
  const service = {
    instance: view.name(INSTANCE)?.slice(0, nameCharsMax),
    name: view.name(NAME)?.slice(0, nameCharsMax),
    version: view.name(VERSION)?.slice(0, nameCharsMax),
  };
  view.at(before);
  const known = Object.values(service).some((value) => value !== undefined);
  const title = version === "" ? name : `${name}@${version}`;
  return {
    scope: title === "" ? undefined : encodeUtf8(nameJson(title)),
    schemaUrl: schemaUrl === "" ? undefined : encodeUtf8(nameJson(schemaUrl)),
    service: known ? encodeUtf8(canonicalize(service)) : undefined,
  };
}

/** Names stand in every record of their scope, so a name that is none is cut. */
const nameCharsMax = 1024;

export function nameJson(name: string): string {
  return canonicalize(name.slice(0, nameCharsMax));
}
