-- Tells this log from every other: what was exported from one must not be taken for another's. A random uuid (version 4).

ALTER TABLE log_head ADD COLUMN log_id TEXT;

UPDATE log_head SET log_id = (
    SELECT substr(digits, 1, 8) || '-' || substr(digits, 9, 4) || '-4' || substr(digits, 14, 3) || '-a'
        || substr(digits, 18, 3) || '-' || substr(digits, 21, 12)
    FROM (SELECT lower(hex(randomblob(16))) AS digits)
);
