"""Errors of the domain become problems at the fields of a form, in words."""

import pytest

from jobserver.errors import Error, Fault, conflict, invalid
from jobserver.web.pages.sent_form import FormProblem, SentForm, sent_form


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (invalid("name at least one action", "requested_actions"), ("requested_actions", "Name at least one action.")),
        (invalid("x", faults=[Fault("has a tab", "projects/a/b.yaml", key="name")]), ("name", "Has a tab.")),
        (invalid("x", faults=[Fault("is bad", key="registration.purpose")]), ("purpose", "Is bad.")),
        (invalid("x", faults=[Fault("is bad", key="registration.team_name")]), ("team_name", "Is bad.")),
        (invalid("x", faults=[Fault("is bad", key="researchers.1.name")]), ("researcher_1_name", "Is bad.")),
        (invalid("x", faults=[Fault("is bad", key="databases.0")]), ("databases", "Is bad.")),
        (invalid("x", faults=[Fault("is bad", key="tokens.3.label")]), ("label", "Is bad.")),
        (invalid("x", faults=[Fault("is bad", key="invitations.0.username")]), ("username", "Is bad.")),
        (invalid("x", faults=[Fault("unknown key", "project.yaml", 3)]), ("", "project.yaml, line 3: unknown key.")),
        (invalid("is wrong", "some_internal_key"), ("", "Is wrong.")),
        (conflict("workspace 'a' already exists", field="name"), ("name", "Workspace 'a' already exists.")),
        (conflict("alice is already a member", field="username"), ("username", "alice is already a member.")),
        (conflict("tpp is not active", "backend"), ("backend", "tpp is not active.")),
        (
            invalid("expected at least 1 character", "slug"),
            ("slug", "Fill in this field: expected at least 1 character."),
        ),
        (invalid("at most 3 are allowed. Remove some!"), ("", "At most 3 are allowed. Remove some!")),
    ],
)
def test_a_problem_stands_at_its_field_without_names_of_keys_and_files(error: Error, problem: tuple[str, str]) -> None:
    sent = sent_form(error, [("username", "bob, alice"), ("slug", "")], {"tpp"})
    assert [(one.field, one.message) for one in sent.problems] == [problem]


def test_problems_are_in_the_order_of_the_forms_fields() -> None:
    faults = [Fault("is bad", key=key) for key in ("repo", "roles", "name")]
    sent = sent_form(invalid("x", faults=faults), [("name", "a"), ("repo", "b")], ())
    assert [problem.field for problem in sent.problems] == ["name", "repo", "roles"]
    state = sent.form()
    assert (state.is_first("name"), state.is_first("repo")) == (True, False)
    assert (state.value("repo", "other"), state.error("repo"), state.error("branch")) == ("b", "Is bad.", "")
    assert [sent.address(problem) for problem in sent.problems] == ["#name", "#repo", "#roles"]


def test_only_the_form_that_was_sent_shows_what_was_typed() -> None:
    fields = [("what", "member"), ("username", "bob"), ("roles", "Nonsense")]
    sent = sent_form(invalid("'Nonsense' is not a role", "roles"), fields, ())
    bob, carol, invite = sent.form("member", "bob"), sent.form("member", "carol"), sent.form("invite")
    assert bob.error("roles") == "'Nonsense' is not a role."
    assert (bob.has("roles", "ProjectDeveloper", True), carol.has("roles", "ProjectDeveloper", True)) == (False, True)
    assert (carol.error("roles"), invite.error("roles"), invite.value("username", "")) == ("", "", "")
    assert sent.address(sent.problems[0]) == f"#{bob.id('roles')}"
    assert len({bob.id("roles"), carol.id("roles"), invite.id("roles")}) == 3


def test_a_page_without_a_refused_form_has_no_problems() -> None:
    state = SentForm().form("email")
    assert (state.value("email", "a@b.c"), state.has("x", "on", True), state.error("email")) == ("a@b.c", True, "")
    assert FormProblem("Is bad.", "unknown").label == ""
