"""What a bounded cache keeps and what it drops."""

import threading

from jobserver.cache import Cache


def test_the_entry_that_was_used_longest_ago_is_dropped() -> None:
    cache = Cache[str, int](3)
    for key in "abc":
        cache.put(key, 1)
    assert cache.get("a") == 1
    cache.put("d", 1)
    assert [key in cache for key in "abcd"] == [True, False, True, True]
    assert cache.get("b") is None


def test_to_look_whether_there_is_an_entry_is_no_use_of_it() -> None:
    cache = Cache[str, int](2)
    cache.put("a", 1)
    cache.put("b", 1)
    assert "a" in cache
    cache.put("c", 1)
    assert "a" not in cache


def test_entries_have_weights() -> None:
    cache = Cache[str, bytes](10, len)
    for key in "abc":
        cache.put(key, bytes(3))
    cache.put("c", bytes(4))
    assert (len(cache), cache.weight) == (3, 10)
    cache.put("d", bytes(1))
    assert ("a" in cache, len(cache), cache.weight) == (False, 3, 8)
    cache.remove("d")
    cache.remove("none")
    assert (len(cache), cache.weight) == (2, 7)
    cache.clear()
    assert (len(cache), cache.weight) == (0, 0)


def test_the_newest_entry_stays_whatever_it_weighs() -> None:
    cache = Cache[str, bytes](10, len)
    cache.put("a", bytes(3))
    cache.put("b", bytes(100))
    assert (cache.get("a"), cache.get("b"), cache.weight) == (None, bytes(100), 100)


def test_threads_that_read_and_write_it_at_once() -> None:
    cache, errors = Cache[int, int](5), list[Exception]()

    def use(first: int) -> None:
        try:
            for number in range(20_000):
                cache.put((first + number) % 11, 1)
                cache.get(number % 11)
        except Exception as error:  # noqa: BLE001 - of another thread
            errors.append(error)

    threads = [threading.Thread(target=use, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (errors, len(cache), cache.weight) == ([], 5, 5)
