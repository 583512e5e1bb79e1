"""Bytes as they might come instead of these: cut, doubled, swapped, overwritten, with other lengths."""

import random

TOKENS = (b"0000", b"0001", b"0002", b"0003", b"0004", b"ffff", b"fff0", b"zzzz", b"\0", b"\n", b"\r\n", b"\xff" * 4,
          b"0" * 40, b"f" * 40, b"done\n", b"deepen 1\n", b"filter blob:none\n", b"shallow ", b"- ", b": ", b"  ",
          b"? ", b"&a ", b"*a", b"!!x ", b"[", b"]", b"{", b"}", b'"', b"'", b"|\n", b"---\n", b"<<: *a\n", b"~", b"#",
          b"PACK", b"refs/heads/main", b"refs/heads/../x", b"a" * 300, "é\u2028".encode())  # fmt: skip


def mutated(data: bytes, chance: random.Random, most: int = 6) -> bytes:
    for _ in range(chance.randint(1, most)):
        one, other = sorted(chance.randint(0, len(data)) for _ in range(2))
        match chance.randrange(7):
            case 0:
                data = data[:one] + data[other:]
            case 1:
                data = data[:other] + data[one:other] * chance.choice((1, 1, 20)) + data[other:]
            case 2:
                data = data[:one] + chance.choice(TOKENS) + data[one:]
            case 3:
                token = chance.choice(TOKENS)
                data = data[:one] + token + data[one + len(token) :]
            case 4:
                data = data[:one] + bytes([chance.randrange(256)]) + data[one + 1 :]
            case 5:
                data = data[other:] + data[:other] if chance.random() < 0.2 else data[:other]
            case 6:
                data = data[:one] + b"%04x" % chance.randrange(0x10000) + data[one + 4 :]
        data = data[: 1 << 20]
    return data
