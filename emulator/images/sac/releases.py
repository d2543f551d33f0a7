"""The releases whose texts the SAC guest can say; apart from their texts, which take long to read."""

PROFILES = ("2003", "2016", "2019", "2022", "2025")
