r"""Text from files, shown in a terminal: what would steer the terminal is spelled out.

A column may be called `\x1b[2J`, which clears the screen, or have letters in it that turn the
direction of those after them.
"""

import re

# Controls of ASCII and of Latin-1, but for line breaks; separators of lines; marks of direction.
_STEERING = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)


def visible(text: str) -> str:
    r"""Return the text with such characters as Python spells them: `\x1b`, `\u202e`."""
    return _STEERING.sub(lambda found: _spelled(found[0]), text)


def visible_in_json(text: str) -> str:
    r"""Return JSON with such characters as `\u001b`; it stays the same JSON."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _spelled(character: str) -> str:
    return f"\\x{ord(character):02x}" if ord(character) < 0x100 else f"\\u{ord(character):04x}"
