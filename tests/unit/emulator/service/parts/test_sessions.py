"""Sessions and refresh tokens: nobody's are dropped because somebody else has many."""

import pytest

from emulator.errors import CloudError
from emulator.service.parts import sessions, sign_in
from emulator.service.parts.sessions import Sessions
from emulator.service.parts.sign_in import RefreshTokens
from tests.support.service_lab import START, demo_vm_id


def test_caller_with_too_many_sessions_loses_its_own_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "OWN_MAX", 3)
    kept = Sessions(lifetime_s=60.0)
    made = [kept.open(demo_vm_id("linux1"), principal=who, now=START) for who in "abbbbb"]
    alive = []
    for number, one in enumerate(made):
        try:
            kept.find(one.container, one.id, now=START)
            alive.append(number)
        except CloudError:
            pass
    assert alive == [0, 3, 4, 5]


def test_user_with_too_many_refresh_tokens_loses_its_own_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "REFRESH_TOKENS_MAX", 2)
    kept = RefreshTokens()
    made = [kept.issue(principal=who, client="c", resource="r", now=START) for who in "abbb"]
    assert [kept.redeem(one, client="c", now=START) is not None for one in made] == [True, False, True, True]
