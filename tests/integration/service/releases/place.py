"""A real repository with a real folder for releases."""

from pathlib import Path

from jobserver.audit.verify import verify
from jobserver.domain.base.permissions import Actor, Role
from jobserver.domain.releases import EVENT
from jobserver.domain.users import AddUser
from jobserver.service.releases.upload import ReleaseService, Upload
from jobserver.store.release_files import ReleaseStore
from tests.site import ADMIN, TPP, Site
from tests.zips import GOOD, md5_of, zipped


class Place(Site):
    """With a folder for releases."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.root = folder / "releases"
        self.do(ADMIN, AddUser("jane", roles=(Role.OUTPUT_CHECKER,)))
        self.releases = self.process()

    def process(self) -> ReleaseService:
        """As another process would have it."""
        return ReleaseService(ReleaseStore(self.root), self.repo, self.gate, self.clock)

    def take(self, files: dict[str, bytes] = GOOD, user: str = "jane", actor: Actor = TPP) -> tuple[str, bool]:
        """(commit, whether it is new)."""
        upload = Upload("trends", md5_of(files), user, zipped(files))
        kept, is_new = self.releases.upload(actor, upload, "test")
        return kept.commit, is_new

    def stored(self) -> list[str]:
        """Every file below the folder, hidden ones too."""
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())

    def recorded(self) -> int:
        return len(self.git("log", f"--grep=^Event: {EVENT}$", "--format=%H", "backends/tpp").split())

    def problems(self) -> list[str]:
        return [str(one) for one in verify(self.path, releases=self.root).problems]


ID = md5_of(GOOD)
WHOLE = sorted([f"trends/tpp/{ID}/{name}" for name in ("commit", "release.json", *(f"files/{path}" for path in GOOD))])
