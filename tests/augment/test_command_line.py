"""How a command ends when its terminal cannot show every character."""

import io
import sys

from augment.command_line import exit_code


def test_what_the_terminal_cannot_show_is_printed_as_an_escape(monkeypatch):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="ascii") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])

    def command() -> None:
        print("Zoë read 'Müller.txt'")
        raise ValueError("no file Müller.txt")

    assert exit_code(command) == 1
    for stream in streams:
        stream.flush()
    assert [stream.buffer.getvalue() for stream in streams] == [
        rb"Zo\xeb read 'M\xfcller.txt'" + b"\n",
        rb"error: no file M\xfcller.txt" + b"\n",
    ]
