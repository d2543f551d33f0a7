"""The byte path: transcript, cursors, pump and endpoints."""
