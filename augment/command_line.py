"""How a command line ends: its exit code, and one line on stderr for an error. The commands of distill use this too."""

import io
import os
import sys
import textwrap
from collections.abc import Callable


def print_any_text() -> None:
    """Let stdout and stderr write a character that their encoding does not have as an escape such as \\xfc."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def in_one_line(error: BaseException | str) -> str:
    """What an error says, without line ends. A long message is cut: it may name every model type that there is."""
    return textwrap.shorten(str(error), 400, placeholder=" ...")


def exit_code(command: Callable[[], int | None], interrupted: str = "interrupted") -> int:
    """Run a command, whose output `print_any_text` lets through, and return its exit code; None counts as 0.

    A ValueError or OSError gives 1, and Ctrl-C gives 130 with the message `interrupted`. If the reader of stdout stops
    reading, as `head` does, the code is 141 without a message.
    """
    print_any_text()
    try:
        return int(command() or 0)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter fails when it flushes
        return 141
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"error: {interrupted}", file=sys.stderr)
        return 130
