"""What was seen where in a list of millions, in 16 bytes for each record instead of 300."""

from __future__ import annotations

from array import array

_BLOCK = 1024
_ARRAYS = 2**16
"""At a million names there are 15 in each."""


class Places:
    """Which name stands at an ordinal. Names are hashes: whole numbers of 64 bits, but not 0."""

    def __init__(self) -> None:
        self._blocks: dict[int, array[int]] = {}

    def __contains__(self, ordinal: int) -> bool:
        return self.get(ordinal) != 0

    def get(self, ordinal: int) -> int:
        """Give the name at an ordinal; 0 where nothing was seen yet."""
        block = self._blocks.get(ordinal // _BLOCK)
        return block[ordinal % _BLOCK] if block else 0

    def put(self, ordinal: int, name: int) -> None:
        """Note what stands at an ordinal."""
        block = self._blocks.get(ordinal // _BLOCK)
        if block is None:
            block = self._blocks[ordinal // _BLOCK] = array("q", bytes(8 * _BLOCK))
        block[ordinal % _BLOCK] = name


class Names:
    """Which names were seen anywhere, in many small arrays: a name's own bits say in which of them it is."""

    def __init__(self) -> None:
        self._arrays: dict[int, array[int]] = {}

    def __contains__(self, name: int) -> bool:
        names = self._arrays.get(name % _ARRAYS)
        return names is not None and name in names

    def add(self, name: int) -> None:
        """Note a name."""
        names = self._arrays.get(name % _ARRAYS)
        if names is None:
            names = self._arrays[name % _ARRAYS] = array("q")
        names.append(name)


def name_of(key: str) -> int:
    """Give the name of a record's id, or of what else tells it from others."""
    return hash(key) or 1
