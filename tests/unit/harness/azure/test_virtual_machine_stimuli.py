"""What `ttylab send` is asked for."""

import pytest

from emulator.errors import SpecError
from harness.azure.virtual_machine import Act, SendRequest, parse_stimulus


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        (["nmi", "vm1"], SendRequest(act=Act.NMI, vm="vm1")),
        (["NMI", "vm1"], SendRequest(act=Act.NMI, vm="vm1")),
        (["sysrq", "REISUB", "ss1/0"], SendRequest(act=Act.SYSRQ, vm="ss1/0", keys="REISUB")),
        (["stop", "vm1"], SendRequest(act=Act.STOP, vm="vm1")),
    ],
)
def test_request_is_read(words, request_):
    assert parse_stimulus(words) == request_


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "allowed: nmi"),
        (["love", "vm1"], "allowed: nmi"),
        (["nmi"], "need one VM"),
        (["nmi", "a", "b"], "need one VM"),
        (["sysrq", "vm1"], "need KEYS VM"),
        (["sysrq", "h;", "vm1"], "letters and digits"),
    ],
)
def test_request_that_is_none_is_refused(words, said):
    with pytest.raises(SpecError, match=said):
        parse_stimulus(words)
