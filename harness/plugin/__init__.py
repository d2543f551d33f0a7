"""The parts of ttylab's pytest plug-in; `harness.pytest_plugin` is its entry point."""
