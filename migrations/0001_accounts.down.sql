DROP TABLE assets, media, campaigns, api_keys, clients;
