"""What is in a text file that people or programs wrote, with or without the byte order mark of Windows' editors.

Every text file that is read from outside goes through here, so that none stumbles over the mark.
"""

import codecs


class NotUtf8(ValueError):
    """The bytes are not UTF-8; `line` is where that shows. It holds nothing of the text."""

    def __init__(self, line: int) -> None:
        super().__init__("is not UTF-8; save the file as UTF-8")
        self.line = line


def without_mark(raw: bytes) -> bytes:
    return raw.removeprefix(codecs.BOM_UTF8)


def decoded(raw: bytes) -> str:
    """The text in UTF-8, without the mark; NotUtf8 if it is in another encoding."""
    try:
        return without_mark(raw).decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
    # Raised here, so that the UnicodeDecodeError, which holds the whole text, does not travel with it.
    raise NotUtf8(line)
