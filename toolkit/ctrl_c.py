"""Ctrl-C before a command has begun: while it imports, which takes seconds where torch is needed."""

import signal


def end_at_once() -> None:
    """Let Ctrl-C end this process without a traceback, until `raise_again`; where it is ignored, it stays so."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def raise_again() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, as Python does by itself."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
