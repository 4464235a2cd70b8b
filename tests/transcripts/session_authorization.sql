-- user: postgres
-- SET SESSION AUTHORIZATION by a superuser.
SELECT session_user, current_user;
SET SESSION AUTHORIZATION app;
SELECT session_user, current_user;
SELECT * FROM pg_authid;
SET ROLE app_reader;
SELECT session_user, current_user;
RESET SESSION AUTHORIZATION;
SELECT session_user, current_user;
BEGIN;
SET LOCAL SESSION AUTHORIZATION app;
SELECT session_user, current_user;
COMMIT;
SELECT session_user, current_user;
BEGIN;
SET SESSION AUTHORIZATION app_reader;
ROLLBACK;
SELECT session_user, current_user;
SET SESSION AUTHORIZATION 'app';
SELECT session_user, current_user;
SET SESSION AUTHORIZATION DEFAULT;
SELECT session_user, current_user;
SET SESSION AUTHORIZATION app;
DISCARD ALL;
SELECT session_user, current_user;
SHOW is_superuser;
