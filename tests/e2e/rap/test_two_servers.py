"""Two servers with clones of one hosted repository: exactly one calls the controller, and the other takes over."""

from pathlib import Path

from tests.e2e.harness import git
from tests.e2e.host import Host
from tests.e2e.rap.controlled import eventually, outcome
from tests.e2e.test_hosted import machine
from tests.integration.service.rap.fake import FakeController
from tests.samples import only_whole


@only_whole
def test_one_of_two_servers_calls_and_the_other_takes_over(tmp_path: Path) -> None:
    host, controller = Host(tmp_path / "host", 2, "servers:a-secret"), FakeController("tpp")
    servers = [machine(tmp_path, host, number) for number in (0, 1)]
    for number, server in enumerate(servers):
        server.env["RAP_TOKENS"] = f"tpp=server-{number}"
        controller.tokens.add(f"server-{number}")
    servers[0].run("rap", "connect", "tpp", controller.url, "--repositories", "")
    for server in servers:
        server.start()
    first, second = servers[0].ask("generate"), servers[1].ask("generate")
    eventually(lambda: controller.raps.keys() == {first, second})
    (caller,) = controller.callers
    number = int(caller[-1])
    assert git(host.path, "cat-file", "-t", "refs/jobserver/controllers") == "blob"
    controller.callers.clear()
    servers[number].stop()
    other = servers[1 - number]
    third = other.ask("generate")
    eventually(lambda: third in controller.raps)
    assert controller.callers == {f"server-{1 - number}"}
    for identifier in (first, second, third):
        controller.move(identifier, "succeeded", "succeeded")
        eventually(lambda identifier=identifier: outcome(other, identifier) == "succeeded")
    assert len(controller.sent("rap/create/")) == 3
    other.stop()
    assert git(host.path, "for-each-ref", "refs/jobserver/") == ""  # given back
    other.check_record()
    controller.close()
    host.close()
