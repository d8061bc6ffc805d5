"""npz files larger than memory: written block by block, read as views of the mapped file.

The files are those of `files.write_npz`: uncompressed zip members with a JSON entry `meta`.
"""

import json
import math
import mmap
import re
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np

from hexlib import files
from hexlib.errors import BadInput

Layout = Mapping[str, tuple[np.dtype | type, tuple[int, ...]]]  # member: dtype and shape
REMEDY = "remove it and run the same command again to make it anew"
# What reading a zip or an npy header that is not whole may raise.
_DAMAGE = (
    *(OSError, ValueError, KeyError, EOFError, TypeError, OverflowError, NotImplementedError),
    *(struct.error, zipfile.BadZipFile),
)
# What numpy writes before an array (its own reader runs Python's tokenizer, whose errors are many).
_NPY_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<|][biuf]\d)', 'fortran_order': False,"
    rb" 'shape': \(([\d, ]*)\), \} *\n",
    re.DOTALL,
)
_LOCAL_HEADER = struct.Struct("<26xHH")  # length of the name and of the extra field


class Writer:
    """Fills the members of an npz, whose shapes are known, in any order of blocks.

    Each member has its place in the file from the start; `append` writes the next rows of one
    member there. `close` adds the checksums and the zip directory, and fails if rows are missing.
    Use inside `files.atomic`; equal content gives equal bytes whatever the blocks were.
    """

    def __init__(self, handle: IO[bytes], layout: Layout, meta: Mapping[str, Any]):
        document = json.dumps({"schema": files.SCHEMA, **meta}, sort_keys=True).encode()
        text = np.frombuffer(document, np.uint8)
        self._handle = handle
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._next: dict[str, int] = {}  # where the next rows of a member go
        self._end: dict[str, int] = {}
        position = 0
        for name, (dtype, shape) in {"meta": (text.dtype, text.shape), **layout}.items():
            header = _npy_header(np.dtype(dtype), shape)
            size = len(header) + np.dtype(dtype).itemsize * math.prod(shape)
            member = zipfile.ZipInfo(f"{name}.npy")
            member.header_offset = position
            member.file_size = member.compress_size = size
            member.CRC = zlib.crc32(header)
            start = position + len(member.FileHeader(zip64=True))
            handle.seek(start)
            handle.write(header)
            self._members[name] = member
            self._next[name] = start + len(header)
            self._end[name] = position = start + size
        self._size = position
        self.append("meta", text)

    def append(self, name: str, rows: np.ndarray) -> None:
        """Write the next rows of member `name`; their dtype is the member's."""
        data = np.ascontiguousarray(rows).reshape(-1).view(np.uint8)
        if self._next[name] + len(data) > self._end[name]:
            raise ValueError(f"{name}: more rows than the layout has")
        self._handle.seek(self._next[name])
        self._handle.write(data.data)
        self._next[name] += len(data)
        self._members[name].CRC = checksum(data, self._members[name].CRC)

    def close(self) -> None:
        """Write the headers and the directory of the zip."""
        for name, member in self._members.items():
            if self._next[name] != self._end[name]:
                raise ValueError(f"{name}: fewer rows than the layout has")
            self._handle.seek(member.header_offset)
            self._handle.write(member.FileHeader(zip64=True))
        self._handle.seek(self._size)
        with zipfile.ZipFile(self._handle, "w") as archive:  # writes the directory when it closes
            for member in self._members.values():
                archive.filelist.append(member)
                archive.NameToInfo[member.filename] = member


def _npy_header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    out = BytesIO()
    description = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(
        out, {"descr": description, "fortran_order": False, "shape": shape}
    )
    return out.getvalue()


def open_npz(
    path: Path | str, kind: str, verify: Collection[str] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Map a product of `files.write_npz` or `Writer`: read-only views of its arrays, and its meta.

    Nothing is copied: the views share the mapped pages, which the system drops when it needs
    memory. The zip's checksums are verified, which reads the file once: of all members, or of
    those named in `verify` and the meta. Raises `BadInput` as `files.read_npz` does.
    """
    try:
        with Path(path).open("rb") as handle:
            data = np.frombuffer(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)
            with zipfile.ZipFile(handle) as archive:
                members = archive.infolist()
        arrays = {member.filename.removesuffix(".npy"): _view(data, member) for member in members}
        for member in members:
            if verify is None or member.filename.removesuffix(".npy") in {"meta", *verify}:
                _check(data, member)
        meta = json.loads(arrays.pop("meta").tobytes())
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except _DAMAGE as error:
        raise BadInput(f"{path}: not a whole {kind} file ({error}); {REMEDY}") from None
    found = meta.get("kind") if isinstance(meta, dict) else meta
    if found != kind:
        raise BadInput(f"{path}: holds {found!r}, where {kind!r} is wanted; name another file")
    if meta.get("schema") != files.SCHEMA:
        raise BadInput(
            f"{path}: schema version {meta.get('schema')}, this version reads {files.SCHEMA};"
            f" {REMEDY}"
        )
    return arrays, meta


def _bytes_of(data: np.ndarray, member: zipfile.ZipInfo) -> np.ndarray:
    """The bytes of a stored member, a view."""
    header = data[member.header_offset :][: _LOCAL_HEADER.size].tobytes()
    name, extra = _LOCAL_HEADER.unpack(header)
    start = member.header_offset + _LOCAL_HEADER.size
    if data[start : start + name].tobytes() != member.filename.encode():
        raise ValueError(f"member {member.filename} has another name in the directory")
    start += name + extra
    found = data[start : start + member.file_size]
    if member.compress_type != zipfile.ZIP_STORED or len(found) != member.file_size:
        raise ValueError(f"member {member.filename} is compressed or cut off")
    return found


def _view(data: np.ndarray, member: zipfile.ZipInfo) -> np.ndarray:
    found = _bytes_of(data, member)
    header = _NPY_HEADER.match(found[:1024].tobytes())
    if not header:
        raise ValueError(f"member {member.filename} does not start as our arrays do")
    dtype = np.dtype(header[1].decode())
    shape = tuple(int(length) for length in header[2].replace(b",", b" ").split())
    count = math.prod(shape)
    if header.end() + count * dtype.itemsize != len(found):
        raise ValueError(f"member {member.filename} is not as long as its header says")
    return np.frombuffer(found, dtype, count, header.end()).reshape(shape)


def _check(data: np.ndarray, member: zipfile.ZipInfo) -> None:
    if checksum(_bytes_of(data, member)) != member.CRC:
        raise ValueError(f"member {member.filename} is damaged: its checksum differs")


def checksum(array: np.ndarray, before: int = 0) -> int:
    """CRC-32 of the bytes of a contiguous array, following those whose checksum is `before`."""
    return zlib.crc32(array.reshape(-1).view(np.uint8).data, before)
