-- \watch, ended by an error of the statement itself.
CREATE SEQUENCE rounds;
SELECT 10 / (3 - nextval('rounds')) AS quotient \watch 0.01
SELECT last_value FROM rounds;
SELECT 'x' WHERE 1 = 1 / (5 - nextval('rounds')) \watch 0.01
DROP SEQUENCE rounds;
