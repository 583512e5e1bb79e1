"""Traces: a collector in this process gets the spans of a real server by OTLP over HTTP."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.e2e.harness import Site, job, until

CALLER = "00-11111111111111111111111111111111-2222222222222222-01"
JOB = "00-33333333333333333333333333333333-4444444444444444-01"


class Collector:
    """Keeps the spans that it gets."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.paths: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    raise AssertionError("not asked for")
                collector.paths.add(self.path)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        collector.spans += scope.spans
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def of_request(self, identifier: str) -> list[Any]:
        return [span for span in self.spans if attributes(span).get("jobserver.request_id") == identifier]

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def attributes(span: Any) -> dict[str, Any]:
    return {item.key: item.value.string_value or item.value.int_value for item in span.attributes}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    made.start()
    yield made
    made.stop()


def test_a_request_has_a_span_with_its_steps_in_the_trace_of_its_caller(site: Site, collector: Collector) -> None:
    with site.client("alice", traceparent=CALLER) as alice:
        body = {"requested_actions": ["generate"], "backend": "tpp"}
        answer = alice.post("/api/v2/workspaces/plain/job-requests/?secret=s3cret", json=body)
    until(lambda: len(collector.of_request(answer.headers["Request-Id"])) == 1)
    (span,) = collector.of_request(answer.headers["Request-Id"])
    assert span.name == "POST /api/v2/workspaces/<workspace>/job-requests/"
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == ("1" * 32, "2" * 16)
    assert attributes(span)["http.response.status_code"] == 201
    steps = [step for step in collector.spans if step.parent_span_id == span.span_id]
    assert {"write", "batch", "decide", "sign", "sync"} <= {step.name for step in steps}
    for step in steps:
        assert span.start_time_unix_nano - 10**6 <= step.start_time_unix_nano <= step.end_time_unix_nano
        assert step.end_time_unix_nano <= span.end_time_unix_nano + 10**6
    assert collector.paths == {"/v1/traces"}
    assert b"s3cret" not in b"".join(span.SerializeToString() for span in collector.spans)
    assert b"alice" not in b"".join(span.SerializeToString() for span in collector.spans)


def test_a_report_goes_on_in_the_traces_of_its_jobs(site: Site, collector: Collector) -> None:
    identifier = site.ask()
    with site.client("tpp") as tpp:
        odd = job(identifier, "b", action="analyse", trace_context={"traceparent": "nonsense"})
        answer = tpp.report(job(identifier, "a", trace_context={"traceparent": JOB}), odd)
    assert answer.status_code == 200
    until(lambda: len(collector.of_request(answer.headers["Request-Id"])) == 3)
    request, *reports = sorted(collector.of_request(answer.headers["Request-Id"]), key=lambda span: span.kind)
    assert request.name == "POST /api/v2/jobs/"
    traces = {span.trace_id.hex(): span for span in reports}
    assert traces["3" * 32].parent_span_id.hex() == "4" * 16
    assert [link.span_id for link in traces["3" * 32].links] == [request.span_id]


def test_fetches_have_the_processes_of_git(site: Site, collector: Collector, tmp_path: Path) -> None:
    url = f"http://x:{site.tokens['tpp']}@127.0.0.1:{site.port}/state.git"
    subprocess.run(["git", "clone", "-q", url, str(tmp_path / "clone")], check=True)
    until(lambda: any(span.name == "POST /state.git/git-upload-pack" for span in collector.spans))


def test_the_library_is_not_imported_without_the_setting() -> None:
    code = "import sys, jobserver.serving.server, jobserver.cli.serve; print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
