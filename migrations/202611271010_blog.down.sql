DROP TABLE comments, posts_tags, posts, tags;
