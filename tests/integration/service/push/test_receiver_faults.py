"""What a push is told: each fault once, where it came and in words that help; and what may stand beside documents."""

import pytest

from jobserver.audit.verify import verify
from jobserver.domain.base.permissions import Role
from jobserver.domain.users import DisableUser, SetUserRoles
from jobserver.errors import Error
from tests.integration.service.push.pushing import EVE, Push
from tests.integration.service.push.test_receiver_commits import refused
from tests.site import ADMIN, Site


def test_a_commit_that_repairs_another_is_not_blamed_for_it(site: Site) -> None:
    admin, alice = (site.git("show", f"main:users/{one}.yaml") for one in ("admin", "alice"))
    for path, broken, good in (
        ("users/admin.yaml", admin.replace("SuperUser", "Auditor"), admin),
        ("users/admin.yaml", "x: 1\n", admin),
        ("users/alice.yaml", None, alice),
        ("users/alice.yaml", alice.replace("username", "user_name"), alice),
        ("users/eve.yml", EVE, None),
    ):
        push = Push(site, "main")
        first = push.commit((path, broken))
        push.commit(("orgs/beside.yaml", "version: 1\nslug: beside\nname: B\n"))
        push.commit((path, good))
        with pytest.raises(Error) as caught:
            push.send(ADMIN)
        assert {str(fault)[:10] for fault in caught.value.faults} == {first[:10]}, path


def test_one_mistake_is_one_fault(site: Site) -> None:
    """A key misspelt in alice's document was three: it, the one that was missing, and who names alice."""
    alice = site.git("show", "main:users/alice.yaml")
    backend = site.git("show", "main:backends/tpp.yaml")
    for path, document, expected in (
        (
            "users/alice.yaml",
            alice.replace("username", "user_name"),
            ["2: user_name: unknown key: did you mean username?"],
        ),
        ("backends/tpp.yaml", backend.replace("slug: tpp", "slug: Tpp"), None),
        (
            "backends/tpp.yaml",
            backend.replace("sha256", "sha"),
            ["11: tokens.0.sha: unknown key: did you mean sha256?"],
        ),
        (
            "users/eve.yaml",
            "version: 1\nusername: eve\nroles:\n\t- Auditor\n",
            ["4: not YAML: a tab: indent with spaces"],
        ),
    ):
        push = Push(site, "main")
        push.commit((path, document))
        told = refused(push, ADMIN)
        assert len(told) == 1, told
        assert expected is None or told == [f"{path}:{one}" for one in expected]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("users/eve.yml", "its name must end in .yaml"),
        ("users/eve.YAML", "its name must end in .yaml"),
        ("orgs/Bad_Slug.yaml", "expected orgs/<slug>.yaml, the slug lowercase letters, digits and hyphens"),
        ("users/team/eve.yaml", "expected users/<username>.yaml, the username letters, digits"),
        ("people/eve.yaml", "no document is allowed here on main"),
    ],
)
def test_a_misplaced_document_is_told_its_place(site: Site, path: str, words: str) -> None:
    push = Push(site, "main")
    push.commit((path, EVE))
    (told,) = refused(push, ADMIN)
    assert words in told


def test_files_that_hosts_and_editors_need_may_be_pushed(site: Site) -> None:
    """docs/admin.md asks for CI, which needs its files."""
    push = Push(site, "main")
    files = (".github/workflows/check.yml", ".gitattributes", ".vscode/settings.json", ".pre-commit-config.yaml")
    push.commit(*((path, "x: y\n") for path in files))
    assert push.send(ADMIN)
    push.land()
    push = Push(site, "main")
    push.commit((".github/run.sh", "#!/bin/sh\n"), mode="100755")
    assert push.send(ADMIN)
    for path, mode, words in (
        (".mailmap", "100644", "no document is allowed here on main"),  # it would say that alice's commits are bob's
        (".gitmodules", "100644", "no document is allowed here on main"),
        (".github/link", "120000", "is a symbolic link: expected a file"),
        ("README.md", "120000", "is a symbolic link: expected a file"),
        ("docs/x.md", "100644", "no document is allowed here on main"),
    ):
        push = Push(site, "main")
        push.commit((path, "x"), mode=mode)
        assert refused(push, ADMIN) == [f"{path}: {words}"]
    push = Push(site, "backends/tpp")
    push.commit((".github/x.yml", "x"))
    assert refused(push, ADMIN) == [".github/x.yml: no document is allowed here on backends/tpp"]


def test_a_comment_that_was_pushed_survives_the_servers_next_writes(site: Site) -> None:
    push = Push(site, "main")
    text = "# who is it?\nusername: eve\nversion: 1\nname: Eve  # of the lab\n"
    push.commit(("users/eve.yaml", text))
    push.send(ADMIN)
    push.land()
    site.do(ADMIN, SetUserRoles("eve", (Role.AUDITOR,)))
    assert site.git("show", "main:users/eve.yaml") == text + "roles:\n- Auditor\n"
    site.do(ADMIN, DisableUser("eve"))
    assert site.git("show", "main:users/eve.yaml") == text + "roles:\n- Auditor\nactive: false\n"
    assert verify(site.path).problems == []
