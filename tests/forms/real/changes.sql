UPDATE forms SET touched = 1 WHERE id % 3 = 0;
UPDATE forms SET i4 = id % 1000, t = 'short now', with_default = NULL, na = '{1,2}', tsa = NULL WHERE id % 7 = 1;
UPDATE forms SET touched = 2, ta = '{}', h = NULL WHERE id % 11 = :seed % 11;
UPDATE forms SET id = id + 5000000 WHERE id % 13 = 2;
DELETE FROM forms WHERE id % 17 = :seed % 17;
INSERT INTO forms (id, t) SELECT id + 3000000000, 'again' FROM forms WHERE id % 19 = 3;
DELETE FROM forms WHERE id > 3000000000 AND id % 2 = 0;
