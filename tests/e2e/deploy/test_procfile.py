"""The Procfile's commands, run as a platform runs them: by honcho, with the port in the environment."""

import subprocess
import sys
from pathlib import Path

from tests.e2e.harness import Site
from tests.samples import only_whole

PROCFILE = Path(__file__).parents[3] / "Procfile"


@only_whole
def test_the_release_step_and_then_the_web_process(tmp_path: Path) -> None:
    site = Site(tmp_path)
    environment = {**site.env, "PATH": f"{Path(sys.executable).parent}:{site.env['PATH']}", "PORT": str(site.port)}
    honcho = [sys.executable, "-m", "honcho", "--procfile", str(PROCFILE)]
    for _ in range(2):  # each deployment runs it again
        subprocess.run([*honcho, "start", "release"], env=environment, cwd=tmp_path, check=True, capture_output=True)
    site.server = subprocess.Popen([*honcho, "start", "--port", str(site.port), "web"], env=environment, cwd=tmp_path)
    try:
        site.wait()
        with site.client("alice") as alice:
            assert alice.get("/api/v2/job-requests/").status_code == 200
    finally:
        site.server.terminate()
        site.server.wait(30)
    site.check_record()
