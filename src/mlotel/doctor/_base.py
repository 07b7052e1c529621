"""What the sections of the doctor share: what they are asked about, and how they answer."""

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mlotel.errors import InvalidArgumentError, MlotelError
from mlotel.types import Signal

if TYPE_CHECKING:
    from mlotel._setup._options import Route

__all__ = ["SIGNALS", "Case", "Result", "Section", "Verdict", "routes", "version_of", "worst"]

SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")

Verdict: TypeAlias = Literal["ok", "info", "warn", "fail"]
"""``info`` is a fact that is neither good nor bad; ``warn`` and ``fail`` are findings."""

_ORDER: tuple[Verdict, ...] = ("ok", "info", "warn", "fail")


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that was looked at.

    Attributes:
        verdict: How it is.
        subject: What was looked at, in a few words.
        says: What was found.
        remedy: What to do about it; empty where nothing has to be done.
        facts: The same in numbers and names, for programs.
        is_below: Whether it belongs to the result before it.
    """

    verdict: Verdict
    subject: str
    says: str
    remedy: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    is_below: bool = False

    @property
    def is_finding(self) -> bool:
        """Whether somebody should do something."""
        return self.verdict in ("warn", "fail")


@dataclass(frozen=True, slots=True)
class Section:
    """A group of results, one file each.

    Attributes:
        title: Stands above the results.
        place: The lower, the further up.
        look: Looks, in bounded time; what goes wrong inside becomes a result by itself.
    """

    title: str
    place: int
    look: "Callable[[Case], list[Result]]"


@dataclass(frozen=True)
class Case:
    """What the doctor is asked about.

    Attributes:
        folders: Spool folders to look into; they need not exist.
        endpoint: As ``configure(endpoint=)``; None leaves it to the environment.
        protocol: As ``configure(protocol=)``.
        headers: As ``configure(headers=)``; never shown.
        timeout_s: Seconds that an endpoint has to answer.
        now: Seconds since 1970.
    """

    folders: tuple[Path, ...]
    endpoint: str | None = None
    protocol: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 3.0
    now: float = field(default_factory=time.time)

    @cached_property
    def _asked(self) -> "tuple[Mapping[Signal, Route], str]":
        try:
            return routes(self.endpoint, self.protocol, self.headers), ""
        except MlotelError as error:
            return {}, self.hide(str(error))

    @property
    def routes(self) -> "Mapping[Signal, Route]":
        """Where each signal goes, as ``configure()`` says; empty where it would refuse."""
        return self._asked[0]

    @property
    def refusal(self) -> str:
        """Why ``configure()`` would refuse addresses, protocol or headers; empty where it would not."""
        return self._asked[1]

    @cached_property
    def secrets(self) -> "frozenset[str]":
        """Values that must not be shown: of headers, user info and queries of addresses."""
        from mlotel.export._secrets import secrets_of

        found = secrets_of(self.endpoint or "", self.headers)
        for name, value in os.environ.items():
            if name.startswith("OTEL_") and name.endswith("_HEADERS"):
                values = (part.partition("=")[2] for part in value.split(","))
                found |= secrets_of("", dict(zip(map(str, range(1000)), values, strict=False)))
            elif "://" in value or name.endswith("_ENDPOINT"):
                found |= secrets_of(value, {})
        return frozenset(found)

    def hide(self, text: str) -> str:
        """``text`` of others without what we sent them: receivers and libraries like to repeat it.

        Example:
            >>> Case((), headers={"x-key": "tok-4f1d"}).hide("no such key: tok-4f1d")
            'no such key: [hidden]'
        """
        from mlotel.export._secrets import hidden

        return hidden(text, self.secrets)


def routes(endpoint: str | None, protocol: str | None, headers: Mapping[str, str]) -> "Mapping[Signal, Route]":
    """Where each signal goes: what ``configure()`` makes of arguments and environment.

    Args:
        endpoint: As ``configure(endpoint=)``, or None.
        protocol: As ``configure(protocol=)``, or None.
        headers: As ``configure(headers=)``.

    Raises:
        InvalidArgumentError: Where ``configure()`` would raise it, in the words of the command line.

    Example:
        >>> routes("http://localhost:4318", None, {})["logs"].endpoint
        'http://localhost:4318/v1/logs'
    """
    from mlotel._setup import _options

    arguments: dict[str, Any] = dict.fromkeys(_options.ARGUMENTS)
    arguments |= {"endpoint": endpoint, "protocol": protocol, "headers": dict(headers) or None, "instrument": ()}
    try:
        return _options.routes(_options.check(arguments, {}), has_spool=True)
    except InvalidArgumentError as error:
        said = re.sub(r"^configure\(\) got ((endpoint|protocol)=)?", _as_option, str(error))
        raise InvalidArgumentError(said) from None


def worst(results: Iterable[Result]) -> Verdict:
    """The worst verdict among ``results``; ``ok`` where there are none.

    Example:
        >>> worst([Result("ok", "a", ""), Result("warn", "b", ""), Result("info", "c", "")])
        'warn'
    """
    return max((result.verdict for result in results), key=_ORDER.index, default="ok")


def _as_option(found: "re.Match[str]") -> str:
    return f"--{found[2]} got " if found[2] else "Got "


def version_of(name: str) -> str | None:
    """Version of an installed distribution; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
