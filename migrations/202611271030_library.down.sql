DROP TABLE health_records, events, people, books, publishers, authors;
