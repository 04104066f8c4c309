/** What stands in the place of a declared column's value. */
import { drops, tokenDigitsMax, type Actions } from "../redact/actions.ts";
import { normalizerOf } from "../redact/detectors/packs.ts";
import { treatText, type Change, type Scene } from "../redact/plain.ts";
import type { PhiScene } from "./account.ts";
import type { PhiColumn } from "./tables.ts";

/**
 * The treated text of a value (one character per byte), or undefined where it was treated before.
 * The subject column's is kept for the account, as a token whatever the action.
 */
export function treatCell(
  text: string,
  cell: { readonly column: PhiColumn; readonly isSubject: boolean },
  scene: Pick<Scene, "policy" | "tenant"> & { readonly phi: PhiScene },
): string | undefined {
  const { column, isSubject } = cell;
  const options = { class: column.class, normalize: normalizerOf(column.class), scene };
  const done = isTreated(text, scene);
  const treated = done ? text : treatText(column.actions, text, options);
  if (isSubject) {
    const token =
      done || isKeyed(column.actions) ? treated : treatText(token32(column.class), text, options);
    scene.phi.account.subjects.add(token);
  }
  return done ? undefined : treated;
}

function isTreated(text: string, { policy }: Pick<Scene, "policy">): boolean {
  const match = text.match(policy.shield);
  return match !== null && match[0] === text;
}

function isKeyed(actions: Actions): boolean {
  const kind = actions.steps[0]?.kind;
  return kind === "tokenize" || kind === "hash";
}

/** A token no wider than the class allows. */
function token32(what: string): Actions {
  const width = Math.min(32, tokenDigitsMax(what));
  return { name: "tokenize", steps: [{ kind: "tokenize" }, { kind: "truncate", width }] };
}

/** The change of a cell; its drop is still to be carried out. */
export function cellChange(
  column: PhiColumn,
  bounds: { readonly start: number; readonly end: number },
  text: string,
): Change {
  return {
    ...bounds,
    text,
    rule: `phi.${column.name}`,
    class: column.class,
    action: column.actions.name,
    drop: drops(column.actions),
  };
}
