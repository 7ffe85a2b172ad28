CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree;
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy, "very"');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE forms (
  id bigint PRIMARY KEY, touched integer NOT NULL DEFAULT 0,
  b boolean, i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision, n102 numeric(10,2), n200 numeric(20,0), n numeric, mon money,
  t text, vc varchar(20), ch char(5), ci citext, bin bytea, u uuid, j json, jb jsonb, x xml, e mood, h hstore, lt ltree, dom positive, tsv tsvector, chq "char", o oid,
  d date, tm time, tm3 time(3), ts timestamp, ts3 timestamp(3), ts0 timestamp(0), tsz timestamptz, tsz3 timestamptz(3), iv interval,
  bit1 bit(1), bit8 bit(8), bit40 bit(40), p point,
  r4 int4range, r8 int8range, rn numrange, rts tsrange, rtz tstzrange, rd daterange, ine inet, cid cidr, mac macaddr, mac8 macaddr8,
  ta text[], vca varchar(9)[], cia citext[], i2a smallint[], i4a integer[], i8a bigint[], na numeric[], n102a numeric(10,2)[], ba boolean[], f4a real[], f8a double precision[],
  ua uuid[], da date[], tma time[], tsa timestamp[], tsza timestamptz[], ea mood[], bina bytea[], ja json[], inea inet[],
  with_default text DEFAULT 'default', dropped text
);
ALTER TABLE forms ALTER t SET STORAGE EXTERNAL, ALTER bin SET STORAGE EXTERNAL, ALTER jb SET STORAGE EXTERNAL, ALTER h SET STORAGE EXTERNAL,
  ALTER ta SET STORAGE EXTERNAL, ALTER i4a SET STORAGE EXTERNAL, ALTER ua SET STORAGE EXTERNAL, ALTER na SET STORAGE EXTERNAL, ALTER tsa SET STORAGE EXTERNAL;
