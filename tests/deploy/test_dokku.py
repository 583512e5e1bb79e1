"""nginx.conf.sigil, Procfile and app.json, as dokku reads them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.sigil import render

ROOT = Path(__file__).parents[2]


def variables(folder: Path, **others: str) -> dict[str, str]:
    return {
        "APP": "jobserver",
        "APP_SSL_PATH": str(folder / "tls"),
        "DOKKU_APP_WEB_LISTENERS": "127.0.0.1:5000 127.0.0.2:5000",
        "DOKKU_ROOT": str(folder),
        "NGINX_ACCESS_LOG_PATH": str(folder / "access.log"),
        "NGINX_ERROR_LOG_PATH": str(folder / "error.log"),
        "NOSSL_SERVER_NAME": "jobs.example.org",
        "PROXY_PORT_MAP": "http:80:8000",
        "PROXY_UPSTREAM_PORTS": "8000",
        "SSL_INUSE": "",
        "SSL_SERVER_NAME": "jobs.example.org",
        **others,
    }


def rendered(folder: Path, **others: str) -> str:
    return render((ROOT / "nginx.conf.sigil").read_text(), variables(folder, **others))


def test_the_template_passes_to_every_container(tmp_path: Path) -> None:
    text = rendered(tmp_path)
    assert "server 127.0.0.1:8000 max_fails=0;" in text
    assert "server 127.0.0.2:8000 max_fails=0;" in text


def test_with_a_certificate_http_only_leads_to_https(tmp_path: Path) -> None:
    text = rendered(tmp_path, SSL_INUSE="true", PROXY_PORT_MAP="http:80:8000 https:443:8000")
    http, https = text.split("server {\n")[1:3]
    assert "return 308 https://" in http and "proxy_pass" not in http
    assert "listen 443 ssl;" in https and "proxy_pass http://jobserver-8000;" in https


@pytest.mark.parametrize(
    "others", [{}, {"SSL_INUSE": "true", "PROXY_PORT_MAP": "http:80:8000 https:443:8000"}], ids=["http", "https"]
)
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_takes_what_the_template_makes(tmp_path: Path, others: dict[str, str]) -> None:
    tls = tmp_path / "tls"
    tls.mkdir()
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj"]
    command += [
        "/CN=jobs.example.org",
        "-keyout",
        str(tmp_path / "tls/server.key"),
        "-out",
        str(tmp_path / "tls/server.crt"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    main = tmp_path / "nginx.conf"
    main.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\n{rendered(tmp_path, **others)}\n}}\n")
    judged = subprocess.run(["nginx", "-t", "-p", str(tmp_path), "-c", str(main)], capture_output=True, text=True)
    assert judged.returncode == 0, judged.stderr


def test_app_json_and_the_procfile_name_the_same_process() -> None:
    processes = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    app = json.loads((ROOT / "app.json").read_text())
    assert processes == {"release": "jobserver init", "web": "jobserver serve"}
    assert app["formation"].keys() == app["healthchecks"].keys() == processes.keys() - {"release"}
