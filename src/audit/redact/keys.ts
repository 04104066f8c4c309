/** Keys with a meaning for redaction, each table in one place. */

/** Values that say who and where: tokenised on a hit, so that records of one person stay together. */
const identityKeys: readonly string[] = [
  "user.id",
  "user.name",
  "user.email",
  "user.full_name",
  "user.account_id",
  "user.account_uuid",
  "user_id",
  "enduser.id",
  "enduser.pseudo.id",
  "gen_ai.user",
  "gen_ai.user.id",
  "llm.user",
  "langfuse.user.id",
  "langfuse.session.id",
  "gen_ai.agent.id",
  "gen_ai.agent.name",
  "agent.id",
  "agent.name",
  "session.id",
  "session_id",
  "gen_ai.conversation.id",
  "gen_ai.session.id",
  "organization.id",
  "service.name",
  "service.namespace",
  "service.instance.id",
  "tenant.id",
  "tenant",
  "namespace",
  "spanseal.tenant",
  "spanseal.namespace",
  "spanseal.user.id",
  "spanseal.decision.approver",
];

/** The who-and-where keys, with those that the configuration takes names from. */
export function identityKeySet(more: readonly string[]): ReadonlySet<string> {
  return new Set([...identityKeys, ...more]);
}

/** Semantic-convention keys whose value is an address by definition. */
const addressKeys: ReadonlySet<string> = new Set([
  "client.address",
  "server.address",
  "source.address",
  "destination.address",
  "network.peer.address",
  "network.local.address",
  "host.ip",
  "host.mac",
  "http.client_ip",
  "k8s.pod.ip",
  "net.peer.ip",
  "net.peer.name",
  "net.host.ip",
  "net.host.name",
  "net.sock.peer.addr",
  "net.sock.host.addr",
]);

/** Whether an IP address under this key is left alone; a version number looks like one. */
export function isAddressKey(key: string): boolean {
  return addressKeys.has(key) || key.endsWith("version") || key.endsWith(".ver");
}

/** Members that hold the value of what the key around them names, as in `password: {value: …}`. */
const carriers: ReadonlySet<string> = new Set([
  "value",
  "values",
  "val",
  "data",
  "text",
  "content",
  "raw",
  "string",
  "plain",
  "plaintext",
  "plain_text",
  "string_value",
  "int_value",
  "new",
  "old",
  "current",
  "previous",
  "new_value",
  "old_value",
]);

/** Whether what the key of a map says holds for this member (a normalised key) of it. */
export function isCarrier(key: string): boolean {
  return carriers.has(key);
}

/** Spellings of keys that came before: there are few, in every span anew. */
const spellings = new Map<string, string>();
const spellingsMax = 1024;
const spellingCharsMax = 128;

/** One spelling for `clientSecret`, `client-secret` and `client.secret`: `client_secret`. */
export function normalizeKey(key: string): string {
  const known = spellings.get(key);
  if (known !== undefined) return known;
  const normalized = key
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replace(/[^A-Za-z0-9]+/g, "_")
    .toLowerCase();
  if (key.length <= spellingCharsMax) {
    if (spellings.size >= spellingsMax) spellings.clear();
    spellings.set(key, normalized);
  }
  return normalized;
}
