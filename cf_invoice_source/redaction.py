"""Text that is not ours, made fit to be shown: without a credential, on one line, and printable."""

from __future__ import annotations

import re
import unicodedata

_GIVEN_AWAY = 8
"""So many characters of a credential in a row are not shown: by chance they stand nowhere else."""

_SHORTEST = 12
"""What is shorter may be a word, and is no credential: a token has 40 characters, a key 37."""

_LONGEST = 300
_LOOKED_AT = 4_000  # characters of a text of which `_LONGEST` are shown

_MASK = "***"
_pieces: dict[int, set[str]] = {}
"""What gives the credentials of this process away: pieces of them, by length."""


def keep_secret(secret: str, *, as_a_whole: bool = False) -> None:
    """Show a credential nowhere from now on, nor a piece of it, unless only all of it is secret."""
    length = len(secret) if as_a_whole else _GIVEN_AWAY
    if len(secret) >= (_GIVEN_AWAY if as_a_whole else _SHORTEST):
        starts = range(len(secret) - length + 1)
        _pieces.setdefault(length, set()).update(secret[at : at + length].lower() for at in starts)


def redacted(text: str) -> str:
    """Put *** in place of credentials, also of parts of them, whatever their case and what stands in between.

    A credential is plain ASCII without spaces: all else within one is taken for a disguise.
    """
    places = [place for place, char in enumerate(text) if _plain(char)] if _pieces else []
    plain = "".join(_plain(text[place]) for place in places)
    shown, end = [], 0
    for first, last in _given_away(plain):
        shown += [text[end : places[first]], _MASK]
        end = places[last] + 1
    return "".join([*shown, text[end:]])


def shown(text: object) -> str:
    """Write a text so that a screen shows nothing but its characters: redacted, on one line, printable."""
    return "".join(char if char.isprintable() else " " for char in redacted(str(text)))


def readable(value: object) -> str:
    """Write what a server says so that a screen and every database take it: as `shown`, and short."""
    text = shown(str(value)[:_LOOKED_AT])
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


_URL = re.compile(r"[a-z][a-z0-9+.-]*:/[^\s'\"`]*", re.IGNORECASE)
_QUOTED = re.compile(r"""(?<![\w'"`])(?P<quote>['"`])(?P<value>.*?)(?:(?P=quote)(?!\w)|\Z)""", re.DOTALL)
_VALUES = re.compile(r"(?:^\s*(?:DETAIL|CONTEXT|LINE \d+):|\[parameters:).*", re.MULTILINE)
_PATH = re.compile(r"(?:/[\w.@%+ -]+)+/?")


def without_values(text: str) -> str:
    """Take out of a database driver's text what it quotes, addresses and rows; paths of files stay."""
    text = _URL.sub("(address)", _VALUES.sub("", redacted(text)))
    return _QUOTED.sub(lambda found: found[0] if _PATH.fullmatch(found["value"]) else f"({_MASK})", text)


def _plain(char: str) -> str:
    """Give the character that a credential may have here, in lower case; nothing for any other."""
    if not char.isascii():
        char = unicodedata.normalize("NFKC", char)
    return char.lower() if len(char) == 1 and "!" <= char <= "~" else ""


def _given_away(plain: str) -> list[tuple[int, int]]:
    """Find the first and the last place of each part that credentials have in common with a text."""
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
