"""The SAC guest: a guest of ttylab's own that speaks EMS/SAC on COM1. It is not Windows, and says so."""
