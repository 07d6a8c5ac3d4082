DROP TABLE authtoken_token;
DROP TABLE login_event;
DROP TABLE token_blacklist_blacklistedtoken;
DROP TABLE token_blacklist_outstandingtoken;
DROP TABLE users_following;
