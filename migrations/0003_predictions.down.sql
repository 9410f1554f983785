DROP TABLE provider_limits, webhook_deliveries, ledger, predictions;
