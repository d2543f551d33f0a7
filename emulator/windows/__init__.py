"""Windows that the user brings: media and disks as they are, and what an unattended installation needs.

Nothing of Windows is part of ttylab, and nothing of it is copied: only paths are kept (docs/windows.md).
"""
