"""Signatures of trouble on a console: rules as data, an incremental scanner, findings."""

from harness.signatures.model import ALWAYS_ARMED, Finding, Kind, fatal_findings
from harness.signatures.rules import RuleSet, load_rules, shipped_rules
from harness.signatures.scanner import Scanner

__all__ = [
    "ALWAYS_ARMED",
    "Finding",
    "Kind",
    "RuleSet",
    "Scanner",
    "fatal_findings",
    "load_rules",
    "shipped_rules",
]
