"""Snapshots: guests kept at a stage of their boot, from which scenarios and tests start."""
