"""`ttylab serve` and the fixture `cloud`: the emulator's service, and how clients get to it."""
