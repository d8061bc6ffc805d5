"""The ways in which a command ends early, and the exit codes that tell them apart."""

from pathlib import Path


class BadInput(Exception):
    """The user's file or argument is wrong: one line that names it and the remedy, exit code 2."""

    exit_code = 2


class Damaged(BadInput):
    """A file that is not whole: cut off, changed, or of another kind.

    With `on_corrupt: skip` a stage that can do without it sets it aside, and says so.
    """

    def __init__(self, path: Path | str, problem: str, remedy: str):
        # What is found in a damaged file may be anything, and the error is to stay one line.
        self.problem = "".join(c if c.isprintable() else repr(c)[1:-1] for c in problem)
        self.path = Path(path)
        super().__init__(f"{path}: {self.problem}; {remedy}")


class Interrupted(BaseException):
    """A signal asked the command to stop; progress is saved. Exit code 128 + signal number.

    Like `KeyboardInterrupt` no `Exception`, so that no library swallows it.
    """

    def __init__(self, signum: int, message: str):
        super().__init__(message)
        self.exit_code = 128 + signum
