DROP TABLE auth_grant;
DROP TABLE users_user_permissions;
DROP TABLE users_groups;
DROP TABLE auth_group_permissions;
DROP TABLE auth_permission;
DROP TABLE auth_group;
DROP FUNCTION apium_rights_changed();
