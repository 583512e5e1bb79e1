"""Reads the fields of a JSON object one by one, and collects the faults, so that one answer names all of them."""

from collections.abc import Collection
from typing import Any, TypeVar, overload

from jobserver.domain.base.permissions import Role
from jobserver.domain.base.validation import kind
from jobserver.errors import Error, Fault, invalid

T = TypeVar("T")
REQUIRED: Any = object()
MAX_BACKENDS = 1000  # that a project or person may be limited to
_UNKNOWN = 50  # unknown fields that an answer names


class Fields:
    def __init__(self, data: Any) -> None:
        if not isinstance(data, dict):
            raise invalid(f"expected an object, found {kind(data)}", "non_field_errors")
        self._data: dict[str, Any] = data
        self._taken: set[str] = set()
        self._faults: list[Fault] = []

    def has(self, name: str) -> bool:
        """Whether the object has this key, even with null."""
        return name in self._data

    def done(self) -> None:
        """Raises `Error` (invalid) with every fault; fields that were not read are unknown ones."""
        unknown = [name for name in self._data if name not in self._taken]
        known = ", ".join(sorted(self._taken))
        shown = unknown[:_UNKNOWN]
        self._faults += [Fault(f"unknown field, expected one of: {known}", key=name[:100]) for name in shown]
        if len(unknown) > len(shown):
            self._faults.append(Fault(f"{len(unknown) - len(shown)} more unknown fields", key="non_field_errors"))
        if self._faults:
            raise invalid(str(self._faults[0]), faults=self._faults)

    def none_of(self, names: Collection[str], reason: str) -> None:
        """Refuses these fields."""
        self._taken.update(names)
        self._faults += [Fault(reason, key=name) for name in names if self.has(name)]

    def refuse(self, name: str, reason: str) -> None:
        """Adds what is wrong with a field that was read."""
        self._faults.append(Fault(reason, key=name))

    def _take(self, name: str, default: Any) -> Any:
        self._taken.add(name)
        value = self._data.get(name)
        if value is None:
            if default is REQUIRED:
                self._faults.append(Fault("required", key=name))
            return default
        return value

    def _fault(self, name: str, message: str, stand_in: T) -> T:
        self._faults.append(Fault(message, key=name))
        return stand_in

    def take(self, name: str) -> Any:
        """The value as it is; None without one."""
        return self._take(name, None)

    @overload
    def text(self, name: str) -> str: ...
    @overload
    def text(self, name: str, default: None) -> str | None: ...
    def text(self, name: str, default: Any = REQUIRED) -> str | None:
        value = self._take(name, default)
        if value is default:
            return "" if default is REQUIRED else None
        if not isinstance(value, str) or not value:
            return self._fault(name, f"expected text, found {kind(value)}", "")
        return value

    def flag(self, name: str, default: bool | None = REQUIRED) -> bool | None:
        value = self._take(name, default)
        if value is REQUIRED:
            return None
        if not isinstance(value, bool | None):
            return self._fault(name, f"expected true or false, found {kind(value)}", default)
        return value

    def roles(self, name: str, most: int = 50, default: Any = REQUIRED) -> tuple[Role, ...]:
        """A list of roles, which may be empty."""
        values = self.texts(name, most, empty=True, default=default)
        if unknown := set(values) - set(Role):
            return self._fault(name, f"{min(unknown)[:100]!r} is not a role: expected {', '.join(Role)}", ())
        return tuple(map(Role, values))

    def named_texts(self, name: str, most: int) -> dict[str, str] | None:
        """An object of texts; None if it is not given."""
        value = self._take(name, None)
        if value is None:
            return None
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            return self._fault(name, f"expected an object of texts, found {kind(value)}", None)
        if len(value) > most:
            return self._fault(name, f"{len(value)} entries, and the limit is {most}", None)
        return value

    def number(self, name: str) -> int | None:
        """A whole number from 1 up; None if it is not given."""
        value = self._take(name, None)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63):
            return self._fault(name, f"expected a whole number from 1 up, found {kind(value)}", None)
        return value

    def lists(self, name: str, keys: Collection[str], most: int) -> dict[str, list[str]] | None:
        """An object with lists of texts, which may be empty, under some of these keys. None for null."""
        value = self._take(name, None)
        if value is None:
            return None
        if not isinstance(value, dict):
            return self._fault(name, f"expected an object, found {kind(value)}", {})
        within = Fields(value)
        lists = {key: within.texts(key, most, empty=True, default=None) for key in keys}
        try:
            within.done()
        except Error as error:
            self._faults += [Fault(fault.message, key=f"{name}.{fault.key}") for fault in error.faults]
        return {key: values for key, values in lists.items() if within.has(key)}

    def texts(self, name: str, most: int, empty: bool = False, default: Any = REQUIRED) -> list[str]:
        value = self._take(name, default)
        if value is REQUIRED or value is default:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return self._fault(name, f"expected a list of texts, found {kind(value)}", [])
        if not empty and not value:
            return self._fault(name, "expected at least one", [])
        if len(value) > most:
            return self._fault(name, f"{len(value)} entries, and the limit is {most}", [])
        return value
