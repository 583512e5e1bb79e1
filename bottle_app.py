"""The WSGI entry point for any WSGI server: ``bottle_app:app``. Settings come from the environment and `.env`.

`jobserver serve` is the tested way to serve it. Another server must run it as one process with threads, more of them
than there are waiting polls (web.api.job_requests.MAX_HELD).
"""

from jobserver.config.settings import Settings
from jobserver.serving import serve

app = serve(Settings.from_env()).wsgi
