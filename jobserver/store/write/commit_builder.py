"""Builds the commits of one batch in memory, each on the head that its change was decided on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from jobserver import steps
from jobserver.domain.admit import POLICY, Admitted
from jobserver.domain.base.layout import MAIN
from jobserver.domain.base.permissions import SERVER, Actor, ActorKind
from jobserver.domain.documents import AnyDocument
from jobserver.domain.job_requests.pipelines import StoredPipeline
from jobserver.errors import Fault, conflict, invalid
from jobserver.store.git import packs, trees
from jobserver.store.git.objects import Objects
from jobserver.store.git.packs import Pack
from jobserver.store.keys.signing import SigningKey
from jobserver.store.read.snapshot import Head, Snapshot
from jobserver.store.yaml import codec
from jobserver.store.yaml.edit import rewrite

# What happens to the entries of a folder: a blob or tree to put there, None to remove it, or edits inside it.
Edits: TypeAlias = "dict[bytes, trees.TreeEntry | Edits | None]"
_MIN_EDITS_TO_REBUILD = 16  # fewer edits of one tree are spliced in, however small the tree is
_ENTRIES_PER_SPLICE = 64  # parsing so many entries takes about as long as one splice
_ENTRY_BYTES = 43  # of a folder whose name is a request's id


@dataclass(frozen=True, slots=True)
class CommitIdentity:
    """Who signs commits. ``host``: of BASE_URL, for the email addresses of authors. ``server``: this server's name, if
    there are several."""

    host: str
    key: SigningKey
    server: str = ""

    def author(self, actor: Actor) -> bytes:
        if actor.kind is ActorKind.SERVER:
            return self.committer
        place = "users" if actor.kind is ActorKind.USER else "backends"
        return f"{actor.name} <{actor.name}@{place}.{self.host}>".encode()

    @property
    def trailers(self) -> list[tuple[str, str]]:
        return [("Server", self.server)] if self.server else []

    @property
    def committer(self) -> bytes:
        return f"{SERVER.name} <{SERVER.name}@{self.host}>".encode()


class CommitBuilder:
    """The pack of one batch. Each commit moves its head on."""

    def __init__(self, objects: Objects, identity: CommitIdentity) -> None:
        self.pack = Pack()
        self._objects, self._identity, self._committer = objects, identity, identity.committer
        self._texts: dict[bytes, bytes] = {}  # documents of main in the pack, by blob

    def commit(self, head: Head, admitted: Admitted, trailers: Mapping[str, str]) -> str:
        """Adds a commit on ``head``, which moves on to it. Returns the commit's id.

        Raises `Error` (conflict) if the change was not decided on ``head``.
        """
        if admitted.tip != head.tip:
            raise conflict("the branch has moved since the decision")
        root = self._edit(head.root, self._edits(head, admitted))
        lines = [
            f"{key}: {value if value.isprintable() else _line(value)}"
            for key, value in self._trailers(admitted, trailers)
        ]
        message = "\n".join([_line(admitted.changes.subject), "", *lines, ""])
        empty = self.pack.add(packs.TREE, b"") if root is None else b""
        origin = admitted.changes.origin
        author = self._identity.author(origin.actor if origin else admitted.actor)
        self._commit(head, root or empty, message, author, admitted.now, origin.time if origin else None)
        assert head.tip is not None
        return head.tip

    def commit_files(
        self,
        head: Head,
        files: Mapping[str, bytes],
        subject: str,
        event: str,
        now: datetime,
        *,
        trailers: Sequence[tuple[str, str]] = (),
        actor: Actor = SERVER,
    ) -> None:
        """Adds a commit of files that are not documents: a branch's README, or the keys that may sign."""
        edits: Edits = {}
        for path, data in files.items():
            _put(edits, path, trees.TreeEntry(trees.FILE, b"", self.pack.add(packs.BLOB, data)))
        root = self._edit(head.root, edits)
        assert root is not None
        extra = "".join(f"{key}: {value}\n" for key, value in (*trailers, *self._identity.trailers))
        message = f"{subject}\n\nEvent: {event}\nActor: {actor}\nBranch: {head.branch}\n{extra}Policy: {POLICY}\n"
        self._commit(head, root, message, self._identity.author(actor), now)

    def _trailers(self, admitted: Admitted, extra: Mapping[str, str]) -> list[tuple[str, str]]:
        changes = admitted.changes
        return [
            ("Event", changes.event),
            ("Actor", str(admitted.actor)),
            ("Branch", changes.branch),
            *changes.trailers,
            *extra.items(),
            *self._identity.trailers,
            ("Policy", str(POLICY)),
        ]

    def _commit(
        self,
        head: Head,
        root: bytes,
        message: str,
        author: bytes,
        now: datetime,
        authored_at: datetime | None = None,
    ) -> None:
        """``authored_at``: the author's time, if it is another than the commit's; not before 1970."""
        # git's walks rely on times that never go back on a branch, whatever the clock does.
        time = max(int(now.timestamp()), head.time)
        parent = b"parent %s\n" % head.tip.encode() if head.tip else b""
        top = b"tree %s\n%sauthor %s %d +0000\ncommitter %s %d +0000\n" % (
            root.hex().encode(),
            parent,
            author,
            max(int(authored_at.timestamp()), 0) if authored_at else time,
            self._committer,
            time,
        )
        body = b"\n" + message.encode()
        with steps.timed("sign"):
            signature = self._identity.key.sign(top + body).replace(b"\n", b"\n ")
        sha = self.pack.add(packs.COMMIT, b"%sgpgsig %s\n%s" % (top, signature, body))
        head.advance(sha.hex(), root, time)

    def _edits(self, head: Head, admitted: Admitted) -> Edits:
        edits: Edits = {}
        documents: list[tuple[bytes, AnyDocument]] = []
        for move in admitted.changes.moves:
            source, target = move.place.folder, move.place.moved(move.to).folder
            _put(edits, source, None)
            _put(edits, target, self._folder(head, source))
        for change in admitted.changes.changes:
            if change.after is None:
                _put(edits, change.path, None)
            else:
                blob = self._blob(head, change.path, change.before, change.after)
                documents.append((blob, change.after))
                _put(edits, change.path, trees.TreeEntry(trees.FILE, b"", blob))
        for blob, document in documents:  # once all of them are, so that a refused commit leaves none in the caches
            self._objects.remember_document(blob, document)
        head.follow(admitted.changes)
        return edits

    def _blob(self, head: Head, path: str, before: AnyDocument | None, after: AnyDocument) -> bytes:
        if head.branch == MAIN and before is not None:
            old = Snapshot(self._objects, head, head).blob(path)
            assert old is not None
            data = rewrite(self._texts.get(old) or self._objects.raw(old), before, after)
        else:
            data = codec.write(after)
        if len(data) > (limit := after.max_bytes):
            fault = Fault(f"{len(data)} bytes as YAML, at most {limit} are allowed", path)
            raise invalid(str(fault), faults=[fault])
        if isinstance(after, StoredPipeline):
            # A cached pipeline is on a branch or in this pack: the writer forgets what fails to land.
            blob = packs.object_id(packs.BLOB, data)
            if self._objects.known(blob) is not None:
                return blob
        blob = self.pack.add(packs.BLOB, data)
        if head.branch == MAIN:
            self._texts[blob] = data  # the next commit of the batch may change it again
        return blob

    def _folder(self, head: Head, path: str) -> Edits:
        """The folder's entries as edits, so that further edits apply to the moved folder."""
        sha = head.root
        for name in path.encode().split(b"/"):
            assert sha is not None
            entry = self._objects.find(sha, name, trees.FOLDER).entry
            assert entry is not None, path
            sha = entry.sha
        assert sha is not None
        result: Edits = {}
        for entry in trees.entries(self._objects.tree(sha)):
            if entry.mode == trees.FOLDER:
                result[entry.name] = {inner.name: inner for inner in trees.entries(self._objects.tree(entry.sha))}
            else:
                result[entry.name] = entry
        return result

    def _edit(self, sha: bytes | None, edits: Edits) -> bytes | None:
        """The id of the tree after ``edits``; None if the tree is empty then. Adds no tree that nothing points at."""
        old = raw = self._objects.tree(sha) if sha else b""
        start = end = 0
        name = insert = b""
        below: bytes | None = None
        if len(edits) > _MIN_EDITS_TO_REBUILD and len(edits) * _ENTRIES_PER_SPLICE > len(raw) // _ENTRY_BYTES:
            raw, edits = self._rebuilt(raw, edits), {}
        for name, edit in edits.items():
            mode = edit.mode if isinstance(edit, trees.TreeEntry) else trees.FOLDER
            spot = self._objects.find(sha, name, mode) if sha and raw is old else trees.find(raw, name, mode)
            start, end, entry = spot
            insert = b""
            below = None
            if isinstance(edit, dict):
                below = self._edit(entry.sha if entry else None, edit)
                if below is not None:
                    insert = b"40000 %s\0%s" % (name, below)
            elif edit is not None:
                insert = b"%s %s\0%s" % (edit.mode, name, edit.sha)
            raw = b"%s%s%s" % (raw[:start], insert, raw[end:])
        if not raw:
            return None
        if sha is None or raw == old:
            return sha or self._remember(self.pack.add(packs.TREE, raw), raw, None)
        if len(edits) == 1:
            new = self.pack.add_spliced(sha, len(old), raw, start, end, insert)
            if below is not None:  # the next event probably changes something in the same folder
                entry = trees.TreeEntry(trees.FOLDER, name, below)
                self._objects.remember_spot(new, trees.Spot(start, start + len(insert), entry))
        else:
            new = self.pack.add(packs.TREE, raw)
        return self._remember(new, raw, sha)

    def _rebuilt(self, raw: bytes, edits: Edits) -> bytes:
        """The tree after many edits. Splicing them in one by one would take quadratic time."""
        rebuilt = {entry.name: entry for entry in trees.entries(raw)}
        for name, edit in edits.items():
            entry = rebuilt.pop(name, None)
            if isinstance(edit, dict):
                below = self._edit(entry.sha if entry else None, edit)
                edit = trees.TreeEntry(trees.FOLDER, name, below) if below is not None else None
            if edit is not None:
                rebuilt[name] = trees.TreeEntry(edit.mode, name, edit.sha)
        return b"".join(map(trees.encode, sorted(rebuilt.values(), key=trees.order)))

    def _remember(self, sha: bytes, raw: bytes, instead_of: bytes | None) -> bytes:
        self._objects.remember_tree(sha, raw, instead_of)
        return sha


def _line(text: str) -> str:
    """One line of a commit message: a name with a newline must not be able to add trailers."""
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)


def _put(edits: Edits, path: str, entry: "trees.TreeEntry | Edits | None") -> None:
    *folders, name = path.encode().split(b"/")
    for folder in folders:
        below = edits.setdefault(folder, {})
        assert isinstance(below, dict), path  # no change puts a file below one that it removes
        edits = below
    edits[name] = entry
