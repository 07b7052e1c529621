"""What must not be shown of an endpoint, taken out of what receivers and libraries say: they like to repeat it."""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["hidden", "secrets_of"]


def secrets_of(endpoint: str, headers: Mapping[str, str]) -> set[str]:
    """Values of headers, user info, query and fragment, as they are written and as they are sent.

    Example:
        >>> sorted(secrets_of("https://ana:pw@otlp.example?key=k1", {"authorization": "Bearer abc"}))
        ['Bearer abc', 'abc', 'ana', 'k1', 'key=k1', 'pw']
    """
    found: set[str] = set()
    try:
        parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
    except ValueError:  # brackets that do not match: no address at all
        parts = urlsplit("")
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    for text in (user, password, parts.query, parts.fragment, *(value for _, value in parse_qsl(parts.query))):
        found |= _forms(text)
    for value in headers.values():
        found |= _forms(value)
        scheme, _, token = unquote(value).strip().partition(" ")
        if scheme.isalpha():  # "Bearer abc": what is behind the word is the secret
            found |= _forms(token)
    return found - {""}


def hidden(text: str, secrets: Iterable[str]) -> str:
    """``text`` with ``[hidden]`` for each of ``secrets``.

    Example:
        >>> hidden("no such key: tok-4f1d", ["tok-4f1d"])
        'no such key: [hidden]'
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "[hidden]")
    return text


def _forms(value: str) -> set[str]:
    """A value as it stands in a variable, as it is sent, and as an exception quotes it."""
    sent = unquote(value)
    return {value.strip(), sent, sent.strip(), repr(sent)[1:-1]}
