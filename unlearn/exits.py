"""How a command ends: 0 done, 1 the run failed, 2 the user's mistake; one sentence on stderr, no traceback."""

import errno
import logging
import re
import sys
from collections.abc import Callable


class ProcessKilled(RuntimeError):
    """A process of ours was ended from outside; its argument is what it was doing, such as "pretraining twin-1"."""

    def __str__(self) -> str:
        return f"{self.args[0]} was killed, perhaps for want of memory; what was finished is kept, and the same command goes on"


#: What transformers says of a config that none of its causal language models is made from.
_NO_DECODER = re.compile(r"Unrecognized configuration class <class '[\w.]*?(\w+)'>")


def first_line(error: BaseException) -> str:
    """An error's first line, and the next after a colon, at most 300 characters; plain words for a model that does not continue texts."""
    lines = [part.strip() for part in (str(error).strip() or type(error).__name__).splitlines()]
    line = " ".join(lines[: 2 if lines[0].endswith(":") else 1])[:300]
    if found := _NO_DECODER.match(line):
        return f"a model of this kind ({found[1]} in its config.json) does not continue texts; a causal language model, or decoder, does"
    return line


def guarded(command: Callable[[], object], name: str) -> None:
    """Runs a command line; ValueErrors are mistakes of the user, and so is a place that cannot be written to; a killed process is a run
    that failed. With -v the error is told whole, and what was behind it.
    """
    try:
        command()
    except ValueError as error:
        _leave(name, str(error), error)
    except (KeyboardInterrupt, SystemExit) as end:  # typer makes the second of the first
        if isinstance(end, SystemExit) and end.code != 130:
            raise
        sys.stderr.write(f"{name}: interrupted; the same command goes on from here\n")
        raise SystemExit(130) from None
    except ProcessKilled as error:
        _leave(name, str(error), error, status=1)
    except Exception as error:
        number = getattr(error, "errno", None)
        # Libraries in Rust, and processes of our own, pass a full disk on in words.
        if number == errno.ENOSPC or "No space left on device" in str(error):
            message = "the disk is full; what was finished is kept, and the same command goes on when there is room"
            _leave(name, message, error)
        if isinstance(error, OSError) and number in _NO_PLACE:
            _leave(name, f"{str(error.filename)!r} cannot be used: {error.strerror}", error)
        raise


#: A path that was given is read-only, belongs to another, is a file in place of a folder, or the other way round.
_NO_PLACE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)


def _leave(name: str, message: str, error: Exception, *, status: int = 2) -> None:
    error.__suppress_context__ = False
    logging.getLogger(name.replace("-", "_")).debug("behind it:", exc_info=error)
    sys.stderr.write(f"{name}: {' '.join(message.split())}\n")
    raise SystemExit(status)
