-- Users and what simplejwt keeps of their refresh tokens.  Columns carry no defaults: the application sets
-- every one, as Django does, so that both can write the same tables.
CREATE TABLE users (
    id uuid PRIMARY KEY,
    password varchar(128) NOT NULL,
    last_login timestamptz,
    is_superuser boolean NOT NULL,
    email varchar(254) NOT NULL,
    username varchar(150) NOT NULL,
    first_name varchar(150) NOT NULL,
    last_name varchar(150) NOT NULL,
    is_active boolean NOT NULL,
    is_staff boolean NOT NULL,
    email_verified boolean NOT NULL,
    email_verification_token uuid NOT NULL,
    date_joined timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT users_email_key UNIQUE (email),
    CONSTRAINT users_username_key UNIQUE (username)
);
CREATE INDEX users_email_verification_token_idx ON users (email_verification_token);
CREATE INDEX users_date_joined_idx ON users (date_joined DESC, id DESC);

-- Gateways keep who a token's user is (common/auth/identity_cache.h) until the row changes, whoever changes it.  Logins do
-- not: NOTIFY takes a lock of the whole instance at commit, so it is for what is rare.
CREATE FUNCTION apium_users_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('apium_users', CASE WHEN TG_OP = 'TRUNCATE' THEN '' ELSE OLD.id::text END);
    RETURN NULL;
END $$;
CREATE TRIGGER apium_users_deleted AFTER DELETE ON users
    FOR EACH ROW EXECUTE FUNCTION apium_users_changed();
CREATE TRIGGER apium_users_truncated AFTER TRUNCATE ON users
    FOR EACH STATEMENT EXECUTE FUNCTION apium_users_changed();
CREATE TRIGGER apium_users_updated AFTER UPDATE ON users
    FOR EACH ROW WHEN ((OLD.id, OLD.email, OLD.username, OLD.first_name, OLD.last_name, OLD.is_active, OLD.is_staff,
                        OLD.is_superuser)
                       IS DISTINCT FROM (NEW.id, NEW.email, NEW.username, NEW.first_name, NEW.last_name, NEW.is_active,
                                         NEW.is_staff, NEW.is_superuser))
    EXECUTE FUNCTION apium_users_changed();
