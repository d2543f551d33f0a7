"""The names of one service."""

from emulator.service.parts.tokens import endpoints_of


def test_local_names_mean_the_same_port():
    names = endpoints_of("https://Lab:8443")
    assert names == {
        "https://lab:8443",
        "https://localhost:8443",
        "https://127.0.0.1:8443",
        "https://[::1]:8443",
    }


def test_another_port_is_another_service():
    assert "https://localhost:8444" not in endpoints_of("https://localhost:8443")
