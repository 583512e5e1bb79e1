"""The pauses between attempts to send a message."""

from jobserver.service.notify.outbox import FIRST_PAUSE, LONGEST_PAUSE, LONGEST_TRIED, pause


def test_pauses_double_to_an_hour() -> None:
    assert [pause(attempts) for attempts in range(1, 13)] == [
        5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600,
    ]  # fmt: skip
    assert pause(10**6) == LONGEST_PAUSE


def test_a_message_gets_many_attempts_before_it_is_given_up() -> None:
    elapsed = attempts = 0
    while elapsed < LONGEST_TRIED.total_seconds():
        attempts += 1
        elapsed += pause(attempts)
    assert 70 < attempts < 90
    assert pause(1) == FIRST_PAUSE
