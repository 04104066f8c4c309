"""A second reading of proto/FORMAT.md, in another language and without our code.

Usage: python3 independent_verifier.py vectors proto/vectors/ledger.json
         exit code 0 where every value of the vector file follows from its keys and lines
       python3 independent_verifier.py logs CASES.json
         CASES: a list of {"ledger", "bucket" or null, "vkeys", "chain_keys"}; prints one verdict a line
"""
import base64, hashlib, hmac, json, os, re, sys


class Broken(Exception):
    pass


def demand(condition, what):
    if not condition:
        raise Broken(what)


def sha(data):
    return hashlib.sha256(data).digest()


def mac_of(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def lp(*parts):
    raw = [part.encode() if isinstance(part, str) else part for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in raw)


def canonical(value):
    # Enough of RFC 8785 for what is read here: no fractions, names in the basic plane.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def parse_canonical(text):
    value = json.loads(text)
    demand(canonical(value) == text, "JSON is not canonical")
    return value


def leaf_of(entry):
    return sha(b"\x00" + entry)


def node_of(left, right):
    return sha(b"\x01" + left + right)


def root(leaves):
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_of(root(leaves[:split]), root(leaves[split:]))


def tips_root(tips):
    if not tips:
        return sha(b"spanseal tips v1\n")
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
    if (x * x - x2) % P:
        return None
    return (x if x & 1 == sign else P - x), y


KNOWN_SIGNATURES = {}


def signature_holds(public, message, signature):
    key = (public, message, signature)
    if key not in KNOWN_SIGNATURES:
        KNOWN_SIGNATURES[key] = len(signature) == 64 and is_signature(*key)
    return KNOWN_SIGNATURES[key]


def is_signature(public, message, signature):
    base = decompress(bytes([0x58] + [0x66] * 31))
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    h = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % L
    points = decompress(r), decompress(public)
    return None not in points and s < L and times(s, base) == add(points[0], times(h, points[1]))


def base64_of(text):
    data = base64.b64decode(text, validate=True)
    demand(base64.b64encode(data).decode() == text, "base64 is not canonical")
    return data


def parse_vkey(text):
    name, key_id, blob = text.split("+", 2)
    data = base64_of(blob)
    demand(data[0] == 1 and len(data) == 33, "no Ed25519 key")
    demand(sha(name.encode() + b"\n" + data)[:4].hex() == key_id, "key id")
    return name, key_id, data[1:]


class Note:
    """A checkpoint: rules 18 and C2SP signed-note."""

    def __init__(self, data):
        demand(len(data) <= 65536, "note too long")
        text, split, signatures = data.decode("utf-8").rpartition("\n\n")
        demand(split and signatures.endswith("\n"), "no signatures")
        demand(not re.search(r"[\0-\x09\x0b-\x1f]", text), "control character")
        self.text = text + "\n"
        lines = self.text.split("\n")
        demand(len(lines) == 4, "not three lines")
        self.origin, size, root_text = lines[:3]
        demand(re.fullmatch(r"0|[1-9][0-9]{0,15}", size), "size")
        self.size, self.root = int(size), base64_of(root_text)
        demand(len(self.root) == 32, "root")
        self.signatures = []
        for line in signatures[:-1].split("\n"):
            match = re.fullmatch("\u2014 ([^\\s+]+) ([A-Za-z0-9+/=]+)", line)
            demand(match, "signature line")
            blob = base64_of(match[2])
            demand(len(blob) > 4, "empty signature")
            self.signatures.append((match[1], blob[:4].hex(), blob[4:]))

    def judge(self, vkeys):
        good = set()
        for name, key_id, signature in self.signatures:
            for vkey in vkeys:
                if (name, key_id) == vkey[:2]:
                    holds = signature_holds(vkey[2], self.text.encode(), signature)
                    demand(holds, "a known key's signature is bad")
                    good.add(vkey)
        return good


LINE = re.compile(
    rb'\{"head":(\{"body_digest":[^{}]*"writer":"[0-9a-f]{32}"\}),"mac":"([0-9a-f]{64})","body":(\{.*\})\}', re.S
)
HEAD = ["body_digest", "group", "id", "index", "key", "kind", "namespace", "previous_mac",
        "sequence", "tenant", "time", "version", "writer"]
SYSTEM = ("spanseal", "system")
LOSSES = (0, 0)
LOG_KINDS = {"opened", "closed", "recovered", "seal", "key_rotated"}


def key_name(epoch, key):
    return f'{epoch}:{mac_of(key, b"spanseal key check v1" + bytes([10]))[:4].hex()}'


class Log:
    def __init__(self, descriptor, chain_keys):
        self.digest = sha(b"spanseal descriptor v1\n" + descriptor)
        value = parse_canonical(descriptor.decode("utf-8"))
        demand(set(value) == {"algorithms", "created", "first_log_key", "format", "instance",
                              "origin", "predecessor"}, "descriptor members")
        demand(value["format"] == "spanseal.ledger/v1", "format")
        demand(value["algorithms"] == {
            "derivation": "HKDF-SHA256", "digest": "SHA-256", "mac": "HMAC-SHA256",
            "signature": "Ed25519", "tree": "RFC6962-SHA256"}, "algorithms")
        demand(re.fullmatch("[0-9a-f]{32}", value["instance"]), "instance")
        demand(re.fullmatch("[0-9a-f]{64}", value["first_log_key"]), "first log key")
        self.instance = value["instance"]
        self.origin = f'{value["origin"]}/{self.instance}'
        first = bytes.fromhex(value["first_log_key"])
        self.log_key = (self.origin, sha(self.origin.encode() + b"\n\x01" + first)[:4].hex(), first)
        self.keys = {key_name(epoch, key): key for epoch, key in chain_keys.items()}
        self.names = {epoch: key_name(epoch, key) for epoch, key in chain_keys.items()}
        self.tips, self.tags, self.entries, self.leaves = {}, {}, [], []
        self.rotations, self.kinds, self.macs_checked = [], [], True
        self.key, self.previous_group, self.time = None, 0, 0
        self.boot, self.seals, self.last_seal, self.actions = 0, 0, -1, 0
        self.losses = LOSSES  # `gap` records since the last seal, and their items
        self.ending, self.recovery_due, self.previous_mac = "running", False, None

    def chain_key(self, epoch_key, chain):
        info = lp("spanseal chain v1", self.digest, *chain)
        return mac_of(mac_of(bytes(32), epoch_key), info + b"\x01")  # HKDF, one block

    def genesis(self, chain):
        return sha(b"spanseal genesis v1\n" + lp(self.digest, *chain))

    def record(self, line):
        """Rules 8 to 16 for the next line."""
        match = LINE.fullmatch(line)
        demand(match, "not a line")
        head_text, mac_hex, body_text = match.groups()
        head = parse_canonical(head_text.decode("utf-8"))
        demand([name for name in head if name != "conflict_of"] == HEAD, "members of the head")
        demand(head["version"] == 1, "version")
        body = parse_canonical(body_text.decode("utf-8"))
        demand(sha(b"spanseal body v1\n" + body_text).hex() == head["body_digest"], "body digest")
        index, mac, chain = len(self.entries), bytes.fromhex(mac_hex.decode()), (head["namespace"], head["tenant"])
        demand((head["index"], head["writer"]) == (index, self.instance), "index or writer")
        demand(head["group"] in (index, self.previous_group) and head["group"] <= index, "group")
        demand(int(head["time"]) >= self.time, "time")
        self.key = self.key or head["key"]
        demand(head["key"] == self.key, "key")
        epoch = int(self.key.split(":")[0])
        demand(self.names.get(epoch, self.key) == self.key, "another key than the one given")
        self.place(head, head_text, mac, chain)
        self.control(head, body, index)
        self.previous_group, self.time, self.previous_mac = head["group"], int(head["time"]), mac
        self.kinds.append(head["kind"])
        self.entries.append(sha(b"spanseal entry v1\n" + head_text + mac))
        self.leaves.append(leaf_of(self.entries[-1]))

    def place(self, head, head_text, mac, chain):
        sequence, previous = self.tips.get(chain, (0, self.genesis(chain)))
        demand((head["sequence"], head["previous_mac"]) == (sequence + 1, previous.hex()), "place in its chain")
        epoch_key = self.keys.get(head["key"])
        if epoch_key is None:
            self.macs_checked = False
        else:
            key = self.chain_key(epoch_key, chain)
            demand(mac_of(key, b"spanseal record v1\n" + head_text) == mac, "MAC")
            self.new_tag = mac_of(key, b"spanseal tips v1\n" + self.genesis(chain))
        self.new_tip = (chain, head["sequence"], mac)

    def control(self, head, body, index):
        """Rules 20 to 26."""
        kind, chain = head["kind"], (head["namespace"], head["tenant"])
        demand(index > 0 or kind == "opened", "the first record is opened")
        demand(self.ending == "running" or kind == "opened" or (self.ending, kind) == ("closed", "seal"),
               "a record after the end of its boot")
        if kind in LOG_KINDS:
            demand(chain == SYSTEM and body["kind"] == kind, "a record about the log in another chain")
            demand(body["schema"] == "spanseal.control/v1", "schema of a control record")
            getattr(self, kind)(body, head, index)
        if kind == "gap":
            self.losses = (self.losses[0] + 1, self.losses[1] + body["item_count"])
        chain, sequence, mac = self.new_tip
        if self.macs_checked:
            self.tags.setdefault(chain, self.new_tag)
        self.tips[chain] = (sequence, mac)
        self.actions += kind == "action"

    def opened(self, body, _, index):
        self.boot += 1
        demand(body["boot"] == self.boot and body["previous_size"] == index, "boot or size")
        demand(body["previous_tip"] == (self.previous_mac.hex() if index else None), "previous tip")
        demand(not body["clean"] or index == 0 or self.ending == "sealed", "no orderly end")
        self.ending, self.recovery_due = "running", not body["clean"]

    def closed(self, body, *_):
        demand(body["boot"] == self.boot, "the end of another boot")
        self.ending = "closed"

    def recovered(self, body, _, index):
        self.recovery_due = False
        demand(body["known_committed"] <= body["recovery_point"] <= index, "a recovery that lost records")

    def seal(self, body, _, index):
        self.seals += 1
        counts = (body["number"], body["record_count"], body["action_count"], body["chain_count"])
        demand(counts == (self.seals, index - self.last_seal - 1, self.actions, len(self.tips)), "counts of a seal")
        demand((body["gap_count"], body["drop_count"]) == self.losses, "losses of a seal")
        demand(not self.recovery_due, "no recovery after an unclean end")
        if self.macs_checked:
            tips = [(self.tags[chain], *tip) for chain, tip in self.tips.items()]
            demand(tips_root(tips).hex() == body["tips_root"], "tips root")
        self.last_seal, self.actions, self.losses = index, 0, LOSSES
        self.ending = "sealed" if self.ending == "closed" else self.ending

    def key_rotated(self, body, head, index):
        message = b"spanseal rotate v1\n" + lp(self.digest, body["from"], body["to"])
        if body["purpose"] == "log":
            current = self.rotations[-1][1] if self.rotations else self.log_key
            to = parse_vkey(body["to"])
            demand(parse_vkey(body["from"]) == current and to[0] == self.origin, "another log key")
            demand(signature_holds(to[2], message, bytes.fromhex(body["proof"])), "proof of the new log key")
            self.rotations.append((index, to))
            return
        epoch = int(body["to"].split(":")[0])
        demand(body["from"] == head["key"] and epoch == int(head["key"].split(":")[0]) + 1, "epochs")
        key = self.keys.get(body["to"])
        if key is not None:
            proof = mac_of(self.chain_key(key, SYSTEM), message)
            demand(proof.hex() == body["proof"], "proof of the new chain key")
        self.key = body["to"]


def read(*path):
    try:
        with open(os.path.join(*path), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def names_in(*path):
    folder = os.path.join(*path)
    return sorted(os.listdir(folder)) if os.path.isdir(folder) else []


def read_segments(log, ledger):
    names = [name for name in names_in(ledger, "segments") if name.endswith(".jsonl")]
    for at, name in enumerate(names):
        demand(name == f"{len(log.entries):016}.jsonl", "name of a segment")
        lines = read(ledger, "segments", name).split(b"\n")
        demand(lines[-1] == b"" or at == len(names) - 1, "a segment ends within a line")
        for line in lines[:-1]:
            log.record(line)


def verify_notes(log, notes, trusted):
    """Rules 18, 19, 26: returns the largest size that a trusted key vouches for."""
    accepted, covered = set(trusted or [log.log_key]), 0
    for note in sorted(notes, key=lambda one: one.size):
        demand(note.origin == log.origin, "a checkpoint of another log")
        announced = [to for index, to in log.rotations if index < note.size]
        good = note.judge(accepted | set(announced))
        demand(good, "signed by no known key")
        if not good & accepted:
            return None  # only the key that the log names as the next one
        demand(not announced or announced[-1] in good, "signed by a retired key")
        demand(note.size <= len(log.entries), "the log was longer")
        demand(root(log.leaves[: note.size]) == note.root, "another root")
        demand(note.size == 0 or log.kinds[note.size - 1] == "seal", "no seal at the end")
        accepted |= good
        covered = max(covered, note.size)
    return covered


def level_hashes(leaves):
    levels = [leaves]
    while len(levels[-1]) >= 256:
        row = levels[-1]
        full = len(row) // 256
        levels.append([root(row[at * 256 : at * 256 + 256]) for at in range(full)])
    return levels


def tiles_of(log, size):
    """Rule 17: level, index, width and bytes of each tile of a tree of this size."""
    rows = [("entries", [b"\x00\x20" + entry for entry in log.entries[:size]])]
    rows += list(enumerate(level_hashes(log.leaves[:size])))
    for level, row in rows:
        for index in range(0, (len(row) + 255) // 256):
            part = row[index * 256 : index * 256 + 256]
            yield level, index, len(part), b"".join(part)


def verify_tiles(log, ledger, bucket, local, newest, kept):
    for level, index, width, data in tiles_of(log, local.size if local else 0):
        start = index * 256 * (34 if level == "entries" else 32)
        held = read(ledger, "tile", str(level)) or b""
        demand(held[start : start + len(data)] == data, f"tile {level}/{index} of the ledger")
    for size in {note.size for note in kept} | ({newest.size} if newest else set()):
        for level, index, width, data in tiles_of(log, size):
            partial = "" if width == 256 else f".p/{width}"
            held = read(bucket, "tile", str(level), f"{index:03}{partial}")
            is_older = newest is None or size < newest.size
            demand(held == data or (held is None and is_older and partial), f"tile {level}/{index} of the bucket")


def verify_bucket(local, is_local_named, newest, kept):
    sizes = sorted(note.size for note in kept)
    newest_size = newest.size if newest else 0
    demand(newest is None or newest_size in sizes, "the newest checkpoint is not kept")
    demand(len([size for size in sizes if size > newest_size]) < 2, "the bucket was taken back")
    in_bucket = max(sizes + [newest_size])
    demand(in_bucket <= (local.size if local else 0), "the ledger lacks its newest root")


def verify_log(case):
    ledger, bucket = case["ledger"], case["bucket"]
    chain_keys = {int(epoch): bytes.fromhex(key) for epoch, key in case["chain_keys"].items()}
    trusted = [parse_vkey(text) for text in case["vkeys"]]
    log = Log(read(ledger, "ledger.json") or b"", chain_keys)
    note_of = lambda data: None if data is None else Note(data)
    local, newest, kept = note_of(read(ledger, "checkpoint")), None, []
    if bucket is not None:
        newest = note_of(read(bucket, "checkpoint"))
        for name in names_in(bucket, "checkpoints"):
            kept.append(Note(read(bucket, "checkpoints", name)))
            demand(name == str(kept[-1].size), "a checkpoint under another size")
    read_segments(log, ledger)
    covered = verify_notes(log, [note for note in [local, newest, *kept] if note], trusted)
    if bucket is not None:
        verify_bucket(local, local is not None, newest, kept)
    verify_tiles(log, ledger, bucket, local, newest, kept)
    return "ok" if trusted and covered else "undetermined"


def verdict_of(case):
    try:
        return verify_log(case)
    except (Broken, ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        return f"broken: {error}"


def check(name, computed, stated):
    if computed != stated:
        sys.exit(f"{name}: computed {computed!r}, stated {stated!r}")


def check_vectors(vector):
    keys = {epoch: bytes.fromhex(vector["keys"][f"chain_epoch_{epoch}"]) for epoch in (1, 2)}
    log = Log(vector["descriptor"].encode(), keys)
    check("descriptor digest", log.digest.hex(), vector["descriptor_digest"])
    check("origin", log.origin, vector["origin"])
    for epoch in (1, 2):
        check("key name", log.names[epoch], vector["keys"][f"key_name_{epoch}"])
    for record in vector["records"]:
        try:
            log.record(record["line"].encode())
        except Broken as error:
            sys.exit(str(error))
        check("entry", log.entries[-1].hex(), record["entry"])
        check("root", base64.b64encode(root(log.leaves)).decode(), record["root_after"])
    vkey = parse_vkey(vector["keys"]["vkey"])
    for size, text in vector["checkpoints"].items():
        note = Note(text.encode())
        check("checkpoint", (note.origin, str(note.size)), (vkey[0], size))
        check("signature", note.judge([vkey]), {vkey})
        check("signed root", note.root, root(log.leaves[: int(size)]))
        for level, _, width, data in tiles_of(log, int(size)):
            check("tile", data.hex(), vector["tiles"][f"tile/{level}/000.p/{width}"])
    print(f'ok: {len(log.leaves)} records, {len(vector["checkpoints"])} checkpoints')


content = json.load(open(sys.argv[2], encoding="utf-8"))
if sys.argv[1] == "vectors":
    check_vectors(content)
else:
    for one in content:
        print(verdict_of(one))
