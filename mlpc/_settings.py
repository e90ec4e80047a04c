"""What optimizers, schedules, losses and early stopping have in common: immutable settings, checked when made."""

import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from functools import partial
from typing import Any

from mlpc import _check


@dataclass(frozen=True, repr=False)
class Settings:
    """Base of frozen dataclasses whose fields carry their own checks; equality and hash are the dataclass's."""

    def __post_init__(self) -> None:
        for entry in fields(self):
            if check := entry.metadata.get("check"):
                object.__setattr__(self, entry.name, check(entry.name, getattr(self, entry.name)))

    def __repr__(self) -> str:
        # Keyword-only fields last, and only where they say something.
        shown = [(f.name, getattr(self, f.name)) for f in fields(self) if not f.kw_only]
        shown += [
            (f.name, getattr(self, f.name)) for f in fields(self) if f.kw_only and getattr(self, f.name) != f.default
        ]
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown)})"

    def values(self) -> dict[str, Any]:
        """Each setting by its name."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}


def checked(default: object, check: Callable[[str, Any], object]) -> Any:
    """A field with a default (`MISSING`: none) and a check(name, value) that returns what to store."""
    return field(default=default, metadata={"check": check})


def real(default: object = MISSING, **bounds: float) -> Any:
    """A field that is a finite number between bounds."""
    return checked(default, lambda name, value: _check.real(name, value, **bounds))


def integer(default: object = MISSING, *, least: int, most: int = sys.maxsize) -> Any:
    """A field that is a whole number from `least` to `most`."""
    return checked(default, partial(_check.integer, least=least, most=most))
