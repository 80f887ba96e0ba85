"""How a command ends: 0 done, 1 the run failed, 2 the user's mistake; one sentence on stderr, no traceback."""

import errno
import sys
from collections.abc import Callable


class ProcessKilled(RuntimeError):
    """A process of ours was ended from outside; `what` it was doing, such as "pretraining twin-1"."""

    def __init__(self, what: str) -> None:
        self._what = what
        super().__init__(
            f"{what} was killed, perhaps for want of memory; what was finished is kept, and the same command goes on"
        )

    def __reduce__(self) -> tuple[type["ProcessKilled"], tuple[str]]:
        return ProcessKilled, (self._what,)


def guarded(command: Callable[[], object], name: str) -> None:
    """Runs a command line; ValueErrors are mistakes of the user, and a full disk is one too; a killed process is a run that failed."""
    try:
        command()
    except ValueError as error:
        _leave(name, str(error))
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted; the same command goes on from here\n")
        raise SystemExit(130) from None
    except ProcessKilled as error:
        _leave(name, str(error), status=1)
    except Exception as error:
        # Libraries in Rust, and processes of our own, pass a full disk on in words.
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in str(error):
            _leave(name, "the disk is full; what was finished is kept, and the same command goes on when there is room")
        raise


def _leave(name: str, message: str, *, status: int = 2) -> None:
    sys.stderr.write(f"{name}: {' '.join(message.split())}\n")
    raise SystemExit(status)
