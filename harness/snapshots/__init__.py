"""Snapshots: guests that stand at a stage of their boot, for scenarios and tests to go on from."""
