\set id random(1, :rows_max)
\set elsewhere random(10000000, 2000000000)
\set what random(1, 6)
\if :what = 1
DELETE FROM forms WHERE id = :id;
\elif :what = 2
INSERT INTO forms (id, t) VALUES (:id, 'back') ON CONFLICT (id) DO UPDATE SET touched = forms.touched + 1, t = 'updated';
\elif :what = 3
UPDATE forms SET id = :elsewhere WHERE id = :id;
\elif :what = 4
BEGIN;
UPDATE forms SET touched = touched + 1, i4 = touched WHERE id = :id;
\sleep 3 ms
END;
\else
UPDATE forms SET touched = touched + 1, f8 = touched, ine = '10.0.0.2' WHERE id = :id;
\endif
