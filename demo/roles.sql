-- The demonstration's role. The stored secret (of the password "secret") is the same on every server, as logins that
-- are passed through need it.
CREATE ROLE app LOGIN PASSWORD 'SCRAM-SHA-256$4096:FCYCpkmyTi+cbuX1Z9p4iA==$bBYJqOPu8NuBq7Z7JaPihqc+bpckXRu58ZiqAtFm6yE=:NfVW/1TsyjCmd/jw8rpKLmmiHUk/8oYOuOjcdiSylQM=';
