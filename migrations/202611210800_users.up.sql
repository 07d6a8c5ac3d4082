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
