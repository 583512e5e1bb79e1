"""The entry point for any WSGI server: ``bottle_app:app``. Reads settings from the environment and `.env`.

`jobserver serve` is the tested way to run a server. Another WSGI server must run this as one process, with more threads
than there are waiting polls (`web.api.job_requests.MAX_HELD`).
"""

from jobserver.config.settings import Settings
from jobserver.serving.server import serve

app = serve(Settings.from_env()).wsgi
