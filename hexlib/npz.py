"""npz files larger than memory: written block by block, read as views of the mapped file.

They are what numpy.savez writes, uncompressed zip members, with a JSON entry `meta`.
"""

import errno
import hashlib
import json
import math
import mmap
import os
import re
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from zlib_ng.zlib_ng import crc32  # of zlib, by vector instructions: ten times as fast

from hexlib import files
from hexlib.errors import BadInput, Damaged

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
            member.CRC = crc32(header)
            start = position + len(member.FileHeader(zip64=True))
            handle.seek(start)
            handle.write(header)
            self._members[name] = member
            self._next[name] = start + len(header)
            self._end[name] = position = start + size
        self._size = position
        _reserve(handle, position)
        self.append("meta", text)

    def append(self, name: str, rows: np.ndarray, cuts: Sequence[int] = ()) -> list[int]:
        """Write the next rows of member `name`; their dtype is the member's.

        Returns the member's running CRC-32 as it is before each of `cuts`, row numbers of `rows`
        in rising order: with two of them, `Reader.rows` can check what lies between.
        """
        data = np.ascontiguousarray(rows).reshape(-1).view(np.uint8)
        if self._next[name] + len(data) > self._end[name]:
            raise ValueError(f"{name}: more rows than the layout has")
        self._handle.seek(self._next[name])
        self._handle.write(data.data)
        _start_writing(self._handle, self._next[name], len(data))
        self._next[name] += len(data)
        width = len(data) // max(1, len(rows))
        running, before = [self._members[name].CRC], 0
        for cut in (*cuts, len(rows)):
            running.append(checksum(data[before * width : cut * width], running[-1]))
            before = cut
        self._members[name].CRC = running.pop()
        return running[1:]

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


