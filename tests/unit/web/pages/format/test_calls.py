"""What the run form would send, as calls to copy."""

import json
import shlex

from jobserver.web.pages.format.calls import RequestCall

URL = "https://jobs.example.org/root/api/v2/workspaces/heart-study/job-requests/"
ACTIONS = ["it's", "-x", "$(reboot)"]
CALL = RequestCall(URL, "heart-study", ACTIONS, "tpp", "full", is_forced=True, will_notify=False)


def test_curl_sends_what_the_form_does_and_nothing_that_a_shell_runs() -> None:
    words = shlex.split(CALL.curl())
    assert words[:4] == ["curl", "-H", "Authorization: $TOKEN", "-d"]
    assert json.loads(words[4]) == {
        "requested_actions": ACTIONS,
        "backend": "tpp",
        "database_name": "full",
        "force_run_dependencies": True,
        "will_notify": False,
    }
    assert words[5:] == [URL]


def test_the_command_has_every_choice() -> None:
    options = ["--backend", "tpp", "--database", "full", "--no-notify", "--force-run-dependencies"]
    assert shlex.split(CALL.command()) == ["jobserver", "request", *options, "--", "heart-study", *ACTIONS]
