CREATE TABLE records (position INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, json BLOB NOT NULL, UNIQUE (kind, key));
PRAGMA user_version = 1;
