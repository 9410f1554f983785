-- Claims and ends leave dead rows behind, which the next claims read past. Autovacuum looks once a minute; who claims much looks itself.
insert into queue.duty (name) values ('vacuum');
