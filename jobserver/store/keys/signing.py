"""Signs commits in process, for ``git verify-commit`` and ``ssh-keygen -Y verify``, and checks such signatures.

Format: OpenSSH's PROTOCOL.sshsig, namespace ``git``, SHA-512, an ed25519 key in OpenSSH's own file format.
"""

import base64
import binascii
import hashlib
import os
import struct
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from jobserver.errors import invalid
from jobserver.store.fs import reason, sync_folder, write_durably

_NAMESPACE = b"git"


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


_TERMS = _string(_NAMESPACE) + _string(b"") + _string(b"sha512")  # the last one names the hash of the message
_SIGNED = b"SSHSIG" + _TERMS + struct.pack(">I", 64)  # what is signed, up to that hash


def fingerprint(public: bytes) -> str:
    """``SHA256:...`` as `ssh-keygen -l` prints it; ``public`` is the key in SSH's wire format."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(public).digest()).decode().rstrip("=")


def fingerprint_of(line: str) -> str:
    """The fingerprint of the key in a line of ``allowed_signers``; empty if there is none."""
    for word in line.split():
        if word.startswith("AAAA"):
            return fingerprint(base64.b64decode(word))
    return ""


class Unreadable(ValueError):
    """Says what is wrong with a signature."""


class _WireReader:
    """Takes length-prefixed strings (RFC 4251, section 5) off a blob."""

    def __init__(self, data: bytes) -> None:
        self._data, self._offset = data, 0

    def take(self, size: int) -> bytes:
        part = self._data[self._offset : self._offset + size]
        if len(part) != size:
            raise Unreadable("cut off")
        self._offset += size
        return part

    def string(self) -> bytes:
        (size,) = struct.unpack(">I", self.take(4))
        return self.take(size)


def verify(armoured: bytes, message: bytes) -> str:
    """The fingerprint of the key that signed ``message``. Does not check whether that key may sign.

    Raises `Error` (invalid) if there is no signature, for other kinds than ed25519 with SHA-512 or SHA-256, and if the
    signature is wrong.
    """
    if not armoured:
        raise invalid("is not signed")
    try:
        lines = armoured.strip().split(b"\n")
        if lines[0] != b"-----BEGIN SSH SIGNATURE-----" or lines[-1] != b"-----END SSH SIGNATURE-----":
            raise Unreadable("not an SSH signature")
        blob = _WireReader(base64.b64decode(b"".join(lines[1:-1]), validate=True))
        if blob.take(6) != b"SSHSIG" or blob.take(4) != b"\0\0\0\1":
            raise Unreadable("not an SSH signature of version 1")
        public, namespace, reserved, hashing = blob.string(), blob.string(), blob.string(), blob.string()
        signature = _WireReader(blob.string())
        key = _WireReader(public)
        if key.string() != b"ssh-ed25519" or signature.string() != b"ssh-ed25519" or namespace != _NAMESPACE:
            raise Unreadable("not an ed25519 signature of a commit")
        digest = {b"sha512": hashlib.sha512, b"sha256": hashlib.sha256}[hashing](message).digest()
        parts = (namespace, reserved, hashing, digest)
        signed = b"SSHSIG" + b"".join(map(_string, parts))
        Ed25519PublicKey.from_public_bytes(key.string()).verify(signature.string(), signed)
    except InvalidSignature:
        raise invalid("its signature does not match its contents") from None
    except Unreadable as error:
        raise invalid(f"its signature can't be read: {error}") from None
    except (ValueError, KeyError, binascii.Error, IndexError) as error:
        raise invalid(f"its signature can't be read: {reason(error)}") from None
    return fingerprint(public)


def signers_time(moment: datetime) -> str:
    """The time in the form of ``allowed_signers``; OpenSSH 8.9 and later understand the Z (UTC)."""
    return f"{moment.astimezone(UTC):%Y%m%d%H%M%S}Z"


class SigningKey:
    """An ed25519 key. ``principal``: its name in ``allowed_signers``."""

    def __init__(self, key: Ed25519PrivateKey, principal: str) -> None:
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self._key = key
        self._public = _string(b"ssh-ed25519") + _string(raw)
        self._before_signature = b"SSHSIG\0\0\0\1" + _string(self._public) + _TERMS
        self._before_signature += struct.pack(">I", 83) + _string(b"ssh-ed25519") + struct.pack(">I", 64)
        self.principal = principal

    @classmethod
    def load(cls, path: Path, principal: str) -> "SigningKey":
        """Raises `Error` (invalid) if the file is missing, readable by other users, or not an ed25519 key."""
        try:
            if path.stat().st_mode & 0o077:
                raise invalid("other users can read this key: run chmod 600", str(path))
            key = serialization.load_ssh_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise invalid(f"the signing key can't be read: {error.strerror}", str(path)) from None
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a passphrase
            raise invalid(f"not an unencrypted OpenSSH private key: {reason(error)}", str(path)) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise invalid("not an ed25519 key", str(path))
        return cls(key, principal)

    @classmethod
    def create(cls, path: Path, principal: str) -> "SigningKey":
        """A new key, durable at ``path`` with mode 0600. Raises FileExistsError rather than replace one."""
        key = Ed25519PrivateKey.generate()
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        if path.exists():
            raise FileExistsError(path)
        # Whole or not at all: half a key would stop every start.
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            write_durably(partial, [text])
            path.hardlink_to(partial)
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(path.parent)
        return cls(key, principal)

    @property
    def public(self) -> str:
        """The public key in base64, as in ``allowed_signers``."""
        return base64.b64encode(self._public).decode()

    @property
    def allowed_signer(self) -> str:
        """The key's line in ``allowed_signers``, with its newline."""
        return self.allowed_from(None)

    def allowed_from(self, after: datetime | None) -> str:
        """As `allowed_signer`, for a key that may sign from ``after`` on."""
        since = f',valid-after="{signers_time(after)}"' if after else ""
        return f'{self.principal} namespaces="git"{since} ssh-ed25519 {self.public}\n'

    @property
    def fingerprint(self) -> str:
        return fingerprint(self._public)

    def sign(self, message: bytes) -> bytes:
        """The armoured signature of ``message``."""
        signature = self._key.sign(_SIGNED + hashlib.sha512(message).digest())
        text = binascii.b2a_base64(self._before_signature + signature, newline=False)
        lines = [text[start : start + 70] for start in range(0, len(text), 70)]
        return b"\n".join([b"-----BEGIN SSH SIGNATURE-----", *lines, b"-----END SSH SIGNATURE-----"])


class KeyFile:
    """The server's key as it is in the file now: another process may rotate it. Not thread-safe."""

    def __init__(self, path: Path, principal: str) -> None:
        self.path, self._principal = path, principal
        self._loaded = self.stamp()
        self._key = SigningKey.load(path, principal)

    def stamp(self) -> tuple[int, int]:
        """Changes when the file may have another key. Thread-safe. Raises `Error` (invalid) if the file is gone."""
        try:
            status = self.path.stat()
        except OSError as error:
            raise invalid(f"the signing key can't be read: {error.strerror}", str(self.path)) from None
        return status.st_mtime_ns, status.st_ino

    def current(self) -> SigningKey:
        """Raises `Error` (invalid) if the file is gone or can't be used."""
        stamp = self.stamp()
        if stamp != self._loaded:
            self._key = SigningKey.load(self.path, self._principal)
            self._loaded = stamp
        return self._key
