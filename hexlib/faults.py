"""Failures that come from outside: what to say in one line, and what to do about them."""

import errno
import os

GO_ON = "then run the same command to go on: what is finished is saved"
FULL = f"free some space, {GO_ON}"
FORBIDDEN = "make it writable, or name another place (results_dir in the settings)"
REMEDIES = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: f"raise the limit of file sizes (ulimit -f), {GO_ON}",
    errno.EACCES: FORBIDDEN,
    errno.EPERM: FORBIDDEN,
    errno.EROFS: FORBIDDEN,
    errno.EIO: f"the disk may be failing; copy the file to another one, {GO_ON}",
    errno.EMFILE: f"raise the limit of open files (ulimit -n), {GO_ON}",
    errno.ENOTDIR: "a file is where a folder is wanted; move it away",
    errno.EISDIR: "a folder is where a file is wanted; move it away",
}

# One of these is in each error of torch that tells of a GPU, its driver, or its libraries.
OF_A_GPU = ("CUDA", "cuDNN", "NVIDIA", "NVML", "NCCL")


def explain(error: Exception) -> str | None:
    """What happened and what to do, in one line; None if the fault is not known to be outside."""
    if isinstance(error, MemoryError) or _is_torch_memory(error):
        return (
            f"out of memory ({_first_line(error)}); lower the batch size, or run fewer jobs at"
            f" once, {GO_ON}"
        )
    if isinstance(error, RuntimeError) and any(word in str(error) for word in OF_A_GPU):
        return (
            f"the GPU failed or is gone ({_first_line(error)}); see what nvidia-smi says of it,"
            f" {GO_ON}"
        )
    if isinstance(error, OSError) and error.errno in REMEDIES:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{os.strerror(error.errno)}; {REMEDIES[error.errno]}"
    return None


def _is_torch_memory(error: Exception) -> bool:
    """Torch has its own error for a GPU, and none for a CPU."""
    return isinstance(error, RuntimeError) and (
        type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
