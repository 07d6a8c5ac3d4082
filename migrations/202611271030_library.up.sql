-- Authors, publishers and their books; people, events and health records.
CREATE TABLE authors (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    name varchar(100) NOT NULL,
    email varchar(254) NOT NULL
);
CREATE INDEX authors_name_idx ON authors (name, id);
CREATE INDEX authors_created_at_idx ON authors (created_at);
CREATE INDEX authors_updated_at_idx ON authors (updated_at);

CREATE TABLE publishers (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    name varchar(100) NOT NULL
);
CREATE INDEX publishers_name_idx ON publishers (name, id);
CREATE INDEX publishers_created_at_idx ON publishers (created_at);
CREATE INDEX publishers_updated_at_idx ON publishers (updated_at);

CREATE TABLE books (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    title varchar(200) NOT NULL,
    author_id uuid NOT NULL REFERENCES authors (id) ON DELETE CASCADE,
    publisher_id uuid REFERENCES publishers (id) ON DELETE SET NULL,
    published_date date
);
CREATE INDEX books_author_id_idx ON books (author_id);
CREATE INDEX books_publisher_id_idx ON books (publisher_id);
CREATE INDEX books_published_date_idx ON books (published_date DESC, id);
CREATE INDEX books_created_at_idx ON books (created_at);
CREATE INDEX books_updated_at_idx ON books (updated_at);

CREATE TABLE people (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    first_name varchar(50) NOT NULL,
    last_name varchar(50) NOT NULL,
    full_name varchar(101) GENERATED ALWAYS AS (first_name || ' ' || last_name) STORED,
    initials varchar(2) GENERATED ALWAYS AS (substr(first_name, 1, 1) || substr(last_name, 1, 1)) STORED
);
CREATE INDEX people_name_idx ON people (last_name, first_name, id);
CREATE INDEX people_created_at_idx ON people (created_at);
CREATE INDEX people_updated_at_idx ON people (updated_at);

-- Days count from Sunday = 1, in UTC.  A generated column may not read another one.
CREATE TABLE events (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    name varchar(100) NOT NULL,
    start_time timestamptz NOT NULL,
    end_time timestamptz NOT NULL,
    day_of_week integer GENERATED ALWAYS AS (extract(dow FROM start_time AT TIME ZONE 'UTC')::integer + 1) STORED,
    is_weekend boolean GENERATED ALWAYS AS (extract(dow FROM start_time AT TIME ZONE 'UTC') IN (0, 6)) STORED,
    duration interval GENERATED ALWAYS AS (end_time - start_time) STORED
);
CREATE INDEX events_start_time_idx ON events (start_time, id);
CREATE INDEX events_created_at_idx ON events (created_at);
CREATE INDEX events_updated_at_idx ON events (updated_at);

CREATE TABLE health_records (
    id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    weight_kg numeric(5, 2) NOT NULL,
    height_m numeric(3, 2) NOT NULL,
    bmi numeric(4, 1) GENERATED ALWAYS AS (weight_kg / (height_m * height_m)) STORED,
    bmi_category varchar(20) GENERATED ALWAYS AS (
        CASE WHEN weight_kg < 18.5 * height_m * height_m THEN 'Underweight'
             WHEN weight_kg < 25 * height_m * height_m THEN 'Normal'
             WHEN weight_kg < 30 * height_m * height_m THEN 'Overweight'
             ELSE 'Obese' END) STORED
);
CREATE INDEX health_records_user_created_idx ON health_records (user_id, created_at DESC);
CREATE INDEX health_records_created_at_idx ON health_records (created_at);
CREATE INDEX health_records_updated_at_idx ON health_records (updated_at);
