"""Signatures as they come from strangers, and key files as administrators leave them."""

import base64
import os
import struct
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from jobserver.errors import Error
from jobserver.store.keys import signing
from jobserver.store.keys.signing import KeyFile, SigningKey, verify

KEY = SigningKey(Ed25519PrivateKey.generate(), "jobserver")


def armoured(blob: bytes) -> bytes:
    return b"\n".join([b"-----BEGIN SSH SIGNATURE-----", base64.b64encode(blob), b"-----END SSH SIGNATURE-----"])


def blob() -> bytes:
    return base64.b64decode(b"".join(KEY.sign(b"text").split(b"\n")[1:-1]))


def test_a_signature_is_verified_by_its_key() -> None:
    assert verify(KEY.sign(b"text"), b"text") == KEY.fingerprint
    assert verify(KEY.sign(b"text") + b"\n", b"text") == KEY.fingerprint
    assert signing.fingerprint_of(KEY.allowed_signer) == KEY.fingerprint
    assert 'valid-after="20261124000000Z"' in KEY.allowed_from(datetime(2026, 11, 24, tzinfo=UTC))


@pytest.mark.parametrize("line", ["", "# a comment", "jobserver ssh-ed25519"])
def test_a_line_without_a_key(line: str) -> None:
    assert signing.fingerprint_of(line) == ""


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        (b"", "is not signed"),
        (KEY.sign(b"other"), "its signature does not match its contents"),
        (b"-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----", "not an SSH signature"),
        (b"\n", "not an SSH signature"),
        (KEY.sign(b"text").replace(b"U1NI", b"%%%%", 1), "can't be read"),
        (armoured(b""), "cut off"),
        (armoured(b"SSHSIG\0\0\0\2"), "not an SSH signature of version 1"),
        (armoured(b"NOTSIG\0\0\0\1"), "not an SSH signature of version 1"),
        (armoured(blob()[:-1]), "cut off"),
        (armoured(b"SSHSIG\0\0\0\1" + struct.pack(">I", 1 << 31)), "cut off"),
        (armoured(blob().replace(b"\0\0\0\3git", b"\0\0\0\4file")), "not an ed25519 signature of a commit"),
        (armoured(blob().replace(b"ssh-ed25519", b"ssh-ed25518")), "not an ed25519 signature of a commit"),
        (armoured(blob().replace(b"sha512", b"sha999")), "can't be read: KeyError"),
    ],
)
def test_a_signature_that_says_nothing(signature: bytes, reason: str) -> None:
    with pytest.raises(Error, match=reason):
        verify(signature, b"text")


def test_git_and_ssh_keygen_read_what_we_sign(tmp_path: Path) -> None:
    (tmp_path / "signers").write_text(KEY.allowed_signer)
    (tmp_path / "signature").write_bytes(KEY.sign(b"text"))
    command = ["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", "jobserver", "-n", "git", "-s", "signature"]
    subprocess.run(command, cwd=tmp_path, input=b"text", check=True, capture_output=True)


def write(path: Path, text: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text)
    path.chmod(mode)
    return path


def openssh(key: Ed25519PrivateKey | RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def test_key_files_that_can_not_be_used(tmp_path: Path) -> None:
    """Found: one with a passphrase ended the start with a traceback."""
    good = openssh(Ed25519PrivateKey.generate())
    locked = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", locked], check=True)
    for path, reason in [
        (tmp_path / "missing", "can't be read: No such file"),
        (write(tmp_path / "open", good, 0o640), "other users can read this key"),
        (write(tmp_path / "text", b"my key"), "not an unencrypted OpenSSH private key"),
        (locked, "not an unencrypted OpenSSH private key"),
        (write(tmp_path / "rsa", openssh(generate_private_key(65537, 2048))), "not an ed25519 key"),
    ]:
        with pytest.raises(Error, match=reason):
            SigningKey.load(path, "jobserver")


def test_a_server_sees_that_its_key_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = SigningKey.create(path, "jobserver")
    keys = KeyFile(path, "jobserver")
    assert keys.current() is keys.current()
    assert keys.current().fingerprint == first.fingerprint
    second = SigningKey.create(tmp_path / "new", "jobserver")
    os.replace(tmp_path / "new", path)  # noqa: PTH105
    assert keys.current().fingerprint == second.fingerprint
    path.unlink()
    with pytest.raises(Error, match="the signing key can't be read"):
        keys.current()
