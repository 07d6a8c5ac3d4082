DROP TABLE users;
DROP FUNCTION apium_users_changed();
