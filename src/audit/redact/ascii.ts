/** Kinds of ASCII bytes. */

export const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
export const isCapital = (byte: number): boolean => byte >= 0x41 && byte <= 0x5a;
export const isLowerLetter = (byte: number): boolean => byte >= 0x61 && byte <= 0x7a;
/** Small letters stay, capitals become small; other bytes may become anything. */
export const lower = (byte: number): number => byte | 0x20;
export const isLetter = (byte: number): boolean => isLowerLetter(byte | 0x20);
export const isHex = (byte: number): boolean =>
  isDigit(byte) || (lower(byte) >= 0x61 && lower(byte) <= 0x66);
