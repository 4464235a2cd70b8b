-- Writes hash_vectors.inc: hashes that a PostgreSQL server gives to key values, one row of C++ for each value.
-- Run against a database in UTF8 of PostgreSQL 15:
--   psql -X -q -At -f hash_vectors.sql > hash_vectors.inc
-- A value passes through an INSERT, so that it is rounded, cut or refused as a column's value is; each hash is held
-- against satisfies_hash_partition before it is written.
\set ON_ERROR_STOP on
set timezone = 'UTC';
set datestyle = 'ISO, MDY';
set client_min_messages = warning;

create function pg_temp.quoted(t text) returns text language sql immutable as
$$ select '"' || replace(replace(replace(replace(t, '\', '\\'), '"', '\"'), chr(10), '\n'), chr(9), '\t') || '"' $$;

-- One row of the table: type, modifier, text, hash (none if the value is refused), binary form. hash_record_extended of one column is the hash of
-- that column by its type's default hash operator class.
create function pg_temp.vector_of(type_name text, input text) returns text language plpgsql as
$$
declare
  hash numeric; bytes text; modifier int; name text; right_bucket bool;
begin
  execute format('create temp table k (v %s) partition by hash (v)', type_name);
  create temp table k0 partition of k for values with (modulus 1, remainder 0);
  select atttypmod, typname into modifier, name
    from pg_attribute a join pg_type t on t.oid = a.atttypid where attrelid = 'k'::regclass and attname = 'v';
  begin
    execute format('insert into k values (%L)', input);
  exception when data_exception then
    drop table k;
    return format('{type_oid::%s, %s, %s, std::nullopt, ""},',
      case name when 'bool' then 'boolean' else name end, modifier, pg_temp.quoted(input));
  end;
  execute format(
    'select mod(hash_record_extended(row(v), 8816678312871386365)::numeric + 18446744073709551616
                + 5305509591434766563, 18446744073709551616), encode(%s(v), ''hex'') from k',
    (select typsend from pg_type where typname = name)) into hash, bytes;
  execute format('select satisfies_hash_partition(''k''::regclass, 4096, %s, v) from k', mod(hash, 4096))
    into right_bucket;
  drop table k;
  if right_bucket is distinct from true then raise exception 'hash of % % is not the partition hash', type_name, input;
  end if;
  return format('{type_oid::%s, %s, %s, %sU, "%s"},',
    case name when 'bool' then 'boolean' else name end, modifier, pg_temp.quoted(input), hash, bytes);
end
$$;

select pg_temp.vector_of(t, v) from unnest(array['int2', 'int4', 'int8']) t,
  unnest(array['0', '1', '-1', '42', '-42', '100', '255', '256', '-256', '1000', '9999', '12345', '-12345', '32767',
               '-32768', ' 7 ', '+8', '-0', '007', E'\t9\n']) v;
select pg_temp.vector_of(t, v) from unnest(array['int4', 'int8']) t,
  unnest(array['32768', '-32769', '65535', '65536', '123456789', '-123456789', '2147483647', '-2147483648']) v;
select pg_temp.vector_of('int8', v) from
  unnest(array['2147483648', '-2147483649', '4294967295', '4294967296', '-4294967296', '1234567890123456789',
               '-1234567890123456789', '9223372036854775807', '-9223372036854775808', '9007199254740993']) v;
select pg_temp.vector_of('bool', v) from
  unnest(array['t', 'f', 'true', 'FALSE', 'yes', 'no', 'on', 'off', '1', '0', ' tr ', 'of']) v;
select pg_temp.vector_of('uuid', v) from
  unnest(array['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
               'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
               '{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}', 'a0eebc999c0b4ef8bb6d6bb9bd380a11',
               'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11', '0190163d-8694-739b-aea5-966c26f8ad91']) v;
select pg_temp.vector_of(t, v) from unnest(array['text', 'varchar', 'bpchar', 'varchar(40)', 'char(40)']) t,
  unnest(array['', ' ', 'a', 'ab', 'abc', 'abcd', 'abcde', 'abcdef', 'abcdefg', 'abcdefgh', 'abcdefghi', 'abcdefghij',
               'abcdefghijk', 'abcdefghijkl', 'abcdefghijklm', 'abcdefghijklmnopqrstuvwx', 'abcdefghijklmnopqrstuvwxyz',
               'trailing  ', '  leading', 'żółć', 'naïve café', '日本語', '🐘', 'Größe ', 'quote "x" \ back', '''', '0']) v;
select pg_temp.vector_of('varchar(3)', v) from unnest(array['abc', 'abc   ', 'ab ', 'żół', '日本語', '', 'abcd', 'abc d']) v;
select pg_temp.vector_of('char(3)', v) from unnest(array['abc', 'abc   ', 'ab ', 'ab', 'żół', '日本語', '', 'abcd', 'abc d']) v;
select pg_temp.vector_of('date', v) from
  unnest(array['2000-01-01', '1999-12-31', '2000-02-29', '1900-02-28', '2024-02-29', '1970-01-01', '2026-11-21',
               '0001-01-01', '0001-12-31 BC', '0044-03-15 BC', '4714-11-24 BC', '5874897-12-31', '9999-12-31',
               '12345-06-07', '2024-12-31 ad', 'infinity', '-infinity', ' Infinity ', '0005-02-29 BC']) v;
select pg_temp.vector_of(t, v) from unnest(array['timestamp', 'timestamptz']) t,
  unnest(array['2000-01-01 00:00:00', '1999-12-31 23:59:59.999999', '2024-02-29 12:34:56', '2024-02-29T12:34:56',
               '2024-02-29 12:34', '2024-02-29', '2024-02-29 1:02:03', '1970-01-01 00:00:00.000001',
               '2024-06-15 10:11:12.1234564', '2024-06-15 10:11:12.1234565', '2024-06-15 10:11:12.1234575',
               '2024-06-15 10:11:12.9999995', '2024-06-15 10:11:12.9999999', '2024-06-15 10:11:12.0000005',
               '2024-06-15 10:11:12.0000015', '2024-06-15 10:11:12.00000049999999999999',
               '2024-06-15 23:59:60', '2024-06-15 24:00:00', '2024-06-15 23:59:59.9999999',
               '0044-03-15 12:00:00 BC', '0001-01-01 00:00:00', '4714-11-24 00:00:00 BC', '294276-12-31 23:59:59.999999',
               '2024-06-15 10:11:12+02', '2024-06-15 10:11:12-0330', '2024-06-15 10:11:12 +05:45',
               '2024-06-15T10:11:12Z', '2024-06-15 10:11:12+15:59:59', '0044-03-15 12:00:00+01 BC',
               'infinity', '-infinity']) v;
select pg_temp.vector_of(t, v) from
  unnest(array['timestamp(0)', 'timestamp(1)', 'timestamp(3)', 'timestamp(6)', 'timestamptz(0)', 'timestamptz(3)']) t,
  unnest(array['2024-06-15 10:11:12.5', '2024-06-15 10:11:12.4999999', '2024-06-15 10:11:12.25', '1999-06-15 10:11:12.5',
               '1999-06-15 10:11:12.0005', '2024-06-15 10:11:12.1235', '2024-06-15 23:59:59.9995', 'infinity']) v;
select pg_temp.vector_of('numeric', v) from
  unnest(array['0', '-0', '0.000', '1', '-1', '1.0', '1.000000', '01', '42', '-42', '100', '10000', '1e4', '1E+4', '1e-4',
               '0.0001', '.5', '5.', '-.5e1', '1.005', '12345678', '123456789.987654321', '99999999', '0.00001',
               '0.000000000001', '100000000000000000000', '1e100', '1.5e-100', '9999.9999', '10000.0001', '0.9999',
               'NaN', 'nan', 'Infinity', '-Infinity', 'inf', '+inf', ' 7.25 ', '9223372036854775808',
               '3.14159265358979323846264338327950288419716939937510', '1e1000', '1e-1000', '1e131071']) v;
select pg_temp.vector_of(t, v) from unnest(array['numeric(7,2)', 'numeric(7)', 'numeric(7,-2)', 'numeric(7,5)']) t,
  unnest(array['1.005', '-1.005', '1.004999', '0.995', '49.995', '50', '49.99999', '0.000001', '-2.5', '3.5', '0', 'NaN',
               '1e1', '99.999999', '99999.995', '99999.99', 'Infinity']) v;
select pg_temp.vector_of('numeric(3,5)', v) from unnest(array['0.001', '0.00999', '-0.000005', '0.0000049', '0']) v;

-- What no server takes.
select pg_temp.vector_of(t, v) from unnest(array['int2', 'int4', 'int8']) t,
  unnest(array['', ' ', '-', '+', '--1', '1 2', '1.0', '1e2', '9223372036854775808', 'x']) v;
select pg_temp.vector_of('bool', v) from unnest(array['', 'o', 'tru e', '2', 'truely', '01']) v;
select pg_temp.vector_of('uuid', v) from
  unnest(array['', '{}', 'a0eebc99', '{a0eebc999c0b4ef8bb6d6bb9bd380a11', 'a0eebc999c0b4ef8bb6d6bb9bd380a11}',
               ' a0eebc999c0b4ef8bb6d6bb9bd380a11', 'a0-eebc999c0b4ef8bb6d6bb9bd380a11']) v;
select pg_temp.vector_of('numeric', v) from
  unnest(array['', '.', '-', '1e', 'e5', '1.2.3', '+NaN', 'infinit', '1e131072', '1e-16384', '- 1', '1,000']) v;
select pg_temp.vector_of('date', v) from
  unnest(array['', '2023-02-29', '2024-13-01', '2024-00-01', '2024-01-32', '0000-01-01', '0000-01-01 BC',
               '4714-11-23 BC', '5874898-01-01']) v;
select pg_temp.vector_of(t, v) from unnest(array['timestamp', 'timestamptz']) t,
  unnest(array['2024-02-30 00:00:00', '2024-01-01 24:00:01', '2024-01-01 12:60:00', '2024-01-01 12:00:61',
               '294277-01-01 00:00:00', '4714-11-23 23:59:59 BC', '2024-01-01 12:00:00+16']) v;
