"""Signatures of trouble on a console: rules as data, an incremental scanner, findings."""
