DROP INDEX webhook_deliveries_newest;
DROP TABLE invariants;
