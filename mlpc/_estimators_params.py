"""Settings of a solver or loss object as parameters of the estimator: `solver__learning_rate` in a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlpc._settings import Settings

if TYPE_CHECKING:
    from typing_extensions import Self


class SettingsAsParameters:
    """The settings of immutable objects that are parameters, to get and to set like the estimator's own."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether those of a solver or loss object are among them, as `solver__learning_rate` and so on.

        Returns
        -------
        dict
            The parameters by name.
        """
        parameters: dict[str, Any] = super().get_params(deep)  # type: ignore[misc]
        for name, value in list(parameters.items()) if deep else ():
            parameters |= _settings_of(name, value)
        return parameters

    def set_params(self, **params: Any) -> Self:
        """Set parameters.

        Parameters
        ----------
        params : object
            Values by name; `solver__learning_rate=0.1` makes another optimizer like the one there is.

        Returns
        -------
        estimator
            Itself.

        Raises
        ------
        TypeError, ValueError
            If there is no such parameter, or a setting is not of its type or range.
        """
        inner = {name: value for name, value in params.items() if "__" in name and hasattr(self, _first(name))}
        plain = {name: value for name, value in params.items() if name not in inner}
        for name, changes in _by_first(inner).items():
            plain[name] = _replaced(name, plain.get(name, getattr(self, name)), changes)
        super().set_params(**plain)  # type: ignore[misc]
        return self


def _first(name: str) -> str:
    return name.partition("__")[0]


def _by_first(changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Changes of a__b and a__c as those of b and c, by a."""
    grouped: dict[str, dict[str, Any]] = {}
    for name, value in changes.items():
        first, _, rest = name.partition("__")
        grouped.setdefault(first, {})[rest] = value
    return grouped


def _settings_of(name: str, value: object) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(value, Settings):
        for setting, inner in value.values().items():
            found |= {f"{name}__{setting}": inner, **_settings_of(f"{name}__{setting}", inner)}
    return found


def _replaced(name: str, settings: object, changes: dict[str, Any]) -> Settings:
    """`settings`, the value of parameter `name`, with changes, those of one object together."""
    one = next(iter(changes))
    if not isinstance(settings, Settings):
        raise ValueError(f"{name} must be an object to set {name}__{one} of, got {settings!r}")
    for unknown in {_first(change) for change in changes} - settings.values().keys():
        there = ", ".join(settings.values())
        raise ValueError(f"{name}__{unknown} is no parameter: {type(settings).__name__} has {there}")
    whole = {change: value for change, value in changes.items() if "__" not in change}
    for first, inner in _by_first({change: changes[change] for change in changes if "__" in change}).items():
        whole[first] = _replaced(f"{name}__{first}", whole.get(first, getattr(settings, first)), inner)
    try:
        return settings.replace(**whole)
    except (TypeError, ValueError) as error:  # it speaks of the setting alone
        raise type(error)(f"{name}__{error}") from None
