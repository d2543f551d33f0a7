"""The platform as pure state: records, roles, rules. No I/O and no clock; `service` serves it."""
