/** Arrays of numbers that grow. */

type Numbers = Uint8Array | Uint32Array | Int32Array | Float64Array;

/** `values`, no Buffer, where they have room for `count`; else twice as many or more, with zeros behind. */
export function roomFor<Values extends Numbers>(values: Values, count: number): Values {
  if (count <= values.length) return values;
  let { length } = values;
  while (length < count) length *= 2;
  const longer = new (values.constructor as new (length: number) => Values)(length);
  longer.set(values);
  return longer;
}
