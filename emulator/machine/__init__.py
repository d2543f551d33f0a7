"""One QEMU process: from a spec to an argv, to a running machine, and back to nothing."""
