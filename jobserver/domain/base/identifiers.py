"""Identifiers of job requests: 16 characters that begin with the time of creation, so that their text order is time
order.
"""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from jobserver.domain.base.names import REQUEST_ID

_REQUEST_ID = re.compile(REQUEST_ID)
_DIGITS = "234567abcdefghijklmnopqrstuvwxyz"  # ASCII order, so that text order is number order
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANDOM_BITS = 27  # 53 bits of microseconds reach the year 2255


def request_id(micros: int, random: int) -> str:
    """16 characters from microseconds since 1970 and 27 random bits; later is greater."""
    number = (micros << _RANDOM_BITS) | (random & ((1 << _RANDOM_BITS) - 1))
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(70, -1, -10)])


def is_request_id(text: str) -> bool:
    return _REQUEST_ID.fullmatch(text) is not None


@lru_cache(4096)
def request_day(identifier: str) -> date:
    """The UTC day in an identifier that jobserver made. For any other identifier, the result means nothing."""
    number = 0
    for digit in identifier:
        number = number << 5 | _DIGITS.index(digit)
    return (_EPOCH + timedelta(microseconds=number >> _RANDOM_BITS)).date()


def micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(micros: int) -> datetime:
    """The time that `micros` was made of."""
    return _EPOCH + timedelta(microseconds=micros)