def write(path: Path | str, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write arrays at once, with `meta` as JSON in the entry `meta`, whole or not at all.

    `meta` must name the `kind` of the product; the schema version is added.
    """
    layout = {name: (array.dtype, array.shape) for name, array in arrays.items()}
    with files.atomic(path) as handle:
        writer = Writer(handle, layout, meta)
        for name, array in arrays.items():
            writer.append(name, array)
        writer.close()


def _npy_header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    out = BytesIO()
    description = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(
        out, {"descr": description, "fortran_order": False, "shape": shape}
    )
    return out.getvalue()


class Reader:
    """An open npz whose members are read one by one, whole or in part.

    Opening checks the directory, the headers and the meta. Raises `BadInput` when the file is
    missing, and `Damaged`, here and in `read`, when it is not whole, of another kind or of another
    schema version.
    Without a `kind` any will do.
    """

    def __init__(self, path: Path | str, kind: str | None = None):
        self.path, self.kind = Path(path), kind
        try:
            self._handle = self.path.open("rb")
        except OSError as error:
            reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
            raise BadInput(f"{path}: {reason}") from None
        try:
            self._handle.read(1)
        except OSError as error:
            raise BadInput(
                f"{path}: cannot be read ({error.strerror}); the disk may be failing"
            ) from None
        try:
            with zipfile.ZipFile(self._handle) as archive:
                self._members = {
                    member.filename.removesuffix(".npy"): _Member.of(self._handle, member)
                    for member in archive.infolist()
                }
                ends = [member.end for member in self._members.values()]
                if max(ends, default=0) != archive.start_dir:
                    raise ValueError("the zip's directory does not list all that is in it")
            self.meta = json.loads(self.read("meta").tobytes())
        except _DAMAGE as error:
            raise self._damaged(error) from None
        found = self.meta.get("kind") if isinstance(self.meta, dict) else self.meta
        if kind is not None and found != kind:
            raise Damaged(path, f"holds {found!r}, where {kind!r} is wanted", "name another file")
        if (schema := self.meta.get("schema")) != files.SCHEMA:
            raise Damaged(
                path, f"schema version {schema}, this version reads {files.SCHEMA}", REMEDY
            )
        del self._members["meta"]

    @property
    def layout(self) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
        """Dtype and shape of each array."""
        return {name: (member.dtype, member.shape) for name, member in self._members.items()}

    @property
    def digest(self) -> str:
        """sha256, in hex, of the meta and of the layout and checksum of each array.

        It stands for the content of the file without reading it.
        """
        members = {
            name: [member.dtype.str, *member.shape, member.crc]
            for name, member in self._members.items()
        }
        text = json.dumps([self.meta, members], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def read(self, name: str) -> np.ndarray:
        """An array, its checksum verified."""
        rows = self.rows(name)
        array = rows.take(self._members[name].shape[0])
        rows.check()
        return array

    def rows(
        self, name: str, span: tuple[int, int] | None = None, running: tuple[int, int] = (0, 0)
    ) -> "Rows":
        """The rows of an array, or of its `span` (first, last), to be taken in order.

        `running` is the running CRC-32 before and after the span, as `Writer.append` returned it.
        """
        member = self._members[name]
        if span is None:
            span, running = (0, member.shape[0]), (member.header_crc, member.crc)
        return Rows(self._handle.fileno(), member, span, running, partial(self._damaged_at, name))

    def map(self, verify: bool) -> dict[str, np.ndarray]:
        """All arrays as read-only views of the mapped file, their checksums verified if wanted."""
        mapped = mmap.mmap(self._handle.fileno(), 0, access=mmap.ACCESS_READ)
        arrays = {}
        for name, member in self._members.items():
            count = math.prod(member.shape)
            flat = np.frombuffer(mapped, member.dtype, count, member.start)
            if verify and checksum(flat, member.header_crc) != member.crc:
                raise self._damaged_at(name)
            arrays[name] = flat.reshape(member.shape)
        return arrays

    def _damaged_at(self, name: str) -> Damaged:
        return self._damaged(f"{name} is damaged: its checksum differs")

    def _damaged(self, error: object) -> Damaged:
        kind = f"{self.kind} file" if self.kind else "npz"
        return Damaged(self.path, f"not a whole {kind} ({error})", REMEDY)


class _Member(NamedTuple):
    """Where an array lies in the file."""

    dtype: np.dtype
    shape: tuple[int, ...]
    start: int  # of its data
    crc: int  # of its header and data
    header_crc: int

    @property
    def end(self) -> int:
        """Where its data ends."""
        return self.start + math.prod(self.shape) * self.dtype.itemsize

    @classmethod
    def of(cls, handle: IO[bytes], member: zipfile.ZipInfo) -> "_Member":
        """Find a stored member of the zip that `handle` reads."""
        handle.seek(member.header_offset)
        header = handle.read(_LOCAL_HEADER.size)
        name, extra = _LOCAL_HEADER.unpack(header)
        if handle.read(name) != member.filename.encode():
            raise ValueError(f"member {member.filename} has another name in the directory")
        start = member.header_offset + _LOCAL_HEADER.size + name + extra
        handle.seek(start)
        array = _NPY_HEADER.match(handle.read(1024))
        if member.compress_type != zipfile.ZIP_STORED or not array:
            raise ValueError(f"member {member.filename} does not start as our arrays do")
        dtype = np.dtype(array[1].decode())
        shape = tuple(int(length) for length in array[2].replace(b",", b" ").split())
        size = array.end() + math.prod(shape) * dtype.itemsize
        if size != member.file_size or start + size > os.fstat(handle.fileno()).st_size:
            raise ValueError(f"member {member.filename} is not as long as its header says")
        return cls(dtype, shape, start + array.end(), member.CRC, crc32(array[0]))


class Rows:
    """Rows of an array that are read from the file in order, some at a time, and then checked."""

    def __init__(
        self,
        descriptor: int,
        member: _Member,
        span: tuple[int, int],
        running: tuple[int, int],
        damaged: Callable[[], BadInput],
    ):
        self._descriptor, self._dtype, self._shape = descriptor, member.dtype, member.shape[1:]
        self._damaged = damaged
        self._size = member.dtype.itemsize * math.prod(self._shape)  # of a row, in bytes
        self._next, self._end = (member.start + row * self._size for row in span)
        self._crc, self._wanted = running

    def __len__(self) -> int:
        """How many are still to be taken."""
        return (self._end - self._next) // self._size

    def take(self, count: int) -> np.ndarray:
        """The next `count` rows. Raises `BadInput` if there are fewer."""
        out = np.empty((count, *self._shape), self._dtype)
        self.fill(out.reshape(-1).view(np.uint8).data)
        return out

    def fill(self, out: memoryview) -> None:
        """Read the bytes of the next rows into `out`. Raises `BadInput` if there are fewer."""
        unread = out
        if self._next + len(out) > self._end:
            raise self._damaged()
        while unread:  # one call reads 2 GB at most
            read = os.preadv(self._descriptor, [unread], self._next)
            if not read:
                raise self._damaged()
            unread = unread[read:]
            self._next += read
        self._crc = crc32(out, self._crc)

    def check(self) -> None:
        """Raise `BadInput` unless all rows have been taken and are as they were written."""
        if self._next != self._end or self._crc != self._wanted:
            raise self._damaged()


def open_npz(
    path: Path | str, kind: str, verify: bool = True
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Map a product of `write` or `Writer`: read-only views of its arrays, and its meta.

    Nothing is copied: the views share the mapped pages, which the system drops when it needs
    memory. `verify` reads the file once to check the checksums. Raises `BadInput` as `Reader`.
    """
    reader = Reader(path, kind)
    return reader.map(verify), reader.meta


def checksum(array: np.ndarray, before: int = 0) -> int:
    """CRC-32 of the bytes of a contiguous array, following those whose checksum is `before`."""
    return crc32(array.reshape(-1).view(np.uint8).data, before)


def _reserve(handle: IO[bytes], size: int) -> None:
    """Claim the room of a file on the disk at once.

    Blocks that are written here and there into a file then cost a third less, and a disk that is
    too full shows before the work is done.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(handle.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # some file systems cannot
                raise


def _start_writing(handle: IO[bytes], position: int, size: int) -> None:
    """Let the disk begin with bytes just written, so that the sync at the end waits less."""
    if size >= 1 << 16 and hasattr(os, "posix_fadvise"):
        os.posix_fadvise(handle.fileno(), position, size, os.POSIX_FADV_DONTNEED)
