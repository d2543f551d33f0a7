"""Signatures of trouble on a console: rules as data, an incremental scanner, findings."""

from harness.signatures.model import Finding, Kind, fatal_findings

__all__ = ["Finding", "Kind", "fatal_findings"]
