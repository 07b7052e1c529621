"""What looks like a secret, by the name of a param or inside an address.

Names decide, since values of secrets look like anything. Where a word has two meanings the words around it count:
``hub_token`` opens doors, ``pad_token`` and ``max_tokens`` belong to language models, ``join_key`` to tables.
"""

import functools
import re
from typing import Any

_ALWAYS = frozenset(
    {"password", "passwd", "pwd", "passphrase", "passcode", "secret", "credential", "authorization", "cookie", "dsn"}
    | {"bearer", "apikey", "accesskey", "secretkey", "privatekey", "authtoken", "accesstoken", "apitoken"}
)
_TEXT_ONLY = frozenset({"token", "auth", "jwt", "key"})  # as numbers and switches these are sizes and choices
_PAIRS = frozenset({("connection", "string"), ("conn", "str"), ("connection", "str"), ("conn", "string")})
_OPENS = frozenset({"api", "access", "private", "account", "signing", "ssh", "encryption", "client", "auth", "refresh"})
_SIZES = frozenset({"length", "len", "count", "size", "limit", "number", "num", "policy"})
# Words before a token or a key, and words after it, that make it something of language models and of tables.
_BEFORE = {
    "token": frozenset(
        {"pad", "eos", "bos", "unk", "sep", "cls", "mask", "start", "end", "stop", "special", "image", "blank", "oov"}
        | {"num", "n", "max", "min", "per", "first", "last", "word", "text"}
    ),
    "key": frozenset(
        {"sort", "join", "primary", "foreign", "group", "partition", "public", "cache", "dict", "index", "merge"}
        | {"order", "row", "column", "col", "shuffle", "time", "date", "natural", "business", "surrogate", "feature"}
        | {"label", "metric", "score", "map", "lookup", "entity", "rng", "prng", "random", "by", "on", "left", "right"}
    ),
}
_AFTER = (
    frozenset(
        {"pattern", "type", "id", "level", "dim", "embedding", "rate", "budget", "window", "classification", "method"}
        | {"mode", "url", "scheme", "enabled", "column", "col", "name", "func", "function", "error"}
    )
    | _SIZES
)

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_USERINFO = re.compile(
    r"(?<=://)(?:[^\s/?#]*@"  # up to the last @ before the path: a password may hold one
    r"|[^\s@/?#:]+:(?!\d+[/?#])\S*@)"  # a password with a raw slash; host:port/path with an @ further on is none
)
_QUERY = re.compile(
    r"(?i)([?&](?:[\w-]*(?:token|secret|password|signature|credential|api-?key|api_key)[\w-]*|sig|key|auth)=)[^&\s#]+"
)


def is_secret(name: str, value: Any) -> bool:
    """Whether a param of this name looks like a secret. Only the type of ``value`` is looked at."""
    return not (value is None or value is True or value is False) and _looks_secret(name, _is_number(value))


@functools.lru_cache(maxsize=4096)  # the same few names come with every call of a function
def _looks_secret(name: str, is_number: bool) -> bool:
    words = [word.lower() for word in _WORDS.findall(name)]
    last = len(words) - 1
    for index, word in enumerate(words):
        one = word[:-1] if word.endswith("s") and not word.endswith("ss") else word
        after = words[index + 1] if index < last else ""
        before = words[index - 1] if index else ""
        if one in _ALWAYS and not (is_number and after.rstrip("s") in _SIZES):
            return True
        if (word, after) in _PAIRS:
            return True
        if one not in _TEXT_ONLY or is_number or before in _BEFORE.get(one, ()):
            continue
        if one != word and before not in _OPENS:  # tokens and keys are words and columns, api_keys are not
            continue
        if one == "key" and before not in _OPENS and index < last:
            continue
        if after.rstrip("s") not in _AFTER:
            return True
    return False


def _is_number(value: Any) -> bool:
    """Whether ``value`` is a number, or a short list of nothing else."""
    kind = type(value)
    # By identity: equality of a class is its metaclass's, which may be the user's.
    if any(kind is one for one in (list, tuple, set, frozenset)) and 0 < len(value) <= 128:
        return all(issubclass(type(item), int | float) for item in value)
    return issubclass(kind, int | float)


def without_credentials(text: str, mark: str) -> str:
    """``text`` whose addresses have lost user information, and secrets in their query."""
    return _QUERY.sub(rf"\g<1>{mark}", _USERINFO.sub("", text))
