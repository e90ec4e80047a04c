"""What optimizers, schedules, losses and early stopping have in common: immutable settings, checked when made.

A small part of what `dataclasses` does; importing that and letting it write each class would take longer than importing
all of this package.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from mlpc import _check

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable

    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda kind: kind


_MISSING: Any = object()


class _Setting:
    """What a class says of one of its settings."""

    __slots__ = ("check", "default", "kw_only")

    def __init__(self, default: object, check: Callable[[str, Any], object], kw_only: bool) -> None:
        self.default, self.check, self.kw_only = default, check, kw_only


def checked(*, default: Any = _MISSING, check: Callable[[str, Any], object], kw_only: bool = False) -> Any:
    """A setting with a default (none: it must be given) and a check(name, value) that returns what to store."""
    return _Setting(default, check, kw_only)


def real(default: float, **bounds: float) -> Any:
    """A setting that is a finite number between bounds; it has a default, as type checkers take it."""
    return _Setting(default, lambda name, value: _check.real(name, value, **bounds), False)


def integer(default: int, *, least: int, most: int = sys.maxsize) -> Any:
    """A setting that is a whole number from `least` to `most`; it has a default, too."""
    return _Setting(default, partial(_check.integer, least=least, most=most), False)


class _Signature:
    """The constructor's signature, made when somebody asks for it."""

    def __get__(self, instance: object, kind: type[Settings]) -> inspect.Signature:
        if instance is not None:
            raise AttributeError("__signature__")
        from inspect import Parameter, Signature

        parameters = []
        for name, setting in kind._settings.items():
            place = Parameter.KEYWORD_ONLY if setting.kw_only else Parameter.POSITIONAL_OR_KEYWORD
            default = Parameter.empty if setting.default is _MISSING else setting.default
            parameters.append(Parameter(name, place, default=default))
        return Signature(sorted(parameters, key=lambda parameter: parameter.kind))


@dataclass_transform(frozen_default=True, field_specifiers=(checked,))
class Settings:
    """Base of classes that declare their settings like fields of a dataclass; equal where all settings are."""

    _settings: ClassVar[dict[str, _Setting]] = {}
    __signature__: ClassVar = _Signature()

    def __init_subclass__(cls) -> None:
        own = {name: value for name, value in vars(cls).items() if isinstance(value, _Setting)}
        cls._settings = {**cls._settings, **own}
        for name, setting in own.items():
            if setting.default is _MISSING:
                delattr(cls, name)
            else:
                setattr(cls, name, setting.default)

    if not TYPE_CHECKING:  # the declarations say more than these

        def __init__(self, *args, **given):
            kind = type(self).__name__
            places = [name for name, setting in self._settings.items() if not setting.kw_only]
            if len(args) > len(places):
                raise TypeError(f"{kind}() takes at most {len(places)} positional arguments, got {len(args)}")
            for name, value in zip(places, args, strict=False):
                if name in given:
                    raise TypeError(f"{kind}() got several values for {name}")
                given[name] = value
            if unknown := [name for name in given if name not in self._settings]:
                known = ", ".join(self._settings)
                raise TypeError(f"{kind}() got an unexpected argument {unknown[0]!r}: there are {known}")
            for name, setting in self._settings.items():
                value = given.get(name, setting.default)
                if value is _MISSING:
                    raise TypeError(f"{kind}() is missing its argument {name}")
                object.__setattr__(self, name, setting.check(name, value))
            self._check_together()

        def __setattr__(self, name, value):
            raise AttributeError(f"{type(self).__name__} is immutable: make another one to change {name}")

        def __delattr__(self, name):
            raise AttributeError(f"{type(self).__name__} is immutable: {name} cannot be deleted")

    def _check_together(self) -> None:
        """Checks of several settings at once."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self.values() == other.values()

    def __hash__(self) -> int:
        return hash((type(self), *self.values().values()))

    def __repr__(self) -> str:
        # Keyword-only settings last, and only where they say something.
        shown = [(name, value) for name, value in self.values().items() if not self._settings[name].kw_only]
        for name, setting in self._settings.items():
            if setting.kw_only and getattr(self, name) != setting.default:
                shown.append((name, getattr(self, name)))
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown)})"

    def values(self) -> dict[str, Any]:
        """Each setting by its name."""
        return {name: getattr(self, name) for name in self._settings}

    def replace(self, **changes: Any) -> Self:
        """The same settings but for some.

        Parameters
        ----------
        changes : object
            New values, by the names of the settings.

        Returns
        -------
        Settings
            A new object of the same class.

        Raises
        ------
        TypeError, ValueError
            If a setting is not of its type or range, or there is none of that name.

        Examples
        --------
        >>> import mlpc
        >>> mlpc.SGD(0.1, momentum=0.9).replace(learning_rate=0.05)
        SGD(learning_rate=0.05, momentum=0.9, nesterov=False)
        """
        return type(self)(**(self.values() | changes))
