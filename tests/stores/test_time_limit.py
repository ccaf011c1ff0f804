"""The time limit of connections whose server went silent."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from qualia_lab.stores.sql.time_limit import given_up_after


def wait_for_an_answer(seconds: float) -> None:
    """Read from a connection on which nothing arrives."""
    ours, theirs = socket.socketpair()
    with ours, theirs, given_up_after(seconds, ours):
        assert ours.recv(1) == b""
        raise OSError("the connection was closed")


def test_only_connections_past_their_limit_are_cut():
    ours, theirs = socket.socketpair()
    with ours, theirs, given_up_after(60, ours):
        with given_up_after(0.1, ours):
            pass
        for _ in range(2):
            with pytest.raises(TimeoutError):
                wait_for_an_answer(0.1)
        theirs.send(b"1")
        assert ours.recv(1) == b"1"


def test_other_errors_stay_what_they_are():
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ValueError, match="wrong"), given_up_after(60, ours):
        raise ValueError("wrong")


def test_many_statements_need_one_thread():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for _ in range(5):
            with given_up_after(60, ours):
                watchers = [thread for thread in threading.enumerate() if thread.name == "qualia-time-limit"]
                assert len(watchers) == 1


def test_the_limit_holds_in_a_forked_process():
    test_other_errors_stay_what_they_are()  # starts the thread, which the fork does not have
    child = os.fork()
    if not child:
        try:
            wait_for_an_answer(0.1)
        except TimeoutError:
            os._exit(42)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
