-- What belongs to one user: a profile, made when it is first read, and documents.
CREATE TABLE user_profiles (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    avatar varchar(100),
    bio text NOT NULL,
    date_of_birth date,
    phone varchar(20) NOT NULL,
    CONSTRAINT user_profiles_user_id_key UNIQUE (user_id)
);
CREATE INDEX user_profiles_created_at_idx ON user_profiles (created_at);
CREATE INDEX user_profiles_updated_at_idx ON user_profiles (updated_at);

CREATE TABLE user_documents (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    file varchar(100) NOT NULL,
    title varchar(255) NOT NULL,
    filename varchar(255) NOT NULL,
    content_type varchar(100) NOT NULL,
    size integer NOT NULL
);
CREATE INDEX user_documents_user_id_idx ON user_documents (user_id, created_at DESC);
CREATE INDEX user_documents_created_at_idx ON user_documents (created_at);
CREATE INDEX user_documents_updated_at_idx ON user_documents (updated_at);
