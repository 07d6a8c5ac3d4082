DROP TABLE user_documents, user_profiles;
