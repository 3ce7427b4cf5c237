"""How the tests run: one torch thread, no network, Hypothesis without deadlines, thorough on demand."""

from __future__ import annotations

import signal
import sys
from typing import Any

import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as where a shell runs the tests in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # or the commands that they interrupt would not hear it


def _deny_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Nothing but the machine itself may be spoken to: what is tested needs no network, and reaches for none."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg") and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if str(host) not in ("", "None", "localhost", "::1", "0.0.0.0") and not str(host).startswith("127."):
        raise PermissionError(f"a test reaches for {host}, and tests use no network")


sys.addaudithook(_deny_network)

_SHARED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large]}
settings.register_profile("everyday", max_examples=40, derandomize=True, **_SHARED)
settings.register_profile("thorough", max_examples=500, **_SHARED)
settings.load_profile("everyday")
