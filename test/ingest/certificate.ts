/** X.509 certificates for tests, made on the spot, so that no private key stands in the repository. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

export interface Certificate {
  /** PEM */
  readonly certificate: string;
  readonly key: string;
}

export interface Authority extends Certificate {
  /** A certificate for `localhost` and 127.0.0.1, for servers and clients. */
  issue(name: string, options?: IssueOptions): Certificate;
}

export interface IssueOptions {
  /** The only host that it names. */
  readonly host?: string;
  readonly isExpired?: boolean;
}

export function newAuthority(name: string): Authority {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const subject = distinguishedName(name);
  const make = (
    holder: string,
    holderKey: KeyObject,
    more: Pick<Contents, "extensions" | "until">,
  ): string => {
    const contents = { subject: distinguishedName(holder), issuer: subject, ...more };
    return pem(certificate(contents, holderKey, privateKey));
  };
  return {
    certificate: make(name, publicKey, { extensions: [CONSTRAINTS], until: farAway }),
    key: pemOf(privateKey),
    issue(holder, { host, isExpired = false } = {}) {
      const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const extensions = [alternativeNames(host)];
      const until = isExpired ? longAgo : farAway;
      const text = make(holder, pair.publicKey, { extensions, until });
      return { certificate: text, key: pemOf(pair.privateKey) };
    },
  };
}

function tagged(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const size = content.length;
  const length = size < 128 ? [size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => tagged(0x30, ...parts);
const hex = (text: string): Buffer => Buffer.from(text, "hex");
const ECDSA_SHA256 = sequence(hex("06082a8648ce3d040302"));
const TRUE = hex("0101ff");
/** basicConstraints: a certificate authority. */
const CONSTRAINTS = sequence(hex("0603551d13"), TRUE, tagged(0x04, sequence(TRUE)));
const farAway = "491231235959Z";
const longAgo = "210101000000Z";

function alternativeNames(host: string | undefined): Buffer {
  const names =
    host === undefined
      ? [tagged(0x82, Buffer.from("localhost")), tagged(0x87, hex("7f000001"))]
      : [tagged(0x82, Buffer.from(host))];
  return sequence(hex("0603551d11"), tagged(0x04, sequence(...names)));
}

function distinguishedName(name: string): Buffer {
  const commonName = sequence(hex("0603550403"), tagged(0x0c, Buffer.from(name)));
  return sequence(tagged(0x31, commonName));
}

interface Contents {
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly extensions: readonly Buffer[];
  /** The end of its validity. */
  readonly until: string;
}

function certificate(
  { subject, issuer, extensions, until }: Contents,
  holder: KeyObject,
  signer: KeyObject,
): Buffer {
  const time = (text: string): Buffer => tagged(0x17, Buffer.from(text));
  const body = sequence(
    tagged(0xa0, hex("020102")),
    tagged(0x02, Buffer.concat([hex("01"), randomBytes(8)])),
    ECDSA_SHA256,
    issuer,
    sequence(time("200101000000Z"), time(until)),
    subject,
    holder.export({ type: "spki", format: "der" }),
    tagged(0xa3, sequence(...extensions)),
  );
  const signature = sign("sha256", body, signer);
  return sequence(body, ECDSA_SHA256, tagged(0x03, hex("00"), signature));
}

function pem(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

function pemOf(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" });
}
