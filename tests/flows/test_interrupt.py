"""A signal ends a step at once, and training at its next batch."""

import os
import signal

import pytest

from flows.interrupt import Interrupted, Interruption


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_becomes_its_exit_code(number: signal.Signals, code: int) -> None:
    interruption = Interruption()
    with pytest.raises(Interrupted) as caught, interruption.handled():
        os.kill(os.getpid(), number)
    assert caught.value.exit_code == code


def test_deferred_work_sees_the_request_and_ends_by_itself() -> None:
    interruption = Interruption()
    with interruption.handled(), interruption.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.requested()


def test_a_second_signal_does_not_wait() -> None:
    interruption = Interruption()
    with pytest.raises(Interrupted), interruption.handled(), interruption.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)


def test_the_handlers_from_before_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interruption().handled():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
