"""Text files of any length, plain, gzip or zstd, in blocks of whole lines."""

import gzip
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from hexlib.errors import BadInput, Damaged

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BLOCK = 1 << 22  # bytes of text read at a time
LONGEST = 1 << 16  # bytes of a line that are looked at where it does not fit into a block
# How far a zstd stream may look back, as the `zstd` command allows: 128 MiB.
_ZSTD = {int(zstd.DecompressionParameter.window_log_max): 27}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # which some editors put before UTF-8


def text(path: Path | str) -> Iterator[bytes]:
    """The text of a file in pieces of BLOCK bytes at most, without a byte order mark.

    Compression shows in the file's first bytes, whatever its name says. Raises `BadInput` if there
    is no such file, `Damaged` if it cannot be read to its end.
    """
    first = True
    try:
        with Path(path).open("rb") as file:
            readable = _decompressed(file)
            while piece := readable.read(BLOCK):
                if first:
                    piece, first = piece.removeprefix(_BYTE_ORDER_MARK), False
                yield piece
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file; correct the path") from None
    except (OSError, EOFError, zlib.error, zstd.ZstdError) as error:
        reason = " ".join(str(error).split())
        raise Damaged(
            path, f"cannot be read to its end ({reason})", "replace it or take it away"
        ) from None


def blocks(path: Path | str) -> Iterator[bytes]:
    """The same in blocks of whole lines, the last of which may lack its newline.

    Of a line longer than a block only the first part is kept.
    """
    rest = b""
    for piece in text(path):
        rest += piece
        cut = rest.rfind(b"\n") + 1
        if cut:
            yield rest[:cut]
            rest = rest[cut:]
        elif len(rest) > BLOCK:
            rest = rest[:LONGEST]
    if rest:
        yield rest


def _decompressed(file: IO[bytes]) -> Any:
    """What reads the text of an open file."""
    start = file.read(4)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if start == b"\x28\xb5\x2f\xfd":
        return zstd.ZstdFile(file, options=_ZSTD)
    return file
