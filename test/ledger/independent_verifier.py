"""A second reading of proto/FORMAT.md, in another language and without our code.

Usage: python3 independent_verifier.py proto/vectors/ledger.json
Exit code 0 where every value of the vector file follows from its keys and lines.
"""
import base64, hashlib, hmac, json, re, sys

vector = json.load(open(sys.argv[1], encoding="utf-8"))


def check(name, computed, stated):
    if computed != stated:
        sys.exit(f"{name}: computed {computed!r}, stated {stated!r}")


def sha(data):
    return hashlib.sha256(data).digest()


def mac_of(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def lp(*parts):
    raw = [part.encode() if isinstance(part, str) else part for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in raw)


def canonical(value):
    # Enough of RFC 8785 for the vectors: no fractions, names in the basic plane.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def chain_key(epoch_key, namespace, tenant):
    info = lp("spanseal chain v1", DIGEST, namespace, tenant)
    return mac_of(mac_of(bytes(32), epoch_key), info + b"\x01")  # HKDF, one block


def genesis(namespace, tenant):
    return sha(b"spanseal genesis v1\n" + lp(DIGEST, namespace, tenant))


def root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha(b"\x01" + root(leaves[:split]) + root(leaves[split:]))


def tips_root(tips):
    if len(tips) == 1:
        tag, sequence, mac = tips[0]
        return sha(b"spanseal tips v1\n\x00" + tag + sequence.to_bytes(8, "big") + mac)
    bit_of = lambda tag, bit: tag[bit // 8] >> (7 - bit % 8) & 1
    bit = next(b for b in range(256) if len({bit_of(tag, b) for tag, _, _ in tips}) == 2)
    sides = [tips_root([tip for tip in tips if bit_of(tip[0], bit) == side]) for side in (0, 1)]
    return sha(b"spanseal tips v1\n\x01" + bytes([bit]) + sides[0] + sides[1])


# Ed25519 verification as in RFC 8032, section 5.1.7, slow and short.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
CURVE_D = -121665 * pow(121666, P - 2, P) % P


def add(p, q):
    x1, y1, x2, y2 = *p, *q
    k = CURVE_D * x1 * x2 * y1 * y2 % P
    x3 = (x1 * y2 + x2 * y1) * pow(1 + k, P - 2, P) % P
    return x3, (y1 * y2 + x1 * x2) * pow(1 - k, P - 2, P) % P


def times(scalar, point):
    result = (0, 1)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def decompress(data):
    value = int.from_bytes(data, "little")
    y, sign = value & (2**255 - 1), value >> 255
    x2 = (y * y - 1) * pow(CURVE_D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (x if x & 1 == sign else P - x), y


def signature_holds(public, message, signature):
    base = decompress(bytes([0x58] + [0x66] * 31))
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    h = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % L
    return s < L and times(s, base) == add(decompress(r), times(h, decompress(public)))


DIGEST = sha(b"spanseal descriptor v1\n" + vector["descriptor"].encode())
check("descriptor digest", DIGEST.hex(), vector["descriptor_digest"])
descriptor = json.loads(vector["descriptor"])
check("origin", f'{descriptor["origin"]}/{descriptor["instance"]}', vector["origin"])
keys = {}
for epoch in (1, 2):
    key = bytes.fromhex(vector["keys"][f"chain_epoch_{epoch}"])
    name = f'{epoch}:{mac_of(key, b"spanseal key check v1" + bytes([10]))[:4].hex()}'
    check("key name", name, vector["keys"][f"key_name_{epoch}"])
    keys[name] = key

LINE = re.compile(r'\{"head":(\{"body_digest":.*?"writer":"[0-9a-f]{32}"\}),"mac":"([0-9a-f]{64})","body":(\{.*\})\}')
tips, tags, leaves, entries, checkpoints = {}, {}, [], [], {}
for index, record in enumerate(vector["records"]):
    head_text, mac_hex, body = LINE.fullmatch(record["line"]).groups()
    head, mac = json.loads(head_text), bytes.fromhex(mac_hex)
    check("canonical head", canonical(head), head_text)
    check("canonical body", canonical(json.loads(body)), body)
    check("body digest", sha(b"spanseal body v1\n" + body.encode()).hex(), head["body_digest"])
    chain = (head["namespace"], head["tenant"])
    key = chain_key(keys[head["key"]], *chain)
    check("MAC", mac_of(key, b"spanseal record v1\n" + head_text.encode()).hex(), mac_hex)
    sequence, previous = tips.get(chain, (0, genesis(*chain)))
    check("place", (head["index"], head["sequence"], head["previous_mac"], head["writer"]),
          (index, sequence + 1, previous.hex(), descriptor["instance"]))
    if head["kind"] == "seal":
        root_now = tips_root([(tags[name], *tip) for name, tip in tips.items()])
        check("tips root", root_now.hex(), json.loads(body)["tips_root"])
    tags.setdefault(chain, mac_of(key, b"spanseal tips v1\n" + genesis(*chain)))
    tips[chain] = (head["sequence"], mac)
    entries.append(sha(b"spanseal entry v1\n" + head_text.encode() + mac))
    leaves.append(sha(b"\x00" + entries[-1]))
    check("entry", entries[-1].hex(), record["entry"])
    check("root", base64.b64encode(root(leaves)).decode(), record["root_after"])

name, key_id, blob = vector["keys"]["vkey"].split("+", 2)
public = base64.b64decode(blob)[1:]
check("key id", sha(name.encode() + b"\n\x01" + public)[:4].hex(), key_id)
for size, note in vector["checkpoints"].items():
    text, _, signatures = note.rpartition("\n\n")
    origin, stated_size, stated_root = text.split("\n")
    check("checkpoint", (origin, stated_size), (name, size))
    check("signed root", base64.b64decode(stated_root), root(leaves[: int(size)]))
    signed = base64.b64decode(signatures.split(" ")[2])
    check("signature key", signed[:4].hex(), key_id)
    check("signature", signature_holds(public, (text + "\n").encode(), signed[4:]), True)
    bundle = b"".join(b"\x00\x20" + entry for entry in entries[: int(size)])
    check("bundle", bundle.hex(), vector["tiles"][f"tile/entries/000.p/{size}"])
    check("tile", b"".join(leaves[: int(size)]).hex(), vector["tiles"][f"tile/0/000.p/{size}"])
print(f"ok: {len(leaves)} records, {len(vector['checkpoints'])} checkpoints")
