"""Makes foreign text fit to be shown: without credentials, on one line, and printable."""

from __future__ import annotations

import re
import unicodedata

_GIVEN_AWAY = 8
"""How many characters of a credential in a row are hidden. So many are not found elsewhere by chance."""

_SHORTEST = 12
"""A shorter text is not taken for a credential, because it may be a word. A token has 40 characters, a key
37."""

_LONGEST = 300
_LOOKED_AT = 4_000  # characters of a text that are searched for credentials; `_LONGEST` are shown

_MASK = "***"
_pieces: dict[int, set[str]] = {}
"""Pieces of this process's credentials, by length. None of them may be shown."""


def keep_secret(secret: str, *, as_a_whole: bool = False) -> None:
    """Hide a credential from now on, and every piece of it; with `as_a_whole`, only all of it."""
    length = len(secret) if as_a_whole else _GIVEN_AWAY
    if len(secret) >= (_GIVEN_AWAY if as_a_whole else _SHORTEST):
        starts = range(len(secret) - length + 1)
        _pieces.setdefault(length, set()).update(secret[at : at + length].lower() for at in starts)


def redacted(text: str) -> str:
    """Replace credentials and parts of them by ***, in any case, with any other characters in between.

    Credentials are ASCII without spaces, so all other characters are ignored when they are searched for.
    """
    places = [place for place, char in enumerate(text) if _plain(char)] if _pieces else []
    plain = "".join(_plain(text[place]) for place in places)
    shown, end = [], 0
    for first, last in _given_away(plain):
        shown += [text[end : places[first]], _MASK]
        end = places[last] + 1
    return "".join([*shown, text[end:]])


def shown(text: object) -> str:
    """Make a text fit for a screen: redacted, on one line, and with printable characters only."""
    return "".join(char if char.isprintable() else " " for char in redacted(str(text)))


def readable(value: object) -> str:
    """Make a server's text fit for screens and databases: as `shown`, and at most 300 characters."""
    text = shown(str(value)[:_LOOKED_AT])
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


_URL = re.compile(r"[a-z][a-z0-9+.-]*:/[^\s'\"`]*", re.IGNORECASE)
_QUOTED = re.compile(r"""(?<![\w'"`])(?P<quote>['"`])(?P<value>.*?)(?:(?P=quote)(?!\w)|\Z)""", re.DOTALL)
_VALUES = re.compile(r"(?:^\s*(?:DETAIL|CONTEXT|LINE \d+):|\[parameters:).*", re.MULTILINE)
_PATH = re.compile(r"(?:/[\w.@%+ -]+)+/?")


def without_values(text: str) -> str:
    """Remove quoted values, addresses and rows from a database driver's text; keep paths of files."""
    text = _URL.sub("(address)", _VALUES.sub("", redacted(text)))
    return _QUOTED.sub(lambda found: found[0] if _PATH.fullmatch(found["value"]) else f"({_MASK})", text)


def without_links(text: str) -> str:
    """Remove addresses: one of a document may open without signing in."""
    return _URL.sub("(address)", text)


def _plain(char: str) -> str:
    """Give a character as a credential may have it, in lower case; empty if it cannot have it."""
    if not char.isascii():
        char = unicodedata.normalize("NFKC", char)
    return char.lower() if len(char) == 1 and "!" <= char <= "~" else ""


def _given_away(plain: str) -> list[tuple[int, int]]:
    """Find the parts of credentials in a text, each by its first and last index."""
    found: list[tuple[int, int]] = []
    hits = sorted(
        (at, at + length - 1)
        for length, pieces in _pieces.items()
        for at in range(len(plain) - length + 1)
        if plain[at : at + length] in pieces
    )
    for first, last in hits:
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found
